//! Which results of a device are recomputed on the CPU.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Draws the positions that are recomputed. Never a fixed stride: faults of lanes are periodic.
#[derive(Debug)]
pub(super) struct Sampler {
    seed: u64,
    draws: AtomicU64,
}

impl Sampler {
    pub(super) fn new(seed: Option<u64>) -> Self {
        // The standard library's hash keys are the one random source that needs no dependency.
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        Self { seed, draws: AtomicU64::new(0) }
    }

    /// So many positions below `len`, perhaps some of them twice; none if there are none.
    pub(super) fn draw(&self, count: usize, len: usize) -> Vec<usize> {
        if len == 0 {
            return Vec::new();
        }
        let next = || {
            // SplitMix64 (Steele, Lea, Flood 2014).
            let step = self.draws.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let z = self.seed.wrapping_add(step);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let below_len = |random: u64| usize::try_from((u128::from(random) * len as u128) >> 64);
        (0..count).map(|_| below_len(next()).expect("below a usize")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_within_the_batch_and_differs_from_draw_to_draw() {
        let sampler = Sampler::new(Some(3));
        assert!(sampler.draw(4, 0).is_empty());
        assert_eq!(sampler.draw(1, 1), [0]);
        let draws = [sampler.draw(16, 65_536), sampler.draw(16, 65_536)];
        assert_ne!(draws[0], draws[1]);
        assert!(draws.iter().all(|draw| draw.len() == 16 && draw.iter().all(|&item| item < 65_536)));
    }
}
