//! `outrider calibrate`: what it prints, and what it keeps.

use crate::program::{adapter, arg, command, finish, outrider};
use serde_json::Value;
use std::{fs, path::Path};

fn calibrate(cache: &Path, args: &[&str]) -> crate::program::Outcome {
    finish(command(&[&["calibrate", "--quick"], args].concat()).env("OUTRIDER_CACHE_DIR", cache))
}

/// Calibrations that a folder keeps, among what else may be kept there.
fn calibrations(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("calibration-")).collect()
}

#[test]
fn the_cpu_alone_is_measured_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, out) = (folder.path().join("cache"), folder.path().join("out.json"));
    let outcome = calibrate(&cache, &["--device", "cpu", "--json", "--out", arg(&out)]).expect(0);
    let [printed] = &outcome.json()[..] else { panic!("{outcome:#?}") };
    assert!(printed["identity"]["adapter"].is_null() && printed["kept"].is_null());
    for kernel in ["keccak", "recover", "transfer"] {
        let times = &printed["kernels"][kernel];
        assert!(times["device"].is_null() && times["divided"].is_null(), "{kernel}");
        let points = times["cpu"]["portable"].as_array().unwrap();
        assert!(points.len() >= 3 && points.iter().all(|point| point["seconds"].as_f64().unwrap() > 0.0));
        assert!(printed["crossovers"][kernel].is_null(), "{kernel}");
    }
    let written: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(written["kernels"], printed["kernels"]);
    assert!(!cache.exists());
}

#[test]
fn a_device_is_measured_and_kept_where_others_find_it() {
    let Some(_alone) = adapter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let text = calibrate(&cache, &["--device", "gpu"]).expect(0).stdout;
    for part in ["device   ", "recover", "keccak", "transfer", "items/s", "kept in "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let [file] = &calibrations(&cache)[..] else { panic!("{:?}", calibrations(&cache)) };
    assert!(text.contains(file.as_str()), "{file}: {text}");

    // Another driver's file is replaced, and what is printed is what is kept.
    let path = cache.join(file);
    let mut kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    kept["identity"]["adapter"]["driver_version"] = "0".into();
    fs::write(&path, kept.to_string()).unwrap();
    let printed = calibrate(&cache, &["--device", "gpu", "--json"]).expect(0).json().remove(0);
    let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&printed["kernels"], &printed["identity"]), (&kept["kernels"], &kept["identity"]));
    assert_ne!(kept["identity"]["adapter"]["driver_version"], "0");
    assert_eq!(printed["kept"], arg(&path));
}

#[test]
fn a_file_that_cannot_be_written_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("no/such/folder.json");
    let outcome = calibrate(folder.path(), &["--device", "cpu", "--out", arg(&out)]).expect(2);
    assert!(outcome.complaints()[0].contains("folder.json"), "{outcome:#?}");
    let outcome = outrider(&["calibrate", "--device", "no such card"]).expect(3);
    assert!(outcome.complaints()[0].contains("no such card"), "{outcome:#?}");
}
