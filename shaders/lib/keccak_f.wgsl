// Keccak-f[1600] (FIPS 202, section 3).
//
// Rounds are straight-line over a struct of 25 lanes: no array, so nothing is indexed by a variable. They
// are looped over: on lavapipe that runs as fast as 24 of them in a row, and compiles in 0.1 s.

#import lib/lane

// Lane (x, y) is l(x + 5y).
struct KeccakState {
    l0: Lane, l1: Lane, l2: Lane, l3: Lane, l4: Lane,
    l5: Lane, l6: Lane, l7: Lane, l8: Lane, l9: Lane,
    l10: Lane, l11: Lane, l12: Lane, l13: Lane, l14: Lane,
    l15: Lane, l16: Lane, l17: Lane, l18: Lane, l19: Lane,
    l20: Lane, l21: Lane, l22: Lane, l23: Lane, l24: Lane,
}

// One round: theta, rho and pi together, chi, iota.
fn keccak_round(s: KeccakState, rc: Lane) -> KeccakState {
    let c0 = s.l0 ^ s.l5 ^ s.l10 ^ s.l15 ^ s.l20;
    let c1 = s.l1 ^ s.l6 ^ s.l11 ^ s.l16 ^ s.l21;
    let c2 = s.l2 ^ s.l7 ^ s.l12 ^ s.l17 ^ s.l22;
    let c3 = s.l3 ^ s.l8 ^ s.l13 ^ s.l18 ^ s.l23;
    let c4 = s.l4 ^ s.l9 ^ s.l14 ^ s.l19 ^ s.l24;
    let d0 = c4 ^ rotate(c1, 1u);
    let d1 = c0 ^ rotate(c2, 1u);
    let d2 = c1 ^ rotate(c3, 1u);
    let d3 = c2 ^ rotate(c4, 1u);
    let d4 = c3 ^ rotate(c0, 1u);
    let b0 = s.l0 ^ d0;
    let t6 = s.l6 ^ d1;
    let b1 = rotate(t6, 44u);
    let t12 = s.l12 ^ d2;
    let b2 = rotate(t12, 43u);
    let t18 = s.l18 ^ d3;
    let b3 = rotate(t18, 21u);
    let t24 = s.l24 ^ d4;
    let b4 = rotate(t24, 14u);
    let t3 = s.l3 ^ d3;
    let b5 = rotate(t3, 28u);
    let t9 = s.l9 ^ d4;
    let b6 = rotate(t9, 20u);
    let t10 = s.l10 ^ d0;
    let b7 = rotate(t10, 3u);
    let t16 = s.l16 ^ d1;
    let b8 = rotate(t16, 45u);
    let t22 = s.l22 ^ d2;
    let b9 = rotate(t22, 61u);
    let t1 = s.l1 ^ d1;
    let b10 = rotate(t1, 1u);
    let t7 = s.l7 ^ d2;
    let b11 = rotate(t7, 6u);
    let t13 = s.l13 ^ d3;
    let b12 = rotate(t13, 25u);
    let t19 = s.l19 ^ d4;
    let b13 = rotate(t19, 8u);
    let t20 = s.l20 ^ d0;
    let b14 = rotate(t20, 18u);
    let t4 = s.l4 ^ d4;
    let b15 = rotate(t4, 27u);
    let t5 = s.l5 ^ d0;
    let b16 = rotate(t5, 36u);
    let t11 = s.l11 ^ d1;
    let b17 = rotate(t11, 10u);
    let t17 = s.l17 ^ d2;
    let b18 = rotate(t17, 15u);
    let t23 = s.l23 ^ d3;
    let b19 = rotate(t23, 56u);
    let t2 = s.l2 ^ d2;
    let b20 = rotate(t2, 62u);
    let t8 = s.l8 ^ d3;
    let b21 = rotate(t8, 55u);
    let t14 = s.l14 ^ d4;
    let b22 = rotate(t14, 39u);
    let t15 = s.l15 ^ d0;
    let b23 = rotate(t15, 41u);
    let t21 = s.l21 ^ d1;
    let b24 = rotate(t21, 2u);
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

// The permutation: 24 loop iterations.
fn keccak_f(state: KeccakState) -> KeccakState {
    var s = state;
    for (var r = 0u; r < 24u; r++) {
        // A round constant has ones at bits 2^j - 1 alone, j = 0 to 6. The seven numbers below hold them by j:
        // bit r is that of round r.
        let bit0 = (0x50f4f1u >> r) & 1u;
        let bit1 = (0xdb916u >> r) & 1u;
        let bit3 = (0x8c7f94u >> r) & 1u;
        let bit7 = (0x327356u >> r) & 1u;
        let bit15 = (0xb5d4deu >> r) & 1u;
        let bit31 = (0xd81c68u >> r) & 1u;
        let bit63 = (0xbbe0ccu >> r) & 1u;
        let lo = bit0 | (bit1 << 1u) | (bit3 << 3u) | (bit7 << 7u) | (bit15 << 15u) | (bit31 << 31u);
        s = keccak_round(s, lane(lo, bit63 << 31u));
    }
    return s;
}
