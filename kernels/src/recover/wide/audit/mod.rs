//! The check of a whole batch ([`audit`](super::super::audit)), eight items or eight segments at a time.

#[allow(
    unsafe_code,
    reason = "enters functions with vector instructions, on proof that the processor has them"
)]
mod compiled;
mod items;
mod sums;

use std::cell::RefCell;

use super::super::audit::sums::{Entry, KINDS, Row, Segment};
use super::super::audit::windows::{Code, Windows};
use super::super::audit::{Arithmetic, Claims, Mismatch, check_claims};
use super::multiplier::Multiplier;
use crate::simd::{Backend, avx2, avx512};
use items::Preparation;
use sums::Block;

/// Lanes with memory for the check.
trait Auditing: Multiplier {
    /// Lends this thread's memory for the items of a chunk.
    fn with_preparation<R>(work: impl FnOnce(&mut Preparation<Self>) -> R) -> R;

    /// Lends this thread's memory for sums.
    fn with_block<R>(work: impl FnOnce(&mut Block<Self>) -> R) -> R;
}

macro_rules! auditing {
    ($($lanes:ty),*) => {$(
        impl Auditing for $lanes {
            fn with_preparation<R>(work: impl FnOnce(&mut Preparation<Self>) -> R) -> R {
                thread_local! {
                    static PREPARATION: RefCell<Preparation<$lanes>> = RefCell::default();
                }
                PREPARATION.with_borrow_mut(work)
            }

            fn with_block<R>(work: impl FnOnce(&mut Block<Self>) -> R) -> R {
                thread_local! {
                    static BLOCK: RefCell<Block<$lanes>> = RefCell::default();
                }
                BLOCK.with_borrow_mut(work)
            }
        }
    )*};
}

auditing!(avx512::U64x8, avx2::U64x8);

/// Checks claims in the lanes of a backend; `None` if it has none here.
pub(in super::super) fn check(backend: Backend, claims: &Claims<'_>) -> Option<Result<(), Mismatch>> {
    fn in_lanes<L: Auditing>(claims: &Claims<'_>) -> Option<Result<(), Mismatch>> {
        let proof = L::detect()?;
        Some(check_claims(Lanewise::<L>(proof), claims))
    }

    match backend {
        Backend::Avx512Ifma => in_lanes::<avx512::U64x8>(claims),
        Backend::Avx2 => in_lanes::<avx2::U64x8>(claims),
        Backend::Portable => None,
    }
}

/// The form for lanes.
#[derive(Clone, Copy, Debug)]
struct Lanewise<L: Auditing>(L::Proof);

impl<L: Auditing> Arithmetic for Lanewise<L> {
    fn prepare(
        self,
        claims: &Claims<'_>,
        windows: Windows,
        first: usize,
        points: &mut [Row],
        codes: &mut [Code],
    ) -> Result<k256::Scalar, Mismatch> {
        let range = first..first + points.len() / KINDS;
        L::with_preparation(|preparation| {
            compiled::place(self.0, preparation, self.0, claims, first, points)?;
            preparation.hash(self.0, claims, range.clone());
            Ok(compiled::scalars(self.0, preparation, self.0, claims, windows, range, codes))
        })
    }

    fn sum(self, points: &[Row], entries: &[Entry], segments: &[Segment], sums: &mut [Row]) {
        L::with_block(|block| compiled::sum(self.0, block, self.0, points, entries, segments, sums));
    }
}
