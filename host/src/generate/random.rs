//! The one source of chance of a generated chain.

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
///
/// Written out here because a chain's bytes are a function of its seed, for good: a generator from
/// a crate may change its stream with a release.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `bound`, which is not zero. (The bias of the multiplication, `bound / 2^64`,
    /// is of no matter here.)
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// An index into something of length `len`, which is not zero.
    #[expect(clippy::cast_possible_truncation, reason = "the result is under `len`, a usize")]
    pub(super) const fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True once in `n` times.
    pub(super) const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number of wei as people send them: any order of magnitude from a gwei to ten milliether.
    pub(super) fn amount(&mut self) -> u128 {
        let magnitude = u32::try_from(9 + self.below(7)).unwrap_or(9);
        u128::from(1 + self.below(10_u64.pow(magnitude + 1)))
    }

    /// `len` bytes, of which one in four is zero, as in ABI-encoded calldata.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| {
                let [byte, choice, ..] = self.next().to_le_bytes();
                if choice < 64 { 0 } else { byte }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_the_published_one() {
        // The reference implementation's first outputs for seed 1234567.
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next(), random.next(), random.next()], expected);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(7);
        for bound in [1, 2, 3, 1000, u64::MAX] {
            assert!((0..100).all(|_| random.below(bound) < bound));
        }
        assert!((0..1000).all(|_| random.amount() <= 10_u128.pow(16)));
    }
}
