// Keccak-256 of many payloads.
//
// One invocation hashes one payload, straight from the bytes as they came: it shifts unaligned words
// into place and pads on the way, so the host copies nothing but whole batches. Invocations follow
// `order`, in which the host puts payloads with equally many blocks side by side.
//
// Bounds: a payload has at most BLOCKS_MAX blocks of 136 bytes; longer ones are not in `order`.
// Cost: 35 loads and one permutation a block.

#import lib/keccak_sponge

// Items to hash, by their index in the batch.
@group(0) @binding(0) var<storage, read> order: array<u32>;
// Payload i is bytes offsets[i] .. offsets[i + 1]; one offset more than items.
@group(0) @binding(1) var<storage, read> offsets: array<u32>;
// The payloads' bytes, first byte lowest in its word, and two words that are only ever masked out.
@group(0) @binding(2) var<storage, read> payload_words: array<u32>;
// Digests, limb-major: word w of item i at w * batch_len + i, first byte lowest.
@group(0) @binding(3) var<storage, read_write> digests: array<u32>;

// Four bytes of the padded message: `shift` bits into lo, then hi; `left` bytes of the payload remain.
fn padded(lo: u32, hi: u32, shift: u32, left: i32) -> u32 {
    // Twice 31 - shift bits at most, since shifting by 32 is not defined.
    let bytes = (lo >> shift) | ((hi << (31u - shift)) << 1u);
    if left >= 4 {
        return bytes;
    }
    if left < 0 {
        return 0u;
    }
    let mark = 1u << (8u * u32(left));
    return (bytes & (mark - 1u)) | mark;
}

// Mixes one block into the state: the one that starts at byte `start`, where `left` bytes of the payload
// remain. `end` is the padding's last bit in the last block, else 0.
fn absorb(s: KeccakState, start: u32, left: i32, end: u32) -> KeccakState {
    let at = start >> 2u;
    let shift = 8u * (start & 3u);
    let x0 = payload_words[at + 0u];
    let x1 = payload_words[at + 1u];
    let x2 = payload_words[at + 2u];
    let x3 = payload_words[at + 3u];
    let x4 = payload_words[at + 4u];
    let x5 = payload_words[at + 5u];
    let x6 = payload_words[at + 6u];
    let x7 = payload_words[at + 7u];
    let x8 = payload_words[at + 8u];
    let x9 = payload_words[at + 9u];
    let x10 = payload_words[at + 10u];
    let x11 = payload_words[at + 11u];
    let x12 = payload_words[at + 12u];
    let x13 = payload_words[at + 13u];
    let x14 = payload_words[at + 14u];
    let x15 = payload_words[at + 15u];
    let x16 = payload_words[at + 16u];
    let x17 = payload_words[at + 17u];
    let x18 = payload_words[at + 18u];
    let x19 = payload_words[at + 19u];
    let x20 = payload_words[at + 20u];
    let x21 = payload_words[at + 21u];
    let x22 = payload_words[at + 22u];
    let x23 = payload_words[at + 23u];
    let x24 = payload_words[at + 24u];
    let x25 = payload_words[at + 25u];
    let x26 = payload_words[at + 26u];
    let x27 = payload_words[at + 27u];
    let x28 = payload_words[at + 28u];
    let x29 = payload_words[at + 29u];
    let x30 = payload_words[at + 30u];
    let x31 = payload_words[at + 31u];
    let x32 = payload_words[at + 32u];
    let x33 = payload_words[at + 33u];
    let x34 = payload_words[at + 34u];
    let w0 = padded(x0, x1, shift, left - 0);
    let w1 = padded(x1, x2, shift, left - 4);
    let w2 = padded(x2, x3, shift, left - 8);
    let w3 = padded(x3, x4, shift, left - 12);
    let w4 = padded(x4, x5, shift, left - 16);
    let w5 = padded(x5, x6, shift, left - 20);
    let w6 = padded(x6, x7, shift, left - 24);
    let w7 = padded(x7, x8, shift, left - 28);
    let w8 = padded(x8, x9, shift, left - 32);
    let w9 = padded(x9, x10, shift, left - 36);
    let w10 = padded(x10, x11, shift, left - 40);
    let w11 = padded(x11, x12, shift, left - 44);
    let w12 = padded(x12, x13, shift, left - 48);
    let w13 = padded(x13, x14, shift, left - 52);
    let w14 = padded(x14, x15, shift, left - 56);
    let w15 = padded(x15, x16, shift, left - 60);
    let w16 = padded(x16, x17, shift, left - 64);
    let w17 = padded(x17, x18, shift, left - 68);
    let w18 = padded(x18, x19, shift, left - 72);
    let w19 = padded(x19, x20, shift, left - 76);
    let w20 = padded(x20, x21, shift, left - 80);
    let w21 = padded(x21, x22, shift, left - 84);
    let w22 = padded(x22, x23, shift, left - 88);
    let w23 = padded(x23, x24, shift, left - 92);
    let w24 = padded(x24, x25, shift, left - 96);
    let w25 = padded(x25, x26, shift, left - 100);
    let w26 = padded(x26, x27, shift, left - 104);
    let w27 = padded(x27, x28, shift, left - 108);
    let w28 = padded(x28, x29, shift, left - 112);
    let w29 = padded(x29, x30, shift, left - 116);
    let w30 = padded(x30, x31, shift, left - 120);
    let w31 = padded(x31, x32, shift, left - 124);
    let w32 = padded(x32, x33, shift, left - 128);
    let w33 = padded(x33, x34, shift, left - 132);
    return KeccakState(
        s.l0 ^ lane(w0, w1),
        s.l1 ^ lane(w2, w3),
        s.l2 ^ lane(w4, w5),
        s.l3 ^ lane(w6, w7),
        s.l4 ^ lane(w8, w9),
        s.l5 ^ lane(w10, w11),
        s.l6 ^ lane(w12, w13),
        s.l7 ^ lane(w14, w15),
        s.l8 ^ lane(w16, w17),
        s.l9 ^ lane(w18, w19),
        s.l10 ^ lane(w20, w21),
        s.l11 ^ lane(w22, w23),
        s.l12 ^ lane(w24, w25),
        s.l13 ^ lane(w26, w27),
        s.l14 ^ lane(w28, w29),
        s.l15 ^ lane(w30, w31),
        s.l16 ^ lane(w32, w33 ^ end),
        s.l17, s.l18, s.l19, s.l20, s.l21, s.l22, s.l23, s.l24,
    );
}

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&order) {
        return;
    }
    let item = order[id.x];
    let start = offsets[item];
    let payload_len = offsets[item + 1u] - start;
    let block_count = payload_len / RATE_BYTES + 1u;

    var s = KeccakState();
    for (var block = 0u; block < min(block_count, BLOCKS_MAX); block++) {
        let done = block * RATE_BYTES;
        let end = select(0u, 0x80000000u, block + 1u == block_count);
        s = keccak_f(absorb(s, start + done, i32(payload_len) - i32(done), end));
    }
    store_digest(item, keccak_digest(s));
}

fn store_digest(item: u32, digest: Digest) {
    let batch_len = arrayLength(&digests) / 8u;
    digests[item] = digest.lo.x;
    digests[batch_len + item] = digest.lo.y;
    digests[2u * batch_len + item] = digest.lo.z;
    digests[3u * batch_len + item] = digest.lo.w;
    digests[4u * batch_len + item] = digest.hi.x;
    digests[5u * batch_len + item] = digest.hi.y;
    digests[6u * batch_len + item] = digest.hi.z;
    digests[7u * batch_len + item] = digest.hi.w;
}
