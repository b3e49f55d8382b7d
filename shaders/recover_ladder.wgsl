// Recovery, stage 4 of 5: Q = u2 R + u1 G, by doublings and additions from tables.
//
// One invocation works out one Q. It starts at beta G on the isomorphic curve of the item's table, adds a digit of
// each half of u2 and doubles five times, 26 times over, goes back to the curve itself by its Z, and adds the digits
// of u1 from a comb of multiples of G. All digits are odd, so every invocation adds at every step, and no step adds
// infinity. The start is secret, so nobody can aim at an addition that is exceptional; if one is, Z becomes and stays 0.
//
// The additions from the table and those from the comb each have their own place in the text, though compilers put a
// copy there: shared, software adapters would load from both and multiply by the endomorphism for both.
//
// Cost: 125 doublings and 84 additions, 27M for the endomorphism and Z: 1074M + 752S.

#import lib/point
#import lib/field_power
#import curve

struct Entry {
    x_lo: vec4<u32>,
    x_hi: vec4<u32>,
    y_lo: vec4<u32>,
    y_hi: vec4<u32>,
}

// In: beta G as x, y, and Z of the isomorphic curve. Out: Q in Jacobian coordinates.
@group(0) @binding(0) var<storage, read_write> points: array<u32>;
@group(0) @binding(1) var<storage, read> digits: array<u32>;
// Odd multiples of R: entry e of item i at i * ENTRIES + e.
@group(0) @binding(2) var<storage, read> table: array<Entry>;
// Odd multiples of 2^(8 w) G: entry e of window w at w * COMB_ENTRIES + e.
@group(0) @binding(3) var<storage, read> comb: array<Entry>;

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = id.x;
    let n = item_count();
    if item >= n {
        return;
    }
    let is_half_2_negative = (digits[(2u * HALF_WORDS - 1u) * n + item] >> 31u) != 0u;
    let is_half_1_negative = (digits[(HALF_WORDS - 1u) * n + item] >> 31u) != 0u;
    let is_comb_negative = digits[(2u * HALF_WORDS + COMB_WORDS) * n + item] != 0u;

    var q = Jacobian(load_point(0u, item), load_point(8u, item), fe_one());
    var window = 0u;
    loop {
        let place = HALF_DIGITS - 1u - window;
        let shift = HALF_WINDOW_BITS * (place % HALF_DIGITS_PER_WORD);
        var half = 0u;
        loop {
            let word = place / HALF_DIGITS_PER_WORD + half * HALF_WORDS;
            let v = (digits[word * n + item] >> shift) & (2u * ENTRIES - 1u);
            // The digit is 2v - (2^w - 1).
            let entry = table[item * ENTRIES + select(v - ENTRIES, ENTRIES - 1u - v, v < ENTRIES)];
            var x = fe_from_words(Words(entry.x_lo, entry.x_hi));
            var y = fe_from_words(Words(entry.y_lo, entry.y_hi));
            if (v < ENTRIES) != select(is_half_1_negative, is_half_2_negative, half == 1u) {
                y = fe_neg(y);
            }
            // The second half takes the endomorphism's image of the entry.
            if half == 1u {
                x = fe_mul(x, fe_from_words(ENDOMORPHISM));
            }
            q = point_add_affine(q, x, y);
            continuing {
                half++;
                break if half >= 2u;
            }
        }
        if window < HALF_DIGITS - 1u {
            var k = 0u;
            loop {
                q = point_double(q);
                continuing {
                    k++;
                    break if k >= HALF_WINDOW_BITS;
                }
            }
        }
        continuing {
            window++;
            break if window >= HALF_DIGITS;
        }
    }

    // The comb is of the curve itself.
    q.z = fe_mul(q.z, load_point(16u, item));
    var place = 0u;
    loop {
        let word = place / COMB_DIGITS_PER_WORD + 2u * HALF_WORDS;
        let shift = COMB_WINDOW_BITS * (place % COMB_DIGITS_PER_WORD);
        let v = (digits[word * n + item] >> shift) & (2u * COMB_ENTRIES - 1u);
        let entry = comb[place * COMB_ENTRIES + select(v - COMB_ENTRIES, COMB_ENTRIES - 1u - v, v < COMB_ENTRIES)];
        var y = fe_from_words(Words(entry.y_lo, entry.y_hi));
        if (v < COMB_ENTRIES) != is_comb_negative {
            y = fe_neg(y);
        }
        q = point_add_affine(q, fe_from_words(Words(entry.x_lo, entry.x_hi)), y);
        continuing {
            place++;
            break if place >= COMB_DIGITS;
        }
    }
    store_point(0u, item, fe_words_weak(q.x));
    store_point(8u, item, fe_words_weak(q.y));
    store_point(16u, item, fe_words_weak(q.z));
}

fn item_count() -> u32 {
    return arrayLength(&points) / JACOBIAN_WORDS;
}

fn load_point(start: u32, item: u32) -> Fe {
    let n = item_count();
    let at = start * n + item;
    return fe_from_words(Words(
        vec4(points[at], points[at + n], points[at + 2u * n], points[at + 3u * n]),
        vec4(points[at + 4u * n], points[at + 5u * n], points[at + 6u * n], points[at + 7u * n]),
    ));
}

fn store_point(start: u32, item: u32, a: Words) {
    let n = item_count();
    let at = start * n + item;
    points[at] = a.lo.x;
    points[at + n] = a.lo.y;
    points[at + 2u * n] = a.lo.z;
    points[at + 3u * n] = a.lo.w;
    points[at + 4u * n] = a.hi.x;
    points[at + 5u * n] = a.hi.y;
    points[at + 6u * n] = a.hi.z;
    points[at + 7u * n] = a.hi.w;
}
