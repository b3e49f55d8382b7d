// A 64-bit lane of Keccak as two integers, low word first.

alias Lane = vec2<u32>;

// A lane from its low and its high word.
fn lane(lo: u32, hi: u32) -> Lane {
    return vec2(lo, hi);
}

fn lane_lo(l: Lane) -> u32 {
    return l.x;
}

fn lane_hi(l: Lane) -> u32 {
    return l.y;
}

// Rotates to the left by n bits, 0 < n < 64. n is a constant wherever this is called, so compilers fold it.
fn rotate(l: Lane, n: u32) -> Lane {
    // By 32 bits first, if at all; then by less. Two shifts, since shifting by 32 is not defined.
    let m = vec2(n & 31u);
    let whole = select(l, l.yx, n >= 32u);
    return (whole << m) | ((whole.yx >> (31u - m)) >> vec2(1u));
}
