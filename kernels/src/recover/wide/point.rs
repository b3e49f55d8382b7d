//! Eight curve points side by side, and their sums.
//!
//! No formula here knows exceptions. In the Jacobian ones an exceptional sum has Z = 0, which then stays 0; in the
//! affine ones its denominator is 0, which [`super::batch::invert_all`] reports.
//!
//! To spare subtractions, Jacobian sums come out *negated*; callers keep count of the sign.

use super::field::{Factor, Fe, Wide};
use super::inverse::Words;
use crate::simd::lanes::{Avx512, LANES, LaneMask, Lanes};

/// The generator's x and y.
pub(super) const GENERATOR: [Words; 2] = [
    [0x59f2_815b_16f8_1798, 0x029b_fcdb_2dce_28d9, 0x55a0_6295_ce87_0b07, 0x79be_667e_f9dc_bbac],
    [0x9c47_d08f_fb10_d4b8, 0xfd17_b448_a685_5419, 0x5da4_fbfc_0e11_08a8, 0x483a_da77_26a3_c465],
];

/// Groups of eight that long computations do side by side, so that each fills the other's waiting.
pub(super) const PAIR: usize = 2;

/// An array of an expression for both k of a pair, written out so that it becomes straight-line code.
macro_rules! pair {
    ($k:ident => $value:expr) => {
        [
            {
                let $k = 0;
                $value
            },
            {
                let $k = 1;
                $value
            },
        ]
    };
}
pub(super) use pair;

/// A point by its coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

/// The point (x / z², y / z³).
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Factor,
}

impl Affine {
    /// One point in every lane.
    #[inline(always)]
    pub(super) fn splat(proof: Avx512, [x, y]: [Words; 2]) -> Self {
        Self { x: Fe::splat(proof, x), y: Fe::splat(proof, y) }
    }

    /// The point of row i in lane i: the words of x, then those of y.
    #[inline(always)]
    pub(super) fn from_rows(proof: Avx512, rows: [&[u64; 8]; LANES]) -> Self {
        let [a, b, c, d, e, f, g, h] = Lanes::transpose(rows.map(|row| Lanes::load(proof, row)));
        Self { x: Fe::from_words([a, b, c, d]), y: Fe::from_words([e, f, g, h]) }
    }

    /// The point of lane i in row i, canonical: the words of x, then those of y.
    #[inline(always)]
    pub(super) fn to_rows(self) -> [Lanes; LANES] {
        let [a, b, c, d] = self.x.canonical().to_words();
        let [e, f, g, h] = self.y.canonical().to_words();
        Lanes::transpose([a, b, c, d, e, f, g, h])
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
    pub(super) fn jacobian(&self) -> Jacobian {
        Jacobian { x: self.x, y: self.y, z: Factor::one(self.x.proof()) }
    }
}

/// p + q, given 1 / (q.x − p.x). 2 multiplications, 1 squaring.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
pub(super) fn add_affine(p: &[Affine; PAIR], q: &[Affine; PAIR], inverse: [&Factor; PAIR]) -> [Affine; PAIR] {
    let slope = pair!(k => q[k].y.minus(&p[k].y).times(inverse[k]));
    pair!(k => along(&p[k], &q[k].x, &slope[k]))
}

/// 2p, given 1 / 2y. 2 multiplications, 2 squarings.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
pub(super) fn double_affine(p: &[Affine; PAIR], inverse: [&Factor; PAIR]) -> [Affine; PAIR] {
    let slope = pair!(k => Wide::square(&p[k].x).factor_thrice().times(inverse[k]));
    pair!(k => along(&p[k], &p[k].x, &slope[k]))
}

/// The sum of p and a point with the x-coordinate `other_x`, the line through which has this slope.
#[inline(always)]
fn along(p: &Affine, other_x: &Fe, slope: &Factor) -> Affine {
    let x = Wide::square(slope).minus([(&p.x, 0), (other_x, 0)]).reduced();
    let y = Wide::product(slope, &p.x.minus(&x)).minus([(&p.y, 0)]).reduced();
    Affine { x, y }
}

/// −2p. 3 multiplications, 4 squarings, 6 reductions.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
pub(super) fn double_negated(p: &mut [Jacobian; PAIR]) {
    let three_xx = pair!(k => Wide::square(&p[k].x).factor_thrice());
    let two_yy = pair!(k => Wide::square(&p[k].y).factor_twice());
    let z = pair!(k => Wide::product(&p[k].y, &p[k].z).factor_twice());
    let two_xyy = pair!(k => Wide::product(&p[k].x, &two_yy[k]).reduced());
    let x = pair!(k => Wide::square(&three_xx[k]).minus([(&two_xyy[k], 2)]).reduced());
    // −Y = 3X² (X' − 4XY²) + 8Y⁴, with two products in one reduction.
    let y = pair!(k => {
        let rise = x[k].minus_twice(&two_xyy[k]);
        Wide::square(&two_yy[k]).doubled().plus_product(&three_xx[k], &rise).reduced()
    });
    *p = pair!(k => Jacobian { x: x[k], y: y[k], z: z[k] });
}

/// −(p + q). 8 multiplications, 3 squarings, 10 reductions.
#[target_feature(enable = "avx512dq,avx512ifma,avx512vbmi2")]
pub(super) fn add_negated(p: &mut [Jacobian; PAIR], q: &[Affine; PAIR]) {
    let zz = pair!(k => p[k].z.squared());
    let h = pair!(k => Wide::product(&q[k].x, &zz[k]).minus([(&p[k].x, 0)]).factor());
    let zzz = pair!(k => p[k].z.times(&zz[k]));
    let hh = pair!(k => h[k].squared());
    let r = pair!(k => Wide::product(&q[k].y, &zzz[k]).minus([(&p[k].y, 0)]).factor());
    let z = pair!(k => p[k].z.times(&h[k]));
    let v = pair!(k => Wide::product(&p[k].x, &hh[k]).reduced());
    let hhh = pair!(k => Wide::product(&h[k], &hh[k]).reduced());
    let x = pair!(k => Wide::square(&r[k]).minus([(&hhh[k], 0), (&v[k], 1)]).reduced());
    // −Y = r (X' − V) + Y H³, with two products in one reduction.
    let y = pair!(k => {
        Wide::product(&p[k].y, &hhh[k]).plus_product(&r[k], &x[k].minus(&v[k])).reduced()
    });
    *p = pair!(k => Jacobian { x: x[k], y: y[k], z: z[k] });
}
