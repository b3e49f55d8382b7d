//! Known answers, and the device against sha3 around every boundary.

use super::*;
use crate::gpu::tests::device_in_form;
use crate::gpu::{Device, DeviceKernel, IntegerForm};

fn kernel(device: &Device) -> KeccakKernel {
    let pipelines = device.compile(&KeccakKernel::shaders(device.integer_form())).unwrap();
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

#[test]
#[ignore = "measures"]
fn timing() {
    for form in IntegerForm::ALL {
        let Some(device) = device_in_form(form) else { return };
        let t = std::time::Instant::now();
        let kernel = kernel(&device);
        let t1 = t.elapsed();
        kernel.self_test(&device).unwrap();
        eprintln!("{form}: compile {t1:?}, ready {:?}", t.elapsed());
        let p = payloads((0..65536).map(|i| 90 + i % 40));
        for _ in 0..3 {
            let t = std::time::Instant::now();
            let a = kernel.hash(&device, &p.as_payloads()).unwrap();
            let e = t.elapsed();
            let t = std::time::Instant::now();
            let b = keccak256(&p.as_payloads());
            eprintln!("gpu {:?} ns/item, cpu {:?}", e.as_nanos() / 65536, t.elapsed().as_nanos() / 65536);
            assert!(a == b);
        }
    }
}
