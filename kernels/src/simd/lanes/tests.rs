//! Every kind of lanes against scalar arithmetic.

use super::*;

/// 52 bits.
const LOW_MASK: u64 = (1 << 52) - 1;

test_on_all_lanes! {
    arithmetic_matches_scalars;
    transposing_makes_rows_columns;
    partial_loads_end_where_the_bytes_end;
    lanes_rotate_and_are_kept;
}

/// Eight rows, all numbers different.
fn numbers<L: Lanes>(proof: L::Proof) -> [L; LANES] {
    std::array::from_fn(|row| L::load(proof, &std::array::from_fn(|lane| (row * 10 + lane) as u64)))
}

/// Numbers that stress every bit, eight at a time.
fn hard_numbers() -> Vec<[u64; LANES]> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut hard = vec![0, 1, 2, 3, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1];
    for bit in [25, 26, 31, 32, 50, 51, 52, 53] {
        hard.extend([1 << bit, (1 << bit) - 1, (1 << bit) + 1, LOW_MASK - (1 << bit) % LOW_MASK]);
    }
    hard.resize_with(hard.len() + 200, || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        state.rotate_left(29)
    });
    hard.chunks_exact(LANES).map(|row| row.try_into().unwrap()).collect()
}

fn assert_lanes<L: Lanes>(what: &str, result: L, expected: impl Fn(usize) -> u64) {
    assert_eq!(result.to_array(), std::array::from_fn(expected), "{what}");
}

fn mask_of(is_set: impl Fn(usize) -> bool) -> LaneMask {
    (0..LANES).fold(0, |mask, lane| mask | LaneMask::from(is_set(lane)) << lane)
}

fn arithmetic_matches_scalars<L: Lanes>(proof: L::Proof) {
    let rows = hard_numbers();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows {
            // Rotated, so that numbers meet those of other lanes.
            let mut b = *b;
            b.rotate_left(i % LANES);
            let (x, y) = (L::load(proof, a), L::load(proof, &b));
            let product = |lane: usize| u128::from(a[lane] & LOW_MASK) * u128::from(b[lane] & LOW_MASK);
            let low = |lane: usize| u64::try_from(product(lane) & u128::from(LOW_MASK)).unwrap();
            let high = |lane: usize| u64::try_from(product(lane) >> 52).unwrap();
            assert_lanes("madd_low", x.madd_low(x, y), |lane| a[lane].wrapping_add(low(lane)));
            assert_lanes("madd_high", y.madd_high(x, y), |lane| b[lane].wrapping_add(high(lane)));
            assert_lanes("sum", x + y, |lane| a[lane].wrapping_add(b[lane]));
            assert_lanes("difference", x - y, |lane| a[lane].wrapping_sub(b[lane]));
            assert_lanes("and", x & y, |lane| a[lane] & b[lane]);
            assert_lanes("or", x | y, |lane| a[lane] | b[lane]);
            assert_lanes("xor", x ^ y, |lane| a[lane] ^ b[lane]);
            assert_lanes("xor3", x.xor3(y, x.shl::<1>()), |lane| a[lane] ^ b[lane] ^ a[lane] << 1);
            assert_lanes("xor_and_not", x.xor_and_not(y, x.shr::<1>()), |lane| {
                a[lane] ^ (!b[lane] & a[lane] >> 1)
            });
            assert_lanes("funnel", x.funnel_shr::<40>(y), |lane| a[lane] >> 40 | b[lane] << 24);
            assert_eq!(x.equal(y), mask_of(|lane| a[lane] == b[lane]));
            assert_eq!(x.less(y), mask_of(|lane| a[lane] < b[lane]));
            assert_eq!(x.any_bit(y), mask_of(|lane| a[lane] & b[lane] != 0));
            let mask = a[0].to_le_bytes()[0];
            let is_set = |lane: usize| mask >> lane & 1 != 0;
            assert_lanes("replace", x.replace(mask, y), |lane| if is_set(lane) { b[lane] } else { a[lane] });
            assert_lanes("difference where", x.replace_with_difference(mask, y, x), |lane| {
                if is_set(lane) { b[lane].wrapping_sub(a[lane]) } else { a[lane] }
            });
        }
        let x = L::load(proof, a);
        assert_lanes("shl", x.shl::<12>(), |lane| a[lane] << 12);
        assert_lanes("shr", x.shr::<52>(), |lane| a[lane] >> 52);
        assert_lanes("signed shr", x.shr_signed::<12>(), |lane| {
            (a[lane].cast_signed() >> 12).cast_unsigned()
        });
        assert_lanes("rotation", x.rotate_left::<20>(), |lane| a[lane].rotate_left(20));
        assert_lanes("magnitude", x.magnitude(), |lane| a[lane].cast_signed().unsigned_abs());
        for count in [0, 1, 51, 63, 64, 70] {
            assert_lanes("shl_by", x.shl_by(count), |lane| if count < 64 { a[lane] << count } else { 0 });
            assert_lanes("shr_by", x.shr_by(count), |lane| if count < 64 { a[lane] >> count } else { 0 });
        }
        assert_eq!(x.negative(), mask_of(|lane| a[lane] >> 63 == 1));
        assert_lanes("bytes", x.swap_bytes(), |lane| a[lane].swap_bytes());
    }
}

fn transposing_makes_rows_columns<L: Lanes>(proof: L::Proof) {
    for (row, lanes) in L::transpose(numbers::<L>(proof)).into_iter().enumerate() {
        assert_eq!(lanes.to_array(), std::array::from_fn(|lane| (lane * 10 + row) as u64), "row {row}");
    }
}

fn partial_loads_end_where_the_bytes_end<L: Lanes>(proof: L::Proof) {
    let bytes: [u8; 64] = std::array::from_fn(|i| 0x80 | u8::try_from(i).unwrap());
    for len in 0..=64 {
        let loaded = L::load_bytes(proof, &bytes[..len]).to_array().map(u64::to_le_bytes).concat();
        assert_eq!(loaded[..len], bytes[..len]);
        assert!(loaded[len..].iter().all(|&byte| byte == 0), "{len} bytes");
    }
}

fn lanes_rotate_and_are_kept<L: Lanes>(proof: L::Proof) {
    let row = numbers::<L>(proof)[3];
    assert_eq!(row.rotate_lanes::<1>().to_array(), [31, 32, 33, 34, 35, 36, 37, 30]);
    assert_eq!(row.rotate_lanes::<2>().to_array(), [32, 33, 34, 35, 36, 37, 30, 31]);
    assert_eq!(row.rotate_lanes::<4>().to_array(), [34, 35, 36, 37, 30, 31, 32, 33]);
    assert_eq!(row.keep(0b101).to_array(), [30, 0, 32, 0, 0, 0, 0, 0]);
    assert_eq!(row.less(row.splat_like(32)), 0b11);
    assert_eq!(row.to_indices::<4>(), [2, 3, 0, 1, 2, 3, 0, 1]);
}
