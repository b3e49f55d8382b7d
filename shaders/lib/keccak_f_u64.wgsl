// Keccak-f[1600] (FIPS 202, section 3), with a lane as one 64-bit integer.
//
// Straight-line rounds over a struct of 25 lanes: no array, so nothing is indexed by a variable.

alias Lane = u64;

// Lane (x, y) is l(x + 5y).
struct KeccakState {
    l0: Lane, l1: Lane, l2: Lane, l3: Lane, l4: Lane,
    l5: Lane, l6: Lane, l7: Lane, l8: Lane, l9: Lane,
    l10: Lane, l11: Lane, l12: Lane, l13: Lane, l14: Lane,
    l15: Lane, l16: Lane, l17: Lane, l18: Lane, l19: Lane,
    l20: Lane, l21: Lane, l22: Lane, l23: Lane, l24: Lane,
}

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

// One round: theta, rho and pi together, chi, iota.
fn keccak_round(s: KeccakState, rc: Lane) -> KeccakState {
    let c0 = s.l0 ^ s.l5 ^ s.l10 ^ s.l15 ^ s.l20;
    let c1 = s.l1 ^ s.l6 ^ s.l11 ^ s.l16 ^ s.l21;
    let c2 = s.l2 ^ s.l7 ^ s.l12 ^ s.l17 ^ s.l22;
    let c3 = s.l3 ^ s.l8 ^ s.l13 ^ s.l18 ^ s.l23;
    let c4 = s.l4 ^ s.l9 ^ s.l14 ^ s.l19 ^ s.l24;
    let d0 = c4 ^ ((c1 << 1u) | (c1 >> 63u));
    let d1 = c0 ^ ((c2 << 1u) | (c2 >> 63u));
    let d2 = c1 ^ ((c3 << 1u) | (c3 >> 63u));
    let d3 = c2 ^ ((c4 << 1u) | (c4 >> 63u));
    let d4 = c3 ^ ((c0 << 1u) | (c0 >> 63u));
    let b0 = s.l0 ^ d0;
    let t6 = s.l6 ^ d1;
    let b1 = (t6 << 44u) | (t6 >> 20u);
    let t12 = s.l12 ^ d2;
    let b2 = (t12 << 43u) | (t12 >> 21u);
    let t18 = s.l18 ^ d3;
    let b3 = (t18 << 21u) | (t18 >> 43u);
    let t24 = s.l24 ^ d4;
    let b4 = (t24 << 14u) | (t24 >> 50u);
    let t3 = s.l3 ^ d3;
    let b5 = (t3 << 28u) | (t3 >> 36u);
    let t9 = s.l9 ^ d4;
    let b6 = (t9 << 20u) | (t9 >> 44u);
    let t10 = s.l10 ^ d0;
    let b7 = (t10 << 3u) | (t10 >> 61u);
    let t16 = s.l16 ^ d1;
    let b8 = (t16 << 45u) | (t16 >> 19u);
    let t22 = s.l22 ^ d2;
    let b9 = (t22 << 61u) | (t22 >> 3u);
    let t1 = s.l1 ^ d1;
    let b10 = (t1 << 1u) | (t1 >> 63u);
    let t7 = s.l7 ^ d2;
    let b11 = (t7 << 6u) | (t7 >> 58u);
    let t13 = s.l13 ^ d3;
    let b12 = (t13 << 25u) | (t13 >> 39u);
    let t19 = s.l19 ^ d4;
    let b13 = (t19 << 8u) | (t19 >> 56u);
    let t20 = s.l20 ^ d0;
    let b14 = (t20 << 18u) | (t20 >> 46u);
    let t4 = s.l4 ^ d4;
    let b15 = (t4 << 27u) | (t4 >> 37u);
    let t5 = s.l5 ^ d0;
    let b16 = (t5 << 36u) | (t5 >> 28u);
    let t11 = s.l11 ^ d1;
    let b17 = (t11 << 10u) | (t11 >> 54u);
    let t17 = s.l17 ^ d2;
    let b18 = (t17 << 15u) | (t17 >> 49u);
    let t23 = s.l23 ^ d3;
    let b19 = (t23 << 56u) | (t23 >> 8u);
    let t2 = s.l2 ^ d2;
    let b20 = (t2 << 62u) | (t2 >> 2u);
    let t8 = s.l8 ^ d3;
    let b21 = (t8 << 55u) | (t8 >> 9u);
    let t14 = s.l14 ^ d4;
    let b22 = (t14 << 39u) | (t14 >> 25u);
    let t15 = s.l15 ^ d0;
    let b23 = (t15 << 41u) | (t15 >> 23u);
    let t21 = s.l21 ^ d1;
    let b24 = (t21 << 2u) | (t21 >> 62u);
    return KeccakState(
        b0 ^ (~b1 & b2) ^ rc,
        b1 ^ (~b2 & b3),
        b2 ^ (~b3 & b4),
        b3 ^ (~b4 & b0),
        b4 ^ (~b0 & b1),
        b5 ^ (~b6 & b7),
        b6 ^ (~b7 & b8),
        b7 ^ (~b8 & b9),
        b8 ^ (~b9 & b5),
        b9 ^ (~b5 & b6),
        b10 ^ (~b11 & b12),
        b11 ^ (~b12 & b13),
        b12 ^ (~b13 & b14),
        b13 ^ (~b14 & b10),
        b14 ^ (~b10 & b11),
        b15 ^ (~b16 & b17),
        b16 ^ (~b17 & b18),
        b17 ^ (~b18 & b19),
        b18 ^ (~b19 & b15),
        b19 ^ (~b15 & b16),
        b20 ^ (~b21 & b22),
        b21 ^ (~b22 & b23),
        b22 ^ (~b23 & b24),
        b23 ^ (~b24 & b20),
        b24 ^ (~b20 & b21),
    );
}

// The permutation.
fn keccak_f(state: KeccakState) -> KeccakState {
    var s = state;
    for (var r = 0u; r < 24u; r++) {
        let lo = ((0x50f4f1u >> r) & 1u) | (((0xdb916u >> r) & 1u) << 1u) | (((0x8c7f94u >> r) & 1u) << 3u)
            | (((0x327356u >> r) & 1u) << 7u) | (((0xb5d4deu >> r) & 1u) << 15u) | (((0xd81c68u >> r) & 1u) << 31u);
        let hi = ((0xbbe0ccu >> r) & 1u) << 31u;
        s = keccak_round(s, lane(lo, hi));
    }
    return s;
}
