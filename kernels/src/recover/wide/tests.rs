//! The arithmetic against k256, and the engine against [`recover_one`] and the oracle.

use k256::elliptic_curve::bigint::{NonZero, U256};
use k256::elliptic_curve::ops::Reduce as _;
use k256::elliptic_curve::{Field as _, PrimeField as _};
use k256::{ProjectivePoint, Scalar as KScalar};

use super::super::cpu::recover_one;
use super::super::tests::{Numbers, assert_oracle, edge_cases, random_batch, reduced};
use super::super::{Signature, Verdict};
use super::batch::invert_all;
use super::blinding::Blinding;
use super::field::{Factor, Fe, PRIME, Wide, square_roots};
use super::inverse::Words;
use super::point::{Affine, Jacobian, Sums, add_affine, double_affine};
use super::scalar::Scalar;
use super::*;
use crate::simd::lanes::{LANES, Lanes};

/// The proof, or says that the test is skipped.
fn proof() -> Option<Avx512> {
    let proof = Avx512::detect();
    if proof.is_none() {
        eprintln!("skipped: no AVX-512 IFMA");
    }
    proof
}

fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| proof().map(Engine::new)).as_ref()
}

fn fe(proof: Avx512, numbers: &[U256; LANES]) -> Fe {
    let words = numbers.map(|number| number.to_words());
    Fe::from_words(std::array::from_fn(|i| Lanes::load(proof, &words.map(|words| words[i]))))
}

fn numbers_of(fe: &Fe) -> [U256; LANES] {
    let words = fe.canonical().to_words().map(Lanes::to_array);
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

#[test]
fn field_arithmetic_matches_integers() {
    let Some(proof) = proof() else { return };
    let prime = prime();
    let rows = hard_numbers(31);
    for (i, a) in rows.iter().enumerate() {
        for b in [&rows[(i + 1) % rows.len()], &rows[(i * 7 + 3) % rows.len()], a] {
            let (x, y) = (fe(proof, a), fe(proof, b));
            let each = |what: &str, result: &Fe, expected: &dyn Fn(&U256, &U256) -> U256| {
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

#[test]
fn square_roots_square_to_what_they_are_of() {
    let Some(proof) = proof() else { return };
    for rows in hard_numbers(32).chunks_exact(4) {
        let squares: [Fe; 4] = std::array::from_fn(|k| Wide::square(&fe(proof, &rows[k])).reduced());
        // SAFETY: the proof.
        let roots = unsafe { square_roots(&squares.map(Fe::factor)) };
        for (square, root) in squares.iter().zip(roots) {
            assert_eq!(Wide::square(&root).reduced().equal(square), 0xff);
        }
    }
}

#[test]
fn zeros_in_a_batch_poison_nothing() {
    let Some(proof) = proof() else { return };
    let rows = hard_numbers(33);
    for len in [0, 1, 2, 3, 4, 5, 8, 9, 25] {
        let mut numbers: Vec<Factor> = rows[..len].iter().map(|row| fe(proof, row).factor()).collect();
        let before = numbers.clone();
        let (mut zeros, mut expected) = (Vec::new(), Vec::new());
        // SAFETY: the proof.
        unsafe { invert_all(&mut numbers, &mut Vec::new(), |index, lanes| zeros.push((index, lanes))) };
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
    reduced(&super::super::tests::word(lambda))
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

fn load(proof: Avx512, scalars: &[KScalar]) -> Scalar {
    let words: Vec<_> = scalars.iter().map(scalar_words).collect();
    Scalar::from_words(std::array::from_fn(|i| {
        Lanes::load(proof, &std::array::from_fn(|lane| words[lane][i]))
    }))
}

/// The numbers that digits make.
fn sum_of_digits(digits: impl Iterator<Item = super::scalar::Digit>, window: usize) -> [KScalar; LANES] {
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

#[test]
fn digits_of_comb_and_ladder_add_up_to_the_scalar() {
    let Some(proof) = proof() else { return };
    for scalars in hard_scalars(34).chunks_exact(LANES) {
        let loaded = load(proof, scalars);
        let odd = loaded.odd();
        let digits = (0..comb::DIGITS).map(|i| odd.digit::<12>(i, comb::DIGITS));
        assert_eq!(sum_of_digits(digits, 12), scalars, "comb");
        let halves = loaded.split();
        let [first, second] = [0, 1].map(|half| {
            let half: &super::scalar::Odd<3> = &halves[half];
            sum_of_digits((0..table::DIGITS).map(|i| half.digit::<5>(i, table::DIGITS)), 5)
        });
        let whole: [_; LANES] = std::array::from_fn(|lane| first[lane] + second[lane] * lambda());
        assert_eq!(whole, scalars, "ladder");
    }
}

#[test]
fn ratios_of_scalars_match_k256() {
    let Some(proof) = proof() else { return };
    let scalars = hard_scalars(35);
    let scalars: Vec<_> = scalars.into_iter().filter(|scalar| !bool::from(scalar.is_zero())).collect();
    let rows: Vec<_> = scalars.chunks_exact(LANES).collect();
    let mut inverses: Vec<_> = rows.iter().map(|row| load(proof, row)).collect();
    // SAFETY: the proof.
    unsafe { invert_all(&mut inverses, &mut Vec::new(), |_, _| unreachable!()) };
    for (i, (row, inverse)) in rows.iter().zip(inverses).enumerate() {
        let dividends = rows[(i + 5) % rows.len()];
        let ratios = load(proof, dividends).times(&inverse).canonical();
        for (lane, ratio) in (0..LANES).zip((0..LANES).map(|lane| rotated(&ratios, lane))) {
            assert_eq!(ratio, scalar_words(&(dividends[lane] * row[lane].invert().unwrap())));
        }
        let sum = load(proof, dividends).plus(&load(proof, row));
        for lane in 0..LANES {
            assert_eq!(rotated(&sum, lane), scalar_words(&(dividends[lane] + row[lane])));
        }
    }
}

fn rotated(scalar: &Scalar, lane: usize) -> Words {
    (0..lane).fold(*scalar, |scalar, _| scalar.rotate_lanes::<1>()).first_words()
}

fn affine(proof: Avx512, points: &[ProjectivePoint; LANES]) -> Affine {
    let rows = points.map(|point| {
        let [x, y] = comb::words(&point.to_affine());
        std::array::from_fn(|i| if i < 4 { x[i] } else { y[i - 4] })
    });
    Affine::from_rows(proof, std::array::from_fn(|lane| &rows[lane]))
}

fn assert_points(what: &str, point: &Affine, expected: &[ProjectivePoint; LANES]) {
    let rows = point.to_rows().map(Lanes::to_array);
    for (lane, (row, expected)) in rows.iter().zip(expected).enumerate() {
        assert_eq!(row.as_slice(), comb::words(&expected.to_affine()).as_flattened(), "{what}, lane {lane}");
    }
}

fn to_affine(point: &Jacobian) -> Affine {
    let mut inverse = [point.z];
    // SAFETY: tests hold a proof.
    unsafe { invert_all(&mut inverse, &mut Vec::new(), |_, _| panic!("a point at infinity")) };
    let square = inverse[0].squared();
    Affine {
        x: Wide::product(&point.x, &square).reduced(),
        y: Wide::product(&point.y, &square.times(&inverse[0])).reduced(),
    }
}

#[test]
fn sums_of_points_match_k256() {
    let Some(proof) = proof() else { return };
    let mut numbers = Numbers::new(36);
    for _ in 0..4 {
        let mut points = || std::array::from_fn(|_| ProjectivePoint::GENERATOR * numbers.scalar());
        let [p, q]: [[ProjectivePoint; LANES]; 2] = [points(), points()];
        let (a, b) = (affine(proof, &p), affine(proof, &q));
        let sum: [_; LANES] = std::array::from_fn(|lane| p[lane] + q[lane]);
        let double = p.map(|point| point.double());
        let mut inverses = [b.x.minus(&a.x), a.y.plus(&a.y)];
        // SAFETY: the proof.
        unsafe {
            invert_all(&mut inverses, &mut Vec::new(), |_, _| panic!("points differ"));
            let sums = add_affine([&a, &a], [&b, &b], [&inverses[0]; 2]);
            assert_points("affine sum", &sums[1], &sum);
            let doubles = double_affine([&a, &a], [&inverses[1]; 2]);
            assert_points("affine double", &doubles[0], &double);
            let mut sums = Sums::<2>::new(&a);
            sums.double_negated();
            assert_points("double", &to_affine(&sums.points[0]), &double.map(|point| -point));
            // −(−2p + q) = 2p − q.
            sums.add_negated(&[a, b]);
            let expected = std::array::from_fn(|lane| double[lane] - q[lane]);
            assert_points("sum", &to_affine(&sums.points[1]), &expected);
        }
    }
}

/// Runs batches through an engine and compares each verdict with that of libsecp256k1; says how many were redone.
fn assert_matches(engine: &Engine, what: &str, hashes: &[Word], signatures: &[Signature]) -> usize {
    let mut verdicts: Vec<Verdict> = vec![Err(Rejection::RecoveryIdOutOfRange); signatures.len()];
    let redone = engine.recover(&mut Workspace::default(), hashes, signatures, &mut verdicts);
    for (i, (hash, signature)) in hashes.iter().zip(signatures).enumerate() {
        assert_eq!(
            verdicts[i],
            recover_one(hash, signature),
            "{what}: item {i}, {hash:02x?}, {signature:02x?}"
        );
    }
    redone
}

#[test]
fn lanes_match_libsecp256k1_at_every_small_length() {
    let Some(engine) = engine() else { return };
    let (hashes, signatures) = random_batch(37, 80);
    for len in (0..=20).chain([31, 32, 33, 63, 64, 65, 80]) {
        // Each length starts elsewhere, so that each spoilt signature meets many lanes.
        let start = len % (80 - len + 1);
        let what = format!("seed 37, {start} + {len}");
        let range = start..start + len;
        assert_eq!(assert_matches(engine, &what, &hashes[range.clone()], &signatures[range]), 0, "{what}");
    }
}

#[test]
fn lanes_match_the_oracle_on_every_edge() {
    let Some(engine) = engine() else { return };
    let (hashes, signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    assert_eq!(assert_matches(engine, "edges", &hashes, &signatures), 0);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    assert_oracle("edges", &hashes, &signatures, &recover_with(engine, &batch));
}

#[test]
fn lanes_match_libsecp256k1_at_chunk_boundaries() {
    let Some(engine) = engine() else { return };
    let (hashes, signatures) = random_batch(38, 4097);
    let expected: Vec<_> =
        hashes.par_iter().zip(&signatures).map(|(hash, signature)| recover_one(hash, signature)).collect();
    for len in [255, 256, 257, 511, 512, 513, 1000, 4095, 4096, 4097] {
        let batch = Batch::new(Messages::Hashes(&hashes[..len]), &signatures[..len]).unwrap();
        let verdicts = recover_with(engine, &batch);
        assert_eq!(verdicts.len(), len);
        let wrong = (0..len).find(|&i| verdicts[i] != expected[i]);
        assert_eq!(wrong, None, "seed 38, batch of {len}");
    }
}

/// Signatures with hashes that they do not sign: they recover to keys that nobody has.
fn mismatched(seed: u64, len: usize) -> (Vec<Word>, Vec<Signature>) {
    let (_, signatures) = random_batch(seed, 512);
    let mut numbers = Numbers::new(seed + 1);
    ((0..len).map(|_| numbers.word()).collect(), signatures.into_iter().cycle().take(len).collect())
}

fn assert_large_batch(seed: u64, len: usize) {
    let Some(engine) = engine() else { return };
    let (hashes, signatures) = mismatched(seed, len);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let verdicts = recover_with(engine, &batch);
    let wrong =
        (0..len).into_par_iter().find_first(|&i| verdicts[i] != recover_one(&hashes[i], &signatures[i]));
    assert_eq!(wrong, None, "seed {seed}, batch of {len}");
}

#[test]
fn lanes_match_libsecp256k1_in_a_batch_of_16384() {
    assert_large_batch(44, 16_384);
}

#[test]
#[ignore = "takes ten seconds"]
fn lanes_match_libsecp256k1_in_a_batch_of_100000() {
    assert_large_batch(45, 100_000);
}

#[test]
fn payloads_are_hashed_in_lanes_first() {
    let Some(engine) = engine() else { return };
    let mut payloads = crate::keccak::PayloadsBuf::default();
    let (_, signatures) = random_batch(39, 70);
    for i in 0..signatures.len() {
        payloads.push(&vec![i.to_le_bytes()[0]; i * 13]).unwrap();
    }
    let payloads = payloads.as_payloads();
    let hashes: Vec<_> = payloads.iter().map(keccak::keccak256_one).collect();
    let batch = Batch::new(Messages::Payloads(payloads), &signatures).unwrap();
    let hashed = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    assert_eq!(recover_with(engine, &batch), recover_with(engine, &hashed));
}

/// Valid signatures of which the last addition is exceptional for an engine with a blinding of β: u2·R + 2^d·β·G and
/// what the comb takes off are opposite. With R = kG that is u2 k + 2^d β = −(−u1) − 2^d β.
fn aimed_at(beta: &KScalar, seed: u64, len: usize) -> (Vec<Word>, Vec<Signature>) {
    let mut numbers = Numbers::new(seed);
    let end = (0..table::DOUBLINGS).fold(*beta, |scalar, _| scalar + scalar);
    (0..len)
        .map(|_| {
            let (nonce, hash) = (numbers.scalar(), numbers.word());
            let [x, y] = comb::words(&(ProjectivePoint::GENERATOR * nonce).to_affine());
            let r = KScalar::reduce(&U256::from_words(x));
            // s k / r + 2^d β = −(z / r + 2^d β).
            let s = -(reduced(&hash) + (end + end) * r) * nonce.invert().unwrap();
            let recovery_id = u8::from(y[0] & 1 == 1);
            (hash, Signature { r: r.to_repr().into(), s: s.to_repr().into(), recovery_id })
        })
        .unzip()
}

#[test]
fn exceptions_that_know_the_blinding_are_redone_alone() {
    let Some(proof) = proof() else { return };
    let beta = Numbers::new(40).scalar();
    let known = Engine::with_blinding(proof, Blinding::new(&beta, table::DOUBLINGS));
    let (aimed_hashes, aimed) = aimed_at(&beta, 41, 40);
    assert_eq!(assert_matches(&known, "aimed", &aimed_hashes, &aimed), 40);
    // Their neighbours are not disturbed, and not redone.
    let (mut hashes, mut signatures) = random_batch(42, 100);
    for i in 0..40 {
        hashes[(i * i) % 100] = aimed_hashes[i];
        signatures[(i * i) % 100] = aimed[i];
    }
    let exceptions = signatures.iter().filter(|signature| aimed.contains(signature)).count();
    assert_eq!(assert_matches(&known, "mixed", &hashes, &signatures), exceptions);
    // Without the knowledge they are signatures like any.
    let Some(engine) = engine() else { return };
    assert_eq!(assert_matches(engine, "aimed at another", &aimed_hashes, &aimed), 0);
}

#[test]
fn equal_and_opposite_terms_take_no_slow_path() {
    let Some(engine) = engine() else { return };
    let mut numbers = Numbers::new(43);
    let (hashes, signatures): (Vec<_>, Vec<_>) = (0..64)
        .map(|i| {
            let (nonce, hash) = (numbers.scalar(), numbers.word());
            let [x, y] = comb::words(&(ProjectivePoint::GENERATOR * nonce).to_affine());
            let ratio = reduced(&hash) * nonce.invert().unwrap();
            let s = if i % 2 == 0 { ratio } else { -ratio };
            let r = U256::from_words(x).to_be_bytes().into();
            (hash, Signature { r, s: s.to_repr().into(), recovery_id: u8::from(y[0] & 1 == 1) })
        })
        .unzip();
    assert_eq!(assert_matches(engine, "s = ±z/k", &hashes, &signatures), 0);
    assert_eq!(recover_one(&hashes[0], &signatures[0]), Err(Rejection::Infinity));
    assert!(recover_one(&hashes[1], &signatures[1]).is_ok());
}

#[test]
fn chunks_are_equal_and_full() {
    assert_eq!(chunk_len(1, 2), 16);
    assert_eq!(chunk_len(33, 2), 32);
    assert_eq!(chunk_len(10_000, 1), 256);
    for len in 1..3000 {
        for threads in [1, 2, 3, 16] {
            let chunk = chunk_len(len, threads);
            assert!(chunk.is_multiple_of(CHUNK_LEN_STEP) && chunk <= CHUNK_LEN_MAX, "{len} on {threads}");
        }
    }
}
