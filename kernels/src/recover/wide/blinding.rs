//! A secret point that no input can aim at.
//!
//! Whoever knows from where a sum starts can make its last addition exceptional: with R = kG and s = −z/k both
//! terms of the key are equal. So the ladder starts from βG instead of from nothing, and the comb takes off
//! what became of it. β is drawn once per process, and never leaves it.

use std::hash::{BuildHasher as _, RandomState};

use k256::elliptic_curve::PrimeField as _;
use k256::elliptic_curve::bigint::U256;
use k256::elliptic_curve::ops::Reduce as _;
use k256::{ProjectivePoint, Scalar};

use super::comb::words;
use super::inverse::Words;
use crate::keccak::keccak256_one;

/// β in the forms that a batch needs.
#[derive(Clone)]
pub(super) struct Blinding {
    /// βG: x, then y.
    pub(super) start: [Words; 2],
    /// 2^d β modulo n, d being the doublings of the ladder.
    pub(super) end: Words,
}

impl Blinding {
    /// A secret one. The standard library seeds its hash tables from the system's randomness, 128 bits of it.
    pub(super) fn random(doublings: usize) -> Self {
        let state = RandomState::new();
        let mut seed = [0; 32];
        for (i, bytes) in seed.chunks_exact_mut(8).enumerate() {
            bytes.copy_from_slice(&state.hash_one(i).to_le_bytes());
        }
        Self::new(&Scalar::reduce(&k256::FieldBytes::from(keccak256_one(&seed))), doublings)
    }

    /// A known one, not 0.
    pub(super) fn new(beta: &Scalar, doublings: usize) -> Self {
        let end = (0..doublings).fold(*beta, |scalar, _| scalar + scalar);
        let end = U256::from_be_slice(&end.to_repr());
        Self { start: words(&(ProjectivePoint::GENERATOR * beta).to_affine()), end: end.to_words() }
    }
}
