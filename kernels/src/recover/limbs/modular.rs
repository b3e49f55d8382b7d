//! Arithmetic modulo 2^256 − c on rows of limbs.

use k256::elliptic_curve::bigint::{NonZero, U512};

use super::{Builder, Function, Kind, Layout, Value};

/// A modulus m = 2^256 − c, and what its functions are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus {
    /// Prefix of the functions.
    pub(super) prefix: &'static str,
    /// Name of the struct.
    pub(super) element: &'static str,
    /// c, in 64 hexadecimal digits.
    complement: &'static str,
}

impl Modulus {
    /// p = 2^256 − 2^32 − 977.
    pub(super) const FIELD: Self = Self {
        prefix: "fe",
        element: "Fe",
        complement: "00000000000000000000000000000000000000000000000000000001000003d1",
    };

    /// n, the order of the group.
    pub(super) const SCALAR: Self = Self {
        prefix: "sc",
        element: "Sc",
        complement: "000000000000000000000000000000014551231950b75fc4402da1732fc9bebf",
    };

    fn complement(self) -> U512 {
        U512::from_be_hex(&format!("{:0>128}", self.complement))
    }

    pub(super) fn value(self) -> U512 {
        U512::ONE.shl_vartime(256).wrapping_sub(&self.complement())
    }
}

/// Writes the functions of one modulus in one layout.
#[derive(Debug)]
pub(super) struct Arithmetic {
    pub(super) layout: Layout,
    pub(super) modulus: Modulus,
    /// 2^(limbs · bits) mod m: what a carry out of the top limb is worth.
    top_fold: Vec<u64>,
    /// 2^256 mod m = c.
    word_fold: Vec<u64>,
}

/// A term of a sum: which parameter, times what.
type Term = (usize, i64);

impl Arithmetic {
    pub(super) fn new(layout: Layout, modulus: Modulus) -> Self {
        let complement = modulus.complement();
        Self {
            layout,
            modulus,
            top_fold: layout.split(&complement.shl_vartime(layout.total_bits() - 256)),
            word_fold: layout.split(&complement),
        }
    }

    /// The functions that both moduli have.
    pub(super) fn common_functions(&self) -> Vec<Function> {
        vec![self.mul(), self.sqr(), self.sub(), self.neg(), self.of_words(), self.words(), self.words_weak()]
    }

    /// The functions of the field.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut functions = self.common_functions();
        functions.extend([
            self.sum("add", "a + b", &["a", "b"], &[(0, 1), (1, 1)]),
            self.sum("sub_twice", "a - 2b", &["a", "b"], &[(0, 1), (1, -2)]),
            self.sum("sub_and_twice", "a - b - 2c", &["a", "b", "c"], &[(0, 1), (1, -1), (2, -2)]),
            self.three_halves(),
        ]);
        functions
    }

    pub(super) fn builder(&self) -> Builder {
        Builder::new(self.layout.is_wide)
    }

    pub(super) fn function(
        &self,
        name: &str,
        doc: &'static str,
        parameters: Vec<(&'static str, Kind)>,
        result: Kind,
        builder: Builder,
        outputs: &[Value],
    ) -> Function {
        let program = builder.finish(outputs);
        if result == Kind::Element {
            let is_tight = program.output_maxima().all(|max| max <= self.layout.tight_max());
            assert!(is_tight, "{name} does not give a tight element");
        }
        Function { name: format!("{}_{name}", self.modulus.prefix), doc, parameters, result, program }
    }

    fn tight_input(&self, b: &mut Builder) -> Vec<Value> {
        (0..self.layout.limbs).map(|_| b.input(self.layout.tight_max())).collect()
    }

    pub(super) fn words_input(b: &mut Builder) -> Vec<Value> {
        (0..8).map(|_| b.input(u64::from(u32::MAX))).collect()
    }

    fn mul(&self) -> Function {
        let mut b = self.builder();
        let (x, y) = (self.tight_input(&mut b), self.tight_input(&mut b));
        let columns = if self.layout.is_wide {
            columns(&mut b, &x, &y)
        } else {
            karatsuba(&mut b, &[&x, &y], |b, factors| columns(b, factors[0], factors[1]))
        };
        let limbs = self.reduce(&mut b, columns);
        self.function(
            "mul",
            "a b",
            vec![("a", Kind::Element), ("b", Kind::Element)],
            Kind::Element,
            b,
            &limbs,
        )
    }

    fn sqr(&self) -> Function {
        let mut b = self.builder();
        let x = self.tight_input(&mut b);
        let columns = if self.layout.is_wide {
            square_columns(&mut b, &x)
        } else {
            karatsuba(&mut b, &[&x], |b, factors| square_columns(b, factors[0]))
        };
        let limbs = self.reduce(&mut b, columns);
        self.function("sqr", "a^2", vec![("a", Kind::Element)], Kind::Element, b, &limbs)
    }

    fn sub(&self) -> Function {
        self.sum("sub", "a - b", &["a", "b"], &[(0, 1), (1, -1)])
    }

    fn neg(&self) -> Function {
        self.sum("neg", "-a", &["a"], &[(0, -1)])
    }

    /// A sum of multiples of the parameters, which stay below 2^32 together.
    fn sum(&self, name: &str, doc: &'static str, parameters: &[&'static str], terms: &[Term]) -> Function {
        let mut b = self.builder();
        let inputs: Vec<_> = parameters.iter().map(|_| self.tight_input(&mut b)).collect();
        let taken: u64 = terms.iter().filter(|term| term.1 < 0).map(|term| term.1.unsigned_abs()).sum();
        let bias =
            if taken == 0 { vec![0; self.layout.limbs] } else { self.bias(taken * self.layout.tight_max()) };
        let limbs = (0..self.layout.limbs).map(|k| {
            let mut limb = b.constant(bias[k]);
            for &(input, factor) in terms.iter().filter(|term| term.1 < 0) {
                let term = b.times(inputs[input][k], factor.unsigned_abs());
                limb = b.sub(limb, term);
            }
            for &(input, factor) in terms.iter().filter(|term| term.1 > 0) {
                let term = b.times(inputs[input][k], factor.unsigned_abs());
                limb = b.add(limb, term);
            }
            limb
        });
        let limbs: Vec<_> = limbs.collect();
        let limbs = self.tighten(&mut b, limbs, Carry::Parallel);
        let parameters = parameters.iter().map(|&name| (name, Kind::Element)).collect();
        self.function(name, doc, parameters, Kind::Element, b, &limbs)
    }

    /// A multiple of m of which every limb is at least `least`.
    fn bias(&self, least: u64) -> Vec<u64> {
        let limb = U512::from_u64(least + (1 << self.layout.bits));
        let places = 0..u32::try_from(self.layout.limbs).expect("few limbs");
        let total =
            places.fold(U512::ZERO, |sum, k| sum.wrapping_add(&limb.shl_vartime(self.layout.bits * k)));
        let modulus = NonZero::new(self.modulus.value()).expect("not zero");
        let mut excess = self.layout.split(&total.rem_vartime(&modulus));
        excess.resize(self.layout.limbs, 0);
        excess.iter().map(|excess| least + (1 << self.layout.bits) - excess).collect()
    }

    /// 3a/2: of a and a + p one is even.
    fn three_halves(&self) -> Function {
        let Layout { bits, limbs, .. } = self.layout;
        let mut b = self.builder();
        let x = self.tight_input(&mut b);
        let modulus = self.layout.split(&self.modulus.value());
        let zero = b.constant(0);
        // 3a is odd just when a is, and the other limbs weigh an even number.
        let is_odd = b.and(x[0], 1);
        let even: Vec<_> = x
            .iter()
            .zip(&modulus)
            .map(|(&limb, &m)| {
                let m = b.constant(m);
                let m = b.select(m, zero, is_odd);
                let limb = b.times(limb, 3);
                b.add(limb, m)
            })
            .collect();
        let halves = (0..limbs).map(|k| {
            let half = b.shift_right(even[k], 1);
            let Some(&above) = even.get(k + 1) else { return half };
            let lowest = b.and(above, 1);
            let carried = b.times(lowest, 1 << (bits - 1));
            b.add(half, carried)
        });
        let halves: Vec<_> = halves.collect();
        let limbs = self.tighten(&mut b, halves, Carry::Parallel);
        self.function("three_halves", "3a / 2", vec![("a", Kind::Element)], Kind::Element, b, &limbs)
    }

    fn of_words(&self) -> Function {
        let mut b = self.builder();
        let words = Self::words_input(&mut b);
        let limbs = self.limbs_of_words(&mut b, &words);
        self.function("from_words", "Any 256 bits.", vec![("a", Kind::Words)], Kind::Element, b, &limbs)
    }

    fn words(&self) -> Function {
        let mut b = self.builder();
        let x = self.tight_input(&mut b);
        let limbs = self.below_2_256(&mut b, x);
        // v + c reaches 2^256 just when v reaches m, and then leaves v - m below it.
        let mut shifted = limbs.clone();
        for (limb, &c) in shifted.iter_mut().zip(&self.word_fold) {
            let c = b.constant(c);
            *limb = b.add(*limb, c);
        }
        self.carry_exactly(&mut b, &mut shifted);
        let top = shifted[self.layout.limbs - 1];
        let reaches = b.shift_right(top, self.layout.top_bits());
        shifted[self.layout.limbs - 1] = b.and(top, (1 << self.layout.top_bits()) - 1);
        let limbs: Vec<_> =
            shifted.iter().zip(&limbs).map(|(&less, &same)| b.select(less, same, reaches)).collect();
        let words = self.words_of_limbs(&mut b, &limbs);
        self.function("words", "a, fully reduced.", vec![("a", Kind::Element)], Kind::Words, b, &words)
    }

    fn words_weak(&self) -> Function {
        let mut b = self.builder();
        let x = self.tight_input(&mut b);
        let limbs = self.below_2_256(&mut b, x);
        let words = self.words_of_limbs(&mut b, &limbs);
        self.function("words_weak", "a or a + m.", vec![("a", Kind::Element)], Kind::Words, b, &words)
    }

    pub(super) fn limbs_of_words(&self, b: &mut Builder, words: &[Value]) -> Vec<Value> {
        let Layout { limbs, bits, .. } = self.layout;
        (0_u32..).take(limbs).map(|k| gather(b, words, 32, bits * k, bits)).collect()
    }

    pub(super) fn words_of_limbs(&self, b: &mut Builder, limbs: &[Value]) -> Vec<Value> {
        (0..8).map(|word| gather(b, limbs, self.layout.bits, 32 * word, 32)).collect()
    }

    /// From columns of a product to a tight element.
    fn reduce(&self, b: &mut Builder, mut columns: Vec<Value>) -> Vec<Value> {
        let limbs = self.layout.limbs;
        // While the high part is long, carries of the low part would only have to be done again.
        while columns.len() > limbs + 2 {
            let high = columns.split_off(limbs);
            let high = self.carry_up(b, high);
            self.fold(b, &mut columns, &high);
        }
        while columns.len() > limbs {
            columns = self.carry_up(b, columns);
            let high = columns.split_off(limbs);
            self.fold(b, &mut columns, &high);
        }
        self.tighten(b, columns, Carry::Serial)
    }

    /// Exact limbs out of columns, but for the last, which may have two bits more.
    fn carry_up(&self, b: &mut Builder, mut columns: Vec<Value>) -> Vec<Value> {
        let mut k = 0;
        while k < columns.len() {
            let is_last = k + 1 == columns.len();
            let column = columns[k];
            if column.max > self.layout.mask() && !(is_last && column.max >> (self.layout.bits + 2) == 0) {
                let high = b.shift_right(column, self.layout.bits);
                columns[k] = b.and(column, self.layout.mask());
                if is_last {
                    columns.push(high);
                } else {
                    columns[k + 1] = b.add(columns[k + 1], high);
                }
            }
            k += 1;
        }
        columns
    }

    /// Adds what columns above the top limb are worth, which may make a few columns again.
    fn fold(&self, b: &mut Builder, columns: &mut Vec<Value>, high: &[Value]) {
        for (i, &limb) in high.iter().enumerate() {
            for (j, &factor) in self.top_fold.iter().enumerate().filter(|(_, factor)| **factor != 0) {
                let product = b.times(limb, factor);
                while columns.len() <= i + j {
                    columns.push(b.constant(0));
                }
                columns[i + j] = b.add(columns[i + j], product);
            }
        }
    }

    /// Carries until every limb is tight.
    fn tighten(&self, b: &mut Builder, mut limbs: Vec<Value>, carry: Carry) -> Vec<Value> {
        let Layout { bits, .. } = self.layout;
        for _ in 0..8 {
            if limbs.iter().all(|limb| limb.max <= self.layout.tight_max()) {
                return limbs;
            }
            let before = limbs.clone();
            let mut carried = b.constant(0);
            for k in 0..limbs.len() {
                let arrived = b.add(limbs[k], carried);
                let split = if carry == Carry::Serial { arrived } else { before[k] };
                if split.max > self.layout.tight_max() {
                    let low = b.and(split, self.layout.mask());
                    limbs[k] = if carry == Carry::Serial { low } else { b.add(low, carried) };
                    carried = b.shift_right(split, bits);
                } else {
                    limbs[k] = arrived;
                    carried = b.constant(0);
                }
            }
            for (k, &factor) in self.top_fold.iter().enumerate() {
                if carried.max > 0 && factor > 0 {
                    let product = b.times(carried, factor);
                    limbs[k] = b.add(limbs[k], product);
                }
            }
        }
        panic!("the limbs do not get tight: {limbs:?}")
    }

    /// Exact limbs of a value below 2^256 that is congruent to tight limbs.
    fn below_2_256(&self, b: &mut Builder, mut limbs: Vec<Value>) -> Vec<Value> {
        let top = self.layout.limbs - 1;
        let top_mask = (1 << self.layout.top_bits()) - 1;
        self.carry_exactly(b, &mut limbs);
        for round in 0..2 {
            let over = b.shift_right(limbs[top], self.layout.top_bits());
            limbs[top] = b.and(limbs[top], top_mask);
            for (k, &factor) in self.word_fold.iter().enumerate().filter(|(_, factor)| **factor != 0) {
                let product = b.times(over, factor);
                limbs[k] = b.add(limbs[k], product);
            }
            if round == 0 {
                self.carry_exactly(b, &mut limbs);
            }
        }
        // The first round left less than 2^256 + 2^6 c. If the second found bit 256 set, less than 2^6 c + c is left, so
        // that carries end a limb above those of c; if not, nothing was added and nothing is carried.
        let end = self.word_fold.len() + 1;
        self.carry_exactly(b, &mut limbs[..=end]);
        limbs[end] = b.assume_at_most(limbs[end], self.layout.mask());
        limbs[top] = b.assume_at_most(limbs[top], top_mask);
        limbs
    }

    /// Exact limbs, but for the top one, which takes what is over.
    pub(super) fn carry_exactly(&self, b: &mut Builder, limbs: &mut [Value]) {
        for k in 0..limbs.len() - 1 {
            if limbs[k].max > self.layout.mask() {
                let high = b.shift_right(limbs[k], self.layout.bits);
                limbs[k] = b.and(limbs[k], self.layout.mask());
                limbs[k + 1] = b.add(limbs[k + 1], high);
            }
        }
    }
}

/// In which order limbs are made tight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carry {
    /// From the lowest up, each with what the one below hands on: for large carries.
    Serial,
    /// All at once: for carries so small that they do not make the next limb loose.
    Parallel,
}

/// Columns of a product: column k sums x\[i\] y\[j\] with i + j = k. One column after the other, so that few values are
/// alive at a time.
pub(super) fn columns(b: &mut Builder, x: &[Value], y: &[Value]) -> Vec<Value> {
    (0..x.len() + y.len() - 1)
        .map(|k| {
            (k.saturating_sub(y.len() - 1)..=k.min(x.len() - 1)).fold(b.constant(0), |sum, i| {
                let product = b.mul(x[i], y[k - i]);
                b.add(sum, product)
            })
        })
        .collect()
}

/// Columns of a square.
fn square_columns(b: &mut Builder, x: &[Value]) -> Vec<Value> {
    let twice: Vec<_> = x.iter().map(|&limb| b.times(limb, 2)).collect();
    let columns = (0..2 * x.len() - 1).map(|k| {
        (k.saturating_sub(x.len() - 1)..=k / 2).fold(b.constant(0), |sum, i| {
            let product = b.mul(if 2 * i == k { x[i] } else { twice[i] }, x[k - i]);
            b.add(sum, product)
        })
    });
    columns.collect()
}

/// Columns of a product or a square from those of three of half the size for four (Karatsuba and Ofman 1962), for an even
/// number of limbs. `factors` are the two factors, or the one of a square, as `columns` takes them.
fn karatsuba(
    b: &mut Builder,
    factors: &[&[Value]],
    columns: impl Fn(&mut Builder, &[&[Value]]) -> Vec<Value>,
) -> Vec<Value> {
    let half = factors[0].len() / 2;
    let parts =
        |part: fn(&[Value]) -> &[Value]| factors.iter().map(|factor| part(factor)).collect::<Vec<_>>();
    let low = columns(b, &parts(|factor| &factor[..factor.len() / 2]));
    let high = columns(b, &parts(|factor| &factor[factor.len() / 2..]));
    let folded: Vec<Vec<_>> = factors
        .iter()
        .map(|factor| (0..half).map(|i| b.add(factor[i], factor[half + i])).collect())
        .collect();
    let all = columns(b, &folded.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let middle: Vec<_> = (0..all.len())
        .map(|k| {
            // (x0 + x1)(y0 + y1) - x0 y0 - x1 y1 is x0 y1 + x1 y0, column by column, each like low and high.
            let outer = b.add(low[k], high[k]);
            b.sub_within(all[k], outer, low[k].max + high[k].max)
        })
        .collect();
    (0..4 * half - 1)
        .map(|k| {
            let of = |part: &[Value], start: usize| k.checked_sub(start).and_then(|k| part.get(k)).copied();
            let parts = [of(&low, 0), of(&middle, half), of(&high, 2 * half)];
            parts.into_iter().flatten().fold(b.constant(0), |sum, part| b.add(sum, part))
        })
        .collect()
}

/// Bits `start..start + count` of a number in exact limbs of `bits` bits; what lies beyond the last limb is 0.
pub(super) fn gather(b: &mut Builder, limbs: &[Value], bits: u32, start: u32, count: u32) -> Value {
    let mut gathered = b.constant(0);
    for (limb, low) in limbs.iter().zip((0..).step_by(bits as usize)) {
        let (from, to) = (start.max(low), (start + count).min(low + bits));
        if from >= to {
            continue;
        }
        let piece = b.shift_right(*limb, from - low);
        let piece = b.and(piece, (1 << (to - from)) - 1);
        let piece = b.times(piece, 1 << (from - start));
        gathered = b.or(gathered, piece);
    }
    gathered
}
