//! Eight curve points side by side, and their sums.
//!
//! No formula here knows exceptions. In the Jacobian ones an exceptional sum has Z = 0, which then stays 0; in the
//! affine ones its denominator is 0, which [`super::batch::invert_all`] reports.
//!
//! To spare subtractions, Jacobian sums come out *negated*; callers keep count of the sign.

use super::field::{Factor, Fe, Wide};
use super::inverse::Words;
use super::multiplier::Multiplier;
use crate::simd::lanes::{LANES, LaneMask, each};

/// The generator's x and y.
pub(super) const GENERATOR: [Words; 2] = [
    [0x59f2_815b_16f8_1798, 0x029b_fcdb_2dce_28d9, 0x55a0_6295_ce87_0b07, 0x79be_667e_f9dc_bbac],
    [0x9c47_d08f_fb10_d4b8, 0xfd17_b448_a685_5419, 0x5da4_fbfc_0e11_08a8, 0x483a_da77_26a3_c465],
];

/// Groups of eight that long computations do side by side, so that each fills the other's waiting.
pub(super) const PAIR: usize = 2;

/// A point by its coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine<L> {
    pub(super) x: Fe<L>,
    pub(super) y: Fe<L>,
}

/// The point (x / z², y / z³).
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian<L> {
    pub(super) x: Fe<L>,
    pub(super) y: Fe<L>,
    pub(super) z: Factor<L>,
}

impl<L: Multiplier> Affine<L> {
    /// One point in every lane.
    #[inline(always)]
    pub(super) fn splat(proof: L::Proof, [x, y]: [Words; 2]) -> Self {
        Self { x: Fe::splat(proof, x), y: Fe::splat(proof, y) }
    }

    /// The point of row i in lane i: the words of x, then those of y.
    #[inline(always)]
    pub(super) fn from_rows(proof: L::Proof, rows: [&[u64; 8]; LANES]) -> Self {
        let [a, b, c, d, e, f, g, h] = L::transpose(each!(8, lane => L::load(proof, rows[lane])));
        Self { x: Fe::from_words([a, b, c, d]), y: Fe::from_words([e, f, g, h]) }
    }

    /// The point of lane i in row i, canonical: the words of x, then those of y.
    #[inline(always)]
    pub(super) fn to_rows(self) -> [L; LANES] {
        let [a, b, c, d] = self.x.canonical().to_words();
        let [e, f, g, h] = self.y.canonical().to_words();
        L::transpose([a, b, c, d, e, f, g, h])
    }

    /// The negative in the lanes of a mask, for canonical coordinates.
    #[inline(always)]
    pub(super) fn negated_where(&self, mask: LaneMask) -> Self {
        Self { x: self.x, y: self.y.negated_where(mask) }
    }

    /// `yes` in the lanes of the mask, self in the others.
    #[inline(always)]
    pub(super) fn replace(&self, mask: LaneMask, yes: &Self) -> Self {
        Self { x: self.x.replace(mask, &yes.x), y: self.y.replace(mask, &yes.y) }
    }

    #[inline(always)]
    pub(super) fn jacobian(&self) -> Jacobian<L> {
        Jacobian { x: self.x, y: self.y, z: Factor::one(self.x.proof()) }
    }
}

/// p + q, given 1 / (q.x − p.x). 2 multiplications, 1 squaring.
#[inline(always)]
pub(super) fn add_affine<L: Multiplier>(
    p: [&Affine<L>; PAIR],
    q: [&Affine<L>; PAIR],
    inverse: [&Factor<L>; PAIR],
) -> [Affine<L>; PAIR] {
    let slope = each!(2, k => q[k].y.minus(&p[k].y).times(inverse[k]));
    let x = each!(2, k => abscissa(&slope[k], &p[k].x, &q[k].x));
    each!(2, k => Affine { x: x[k], y: ordinate(&slope[k], p[k], &x[k]) })
}

/// p + q, given 1 / (q.x − p.x), where there is other work to fill the waiting.
#[inline(always)]
pub(super) fn add_affine_one<L: Multiplier>(p: &Affine<L>, q: &Affine<L>, inverse: &Factor<L>) -> Affine<L> {
    let slope = q.y.minus(&p.y).times(inverse);
    let x = abscissa(&slope, &p.x, &q.x);
    Affine { x, y: ordinate(&slope, p, &x) }
}

/// 2p, given 1 / 2y. 2 multiplications, 2 squarings.
#[inline(always)]
pub(super) fn double_affine<L: Multiplier>(
    p: [&Affine<L>; PAIR],
    inverse: [&Factor<L>; PAIR],
) -> [Affine<L>; PAIR] {
    let slope = each!(2, k => Wide::square(&p[k].x).factor_thrice().times(inverse[k]));
    let x = each!(2, k => abscissa(&slope[k], &p[k].x, &p[k].x));
    each!(2, k => Affine { x: x[k], y: ordinate(&slope[k], p[k], &x[k]) })
}

/// x of the sum of two points, the line through which has this slope.
#[inline(always)]
pub(super) fn abscissa<L: Multiplier>(slope: &Factor<L>, x: &Fe<L>, other: &Fe<L>) -> Fe<L> {
    Wide::square(slope).minus([(x, 0), (other, 0)]).reduced()
}

/// y of a sum, given its x, the slope of the line and a point on it.
#[inline(always)]
pub(super) fn ordinate<L: Multiplier>(slope: &Factor<L>, p: &Affine<L>, x: &Fe<L>) -> Fe<L> {
    Wide::product(slope, &p.x.minus(x)).minus([(&p.y, 0)]).reduced()
}

/// Sums of points in Jacobian coordinates, K groups side by side, so that each fills the others' waiting.
///
/// Each step is done for all groups before the next, in loops that are not unrolled: their bodies are long, and K of
/// them would not fit into the cache of instructions. What passes from step to step has its place here.
#[derive(Debug)]
pub(super) struct Sums<L, const K: usize> {
    /// The sums.
    pub(super) points: [Jacobian<L>; K],
    factors: [[Factor<L>; K]; 5],
    elements: [[Fe<L>; K]; 2],
}

impl<L: Multiplier, const K: usize> Sums<L, K> {
    #[inline(always)]
    pub(super) fn new(start: &Affine<L>) -> Self {
        let point = start.jacobian();
        Self { points: [point; K], factors: [[point.z; K]; 5], elements: [[point.x; K]; 2] }
    }

    /// p becomes −2p. 3 multiplications, 4 squarings, 6 reductions.
    #[inline(always)]
    pub(super) fn double_negated(&mut self) {
        let Self { points: p, factors: [three_xx, two_yy, ..], elements: [two_xyy, _] } = self;
        for k in 0..K {
            three_xx[k] = Wide::square(&p[k].x).factor_thrice();
            two_yy[k] = Wide::square(&p[k].y).factor_twice();
        }
        for k in 0..K {
            two_xyy[k] = Wide::product(&p[k].x, &two_yy[k]).reduced();
            p[k].z = Wide::product(&p[k].y, &p[k].z).factor_twice();
        }
        for k in 0..K {
            p[k].x = Wide::square(&three_xx[k]).minus([(&two_xyy[k], 2)]).reduced();
        }
        // −Y = 3X² (X' − 4XY²) + 8Y⁴, with two products in one reduction.
        for k in 0..K {
            let rise = p[k].x.minus_twice(&two_xyy[k]);
            p[k].y = Wide::square(&two_yy[k]).doubled().plus_product(&three_xx[k], &rise).reduced();
        }
    }

    /// p becomes −(p + q). 8 multiplications, 3 squarings, 10 reductions.
    #[inline(always)]
    pub(super) fn add_negated(&mut self, q: &[Affine<L>; K]) {
        let Self { points: p, factors: [zz, zzz, h, hh, r], elements: [v, hhh] } = self;
        for k in 0..K {
            zz[k] = p[k].z.squared();
        }
        for k in 0..K {
            h[k] = Wide::product(&q[k].x, &zz[k]).minus([(&p[k].x, 0)]).factor();
            zzz[k] = p[k].z.times(&zz[k]);
        }
        for k in 0..K {
            hh[k] = h[k].squared();
            r[k] = Wide::product(&q[k].y, &zzz[k]).minus([(&p[k].y, 0)]).factor();
            p[k].z = p[k].z.times(&h[k]);
        }
        for k in 0..K {
            v[k] = Wide::product(&p[k].x, &hh[k]).reduced();
            hhh[k] = Wide::product(&h[k], &hh[k]).reduced();
        }
        for k in 0..K {
            p[k].x = Wide::square(&r[k]).minus([(&hhh[k], 0), (&v[k], 1)]).reduced();
        }
        // −Y = r (X' − V) + Y H³, with two products in one reduction.
        for k in 0..K {
            let rise = p[k].x.minus(&v[k]);
            p[k].y = Wide::product(&p[k].y, &hhh[k]).plus_product(&r[k], &rise).reduced();
        }
    }
}
