// Inverse modulo n, the group order, by Fermat's theorem.
//
// Cost: 452 multiplications, shared by a whole chain of items; the text holds one, because compilers put a copy of it
// wherever it is called.

#import scalar
#import curve

fn sc_one() -> Sc {
    return sc_from_words(Words(vec4(1u, 0u, 0u, 0u), vec4(0u)));
}

// a^(n - 2), which is 1/a; 0 if a is 0. Bit by bit from the highest: an even step squares, and the odd step after it
// multiplies by a where the bit is set, at the same place in the text.
fn sc_inverse(a: Sc) -> Sc {
    var power = sc_one();
    var i = 0u;
    loop {
        var bits = word_of_exponent(i);
        var step = 0u;
        loop {
            let is_square = (step & 1u) == 0u;
            if is_square || (bits & 0x80000000u) != 0u {
                var factor = a;
                if is_square {
                    factor = power;
                }
                power = sc_mul(power, factor);
            }
            bits <<= step & 1u;
            continuing {
                step++;
                break if step >= 64u;
            }
        }
        continuing {
            i++;
            break if i >= 8u;
        }
    }
    return power;
}

// Words of n - 2, highest first.
fn word_of_exponent(i: u32) -> u32 {
    switch i {
        case 3u: { return ORDER.hi.x; }
        case 4u: { return ORDER.lo.w; }
        case 5u: { return ORDER.lo.z; }
        case 6u: { return ORDER.lo.y; }
        case 7u: { return ORDER.lo.x - 2u; }
        default: { return 0xffffffffu; }
    }
}
