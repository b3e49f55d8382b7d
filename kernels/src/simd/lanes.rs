//! Eight 64-bit numbers side by side, whichever instructions work on them.
//!
//! The instructions are safe to reach because of what it takes to get here: a [`Lanes::Proof`] is made by nothing but the
//! detection of its instructions, a [`Lanes`] by nothing without a proof or another of its kind. So whoever holds either
//! runs on a processor that has the instructions, and every method is sound wherever it is called from. It is *fast* only
//! when inlined into a function that enables the same features, which is what [`compiled`] makes.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::fmt::Debug;
use core::ops::{Add, BitAnd, BitOr, BitXor, Sub};

/// Numbers side by side.
pub(crate) const LANES: usize = 8;

/// One bit for each lane; bit i is lane i.
pub(crate) type LaneMask = u8;

/// An array of an expression for each k, written out: closures, as `array::from_fn` takes them, may end up as functions
/// of their own without the instructions.
macro_rules! each {
    (2, $k:ident => $value:expr) => { each!($k in 0 1 => $value) };
    (3, $k:ident => $value:expr) => { each!($k in 0 1 2 => $value) };
    (4, $k:ident => $value:expr) => { each!($k in 0 1 2 3 => $value) };
    (5, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 => $value) };
    (8, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 5 6 7 => $value) };
    (10, $k:ident => $value:expr) => { each!($k in 0 1 2 3 4 5 6 7 8 9 => $value) };
    ($k:ident in $($i:literal)* => $value:expr) => { [$({ let $k: usize = $i; $value }),*] };
}
pub(crate) use each;

/// Functions that are compiled once for each set of instructions, with what they call inlined: safe to call, since a
/// proof is their first argument.
///
/// `fn name[L: Bound, MORE](arguments) -> Result = expression;` is `fn name<L: Bound, MORE>(proof, arguments)`.
macro_rules! compiled {
    ($(
        $(#[$meta:meta])*
        fn $name:ident[$lanes:ident: $bound:ident $(, $($generic:tt)*)?]($($arg:ident: $type:ty),* $(,)?)
            $(-> $result:ty)? = $body:expr;
    )*) => {$(
        $(#[$meta])*
        #[inline]
        pub(crate) fn $name<$lanes: $bound, $($($generic)*)?>(_: $lanes::Proof, $($arg: $type),*) $(-> $result)? {
            use core::marker::PhantomData;
            use crate::simd::lanes::Instructions;

            #[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
            fn with_avx512<$lanes: $bound, $($($generic)*)?>(_: PhantomData<$lanes>, $($arg: $type),*) $(-> $result)? {
                $body
            }

            #[target_feature(enable = "avx2,fma")]
            fn with_avx2<$lanes: $bound, $($($generic)*)?>(_: PhantomData<$lanes>, $($arg: $type),*) $(-> $result)? {
                $body
            }

            // A constant condition spares compiling each kind of lanes for the instructions of the other.
            if const { matches!($lanes::INSTRUCTIONS, Instructions::Avx512) } {
                // SAFETY: `Lanes` promises that the proof is of these instructions.
                unsafe { with_avx512(PhantomData::<$lanes>, $($arg),*) }
            } else {
                // SAFETY: as above; there are but two.
                unsafe { with_avx2(PhantomData::<$lanes>, $($arg),*) }
            }
        }
    )*};
}
pub(crate) use compiled;

/// What a kind of lanes is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// AVX-512 with BW, DQ, IFMA and VBMI2.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
}

/// Eight unsigned 64-bit numbers. Sums and differences wrap.
///
/// # Safety
/// A value of [`Self::Proof`], or of this type, must exist only where the processor has [`Self::INSTRUCTIONS`].
pub(crate) unsafe trait Lanes:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
{
    /// Proof that this processor has the instructions, and the system saves their registers.
    type Proof: Copy + Debug + Send + Sync + 'static;

    /// What [`compiled`] functions are compiled with.
    const INSTRUCTIONS: Instructions;

    /// `None` if any of the instructions is missing.
    fn detect() -> Option<Self::Proof>;

    /// A proof from a proof.
    fn proof(self) -> Self::Proof;

    /// The same number in every lane.
    fn splat(proof: Self::Proof, value: u64) -> Self;

    /// Number i in lane i.
    fn load(proof: Self::Proof, numbers: &[u64; LANES]) -> Self;

    /// Up to 64 bytes from the first lane on, little-endian; what is missing is 0.
    ///
    /// # Panics
    /// From 65 bytes on.
    fn load_bytes(proof: Self::Proof, bytes: &[u8]) -> Self;

    /// Writes the number of lane i to place i.
    fn store(self, numbers: &mut [u64; LANES]);

    /// self + the low 52 bits of the 104-bit product of the low 52 bits of a and b.
    fn madd_low(self, a: Self, b: Self) -> Self;

    /// self + the high 52 bits of the 104-bit product of the low 52 bits of a and b.
    fn madd_high(self, a: Self, b: Self) -> Self;

    /// self · 2^N.
    fn shl<const N: u32>(self) -> Self;

    /// self / 2^N, rounded down.
    fn shr<const N: u32>(self) -> Self;

    /// self / 2^N as a signed number, rounded down.
    fn shr_signed<const N: u32>(self) -> Self;

    /// self rotated left by N bits.
    fn rotate_left<const N: i32>(self) -> Self;

    /// The low half of (high · 2^64 + self) / 2^N.
    fn funnel_shr<const N: i32>(self, high: Self) -> Self;

    /// Magnitude of a signed number.
    fn magnitude(self) -> Self;

    /// self · 2^count; 0 from 64 on.
    fn shl_by(self, count: usize) -> Self;

    /// self / 2^count, rounded down; 0 from 64 on.
    fn shr_by(self, count: usize) -> Self;

    /// `yes` in the lanes of the mask, self in the others.
    fn replace(self, mask: LaneMask, yes: Self) -> Self;

    /// self in the lanes of the mask, 0 in the others.
    fn keep(self, mask: LaneMask) -> Self;

    /// minuend − subtrahend in the lanes of the mask, self in the others.
    fn replace_with_difference(self, mask: LaneMask, minuend: Self, subtrahend: Self) -> Self;

    /// The lanes where both are equal.
    fn equal(self, other: Self) -> LaneMask;

    /// The lanes where self is less.
    fn less(self, other: Self) -> LaneMask;

    /// The lanes where self, as a signed number, is less than 0.
    fn negative(self) -> LaneMask;

    /// The lanes that have any of these bits.
    fn any_bit(self, bits: Self) -> LaneMask;

    /// self ⊕ a ⊕ b.
    fn xor3(self, a: Self, b: Self) -> Self;

    /// self ⊕ (¬a ∧ b).
    fn xor_and_not(self, a: Self, b: Self) -> Self;

    /// Lane i becomes what lane (i + N) mod 8 was.
    fn rotate_lanes<const N: i32>(self) -> Self;

    /// Each number with its bytes in reverse order.
    fn swap_bytes(self) -> Self;

    /// Lane j of result i is lane i of row j.
    fn transpose(rows: [Self; LANES]) -> [Self; LANES];

    /// The same number in every lane.
    #[inline(always)]
    fn splat_like(self, value: u64) -> Self {
        Self::splat(self.proof(), value)
    }

    /// The number of each lane.
    #[inline(always)]
    fn to_array(self) -> [u64; LANES] {
        let mut numbers = [0; LANES];
        self.store(&mut numbers);
        numbers
    }

    /// The number of each lane modulo LEN, to index an array of so many.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below LEN, which is a usize")]
    fn to_indices<const LEN: usize>(self) -> [usize; LANES] {
        let numbers = self.to_array();
        each!(8, lane => numbers[lane] as usize % LEN)
    }

    /// Whether every lane is less than a number.
    #[inline(always)]
    fn all_below(self, bound: u64) -> bool {
        self.less(self.splat_like(bound)) == LaneMask::MAX
    }
}

/// Asks for the cache line of a value that will be read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    // SAFETY: every x86-64 processor has the instruction, and a hint touches no memory.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

/// Tests of every kind of lanes that this machine has, in a module for each, of functions of a name and a proof.
#[cfg(test)]
macro_rules! test_on_all_lanes {
    ($($(#[$meta:meta])* $name:ident;)*) => {
        test_on_all_lanes!(avx512, $($(#[$meta])* $name;)*);
        test_on_all_lanes!(avx2, $($(#[$meta])* $name;)*);
    };
    ($backend:ident, $($(#[$meta:meta])* $name:ident;)*) => {
        mod $backend {
            use crate::simd::{$backend::U64x8, lanes::Lanes as _};

            $(#[test]
            $(#[$meta])*
            fn $name() {
                match U64x8::detect() {
                    Some(proof) => super::$name::<U64x8>(proof),
                    None => eprintln!("skipped: no {}", stringify!($backend)),
                }
            })*
        }
    };
}
#[cfg(test)]
pub(crate) use test_on_all_lanes;

#[cfg(test)]
mod tests;
