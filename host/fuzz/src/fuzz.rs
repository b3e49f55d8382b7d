//! libFuzzer over one of `outrider::ingest::fuzz::TARGETS`, `backends::TARGETS` or `witness::TARGETS`, which `OUTRIDER_FUZZ_TARGET` names.
//!
//! One binary for all targets: they are linked once, and the list of them stays where they are.
//! `host/fuzz/run` builds it with coverage and runs every target.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outrider::ingest::fuzz::{TARGETS, Target};
use outrider_fuzz::{backends, witness};
use std::sync::OnceLock;

const CANARY: Target = Target { name: "canary", run: outrider_fuzz::canary };

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("OUTRIDER_FUZZ_TARGET").unwrap_or_default();
        let targets = || TARGETS.iter().chain(backends::TARGETS).chain(witness::TARGETS);
        let Some(target) = targets().chain([&CANARY]).find(|target| target.name == name) else {
            let names: Vec<&str> = targets().map(|target| target.name).collect();
            eprintln!("OUTRIDER_FUZZ_TARGET is {name:?}; it takes one of {}", names.join(", "));
            std::process::exit(2);
        };
        TARGET.get_or_init(|| *target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
