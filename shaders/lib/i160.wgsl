// Signed amounts of 160 bits in two's complement, as five 32-bit limbs, `a` the least significant.
// Straight-line. All results are modulo 2^160; callers keep sums below 2^155 in magnitude.

struct Amount { a: u32, b: u32, c: u32, d: u32, e: u32 }

// In: 128 bits, least significant limb first. Out: 0 <= amount < 2^128.
fn amount_from(limbs: vec4<u32>) -> Amount {
    return Amount(limbs.x, limbs.y, limbs.z, limbs.w, 0u);
}

// One limb of a sum: x + y + carry, carry being 0 or 1. Out: (limb, carry).
fn limb_add(x: u32, y: u32, carry: u32) -> vec2<u32> {
    let partial = x + y;
    let whole = partial + carry;
    return vec2(whole, u32(partial < x) | u32(whole < partial));
}

// One limb of a difference: x - y - borrow, borrow being 0 or 1. Out: (limb, borrow).
fn limb_sub(x: u32, y: u32, borrow: u32) -> vec2<u32> {
    let partial = x - y;
    let whole = partial - borrow;
    return vec2(whole, u32(x < y) | u32(partial < borrow));
}

fn amount_add(x: Amount, y: Amount) -> Amount {
    let a = limb_add(x.a, y.a, 0u);
    let b = limb_add(x.b, y.b, a.y);
    let c = limb_add(x.c, y.c, b.y);
    let d = limb_add(x.d, y.d, c.y);
    return Amount(a.x, b.x, c.x, d.x, x.e + y.e + d.y);
}

fn amount_sub(x: Amount, y: Amount) -> Amount {
    let a = limb_sub(x.a, y.a, 0u);
    let b = limb_sub(x.b, y.b, a.y);
    let c = limb_sub(x.c, y.c, b.y);
    let d = limb_sub(x.d, y.d, c.y);
    return Amount(a.x, b.x, c.x, d.x, x.e - y.e - d.y);
}

// x < y. In: |x| + |y| < 2^159, so that the difference has the right sign.
fn amount_less(x: Amount, y: Amount) -> bool {
    return (amount_sub(x, y).e >> 31u) == 1u;
}

// Unsigned 64 bits as (low, high).

fn u64_add(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = limb_add(x.x, y.x, 0u);
    return vec2(low.x, x.y + y.y + low.y);
}

fn u64_less(x: vec2<u32>, y: vec2<u32>) -> bool {
    return x.y < y.y || (x.y == y.y && x.x < y.x);
}

// max(x - y, 0)
fn u64_saturating_sub(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = limb_sub(x.x, y.x, 0u);
    return select(vec2(low.x, x.y - y.y - low.y), vec2(0u), u64_less(x, y));
}
