//! The check of a whole batch ([`audit`](super::super::audit)), eight items or eight segments at a time.

mod items;
mod sums;

use std::cell::RefCell;

use super::super::audit::sums::{Entry, KINDS, Row, Segment};
use super::super::audit::windows::{Code, Windows};
use super::super::audit::{Arithmetic, Claims, Mismatch};
use crate::simd::lanes::Avx512;
use items::Preparation;
use sums::Block;

/// The form for the lanes of AVX-512.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Lanewise(Avx512);

impl Lanewise {
    pub(in super::super) const fn new(proof: Avx512) -> Self {
        Self(proof)
    }
}

impl Arithmetic for Lanewise {
    fn prepare(
        self,
        claims: &Claims<'_>,
        windows: Windows,
        first: usize,
        points: &mut [Row],
        codes: &mut [Code],
    ) -> Result<k256::Scalar, Mismatch> {
        thread_local! {
            static WORKSPACE: RefCell<Preparation> = RefCell::default();
        }
        let len = points.len() / KINDS;
        WORKSPACE.with_borrow_mut(|workspace| {
            // SAFETY: an `Avx512` proves that the processor has the instructions.
            unsafe {
                workspace.place(self.0, claims, first, points)?;
                workspace.hash(self.0, claims, first..first + len);
                Ok(workspace.scalars(self.0, claims, windows, first..first + len, codes))
            }
        })
    }

    fn sum(self, points: &[Row], entries: &[Entry], segments: &[Segment], sums: &mut [Row]) {
        thread_local! {
            static WORKSPACE: RefCell<Block> = RefCell::default();
        }
        WORKSPACE.with_borrow_mut(|block| {
            // SAFETY: an `Avx512` proves that the processor has the instructions.
            unsafe { block.sum(self.0, points, entries, segments, sums) }
        });
    }
}
