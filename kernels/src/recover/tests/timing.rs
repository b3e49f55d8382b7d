//! What a batch costs must not depend on who made it.

use std::time::{Duration, Instant};

use super::*;
use crate::simd::Backend;

/// Signatures of a batch: one chunk, that takes less than a busy machine leaves a thread in peace for.
const LEN: usize = 64;
/// Turns that each batch has.
const TURNS: usize = 41;
/// Measurements, of which one must be within bounds: the machine may do other things meanwhile.
const ATTEMPTS: usize = 8;

type Signed = (Vec<Word>, Vec<Signature>);

/// Valid signatures.
fn honest() -> Signed {
    let mut numbers = Numbers::new(61);
    (0..LEN)
        .map(|_| {
            let hash = numbers.word();
            (hash, sign(&numbers.scalar(), &numbers.scalar(), &hash).unwrap())
        })
        .unzip()
}

/// R = kG and s = −z/k: both terms of the key are equal, and a sum of the one and the other is exceptional.
fn exceptional() -> Signed {
    let mut numbers = Numbers::new(62);
    (0..LEN)
        .map(|_| {
            let (hash, nonce) = (numbers.word(), numbers.scalar());
            // A key of −2z/r makes s = (z + r · key) / k that.
            let r = reduced(&sign(&Scalar::ONE, &nonce, &hash).unwrap().r);
            let key = -(reduced(&hash) + reduced(&hash)) * r.invert().unwrap();
            (hash, sign(&key, &nonce, &hash).unwrap())
        })
        .unzip()
}

/// No r is the x-coordinate of a point.
fn garbage() -> Signed {
    let mut numbers = Numbers::new(63);
    (0..LEN)
        .map(|_| {
            let hash = numbers.word();
            let mut signature = sign(&Scalar::ONE, &Scalar::ONE, &hash).unwrap();
            while recover_one(&hash, &signature) != Err(Rejection::NotOnCurve) {
                signature.r = numbers.word();
            }
            (hash, signature)
        })
        .unzip()
}

/// The least times of batches that take turns on one thread. What interrupts only adds.
fn least_times<const N: usize>(backend: Backend, batches: [&Signed; N]) -> [Duration; N] {
    let mut least = [Duration::MAX; N];
    for _ in 0..TURNS {
        for (least, (hashes, signatures)) in least.iter_mut().zip(batches) {
            let batch = Batch::new(Messages::Hashes(hashes), signatures).unwrap();
            let start = Instant::now();
            std::hint::black_box(recover_on(backend, &batch));
            *least = start.elapsed().min(*least);
        }
    }
    least
}

/// Fails if a batch takes more than `most` times an honest one, each time it is measured.
fn assert_costs(what: &str, batch: &Signed, most: f64) {
    let (honest, pool) = (honest(), rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap());
    for backend in Backend::available() {
        let ratios = (0..ATTEMPTS).map(|_| {
            let [honest, other] = pool.install(|| least_times(backend, [&honest, batch]));
            other.as_secs_f64() / honest.as_secs_f64()
        });
        let mut seen = Vec::new();
        let is_within = ratios.inspect(|&ratio| seen.push(ratio)).any(|ratio| ratio <= most);
        println!("{}: {what} take {:.2} times as long as honest ones", backend.name(), seen[seen.len() - 1]);
        assert!(is_within, "{}: {what} take {seen:.2?} times as long as honest ones", backend.name());
    }
}

#[test]
#[ignore = "measures time, for seconds"]
fn a_batch_of_exceptional_signatures_costs_what_an_honest_one_does() {
    let exceptional = exceptional();
    assert!(
        exceptional
            .0
            .iter()
            .zip(&exceptional.1)
            .all(|(hash, signature)| recover_one(hash, signature).is_ok())
    );
    assert_costs("signatures with s = -z/k", &exceptional, 1.1);
}

#[test]
#[ignore = "measures time, for seconds"]
fn a_batch_of_garbage_costs_less_than_half_of_an_honest_one() {
    assert_costs("signatures without a point", &garbage(), 0.5);
}
