// Inverse and square root modulo p: two powers that share an addition chain.
//
// Cost: 255 squarings and 15 multiplications (inverse), 253 and 13 (root). Written as one loop over
// squarings, with one squaring and one multiplication in the text, because compilers put a copy of
// them wherever they are called.

#import field

fn fe_one() -> Fe {
    return fe_from_words(Words(vec4(1u, 0u, 0u, 0u), vec4(0u)));
}

// a^(p - 2), which is 1/a; 0 if a is 0.
fn fe_inverse(a: Fe) -> Fe {
    return fe_power(a, true);
}

// a^((p + 1) / 4), which is a square root of a if there is one.
fn fe_root(a: Fe) -> Fe {
    return fe_power(a, false);
}

// Both exponents begin with 223 ones, a zero and 22 ones, in binary; then comes 0000101101 or 00001100.
// The chain is libsecp256k1's: runs of 2, 3, 6, 9, 11, 22, 44, 88, 176, 220 and 223 ones.
fn fe_power(a: Fe, is_inverse: bool) -> Fe {
    var power = a;
    // `power` at the start of the step: squared as often as it has ones and multiplied by it, it has twice as many.
    var before = a;
    var ones_2 = a;
    var ones_3 = a;
    var ones_22 = a;
    var ones_44 = a;
    var step = 0u;
    var left = 1u;
    let squarings = select(253u, 255u, is_inverse);
    for (var i = 0u; i < min(squarings, 255u); i++) {
        power = fe_sqr(power);
        left -= 1u;
        if left == 0u {
            var factor = before;
            switch step {
                case 0u, 1u: { factor = a; }
                case 3u, 10u: { factor = ones_3; }
                case 4u: { factor = ones_2; }
                case 9u: { factor = ones_44; }
                case 11u: { factor = ones_22; }
                case 12u: { if is_inverse { factor = a; } else { factor = ones_2; } }
                case 13u: { factor = ones_2; }
                case 14u: { factor = a; }
                default: {}
            }
            power = fe_mul(power, factor);
            before = power;
            switch step {
                case 0u: { ones_2 = power; left = 1u; }
                case 1u: { ones_3 = power; left = 3u; }
                case 2u: { left = 3u; }
                case 3u: { left = 2u; }
                case 4u: { left = 11u; }
                case 5u: { ones_22 = power; left = 22u; }
                case 6u: { ones_44 = power; left = 44u; }
                case 7u: { left = 88u; }
                case 8u: { left = 44u; }
                case 9u: { left = 3u; }
                case 10u: { left = 23u; }
                case 11u: { left = select(6u, 5u, is_inverse); }
                // The root ends with two squarings more, and so without a third.
                case 12u: { left = 3u; }
                default: { left = 2u; }
            }
            step += 1u;
        }
    }
    return power;
}
