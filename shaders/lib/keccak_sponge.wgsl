// Keccak-256 around the permutation: digests, and the one-block hash of a public key.

#import lib/keccak_f

// Bytes of a block.
const RATE_BYTES: u32 = 136u;

// 32 bytes as eight words, first byte lowest in its word.
struct Digest {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

// The digest that a state holds after its last block.
fn keccak_digest(s: KeccakState) -> Digest {
    return Digest(
        vec4(lane_lo(s.l0), lane_hi(s.l0), lane_lo(s.l1), lane_hi(s.l1)),
        vec4(lane_lo(s.l2), lane_hi(s.l2), lane_lo(s.l3), lane_hi(s.l3)),
    );
}

// Keccak-256 of 64 bytes, for instance of a public key (x then y, each big-endian): two halves as in
// `Digest`. The address is the last 20 bytes: lo.w, hi.x, hi.y, hi.z, hi.w.
fn keccak256_of_64_bytes(first: Digest, second: Digest) -> Digest {
    var s = KeccakState();
    s.l0 = lane(first.lo.x, first.lo.y);
    s.l1 = lane(first.lo.z, first.lo.w);
    s.l2 = lane(first.hi.x, first.hi.y);
    s.l3 = lane(first.hi.z, first.hi.w);
    s.l4 = lane(second.lo.x, second.lo.y);
    s.l5 = lane(second.lo.z, second.lo.w);
    s.l6 = lane(second.hi.x, second.hi.y);
    s.l7 = lane(second.hi.z, second.hi.w);
    // Padding: a 1 bit after byte 64, a 1 bit at the end of the block.
    s.l8 = lane(1u, 0u);
    s.l16 = lane(0u, 0x80000000u);
    return keccak_digest(keccak_f(s));
}

// The bytes of a word in reverse: turns a big-endian limb into a word of `Digest` and back.
fn swap_bytes(word: u32) -> u32 {
    return (word << 24u) | ((word & 0xff00u) << 8u) | ((word >> 8u) & 0xff00u) | (word >> 24u);
}
