// A 64-bit lane of Keccak as one integer.

alias Lane = u64;

// A lane from its low and its high word.
fn lane(lo: u32, hi: u32) -> Lane {
    return u64(lo) | (u64(hi) << 32u);
}

fn lane_lo(l: Lane) -> u32 {
    return u32(l & 0xfffffffflu);
}

fn lane_hi(l: Lane) -> u32 {
    return u32(l >> 32u);
}

// Rotates to the left by n bits, 0 < n < 64. n is a constant wherever this is called, so compilers fold it.
fn rotate(l: Lane, n: u32) -> Lane {
    return (l << n) | (l >> (64u - n));
}
