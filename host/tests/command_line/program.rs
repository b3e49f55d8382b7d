//! Starting the program.

use outrider_kernels::gpu;
use serde_json::Value;
use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// What the program itself said on standard error (drivers may say things too).
    pub(crate) fn complaints(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("outrider: ")).collect()
    }

    /// The lines of standard output, each a JSON object.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

pub(crate) fn command(args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
    command.args(args).env_remove("OUTRIDER_FAULT").env_remove("OUTRIDER_LOG").stdin(Stdio::null());
    // Tests leave nothing behind and find nothing.
    command.env("OUTRIDER_CACHE_DIR", "");
    command
}

/// Runs the program to its end. It must not panic, whatever it is given.
pub(crate) fn outrider(args: &[impl AsRef<OsStr>]) -> Outcome {
    finish(&mut command(args))
}

pub(crate) fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // None where a signal ended it.
    let code = output.status.code().unwrap_or(-1);
    let outcome = Outcome { code, stdout: text(&output.stdout), stderr: text(&output.stderr) };
    assert!(!outcome.stderr.contains("panicked"), "{command:?}: {outcome:#?}");
    assert!((0..=7).contains(&outcome.code), "{command:?}: {outcome:#?}");
    outcome
}

/// The same with something to read on standard input.
pub(crate) fn with_input(args: &[&str], input: &[u8]) -> Outcome {
    let mut command = command(args);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    finish(command.stdin(file))
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// The adapter for one test alone, `None` without any, which it says; with `OUTRIDER_REQUIRE_GPU=1`
/// that is a failure. Where the driver runs on the CPU, programs that compile kernels side by side
/// would keep each other from being ready in time.
pub(crate) fn adapter() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    let found = !gpu::adapters().is_empty();
    let required = std::env::var_os("OUTRIDER_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(found || !required, "OUTRIDER_REQUIRE_GPU=1, but there is no adapter");
    if !found {
        eprintln!("skipped: no adapter");
        return None;
    }
    Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
