//! Accelerators that place batches by measurement.

use std::fs;
use std::path::Path;

use super::super::private_file::tests::Folder;
use super::*;

/// On the best adapter, a software one too, with its calibration kept in a folder.
fn measured(folder: Option<&Path>) -> Accelerator {
    let options = Options {
        sharing: Sharing::Measured,
        calibrations: folder.map(Path::to_owned),
        patience: Patience { floor: Duration::from_secs(20), ..Patience::default() },
        ..Options::default()
    };
    Accelerator::open(&DeviceChoice::Gpu, &options).unwrap()
}

#[test]
fn a_calibration_is_kept_as_long_as_it_holds() {
    if crate::gpu::tests::device(DeviceOptions::default()).is_none() {
        return;
    }
    let folder = Folder::new("accelerator-calibration");
    let accelerator = measured(Some(&folder.0));
    assert_right(&accelerator, &payloads(5000));
    let identity = Identity::of(accelerator.device.as_ref(), accelerator.auditor.checks_all());
    let path = Calibration::path(&folder.0, &identity);
    let calibration = Calibration::load(&folder.0, &identity).unwrap();
    for kernel in ["keccak", "recover", "transfer"] {
        let times = &calibration.kernels[kernel];
        assert!(times.device.is_some() && times.cpu.len() == 1, "{kernel}: {times:?}");
    }
    let crossovers = accelerator.crossovers();
    drop(accelerator);

    // It is read again: with times of nobody's measuring, the device gets what those say.
    let text = fs::read_to_string(&path).unwrap();
    let mut told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let slow = serde_json::json!([{ "items": 1, "seconds": 100.0 }]);
    for kernel in ["keccak", "recover", "transfer"] {
        told["kernels"][kernel]["device"] = slow.clone();
    }
    fs::write(&path, told.to_string()).unwrap();
    let nothing: Vec<_> = crossovers.iter().map(|(kernel, _)| (*kernel, None)).collect();
    assert_eq!(measured(Some(&folder.0)).crossovers(), nothing);
    assert_eq!(fs::read_to_string(&path).unwrap(), told.to_string());

    // Damaged, or measured with another driver: measured again, and replaced.
    told["identity"]["adapter"]["driver_version"] = "0.1".into();
    for bad in [told.to_string(), text[..text.len() / 2].to_owned()] {
        fs::write(&path, &bad).unwrap();
        assert_right(&measured(Some(&folder.0)), &payloads(300));
        let again = Calibration::load(&folder.0, &identity).unwrap();
        assert!(again.kernels["recover"].device.as_ref().unwrap().seconds(1) < 50.0);
    }
    assert_eq!(folder.files().len(), 1, "one file, nothing unfinished");
}

#[test]
fn a_folder_that_cannot_be_written_is_no_obstacle() {
    if crate::gpu::tests::device(DeviceOptions::default()).is_none() {
        return;
    }
    let accelerator = measured(Some(Path::new("/dev/null/calibrations")));
    assert!(accelerator.adapter().is_some());
    assert_right(&accelerator, &payloads(300));
}

#[test]
fn everything_is_measured_that_there_is() {
    let choice = match crate::gpu::tests::device(DeviceOptions::default()) {
        Some(_) => DeviceChoice::Gpu,
        None => DeviceChoice::Cpu,
    };
    let mut seen = Vec::new();
    let calibration = Calibration::measure(&choice, &Options::default(), Effort::Quick, &mut |measured| {
        seen.push((measured.kernel, measured.way.to_owned()));
    })
    .unwrap();
    for kernel in ["keccak", "recover"] {
        for backend in crate::simd::Backend::available() {
            assert!(seen.contains(&(kernel, backend.name().to_owned())));
            assert!(calibration.kernels[kernel].cpu.contains_key(backend.name()));
        }
    }
    assert_eq!(calibration.kernels["transfer"].cpu.len(), 1);
    assert_eq!(calibration.identity.adapter.is_some(), choice == DeviceChoice::Gpu);
}

/// On lavapipe, which needs the cores that the CPU's part needs: the worst device there can be.
#[test]
#[ignore = "measures for half a minute"]
fn a_measured_device_never_makes_recovery_slower() {
    if crate::gpu::tests::device(DeviceOptions::default()).is_none() {
        return;
    }
    let (accelerator, cpu) = (measured(None), Accelerator::cpu());
    for len in [1, 64, 1000, 8192, 50_000] {
        let trial = RecoverKernel::trial(len);
        let batch = trial.batch();
        let timed = |accelerator: &Accelerator| {
            let start = Instant::now();
            std::hint::black_box(accelerator.recover(&batch));
            start.elapsed()
        };
        let rounds = (60_000 / len).clamp(5, 200);
        let mut best = [Duration::MAX; 2];
        for _ in 0..rounds {
            for (best, accelerator) in best.iter_mut().zip([&accelerator, &cpu]) {
                *best = timed(accelerator).min(*best);
            }
        }
        let [shared, alone] = best.map(|time| time.as_secs_f64());
        eprintln!("{len}: {:.1} µs, the CPU alone {:.1} µs", shared * 1e6, alone * 1e6);
        assert!(shared <= 1.1 * alone + 20e-6, "{len}: {shared} s, the CPU alone {alone} s");
    }
    eprintln!("crossovers {:?}, counts {:?}", accelerator.crossovers(), accelerator.counts());
}
