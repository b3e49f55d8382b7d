//! What tells the roots of states.

use super::{StateTrie, WitnessState};

/// The tries of the state before a block, as far as they are known: what the root after it can be computed from.
#[derive(Clone, Copy, Debug)]
pub enum Tries<'a> {
    /// All of them.
    Whole(&'a StateTrie),
    /// What a witness tells.
    Witness(&'a WitnessState),
}
