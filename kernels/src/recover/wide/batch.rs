//! Inverses of many numbers for the price of three multiplications each and one inversion in all (Montgomery's
//! trick).
//!
//! One zero among them would make zeros of all. So the shared product is looked at, lane by lane, before it
//! is inverted; where it is 0, the zeros are found, reported and replaced by 1.

use super::compiled;
use super::field::{Factor, Fe, PRIME_MODULUS};
use super::multiplier::Multiplier;
use super::scalar::{ORDER_MODULUS, R_SQUARED, Scalar};
use crate::simd::lanes::{LaneMask, Lanes};

/// Running products side by side, so that each fills the others' waiting.
pub(super) const CHAINS: usize = 4;

/// Numbers with a product that has inverses.
pub(super) trait Invertible: Copy {
    type Lanes: Lanes;

    /// The 1 of [`Self::times`].
    fn unit(proof: <Self::Lanes as Lanes>::Proof) -> Self;
    fn proof(&self) -> <Self::Lanes as Lanes>::Proof;
    fn times(&self, other: &Self) -> Self;
    /// The lanes where it is 0.
    fn is_zero(&self) -> LaneMask;
    fn replace(&self, mask: LaneMask, yes: &Self) -> Self;
    fn rotate_lanes<const N: i32>(&self) -> Self;
    /// The inverse of what is in lane 0, in every lane.
    fn first_inverted(&self) -> Self;
}

impl<L: Multiplier> Invertible for Factor<L> {
    type Lanes = L;

    #[inline(always)]
    fn unit(proof: L::Proof) -> Self {
        Self::one(proof)
    }

    #[inline(always)]
    fn proof(&self) -> L::Proof {
        self.proof()
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        self.times(other)
    }

    #[inline(always)]
    fn is_zero(&self) -> LaneMask {
        self.below_2_256().is_zero()
    }

    #[inline(always)]
    fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        self.replace(mask, yes)
    }

    #[inline(always)]
    fn rotate_lanes<const N: i32>(&self) -> Self {
        self.rotate_lanes::<N>()
    }

    #[inline(always)]
    fn first_inverted(&self) -> Self {
        let words = self.below_2_256().canonical().to_words().map(|word| word.to_array()[0]);
        Fe::splat(self.proof(), PRIME_MODULUS.invert(words)).factor()
    }
}

/// The inverses of scalars come out as R / scalar, so that the Montgomery product with a plain number is the ratio.
impl<L: Lanes> Invertible for Scalar<L> {
    type Lanes = L;

    #[inline(always)]
    fn unit(proof: L::Proof) -> Self {
        Self::unit(proof)
    }

    #[inline(always)]
    fn proof(&self) -> L::Proof {
        self.proof()
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        self.times(other)
    }

    #[inline(always)]
    fn is_zero(&self) -> LaneMask {
        self.is_zero()
    }

    #[inline(always)]
    fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        self.replace(mask, yes)
    }

    #[inline(always)]
    fn rotate_lanes<const N: i32>(&self) -> Self {
        self.rotate_lanes::<N>()
    }

    #[inline(always)]
    fn first_inverted(&self) -> Self {
        let inverse = ORDER_MODULUS.invert(self.canonical().first_words());
        Self::splat(self.proof(), inverse).times(&Self::splat(self.proof(), R_SQUARED))
    }
}

/// Replaces each number by its inverse, and each 0 by 1. `on_zero` hears of each number that has zeros, and where.
///
/// `products` is scratch memory.
#[inline(always)]
pub(super) fn invert_all<T: Invertible>(
    numbers: &mut [T],
    products: &mut Vec<T>,
    mut on_zero: impl FnMut(usize, LaneMask),
) {
    let Some(first) = numbers.first() else { return };
    let unit = T::unit(first.proof());
    let proof = first.proof();
    let mut product = compiled::running_products(proof, numbers, products, unit);
    let all = |chains: &[T; CHAINS]| (chains[0].times(&chains[1]), chains[2].times(&chains[3]));
    let (mut front, mut back) = all(&product);
    let mut whole = front.times(&back);
    if whole.is_zero() != 0 {
        for (index, number) in numbers.iter_mut().enumerate() {
            let zeros = number.is_zero();
            if zeros != 0 {
                on_zero(index, zeros);
                *number = number.replace(zeros, &unit);
            }
        }
        product = compiled::running_products(proof, numbers, products, unit);
        (front, back) = all(&product);
        whole = front.times(&back);
    }
    let inverse = lanes_inverted(&whole);
    let (of_front, of_back) = (inverse.times(&back), inverse.times(&front));
    // The inverse of each chain's product so far.
    let mut inverses = [
        of_front.times(&product[1]),
        of_front.times(&product[0]),
        of_back.times(&product[3]),
        of_back.times(&product[2]),
    ];
    for (index, number) in numbers.iter_mut().enumerate().rev() {
        let inverse = &mut inverses[index % CHAINS];
        let own = *number;
        *number = if index < CHAINS { *inverse } else { inverse.times(&products[index - CHAINS]) };
        *inverse = inverse.times(&own);
    }
}

/// Product i is that of the numbers i, i − 4, i − 8 and so on; returns those of the four chains.
#[inline(always)]
pub(super) fn running_products<T: Invertible>(numbers: &[T], products: &mut Vec<T>, unit: T) -> [T; CHAINS] {
    let mut chains = [unit; CHAINS];
    products.clear();
    products.reserve(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let chain = &mut chains[index % CHAINS];
        *chain = if index < CHAINS { *number } else { chain.times(number) };
        products.push(*chain);
    }
    chains
}

/// The inverse of each lane, none of which is 0.
#[inline(always)]
pub(super) fn lanes_inverted<T: Invertible>(number: &T) -> T {
    let by_four = number.rotate_lanes::<4>();
    let twos = number.times(&by_four);
    let by_two = twos.rotate_lanes::<2>();
    let fours = twos.times(&by_two);
    let by_one = fours.rotate_lanes::<1>();
    let others = by_four.times(&by_two).times(&by_one);
    fours.times(&by_one).first_inverted().times(&others)
}
