// Keccak-f[1600] (FIPS 202, section 3), with a lane as two 32-bit integers, low word first.
//
// Straight-line rounds over a struct of 25 lanes: no array, so nothing is indexed by a variable.

alias Lane = vec2<u32>;

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
    return vec2(lo, hi);
}

fn lane_lo(l: Lane) -> u32 {
    return l.x;
}

fn lane_hi(l: Lane) -> u32 {
    return l.y;
}

// One round: theta, rho and pi together, chi, iota.
fn keccak_round(s: KeccakState, rc: Lane) -> KeccakState {
    let c0 = s.l0 ^ s.l5 ^ s.l10 ^ s.l15 ^ s.l20;
    let c1 = s.l1 ^ s.l6 ^ s.l11 ^ s.l16 ^ s.l21;
    let c2 = s.l2 ^ s.l7 ^ s.l12 ^ s.l17 ^ s.l22;
    let c3 = s.l3 ^ s.l8 ^ s.l13 ^ s.l18 ^ s.l23;
    let c4 = s.l4 ^ s.l9 ^ s.l14 ^ s.l19 ^ s.l24;
    let d0 = c4 ^ ((c1 << vec2(1u)) | (c1.yx >> vec2(31u)));
    let d1 = c0 ^ ((c2 << vec2(1u)) | (c2.yx >> vec2(31u)));
    let d2 = c1 ^ ((c3 << vec2(1u)) | (c3.yx >> vec2(31u)));
    let d3 = c2 ^ ((c4 << vec2(1u)) | (c4.yx >> vec2(31u)));
    let d4 = c3 ^ ((c0 << vec2(1u)) | (c0.yx >> vec2(31u)));
    let b0 = s.l0 ^ d0;
    let t6 = s.l6 ^ d1;
    let b1 = (t6.yx << vec2(12u)) | (t6 >> vec2(20u));
    let t12 = s.l12 ^ d2;
    let b2 = (t12.yx << vec2(11u)) | (t12 >> vec2(21u));
    let t18 = s.l18 ^ d3;
    let b3 = (t18 << vec2(21u)) | (t18.yx >> vec2(11u));
    let t24 = s.l24 ^ d4;
    let b4 = (t24 << vec2(14u)) | (t24.yx >> vec2(18u));
    let t3 = s.l3 ^ d3;
    let b5 = (t3 << vec2(28u)) | (t3.yx >> vec2(4u));
    let t9 = s.l9 ^ d4;
    let b6 = (t9 << vec2(20u)) | (t9.yx >> vec2(12u));
    let t10 = s.l10 ^ d0;
    let b7 = (t10 << vec2(3u)) | (t10.yx >> vec2(29u));
    let t16 = s.l16 ^ d1;
    let b8 = (t16.yx << vec2(13u)) | (t16 >> vec2(19u));
    let t22 = s.l22 ^ d2;
    let b9 = (t22.yx << vec2(29u)) | (t22 >> vec2(3u));
    let t1 = s.l1 ^ d1;
    let b10 = (t1 << vec2(1u)) | (t1.yx >> vec2(31u));
    let t7 = s.l7 ^ d2;
    let b11 = (t7 << vec2(6u)) | (t7.yx >> vec2(26u));
    let t13 = s.l13 ^ d3;
    let b12 = (t13 << vec2(25u)) | (t13.yx >> vec2(7u));
    let t19 = s.l19 ^ d4;
    let b13 = (t19 << vec2(8u)) | (t19.yx >> vec2(24u));
    let t20 = s.l20 ^ d0;
    let b14 = (t20 << vec2(18u)) | (t20.yx >> vec2(14u));
    let t4 = s.l4 ^ d4;
    let b15 = (t4 << vec2(27u)) | (t4.yx >> vec2(5u));
    let t5 = s.l5 ^ d0;
    let b16 = (t5.yx << vec2(4u)) | (t5 >> vec2(28u));
    let t11 = s.l11 ^ d1;
    let b17 = (t11 << vec2(10u)) | (t11.yx >> vec2(22u));
    let t17 = s.l17 ^ d2;
    let b18 = (t17 << vec2(15u)) | (t17.yx >> vec2(17u));
    let t23 = s.l23 ^ d3;
    let b19 = (t23.yx << vec2(24u)) | (t23 >> vec2(8u));
    let t2 = s.l2 ^ d2;
    let b20 = (t2.yx << vec2(30u)) | (t2 >> vec2(2u));
    let t8 = s.l8 ^ d3;
    let b21 = (t8.yx << vec2(23u)) | (t8 >> vec2(9u));
    let t14 = s.l14 ^ d4;
    let b22 = (t14.yx << vec2(7u)) | (t14 >> vec2(25u));
    let t15 = s.l15 ^ d0;
    let b23 = (t15.yx << vec2(9u)) | (t15 >> vec2(23u));
    let t21 = s.l21 ^ d1;
    let b24 = (t21 << vec2(2u)) | (t21.yx >> vec2(30u));
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
