// Recovery, stage 3 of 5: the odd multiples R, 3R, 5R, ... of each R, affine on an isomorphic curve.
//
// One invocation makes one table. Twice R and R are written with one common Z and added over and over by co-Z
// additions (Meloni 2007), which rescale the summand on the way; a second pass brings all entries to the last Z. An
// entry (X, Y) with that Z is the affine point (X, Y) of the curve y^2 = x^3 + 7 Z^6, on which addition and doubling
// are the same formulas. The starting point beta G is put on that curve too. No addition here is exceptional: small
// multiples of a point of large prime order differ.
//
// Cost: 11 for the doubling, 8 an entry (15 times), 5 an entry to rescale (17 times): 146M + 53S.

#import lib/field_power

struct Entry {
    x_lo: vec4<u32>,
    x_hi: vec4<u32>,
    y_lo: vec4<u32>,
    y_hi: vec4<u32>,
}

// In: R as x, y. Out: beta G on the isomorphic curve as x, y, and Z.
@group(0) @binding(0) var<storage, read_write> points: array<u32>;
@group(0) @binding(1) var<storage, read> blinding: array<u32>;
// Entry e of item i, (2 e + 1) R, is at i * ENTRIES + e: 64 bytes in a row.
@group(0) @binding(2) var<storage, read_write> table: array<Entry>;
// Ratio of the Z of entry e and of the entry before it: eight words from 8 e on. For entry 0 its Z.
@group(0) @binding(3) var<storage, read_write> scratch: array<u32>;

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = id.x;
    if item >= item_count() {
        return;
    }
    let rx = load_point(0u, item);
    let ry = load_point(8u, item);

    // Twice R, halved so that its Z is y, and R with that Z: (x y^2, y^4).
    let l = fe_three_halves(fe_sqr(rx));
    let yy = fe_sqr(ry);
    var qx = fe_mul(rx, yy);
    var qy = fe_sqr(yy);
    var px = fe_sub_twice(fe_sqr(l), qx);
    var py = fe_sub(fe_mul(l, fe_sub(qx, px)), qy);
    store_entry(item, 0u, qx, qy);
    store_ratio(item, 0u, ry);

    // Q takes on the odd multiples, while P stays 2R in ever other coordinates.
    var filled = 1u;
    loop {
        let h = fe_sub(px, qx);
        let d = fe_sub(py, qy);
        let c = fe_sqr(h);
        px = fe_mul(px, c);
        let w = fe_mul(qx, c);
        qx = fe_sub(fe_sub(fe_sqr(d), px), w);
        py = fe_mul(py, fe_sub(px, w));
        qy = fe_sub(fe_mul(d, fe_sub(px, qx)), py);
        store_entry(item, filled, qx, qy);
        store_ratio(item, filled, h);
        continuing {
            filled++;
            break if filled >= ENTRIES;
        }
    }

    // From the last entry down: the product of all ratios above an entry. One more turn takes beta G.
    var scale = fe_one();
    var turn = 0u;
    loop {
        let e = ENTRIES - 1u - turn;
        var x = fe_from_words(Words(
            vec4(blinding[0], blinding[1], blinding[2], blinding[3]),
            vec4(blinding[4], blinding[5], blinding[6], blinding[7]),
        ));
        var y = fe_from_words(Words(
            vec4(blinding[8], blinding[9], blinding[10], blinding[11]),
            vec4(blinding[12], blinding[13], blinding[14], blinding[15]),
        ));
        if turn > 0u {
            scale = fe_mul(scale, load_ratio(item, e + 1u));
        }
        if turn < ENTRIES {
            let entry = table[item * ENTRIES + e];
            x = fe_from_words(Words(entry.x_lo, entry.x_hi));
            y = fe_from_words(Words(entry.y_lo, entry.y_hi));
        }
        let square = fe_sqr(scale);
        x = fe_mul(x, square);
        y = fe_mul(y, fe_mul(square, scale));
        if turn < ENTRIES {
            store_entry(item, e, x, y);
        } else {
            store_point(0u, item, fe_words_weak(x));
            store_point(8u, item, fe_words_weak(y));
            store_point(16u, item, fe_words_weak(scale));
        }
        continuing {
            turn++;
            break if turn >= ENTRIES + 1u;
        }
    }
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

fn store_entry(item: u32, e: u32, x: Fe, y: Fe) {
    let x_words = fe_words_weak(x);
    let y_words = fe_words_weak(y);
    table[item * ENTRIES + e] = Entry(x_words.lo, x_words.hi, y_words.lo, y_words.hi);
}

fn load_ratio(item: u32, e: u32) -> Fe {
    let n = item_count();
    let at = 8u * e * n + item;
    return fe_from_words(Words(
        vec4(scratch[at], scratch[at + n], scratch[at + 2u * n], scratch[at + 3u * n]),
        vec4(scratch[at + 4u * n], scratch[at + 5u * n], scratch[at + 6u * n], scratch[at + 7u * n]),
    ));
}

fn store_ratio(item: u32, e: u32, ratio: Fe) {
    let n = item_count();
    let at = 8u * e * n + item;
    let a = fe_words_weak(ratio);
    scratch[at] = a.lo.x;
    scratch[at + n] = a.lo.y;
    scratch[at + 2u * n] = a.lo.z;
    scratch[at + 3u * n] = a.lo.w;
    scratch[at + 4u * n] = a.hi.x;
    scratch[at + 5u * n] = a.hi.y;
    scratch[at + 6u * n] = a.hi.z;
    scratch[at + 7u * n] = a.hi.w;
}
