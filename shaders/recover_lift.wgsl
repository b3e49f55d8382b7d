// Recovery, stage 1 of 5: range checks, and the curve point R that r and the recovery id name.
//
// One invocation takes one signature. A signature that is rejected goes on with the generator for R, so that later
// stages need no exceptions; its status says what it was.
//
// Cost: 16M + 256S, nearly all of it the square root.

#import lib/field_power
#import lib/words
#import curve

// Hashes as digests: first byte lowest in its word. Limb-major, as all that follows: word w of item i is at
// w * batch_len + i.
@group(0) @binding(0) var<storage, read> digests: array<u32>;
// r, then s, eight words each, lowest first; then the recovery id with the flag HASHED_HERE.
@group(0) @binding(1) var<storage, read> signatures: array<u32>;
// One word an item: 0, until it is known.
@group(0) @binding(2) var<storage, read_write> status: array<u32>;
// R: x, then y, eight words each.
@group(0) @binding(3) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = id.x;
    if item >= arrayLength(&status) {
        return;
    }
    let id_and_flag = signatures[16u * arrayLength(&status) + item];
    let recovery_id = id_and_flag & (HASHED_HERE - 1u);
    let r = signature_words(0u, item);
    let s = signature_words(8u, item);
    let is_reduced = (recovery_id & 2u) != 0u;

    let x = fe_from_words(r);
    let addend = words_select(Words(vec4(0u), vec4(0u)), ORDER, is_reduced);
    let coordinate = fe_add(x, fe_from_words(addend));
    let square = fe_add(fe_mul(fe_sqr(coordinate), coordinate), fe_from_words(CURVE_B));
    let root = fe_root(square);
    let is_on_curve = words_are_equal(fe_words(fe_sqr(root)), fe_words(square))
        && (!is_reduced || words_are_less(r, PRIME_MINUS_ORDER));

    var verdict = STATUS_PENDING;
    if !is_on_curve {
        verdict = STATUS_NOT_ON_CURVE;
    }
    if !is_scalar(s) {
        verdict = STATUS_S_OUT_OF_RANGE;
    }
    if !is_scalar(r) {
        verdict = STATUS_R_OUT_OF_RANGE;
    }
    if recovery_id > 3u {
        verdict = STATUS_RECOVERY_ID_OUT_OF_RANGE;
    }
    // A digest that nobody wrote leaves the status unwritten too.
    if (id_and_flag & HASHED_HERE) == 0u || is_digest_written(item) {
        status[item] = verdict;
    }

    let is_valid = verdict == STATUS_PENDING;
    let y = fe_words(root);
    let opposite = fe_words(fe_neg(root));
    let has_parity = (y.lo.x & 1u) == (recovery_id & 1u);
    store_point(0u, item, words_select(GENERATOR_X, fe_words_weak(coordinate), is_valid));
    store_point(8u, item, words_select(GENERATOR_Y, words_select(opposite, y, has_parity), is_valid));
}

// From 1 to n - 1.
fn is_scalar(a: Words) -> bool {
    return !words_are_zero(a) && words_are_less(a, ORDER);
}

fn signature_words(start: u32, item: u32) -> Words {
    let n = arrayLength(&status);
    let at = start * n + item;
    return Words(
        vec4(signatures[at], signatures[at + n], signatures[at + 2u * n], signatures[at + 3u * n]),
        vec4(signatures[at + 4u * n], signatures[at + 5u * n], signatures[at + 6u * n], signatures[at + 7u * n]),
    );
}

fn is_digest_written(item: u32) -> bool {
    let n = arrayLength(&status);
    var is_written = false;
    for (var word = 0u; word < 8u; word++) {
        is_written = is_written || digests[word * n + item] != 0u;
    }
    return is_written;
}

fn store_point(start: u32, item: u32, a: Words) {
    let n = arrayLength(&status);
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
