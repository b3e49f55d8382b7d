//! The arithmetic of the lanes against k256.

use k256::elliptic_curve::bigint::{NonZero, U256};
use k256::elliptic_curve::{Field as _, PrimeField as _};
use k256::{ProjectivePoint, Scalar as KScalar};

use super::super::tests::{Numbers, reduced, word};
use super::compiled::{self, invert_all};
use super::field::{Factor, Fe, PRIME, Wide};
use super::inverse::Words;
use super::multiplier::Multiplier;
use super::point::{Affine, Jacobian, Sums, add_affine, double_affine};
use super::scalar::{Digit, Odd, Scalar};
use super::{comb, table};
use crate::simd::lanes::{LANES, Lanes, test_on_all_lanes};

test_on_all_lanes! {
    field_arithmetic_matches_integers;
    square_roots_square_to_what_they_are_of;
    zeros_in_a_batch_poison_nothing;
    digits_of_comb_and_ladder_add_up_to_the_scalar;
    ratios_of_scalars_match_k256;
    sums_of_points_match_k256;
}

fn fe<L: Multiplier>(proof: L::Proof, numbers: &[U256; LANES]) -> Fe<L> {
    let words = numbers.map(|number| number.to_words());
    Fe::from_words(std::array::from_fn(|i| L::load(proof, &words.map(|words| words[i]))))
}

fn numbers_of<L: Multiplier>(fe: &Fe<L>) -> [U256; LANES] {
    let words = fe.canonical().to_words().map(L::to_array);
    std::array::from_fn(|lane| U256::from_words(std::array::from_fn(|i| words[i][lane])))
}

fn prime() -> NonZero<U256> {
    NonZero::new(U256::from_words(PRIME)).unwrap()
}

/// Numbers below 2^256 that stress carries, then random ones: eight at a time.
fn hard_numbers(seed: u64) -> Vec<[U256; LANES]> {
    let mut random = Numbers::new(seed);
    let prime = prime().get();
    let mut hard = vec![U256::ZERO, U256::ONE, U256::MAX, prime, prime.wrapping_sub(&U256::ONE)];
    hard.push(prime.wrapping_add(&U256::ONE));
    for bit in [1, 47, 48, 51, 52, 53, 63, 64, 103, 104, 155, 156, 207, 208, 255] {
        hard.push(U256::ONE.shl_vartime(bit));
        hard.push(U256::MAX.shr_vartime(bit));
        hard.push(prime.wrapping_sub(&U256::ONE.shl_vartime(bit)));
    }
    hard.resize_with(hard.len() + 200, || U256::from_be_slice(&random.word()));
    hard.chunks_exact(LANES).map(|numbers| numbers.try_into().unwrap()).collect()
}

fn field_arithmetic_matches_integers<L: Multiplier>(proof: L::Proof) {
    let prime = prime();
    let rows = hard_numbers(31);
    for (i, a) in rows.iter().enumerate() {
        for b in [&rows[(i + 1) % rows.len()], &rows[(i * 7 + 3) % rows.len()], a] {
            let (x, y) = (fe::<L>(proof, a), fe::<L>(proof, b));
            let each = |what: &str, result: &Fe<L>, expected: &dyn Fn(&U256, &U256) -> U256| {
                for (lane, number) in numbers_of(result).iter().enumerate() {
                    assert_eq!(
                        *number,
                        expected(&a[lane], &b[lane]),
                        "{what} of {:?}, {:?}",
                        a[lane],
                        b[lane]
                    );
                }
            };
            let times = |a: &U256, b: &U256| a.mul_mod_vartime(b, &prime);
            let plus = |a: &U256, b: &U256| a.rem_vartime(&prime).add_mod(&b.rem_vartime(&prime), &prime);
            let minus = |a: &U256, b: &U256| a.rem_vartime(&prime).sub_mod(&b.rem_vartime(&prime), &prime);
            each("product", &Wide::product(&x, &y).reduced(), &times);
            each("square", &Wide::square(&x).reduced(), &|a, _| times(a, a));
            each("factor", &x.factor().times(&y).below_2_256(), &times);
            each(
                "product of sum and difference",
                &Wide::product(&x.plus(&y), &x.minus(&y)).reduced(),
                &|a, b| minus(&times(a, a), &times(b, b)),
            );
            each("twice", &Wide::product(&x, &y).factor_twice().below_2_256(), &|a, b| {
                plus(&times(a, b), &times(a, b))
            });
            each("thrice", &Wide::square(&x).factor_thrice().below_2_256(), &|a, _| {
                times(&times(a, a), &U256::from_u64(3))
            });
            each("sum of products", &Wide::square(&x).doubled().plus_product(&x, &y).reduced(), &|a, b| {
                times(a, &plus(&plus(a, a), b))
            });
            each(
                "product less elements",
                &Wide::product(&x, &y).minus([(&x, 0), (&y, 1)]).reduced(),
                &|a, b| minus(&minus(&times(a, b), a), &plus(b, b)),
            );
            each("product less four", &Wide::product(&x, &y).minus([(&y, 2)]).reduced(), &|a, b| {
                minus(&times(a, b), &times(b, &U256::from_u64(4)))
            });
            each("difference", &x.minus(&y).below_2_256(), &minus);
            each("difference of twice", &x.minus_twice(&y).below_2_256(), &|a, b| minus(&minus(a, b), b));
            each("negative", &x.canonical().negated_where(0xff), &|a, _| minus(&U256::ZERO, a));
            let equal = (0..LANES).fold(0, |mask, lane| {
                mask | u8::from(a[lane].rem_vartime(&prime) == b[lane].rem_vartime(&prime)) << lane
            });
            assert_eq!(x.equal(&y), equal);
        }
    }
}

fn square_roots_square_to_what_they_are_of<L: Multiplier>(proof: L::Proof) {
    for rows in hard_numbers(32).chunks_exact(4) {
        let squares: [Fe<L>; 4] = std::array::from_fn(|k| Wide::square(&fe(proof, &rows[k])).reduced());
        let roots = compiled::square_roots(proof, &squares.map(Fe::factor));
        for (square, root) in squares.iter().zip(roots) {
            assert_eq!(Wide::square(&root).reduced().equal(square), 0xff);
        }
    }
}

fn zeros_in_a_batch_poison_nothing<L: Multiplier>(proof: L::Proof) {
    let rows = hard_numbers(33);
    for len in [0, 1, 2, 3, 4, 5, 8, 9, 25] {
        let mut numbers: Vec<Factor<L>> = rows[..len].iter().map(|row| fe(proof, row).factor()).collect();
        let before = numbers.clone();
        let (mut zeros, mut expected) = (Vec::new(), Vec::new());
        invert_all(proof, &mut numbers, &mut Vec::new(), |index, lanes| zeros.push((index, lanes)));
        for (index, (number, inverse)) in before.iter().zip(numbers).enumerate() {
            let zero = number.below_2_256().is_zero();
            if zero != 0 {
                expected.push((index, zero));
            }
            let product = Wide::product(number, &inverse).reduced();
            let one = Fe::splat(proof, [1, 0, 0, 0]);
            assert_eq!(product.equal(&one), !zero, "number {index} of {len}");
            assert_eq!(inverse.below_2_256().equal(&one) & zero, zero);
        }
        assert_eq!(zeros, expected, "{len}");
    }
}

fn scalar_words(scalar: &KScalar) -> Words {
    U256::from_be_slice(&scalar.to_repr()).to_words()
}

fn lambda() -> KScalar {
    let lambda = "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72";
    reduced(&word(lambda))
}

/// Scalars that stress carries and the lattice, then random ones.
fn hard_scalars(seed: u64) -> Vec<KScalar> {
    let mut random = Numbers::new(seed);
    let mut scalars: Vec<_> = (0..40_u64).map(KScalar::from).collect();
    let two = KScalar::from(2_u64);
    for bit in [51, 52, 63, 64, 103, 104, 127, 128, 129, 155, 156, 208, 252, 255] {
        scalars.push(two.pow_vartime([bit]));
        scalars.push(two.pow_vartime([bit]) - KScalar::ONE);
        scalars.push(two.pow_vartime([bit]) * lambda());
    }
    scalars.extend([lambda(), lambda().square(), lambda() + KScalar::ONE, two.invert().unwrap()]);
    scalars.extend(scalars.clone().iter().map(|scalar| -scalar));
    scalars.resize_with(scalars.len().next_multiple_of(LANES) + 400, || random.scalar());
    scalars
}

fn load<L: Lanes>(proof: L::Proof, scalars: &[KScalar]) -> Scalar<L> {
    let words: Vec<_> = scalars.iter().map(scalar_words).collect();
    Scalar::from_words(std::array::from_fn(|i| L::load(proof, &std::array::from_fn(|lane| words[lane][i]))))
}

/// The numbers that digits make.
fn sum_of_digits<L: Lanes>(digits: impl Iterator<Item = Digit<L>>, window: usize) -> [KScalar; LANES] {
    let mut sums = [KScalar::ZERO; LANES];
    let mut weight = KScalar::ONE;
    for digit in digits {
        let index = digit.index.to_array();
        for (lane, sum) in sums.iter_mut().enumerate() {
            assert!(index[lane] < 1 << (window - 1));
            let magnitude = KScalar::from(2 * index[lane] + 1) * weight;
            *sum += if digit.is_negative >> lane & 1 == 1 { -magnitude } else { magnitude };
        }
        weight *= KScalar::from(1_u64 << window);
    }
    sums
}

fn digits_of_comb_and_ladder_add_up_to_the_scalar<L: Multiplier>(proof: L::Proof) {
    for scalars in hard_scalars(34).chunks_exact(LANES) {
        let loaded = load::<L>(proof, scalars);
        let odd = loaded.odd();
        let digits = (0..comb::DIGITS).map(|i| odd.digit::<12>(i, comb::DIGITS));
        assert_eq!(sum_of_digits(digits, 12), scalars, "comb");
        let halves = loaded.split();
        let [first, second] = [0, 1].map(|half| {
            let half: &Odd<L, 3> = &halves[half];
            sum_of_digits((0..table::DIGITS).map(|i| half.digit::<5>(i, table::DIGITS)), 5)
        });
        let whole: [_; LANES] = std::array::from_fn(|lane| first[lane] + second[lane] * lambda());
        assert_eq!(whole, scalars, "ladder");
    }
}

fn ratios_of_scalars_match_k256<L: Multiplier>(proof: L::Proof) {
    let scalars = hard_scalars(35);
    let scalars: Vec<_> = scalars.into_iter().filter(|scalar| !bool::from(scalar.is_zero())).collect();
    let rows: Vec<_> = scalars.chunks_exact(LANES).collect();
    let mut inverses: Vec<_> = rows.iter().map(|row| load::<L>(proof, row)).collect();
    invert_all(proof, &mut inverses, &mut Vec::new(), |_, _| unreachable!());
    for (i, (row, inverse)) in rows.iter().zip(inverses).enumerate() {
        let dividends = rows[(i + 5) % rows.len()];
        let ratios = load::<L>(proof, dividends).times(&inverse).canonical();
        for (lane, ratio) in (0..LANES).zip((0..LANES).map(|lane| rotated(&ratios, lane))) {
            assert_eq!(ratio, scalar_words(&(dividends[lane] * row[lane].invert().unwrap())));
        }
        let sum = load::<L>(proof, dividends).plus(&load::<L>(proof, row));
        for lane in 0..LANES {
            assert_eq!(rotated(&sum, lane), scalar_words(&(dividends[lane] + row[lane])));
        }
    }
}

fn rotated<L: Lanes>(scalar: &Scalar<L>, lane: usize) -> Words {
    (0..lane).fold(*scalar, |scalar, _| scalar.rotate_lanes::<1>()).first_words()
}

fn affine<L: Multiplier>(proof: L::Proof, points: &[ProjectivePoint; LANES]) -> Affine<L> {
    let rows = points.map(|point| {
        let [x, y] = comb::words(&point.to_affine());
        std::array::from_fn(|i| if i < 4 { x[i] } else { y[i - 4] })
    });
    Affine::from_rows(proof, std::array::from_fn(|lane| &rows[lane]))
}

fn assert_points<L: Multiplier>(what: &str, point: &Affine<L>, expected: &[ProjectivePoint; LANES]) {
    let rows = point.to_rows().map(L::to_array);
    for (lane, (row, expected)) in rows.iter().zip(expected).enumerate() {
        assert_eq!(row.as_slice(), comb::words(&expected.to_affine()).as_flattened(), "{what}, lane {lane}");
    }
}

fn to_affine<L: Multiplier>(point: &Jacobian<L>) -> Affine<L> {
    let mut inverse = [point.z];
    invert_all(point.x.proof(), &mut inverse, &mut Vec::new(), |_, _| panic!("a point at infinity"));
    let square = inverse[0].squared();
    Affine {
        x: Wide::product(&point.x, &square).reduced(),
        y: Wide::product(&point.y, &square.times(&inverse[0])).reduced(),
    }
}

fn sums_of_points_match_k256<L: Multiplier>(proof: L::Proof) {
    let mut numbers = Numbers::new(36);
    for _ in 0..4 {
        let mut points = || std::array::from_fn(|_| ProjectivePoint::GENERATOR * numbers.scalar());
        let [p, q]: [[ProjectivePoint; LANES]; 2] = [points(), points()];
        let (a, b) = (affine::<L>(proof, &p), affine::<L>(proof, &q));
        let sum: [_; LANES] = std::array::from_fn(|lane| p[lane] + q[lane]);
        let double = p.map(|point| point.double());
        let mut inverses = [b.x.minus(&a.x), a.y.plus(&a.y)];
        {
            invert_all(proof, &mut inverses, &mut Vec::new(), |_, _| panic!("points differ"));
            let sums = add_affine([&a, &a], [&b, &b], [&inverses[0]; 2]);
            assert_points("affine sum", &sums[1], &sum);
            let doubles = double_affine([&a, &a], [&inverses[1]; 2]);
            assert_points("affine double", &doubles[0], &double);
            let mut sums = Sums::<L, 2>::new(&a);
            compiled::double_negated(proof, &mut sums);
            assert_points("double", &to_affine(&sums.points[0]), &double.map(|point| -point));
            // −(−2p + q) = 2p − q.
            compiled::add_negated(proof, &mut sums, &[a, b]);
            let expected = std::array::from_fn(|lane| double[lane] - q[lane]);
            assert_points("sum", &to_affine(&sums.points[1]), &expected);
        }
    }
}
