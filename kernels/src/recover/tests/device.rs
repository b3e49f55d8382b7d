//! The kernel on an adapter, in both integer forms.

use std::sync::OnceLock;

use k256::U256;

use super::*;
use crate::gpu::tests::device_in_form;
use crate::gpu::{Device, DeviceError, DeviceKernel as _, DeviceOptions, IntegerForm, Pipeline, Tuning};
use crate::keccak::{KeccakKernel, PAYLOAD_LEN_MAX};
use crate::recover::curve::{self, Blinding, CombWindow};
use crate::recover::{HalfWindow, Hints, RecoverKernel, limbs};
use crate::registry;

/// What all tests of a form share: compiling takes seconds on a software adapter.
pub(super) struct Bench {
    pub(super) device: Device,
    pub(super) kernel: RecoverKernel,
    keccak: KeccakKernel,
    pipelines: Vec<Pipeline>,
}

/// `None` says that there is no adapter.
pub(super) fn bench(form: IntegerForm) -> Option<&'static Bench> {
    static BENCHES: [OnceLock<Option<Bench>>; 2] = [const { OnceLock::new() }; 2];
    let bench = BENCHES[usize::from(form == IntegerForm::U64)].get_or_init(|| {
        let device = device_in_form(form)?;
        let pipelines = device.compile(&RecoverKernel::shaders(form, Tuning::default())).unwrap();
        let kernel = RecoverKernel::new(&device, pipelines.clone()).unwrap();
        let keccak = registry::ready::<KeccakKernel>(&device).unwrap();
        Some(Bench { device, kernel, keccak, pipelines })
    });
    bench.as_ref()
}

/// Recovers on the device; the number of items that it gave up must be as expected.
fn on_device(bench: &Bench, hashes: &[Word], signatures: &[Signature], redone: usize) -> Vec<Verdict> {
    let batch = Batch::new(Messages::Hashes(hashes), signatures).unwrap();
    let answer = bench.kernel.recover(&bench.device, None, &batch).unwrap();
    assert_eq!(answer.redone, redone, "given up by the device, of {}", signatures.len());
    answer.verdicts
}

fn infinities(hashes: &[Word], signatures: &[Signature]) -> usize {
    hashes.iter().zip(signatures).filter(|(h, s)| oracle(h, s) == Err(Rejection::Infinity)).count()
}

#[test]
fn gpu_matches_oracle_and_cpu_at_every_batch_boundary() {
    let (hashes, signatures) = random_batch(21, 4097);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let expected = recover(&batch);
    assert_oracle("seed 21", &hashes[..300], &signatures[..300], &expected[..300]);
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        // Around chains of 16, workgroups of 64, workgroups of chains, and a batch.
        let lens =
            [0, 1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 4095, 4096, 4097];
        for len in lens {
            let verdicts = on_device(bench, &hashes[..len], &signatures[..len], 0);
            let wrong = verdicts.iter().zip(&expected).position(|(got, expected)| got != expected);
            assert_eq!((verdicts.len(), wrong), (len, None), "{form}, seed 21, batch of {len}");
        }
    }
}

#[test]
fn gpu_matches_cpu_on_a_large_batch_in_several_dispatches() {
    let trial = RecoverKernel::trial(16_384 + 5);
    let expected = recover(&trial.batch());
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        let options = crate::gpu::DeviceOptions {
            integer_form: Some(form),
            batch_len_max: 6000,
            ..crate::gpu::DeviceOptions::default()
        };
        // The large batch at once, and on a device that takes 6,000 at a time.
        let whole = bench.kernel.recover(&bench.device, None, &trial.batch()).unwrap();
        assert!(whole.verdicts == expected && whole.redone == 0, "{form}");
        let Some(device) = crate::gpu::tests::device(options) else { return };
        let kernel = registry::ready::<RecoverKernel>(&device).unwrap();
        let split = kernel.recover(&device, None, &trial.batch()).unwrap();
        assert!(split == whole, "{form}");
    }
}

#[test]
fn gpu_matches_oracle_on_every_edge() {
    let (hashes, signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        let redone = infinities(&hashes, &signatures);
        assert!(redone > 0);
        let verdicts = on_device(bench, &hashes, &signatures, redone);
        assert_oracle(&format!("edges in {form}"), &hashes, &signatures, &verdicts);
        // One at a time, so that no neighbour helps or harms.
        for i in (0..signatures.len()).step_by(37) {
            let (hash, signature) = (&hashes[i..=i], &signatures[i..=i]);
            let verdicts = on_device(bench, hash, signature, infinities(hash, signature));
            assert_oracle(&format!("edge {i} alone in {form}"), hash, signature, &verdicts);
        }
    }
}

#[test]
fn gpu_hashes_payloads_short_and_long() {
    let mut payloads = PayloadsBuf::default();
    let mut numbers = Numbers::new(31);
    let lens = [0, 1, 50, 135, 136, 137, 271, 272, 1800, PAYLOAD_LEN_MAX, PAYLOAD_LEN_MAX + 1, 9000];
    let signatures: Vec<_> = lens
        .into_iter()
        .cycle()
        .take(100)
        .map(|len| {
            let payload: Vec<u8> = numbers.word().into_iter().cycle().take(len).collect();
            payloads.push(&payload).unwrap();
            sign(&numbers.scalar(), &numbers.scalar(), &keccak256_one(&payload)).unwrap()
        })
        .collect();
    let hashes: Vec<_> = payloads.as_payloads().iter().map(keccak256_one).collect();
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        for keccak in [Some(&bench.keccak), None] {
            let answer = bench.kernel.recover(&bench.device, keccak, &batch).unwrap();
            assert_oracle(&format!("payloads, seed 31, in {form}"), &hashes, &signatures, &answer.verdicts);
        }
    }
}

#[test]
fn hints_are_the_lifted_point_of_every_item_that_the_device_recovered() {
    let (mut hashes, mut signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    let (more_hashes, more_signatures) = random_batch(91, 600);
    hashes.extend(more_hashes);
    signatures.extend(more_signatures);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        let answer = bench.kernel.recover_with(&bench.device, None, &batch, Hints::LiftedY).unwrap();
        assert_oracle(&format!("hinted, seed 91, in {form}"), &hashes, &signatures, &answer.verdicts);
        assert_eq!(answer.lifted_y.len(), signatures.len(), "{form}");
        for (i, (signature, y)) in signatures.iter().zip(&answer.lifted_y).enumerate() {
            let expected = answer.verdicts[i].map_or([0; 32], |_| lifted_y(signature));
            assert_eq!(*y, expected, "{form}, seed 91, item {i}: {signature:02x?}");
        }
        assert!(bench.kernel.recover(&bench.device, None, &batch).unwrap().lifted_y.is_empty(), "{form}");
    }
}

/// y of R, of a signature that has one.
fn lifted_y(signature: &Signature) -> Word {
    let is_reduced = signature.recovery_id & 2 != 0;
    let x = if is_reduced { cpu::plus_order(&signature.r) } else { signature.r };
    let is_odd = Choice::from(signature.recovery_id & 1);
    let point = AffinePoint::decompress(&x.into(), is_odd).unwrap();
    point.to_sec1_point(false).as_bytes()[33..].try_into().unwrap()
}

#[test]
#[ignore = "compiles the kernel eleven times"]
fn every_challenging_size_gives_the_same_answers() {
    let (mut hashes, mut signatures): (Vec<_>, Vec<_>) = edge_cases().into_iter().unzip();
    let (more_hashes, more_signatures) = random_batch(93, 1000);
    hashes.extend(more_hashes);
    signatures.extend(more_signatures);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let (expected, redone) = (recover(&batch), infinities(&hashes, &signatures));
    for (setting, tuning) in Tuning::default().challengers() {
        let options = DeviceOptions { tuning, ..DeviceOptions::default() };
        let Some(device) = crate::gpu::tests::device(options) else { return };
        let kernel = registry::ready::<RecoverKernel>(&device).unwrap();
        let answer = kernel.recover(&device, None, &batch).unwrap();
        let wrong = answer.verdicts.iter().zip(&expected).position(|(got, expected)| got != expected);
        assert_eq!((wrong, answer.redone), (None, redone), "{setting}, seed 93");
    }
}

#[test]
fn an_item_that_no_stage_wrote_is_not_taken_for_an_answer() {
    let mut payloads = PayloadsBuf::default();
    let mut numbers = Numbers::new(94);
    let signatures: Vec<_> = (0..100)
        .map(|_| {
            let payload = numbers.word();
            payloads.push(&payload).unwrap();
            sign(&numbers.scalar(), &numbers.scalar(), &keccak256_one(&payload)).unwrap()
        })
        .collect();
    let batch = Batch::new(Messages::Payloads(payloads.as_payloads()), &signatures).unwrap();
    let Some(Bench { device, kernel, .. }) = bench(IntegerForm::U32) else { return };
    // A digest that the hashing left out, and a status that the first stage did.
    let store = "store_digest(item, keccak_digest(s));";
    let shader = KeccakKernel::shaders(IntegerForm::U32, Tuning::default()).remove(0);
    let shader = shader.sabotaged(store, &format!("if item != 37u {{ {store} }}"));
    let keccak = KeccakKernel::new(device, device.compile(&[shader]).unwrap()).unwrap();
    let mut shaders = RecoverKernel::shaders(IntegerForm::U32, Tuning::default());
    let store = "status[item] = verdict;";
    shaders[0] = shaders[0].clone().sabotaged(store, &format!("if item != 37u {{ {store} }}"));
    let silent = RecoverKernel::new(device, device.compile(&shaders).unwrap()).unwrap();
    for (kernel, keccak) in [(kernel, Some(&keccak)), (&silent, None)] {
        let error = kernel.recover(device, keccak, &batch).unwrap_err();
        assert!(matches!(error, DeviceError::Unanswered { item: 37, .. }), "seed 94: {error}");
    }
}

#[test]
fn threads_share_a_device() {
    let (hashes, signatures) = random_batch(95, 600);
    let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
    let expected = recover(&batch);
    let Some(bench) = bench(IntegerForm::U64) else { return };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for len in (1..600).step_by(23) {
                    assert_eq!(on_device(bench, &hashes[..len], &signatures[..len], 0), expected[..len]);
                }
            });
        }
    });
}

#[test]
fn the_next_part_is_queued_before_the_last_is_waited_for_and_buffers_are_used_again() {
    use crate::gpu::events::Event::{Collected, Submitted};
    let trial = RecoverKernel::trial(350);
    let options = DeviceOptions { batch_len_max: 100, ..DeviceOptions::default() };
    let Some(device) = crate::gpu::tests::device(options) else { return };
    let kernel = registry::ready::<RecoverKernel>(&device).unwrap();
    kernel.recover(&device, None, &trial.batch()).unwrap();
    device.events().take();
    let made = device.events().buffers_made();
    for _ in 0..3 {
        kernel.recover(&device, None, &trial.batch()).unwrap();
        let order = [
            Submitted(100),
            Submitted(100),
            Collected(100),
            Submitted(100),
            Collected(100),
            Submitted(50),
            Collected(100),
            Collected(50),
        ];
        assert_eq!(device.events().take(), order);
    }
    assert_eq!(device.events().buffers_made(), made, "buffers made after the first batch");
}

#[test]
fn a_given_hash_may_look_unwritten() {
    let hash = [0; 32];
    let mut numbers = Numbers::new(41);
    let signature = sign(&numbers.scalar(), &numbers.scalar(), &hash).unwrap();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        assert_oracle("hash of zeros", &[hash], &[signature], &on_device(bench, &[hash], &[signature], 0));
    }
}

#[test]
fn table_entries_have_the_size_that_rust_packs() {
    for form in IntegerForm::ALL {
        let sources = RecoverKernel::shaders(form, Tuning::default())
            .into_iter()
            .map(|shader| shader.source().unwrap());
        let spans: Vec<_> = sources
            .flat_map(|source| {
                let module = naga::front::wgsl::parse_str(&source).unwrap();
                let spans = module.types.iter().filter_map(|(_, ty)| match ty.inner {
                    naga::TypeInner::Struct { span, .. } if ty.name.as_deref() == Some("Entry") => Some(span),
                    _ => None,
                });
                spans.collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(spans, [64, 64], "{form}");
    }
    for bits in [4, 8] {
        let window = CombWindow { bits };
        let entries = usize::try_from(window.entries() * window.digits()).unwrap();
        assert_eq!(curve::comb(window).len() * 4, 64 * entries);
    }
}

/// 2^(5 · 25): what the ladder's doublings make of its start.
fn doubled(beta: Scalar) -> Scalar {
    (0..HalfWindow { bits: 5 }.doublings()).fold(beta, |sum, _| sum + sum)
}

fn to_word(scalar: Scalar) -> Word {
    scalar.to_repr().into()
}

/// A signature with R = kG and given u1, u2, and the hash that it signs.
fn with_factors(nonce: &Scalar, u1: &Scalar, u2: &Scalar) -> (Word, Signature) {
    let point = (ProjectivePoint::GENERATOR * nonce).to_affine().to_sec1_point(false);
    let r: Word = point.as_bytes()[1..33].try_into().unwrap();
    assert!(r < word(N));
    let recovery_id = point.as_bytes()[64] & 1;
    let (r_scalar, s) = (reduced(&r), reduced(&r) * u2);
    (to_word(-(r_scalar * u1)), Signature { r, s: to_word(s), recovery_id })
}

/// The point that the comb adds last, for a blinded u1, as a multiple of G.
fn last_comb_point(blinded_u1: &Scalar) -> Scalar {
    let (top_digit, is_negative) = limbs::tests::top_comb_digit(&to_word(*blinded_u1));
    let base = reduced(&U256::ONE.shl_vartime(256 - 8).to_be_bytes().into());
    let point = base * Scalar::from(top_digit);
    if is_negative { -point } else { point }
}

#[test]
fn exceptional_additions_end_on_the_cpu_and_spoil_no_neighbour() {
    let mut numbers = Numbers::new(51);
    let beta = numbers.scalar();
    let mut items = Vec::new();
    let mut aimed = 0;
    for i in 0..200 {
        let (nonce, u1, u2) = (numbers.scalar(), numbers.scalar(), numbers.scalar());
        items.push(match i % 5 {
            // The first addition: beta G and d R are equal, or opposite, for the top digit d of the first half of u2.
            0 | 1 => {
                aimed += 1;
                let (digit, is_negative) = limbs::tests::top_half_digit(&to_word(u2));
                let nonce = beta * Scalar::from(digit).invert().unwrap();
                let nonce = if is_negative == (i % 5 == 0) { nonce } else { -nonce };
                with_factors(&nonce, &u1, &u2)
            }
            // The last: the sum so far is the comb's point, and Q twice that.
            2 => {
                aimed += 1;
                let last = last_comb_point(&(u1 - doubled(beta)));
                let u2 = (last + last - u1) * nonce.invert().unwrap();
                with_factors(&nonce, &u1, &u2)
            }
            _ => with_factors(&nonce, &u1, &u2),
        });
    }
    let (hashes, signatures): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        let Bench { device, pipelines, .. } = bench;
        let aimed_at = RecoverKernel::with_blinding(device, pipelines.clone(), &Blinding::new(beta)).unwrap();
        let batch = Batch::new(Messages::Hashes(&hashes), &signatures).unwrap();
        let answer = aimed_at.recover(device, None, &batch).unwrap();
        assert_eq!(answer.redone, aimed, "seed 51 in {form}");
        assert_oracle(&format!("seed 51 in {form}"), &hashes, &signatures, &answer.verdicts);
        // Nobody can aim at a blinding that he does not know.
        let verdicts = on_device(bench, &hashes, &signatures, 0);
        assert_oracle(&format!("seed 51, blinded, in {form}"), &hashes, &signatures, &verdicts);
    }
}

#[test]
fn a_batch_of_nothing_but_exceptions_is_right() {
    let mut numbers = Numbers::new(61);
    let items = (0..130).map(|_| {
        let (nonce, u1) = (numbers.scalar(), numbers.scalar());
        with_factors(&nonce, &u1, &-(u1 * nonce.invert().unwrap()))
    });
    let (hashes, signatures): (Vec<_>, Vec<_>) = items.unzip();
    for form in IntegerForm::ALL {
        let Some(bench) = bench(form) else { return };
        let verdicts = on_device(bench, &hashes, &signatures, 130);
        assert!(verdicts.iter().all(|verdict| *verdict == Err(Rejection::Infinity)), "{form}");
    }
}
