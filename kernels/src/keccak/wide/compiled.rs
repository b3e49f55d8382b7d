//! What is compiled on its own for each set of instructions: everything else is inlined into these.

use super::super::{Digest, Payloads};
use super::STATE_WORDS;
use crate::simd::lanes::{Lanes, compiled};

compiled! {
    /// [`super::hash_in_order`].
    fn hash_in_order[L: Lanes, I: Iterator<Item = usize>](proof: L::Proof, payloads: &Payloads<'_>, items: I,
        digests: &mut [Digest]) = super::hash_in_order::<L, I>(proof, payloads, items, digests);

    /// [`super::permute`].
    fn permute[L: Lanes](state: &mut [L; STATE_WORDS]) = super::permute(state);
}
