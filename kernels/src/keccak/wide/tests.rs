//! The lanes against sha3, which shares no code with them.

use super::super::PayloadsBuf;
use super::*;
use crate::simd::lanes::test_on_all_lanes;

test_on_all_lanes! {
    lanes_match_sha3_at_every_length_of_four_blocks;
    lanes_match_sha3_at_batch_boundaries;
    lanes_match_sha3_with_few_and_many_long_payloads;
    lanes_match_sha3_with_lengths_in_disorder;
}

/// Payloads of these lengths with bytes that differ everywhere.
fn payloads(lens: impl IntoIterator<Item = usize>) -> PayloadsBuf {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut out = PayloadsBuf::default();
    for len in lens {
        out.push_with(|bytes| {
            bytes.extend((0..len).map(|_| {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                state.to_be_bytes()[0]
            }));
        })
        .unwrap();
    }
    out
}

fn assert_agrees<L: Lanes>(proof: L::Proof, lens: impl IntoIterator<Item = usize>, what: &str) {
    let payloads = payloads(lens);
    let payloads = payloads.as_payloads();
    let mut digests = vec![[0; 32]; payloads.len()];
    hash::<L>(proof, &payloads, &mut digests);
    for (item, (payload, digest)) in payloads.iter().zip(digests).enumerate() {
        assert_eq!(digest, keccak256_one(payload), "{what}: item {item}, {} bytes", payload.len());
    }
}

fn lanes_match_sha3_at_every_length_of_four_blocks<L: Lanes>(proof: L::Proof) {
    assert_agrees::<L>(proof, 0..4 * RATE_BYTES + 8, "ascending");
    assert_agrees::<L>(proof, (0..4 * RATE_BYTES + 8).rev(), "descending");
}

fn lanes_match_sha3_at_batch_boundaries<L: Lanes>(proof: L::Proof) {
    for len in 0..40 {
        assert_agrees::<L>(proof, (0..len).map(|item| item * 37 % 300), &format!("batch of {len}"));
        assert_agrees::<L>(proof, std::iter::repeat_n(50, len), &format!("batch of {len} of one length"));
    }
}

fn lanes_match_sha3_with_few_and_many_long_payloads<L: Lanes>(proof: L::Proof) {
    for long in [1, LANES - 1, LANES, LANES + 1, 20] {
        let lens = (0..200).map(|item| if item % (200 / long) == 3 { 1000 + item * 97 } else { item % 140 });
        assert_agrees::<L>(proof, lens, &format!("{long} long"));
    }
    assert_agrees::<L>(proof, [128 << 10, 1, 2, 3], "the longest payload");
}

fn lanes_match_sha3_with_lengths_in_disorder<L: Lanes>(proof: L::Proof) {
    assert_agrees::<L>(
        proof,
        (0_usize..3000).map(|item| item.wrapping_mul(2_654_435_761) % 1200),
        "disorder",
    );
}
