// Inverse modulo n, the group order, by Fermat's theorem.
//
// Cost: 512 multiplications or fewer, of which the text holds two. Shared by a whole chain of items.

#import scalar
#import curve

fn sc_one() -> Sc {
    return sc_from_words(Words(vec4(1u, 0u, 0u, 0u), vec4(0u)));
}

// a^(n - 2), which is 1/a; 0 if a is 0.
fn sc_inverse(a: Sc) -> Sc {
    var power = sc_one();
    for (var i = 0u; i < 8u; i++) {
        // Words of n - 2, highest first.
        var bits = 0xffffffffu;
        switch i {
            case 3u: { bits = ORDER.hi.x; }
            case 4u: { bits = ORDER.lo.w; }
            case 5u: { bits = ORDER.lo.z; }
            case 6u: { bits = ORDER.lo.y; }
            case 7u: { bits = ORDER.lo.x - 2u; }
            default: {}
        }
        for (var k = 0u; k < 32u; k++) {
            power = sc_sqr(power);
            if (bits & 0x80000000u) != 0u {
                power = sc_mul(power, a);
            }
            bits <<= 1u;
        }
    }
    return power;
}
