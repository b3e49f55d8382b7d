// Inverse and square root modulo p: two powers that share an addition chain.
//
// Cost: 255 squarings and 15 multiplications (inverse), 253 and 14 (root). Written as a loop over the steps of the
// chain, with one squaring and one multiplication in the text, because compilers put a copy of them wherever
// they are called. No multiplication stands under a condition: software adapters execute both sides.

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
// The chain is libsecp256k1's: runs of 2, 3, 6, 9, 11, 22, 44, 88, 176, 220 and 223 ones. A step squares so many times,
// and multiplies by a power with as many ones as it has appended zeros, or fewer.
fn fe_power(a: Fe, is_inverse: bool) -> Fe {
    var power = a;
    var ones_2 = a;
    var ones_3 = a;
    var ones_22 = a;
    var ones_44 = a;
    let steps = select(14u, 15u, is_inverse);
    var step = 0u;
    loop {
        // What most steps multiply by: the power itself, which doubles its ones.
        var factor = power;
        var squarings = 1u;
        switch step {
            case 0u: { factor = a; }
            case 1u: { ones_2 = power; factor = a; }
            case 2u: { ones_3 = power; squarings = 3u; }
            case 3u: { factor = ones_3; squarings = 3u; }
            case 4u: { factor = ones_2; squarings = 2u; }
            case 5u: { squarings = 11u; }
            case 6u: { ones_22 = power; squarings = 22u; }
            case 7u: { ones_44 = power; squarings = 44u; }
            case 8u: { squarings = 88u; }
            case 9u: { factor = ones_44; squarings = 44u; }
            case 10u: { factor = ones_3; squarings = 3u; }
            case 11u: { factor = ones_22; squarings = 23u; }
            case 12u: {
                factor = ones_2;
                squarings = 6u;
                if is_inverse {
                    factor = a;
                    squarings = 5u;
                }
            }
            case 13u: {
                // The root ends with two squarings alone.
                factor = fe_one();
                squarings = 2u;
                if is_inverse {
                    factor = ones_2;
                    squarings = 3u;
                }
            }
            default: { factor = a; squarings = 2u; }
        }
        var i = 0u;
        loop {
            power = fe_sqr(power);
            continuing {
                i++;
                break if i >= min(squarings, 88u);
            }
        }
        power = fe_mul(power, factor);
        continuing {
            step++;
            break if step >= min(steps, 15u);
        }
    }
    return power;
}
