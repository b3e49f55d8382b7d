//! Known answers, and the device against sha3 around every boundary.

use super::*;
use crate::gpu::tests::{device, device_in_form};
use crate::gpu::{BATCH_LEN_MAX, Device, DeviceError, DeviceKernel, DeviceOptions, IntegerForm, Shader};

fn kernel(device: &Device) -> KeccakKernel {
    let pipelines = device.compile(&KeccakKernel::shaders(device.integer_form(), device.tuning())).unwrap();
    KeccakKernel::new(device, pipelines).unwrap()
}

/// Payloads of these lengths with bytes that differ everywhere.
fn payloads(lens: impl IntoIterator<Item = usize>) -> PayloadsBuf {
    let mut state = 0x243F_6A88_85A3_08D3_u64;
    let mut out = PayloadsBuf::default();
    for len in lens {
        out.push_with(|bytes| {
            bytes.extend((0..len).map(|_| {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                state.to_be_bytes()[0]
            }));
        })
        .unwrap();
    }
    out
}

/// The device's digests against sha3's, which shares no code with the kernel.
fn assert_device_agrees(device: &Device, kernel: &KeccakKernel, payloads: &PayloadsBuf, what: &str) {
    let payloads = payloads.as_payloads();
    let digests = kernel.hash(device, &payloads).unwrap();
    assert_eq!(digests.len(), payloads.len(), "{what}");
    for (item, (payload, digest)) in payloads.iter().zip(digests).enumerate() {
        let len = payload.len();
        assert_eq!(
            digest,
            keccak256_one(payload),
            "{what}, {}: item {item}, {len} bytes",
            device.integer_form()
        );
    }
}

fn on_device_in_both_forms(test: impl Fn(&Device, &KeccakKernel)) {
    for form in IntegerForm::ALL {
        let Some(device) = device_in_form(form) else { return };
        test(&device, &kernel(&device));
    }
}

#[test]
fn known_answers() {
    let hex = |digest: Digest| digest.map(|byte| format!("{byte:02x}")).concat();
    let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    let abc = "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45";
    assert_eq!(hex(keccak256_one(b"")), empty);
    assert_eq!(hex(keccak256_one(b"abc")), abc);
    let payloads = Payloads::new(b"xabc", &[1, 1, 4]).unwrap();
    on_device_in_both_forms(|device, kernel| {
        let digests = kernel.hash(device, &payloads).unwrap();
        assert_eq!(digests.into_iter().map(hex).collect::<Vec<_>>(), [empty, abc]);
    });
}

#[test]
fn gpu_matches_sha3_at_every_length_around_block_ends() {
    let near = |len: usize| len.saturating_sub(5)..len + 6;
    let lens: Vec<usize> = [0, RATE_BYTES, 2 * RATE_BYTES, 3 * RATE_BYTES, PAYLOAD_LEN_MAX - RATE_BYTES]
        .into_iter()
        .flat_map(near)
        .chain(PAYLOAD_LEN_MAX - 2..PAYLOAD_LEN_MAX + 3)
        .chain([128 << 10])
        .collect();
    // Four times over, so that every length meets every alignment of its first byte.
    let lens = (0..4).flat_map(|shift| std::iter::once(shift).chain(lens.iter().copied()));
    let payloads = payloads(lens);
    on_device_in_both_forms(|device, kernel| assert_device_agrees(device, kernel, &payloads, "lengths"));
}

#[test]
fn gpu_matches_sha3_at_batch_boundaries() {
    on_device_in_both_forms(|device, kernel| {
        for len in [0, 1, 2, 63, 64, 65, 127, 128, 129, 1000] {
            let payloads = payloads((0..len).map(|item| 20 + item * 37 % 300));
            assert_device_agrees(device, kernel, &payloads, &format!("batch of {len}"));
        }
    });
}

#[test]
fn gpu_matches_sha3_where_a_batch_is_split() {
    let Some(device) = device_in_form(IntegerForm::U64) else { return };
    let kernel = kernel(&device);
    for len in [BATCH_LEN_MAX - 1, BATCH_LEN_MAX, BATCH_LEN_MAX + 1, 2 * BATCH_LEN_MAX + 1] {
        let payloads = payloads((0..len).map(|item| item % 7));
        assert_device_agrees(&device, &kernel, &payloads, &format!("batch of {len}"));
    }
}

#[test]
fn gpu_matches_sha3_where_batches_are_split_by_length_of_options() {
    let options = DeviceOptions { batch_len_max: 10, ..DeviceOptions::default() };
    let Some(device) = device(options) else { return };
    let kernel = kernel(&device);
    for len in [9, 10, 11, 20, 21, 95] {
        let payloads = payloads((0..len).map(|item| item * 71 % 5000));
        assert_device_agrees(&device, &kernel, &payloads, &format!("batch of {len}"));
    }
}

#[test]
fn batches_cover_all_payloads_and_keep_to_the_bytes_of_a_dispatch() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    // Offsets alone decide: 40 payloads of 10 MB, one of 200 MB, and empty ones.
    let lens = std::iter::repeat_n(10_000_000_u32, 40).chain([200_000_000, 0, 0]);
    let mut offsets = vec![0_u32];
    offsets.extend(lens.scan(0, |end, len| {
        *end += len;
        Some(*end)
    }));
    let bytes = vec![0; *offsets.last().unwrap() as usize];
    let payloads = Payloads::new(&bytes, &offsets).unwrap();
    let mut start = 0;
    while start < payloads.len() {
        let range = KeccakKernel::next_batch(&device, &payloads, start);
        assert!(range.start == start && !range.is_empty(), "{range:?}");
        let bytes = offsets[range.end] - offsets[range.start];
        assert!(bytes <= 64 << 20 || range.len() == 1, "{range:?}: {bytes} bytes");
        start = range.end;
    }
    assert_eq!(start, payloads.len());
}

#[test]
fn digests_stay_on_the_device_for_the_next_stage() {
    on_device_in_both_forms(|device, kernel| {
        let payloads = payloads([5, 4400, 136]);
        let mut job = device.job("test", 3);
        let digests = kernel.encode(&mut job, &payloads.as_payloads()).unwrap();
        job.run().unwrap();
        let mut job = device.job("test", 3);
        let read = job.read(&digests);
        let words = job.run().unwrap().take(read);
        for (item, payload) in payloads.as_payloads().iter().enumerate() {
            let digest: Vec<u8> = (0..8).flat_map(|w| words[w * 3 + item].to_le_bytes()).collect();
            assert_eq!(digest, keccak256_one(payload), "item {item}");
        }
    });
}

/// One invocation: the hash of the 16 words of a public key.
const PUBLIC_KEY_SHADER: &str = "
#import lib/keccak_sponge
@group(0) @binding(0) var<storage, read> key: array<vec4<u32>, 4>;
@group(0) @binding(1) var<storage, read_write> digest: array<vec4<u32>, 2>;
@compute @workgroup_size(1)
fn main() {
    let d = keccak256_of_64_bytes(Digest(key[0], key[1]), Digest(key[2], key[3]));
    digest[0] = d.lo;
    digest[1] = d.hi;
}";

#[test]
fn other_shaders_hash_public_keys_with_the_imported_sponge() {
    for form in IntegerForm::ALL {
        let Some(device) = device_in_form(form) else { return };
        let shader = Shader::new("test", PUBLIC_KEY_SHADER).modules(modules(form));
        let pipeline = &device.compile(&[shader]).unwrap()[0];
        let key = payloads([64]);
        let key = key.as_payloads().get(0).to_vec();
        let mut job = device.job("test", 1);
        let input = job.upload_bytes(&key).unwrap();
        let output = job.buffer(8).unwrap();
        job.dispatch(pipeline, 1, &[&input, &output]);
        let read = job.read(&output);
        let words = job.run().unwrap().take(read);
        assert_eq!(bytemuck::cast_slice::<u32, u8>(&words), keccak256_one(&key));
    }
}

#[test]
fn canary_a_wrong_or_silent_kernel_fails_its_self_test() {
    let mistakes = [
        ("rotate(t6, 44u)", "rotate(t6, 43u)"),
        ("~b1 &", "b1 &"),
        ("let mark = 1u <<", "let mark = 6u <<"),
        ("block + 1u == block_count", "block == block_count"),
    ];
    let Some(device) = device_in_form(IntegerForm::U32) else { return };
    let self_test = |right: &str, wrong: &str| {
        let shader = KeccakKernel::shaders(IntegerForm::U32, crate::gpu::Tuning::default())
            .remove(0)
            .sabotaged(right, wrong);
        let pipelines = device.compile(&[shader]).unwrap();
        KeccakKernel::new(&device, pipelines).unwrap().self_test(&device).unwrap_err()
    };
    for (right, wrong) in mistakes {
        let error = self_test(right, wrong);
        assert!(matches!(error, DeviceError::WrongAnswer { .. }), "{wrong}: {error}");
    }
    let error =
        self_test("digests[item] = digest.lo.x;", "if item == 7u { return; }\ndigests[item] = digest.lo.x;");
    assert!(matches!(error, DeviceError::Unanswered { item: 7, .. }), "{error}");
}

#[test]
fn cpu_form_hashes_in_order_beyond_one_thread() {
    let payloads = payloads((0..3000).map(|item| item % 200));
    let payloads = payloads.as_payloads();
    let digests = keccak256(&payloads);
    assert!(payloads.iter().map(keccak256_one).eq(digests));
}

#[test]
fn offsets_that_do_not_cut_bytes_into_payloads_are_refused() {
    assert_eq!(Payloads::new(b"", &[]).unwrap_err(), PayloadsError::NoOffsets);
    assert_eq!(Payloads::new(b"ab", &[0, 2, 1]).unwrap_err(), PayloadsError::Descending { index: 2 });
    assert_eq!(Payloads::new(b"ab", &[0, 3]).unwrap_err(), PayloadsError::Beyond { end: 3, bytes: 2 });
    assert!(Payloads::new(b"", &[0]).unwrap().is_empty());
    assert_eq!(PayloadsBuf::with_capacity(1, 1).as_payloads().len(), 0);
}

#[test]
fn gathered_payloads_keep_their_order_and_their_bounds() {
    let parts = [payloads([3, 0, 7]), payloads([]), payloads([1, 136, 200])];
    let mut whole = PayloadsBuf::default();
    for part in &parts {
        // A slice in the middle, whose offsets begin elsewhere, and then all.
        let part = part.as_payloads();
        whole.append(&part.slice(part.len().min(1)..part.len())).unwrap();
        whole.append(&part).unwrap();
    }
    let lens: Vec<usize> = whole.as_payloads().iter().map(<[u8]>::len).collect();
    assert_eq!(lens, [0, 7, 3, 0, 7, 136, 200, 1, 136, 200]);
    assert_eq!(whole.as_payloads().len_bytes(), lens.iter().sum::<usize>());
    assert_eq!(whole.as_payloads().slice(2..5).len_bytes(), 10);
    let expected = parts.iter().map(PayloadsBuf::as_payloads).collect::<Vec<_>>();
    assert_eq!(whole.as_payloads().get(2), expected[0].get(0));
    assert_eq!(whole.as_payloads().get(9), expected[2].get(2));
}
