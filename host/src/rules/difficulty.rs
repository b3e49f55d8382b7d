//! The difficulty of a proof-of-work block.

use alloy_consensus::{Header, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_primitives::{U256, uint};

use crate::spec::Fork;

/// No block is easier than this.
pub const MINIMUM_DIFFICULTY: U256 = uint!(131_072_U256);

/// The difficulty adjusts in steps of the parent's over this.
const BOUND_DIVISOR: U256 = uint!(2_048_U256);

/// The bomb doubles once in so many blocks.
const BOMB_PERIOD: u64 = 100_000;

/// The difficulty that a block of `fork` at `timestamp` has after `parent`.
///
/// Yellow Paper (4.3.4) with EIP-2 (Homestead), EIP-100 (ommers count, Byzantium) and the bomb
/// delays of EIP-649, 1234, 2384, 3554, 4345 and 5133. A timestamp that is not later than the
/// parent's counts as the parent's; a sum beyond 256 bits, which takes a parent of absurd
/// difficulty or number, stays at the maximum.
pub fn next_difficulty(fork: Fork, timestamp: u64, parent: &Header) -> U256 {
    let step = parent.difficulty / BOUND_DIVISOR;
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    let adjusted = if fork == Fork::Frontier {
        if elapsed < 13 { parent.difficulty.saturating_add(step) } else { parent.difficulty - step }
    } else {
        // How many steps down, at most 99; `up` is how many seconds' worth of steps the block may
        // be fast before that.
        let (up, seconds) = match fork {
            Fork::Homestead | Fork::Tangerine | Fork::SpuriousDragon => (1, 10),
            _ if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH => (1, 9),
            _ => (2, 9),
        };
        let down = elapsed / seconds;
        if down <= up {
            parent.difficulty.saturating_add(step.saturating_mul(U256::from(up - down)))
        } else {
            let steps = U256::from((down - up).min(99));
            // 99 steps of 1/2048 each leave something.
            parent.difficulty - step * steps
        }
    };
    adjusted.saturating_add(bomb(fork, parent.number.saturating_add(1))).max(MINIMUM_DIFFICULTY)
}

/// What the difficulty bomb adds to block `number`.
fn bomb(fork: Fork, number: u64) -> U256 {
    let delay = match fork {
        Fork::Frontier | Fork::Homestead | Fork::Tangerine | Fork::SpuriousDragon => 0,
        Fork::Byzantium => 3_000_000,
        Fork::Constantinople | Fork::Petersburg | Fork::Istanbul => 5_000_000,
        Fork::MuirGlacier | Fork::Berlin => 9_000_000,
        Fork::London => 9_700_000,
        Fork::ArrowGlacier => 10_700_000,
        _ => 11_400_000,
    };
    let period = number.saturating_sub(delay) / BOMB_PERIOD;
    match period.checked_sub(2) {
        None => U256::ZERO,
        Some(exponent) => usize::try_from(exponent)
            .ok()
            .and_then(|exponent| U256::ONE.checked_shl(exponent))
            .unwrap_or(U256::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn parent(number: u64, timestamp: u64, difficulty: u128) -> Header {
        Header { number, timestamp, difficulty: U256::from(difficulty), ..Header::default() }
    }

    /// Mainnet blocks, each with the number, timestamp and difficulty of its parent.
    #[test]
    fn mainnet_difficulties_follow_from_their_parents() {
        // Block 1: genesis at time 0, and decades of adjustment in one step.
        assert_eq!(
            next_difficulty(Fork::Frontier, 1_438_269_988, &parent(0, 0, 17_179_869_184)),
            U256::from(17_171_480_576u64)
        );
        // Block 2.
        assert_eq!(
            next_difficulty(Fork::Frontier, 1_438_270_017, &parent(1, 1_438_269_988, 17_171_480_576)),
            U256::from(17_163_096_064u64)
        );
    }

    #[test]
    fn homestead_moves_by_tens_of_seconds_and_at_most_99_steps() {
        let parent = parent(1_200_000, 1_000, 2_048_000);
        let at = |elapsed| next_difficulty(Fork::Homestead, 1_000 + elapsed, &parent);
        let bomb = U256::from(1u64 << 10);
        for (elapsed, steps) in
            [(0, 1), (9, 1), (10, 0), (19, 0), (20, -1), (1_009, -99), (1_010, -99), (u64::MAX - 1_000, -99)]
        {
            let expected = U256::from(2_048_000 + steps * 1_000) + bomb;
            assert_eq!(at(elapsed), expected, "after {elapsed} s");
        }
    }

    #[test]
    fn byzantium_counts_ommers_of_the_parent() {
        let mut parent = parent(3_100_000, 1_000, 2_048_000);
        let at = |parent: &Header, elapsed: u64| next_difficulty(Fork::Byzantium, 1_000 + elapsed, parent);
        assert_eq!(at(&parent, 8), U256::from(2_049_000));
        assert_eq!(at(&parent, 9), U256::from(2_048_000));
        parent.ommers_hash = B256::ZERO;
        assert_eq!(at(&parent, 8), U256::from(2_050_000));
        assert_eq!(at(&parent, 9), U256::from(2_049_000));
        assert_eq!(at(&parent, 18), U256::from(2_048_000));
    }

    #[test]
    fn the_bomb_starts_two_periods_after_its_delay() {
        for (fork, delay) in [
            (Fork::Homestead, 0),
            (Fork::Byzantium, 3_000_000),
            (Fork::Petersburg, 5_000_000),
            (Fork::Istanbul, 5_000_000),
            (Fork::MuirGlacier, 9_000_000),
            (Fork::Berlin, 9_000_000),
            (Fork::London, 9_700_000),
            (Fork::ArrowGlacier, 10_700_000),
            (Fork::GrayGlacier, 11_400_000),
        ] {
            assert_eq!(bomb(fork, delay + 199_999), U256::ZERO, "{fork}");
            assert_eq!(bomb(fork, delay + 200_000), U256::ONE, "{fork}");
            assert_eq!(bomb(fork, delay + 300_000), U256::from(2), "{fork}");
        }
        assert_eq!(bomb(Fork::Frontier, u64::MAX), U256::MAX);
    }

    #[test]
    fn no_parent_makes_it_overflow_or_sink() {
        assert_eq!(next_difficulty(Fork::Frontier, 99, &parent(0, 0, 1)), MINIMUM_DIFFICULTY);
        let mut top = parent(u64::MAX, 0, 0);
        top.difficulty = U256::MAX;
        for fork in Fork::ALL {
            for timestamp in [0, 1, 12, u64::MAX] {
                assert!(next_difficulty(fork, timestamp, &top) >= MINIMUM_DIFFICULTY);
            }
        }
    }
}
