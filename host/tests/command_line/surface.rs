//! What does not depend on any input: help, arguments, pipes that nobody reads.

use crate::program::{adapter, arg, command, fixture, outrider};
use std::process::Stdio;

const COMMANDS: [&str; 7] = ["run", "recover", "generate", "state", "devices", "calibrate", "selftest"];

#[test]
fn every_command_has_help_with_examples() {
    let help = outrider(&["--help"]).expect(0).stdout;
    assert!(help.contains("Exit codes: 0"), "{help}");
    for name in COMMANDS {
        assert!(help.contains(name), "{name}: {help}");
        let help = outrider(&[name, "--help"]).expect(0).stdout;
        let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{name}: {help}"));
        assert!(examples.contains(&format!("outrider {name}")), "{name}: {help}");
    }
    assert!(outrider(&["--version"]).expect(0).stdout.starts_with("outrider 0."));
}

#[test]
fn bad_arguments_exit_2() {
    let chain = fixture("chains/hot");
    let chain = arg(&chain);
    let bad: [&[&str]; 12] = [
        &[],
        &["fly"],
        &["run"],
        &["run", "--threads", "0", chain],
        &["run", "--threads", "many", chain],
        &["run", "--lanes", "some", chain],
        &["run", "--speed", chain],
        &["recover", "--rules", "Pectra"],
        &["generate"],
        &["devices", "extra"],
        &["run", "--audit", "some", chain],
        &["recover", "--audit", "sample=0.5"],
    ];
    for args in bad {
        let outcome = outrider(args).expect(2);
        assert!(!outcome.stderr.is_empty() && outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
    }
}

#[test]
fn a_device_that_is_not_there_exits_3() {
    let chain = fixture("chains/hot");
    for args in [
        &["run", "--device", "no such card", arg(&chain)][..],
        &["recover", "--device", "no such card", "-"],
        &["selftest", "--device", "no such card"],
    ] {
        let outcome = outrider(args).expect(3);
        let [complaint] = outcome.complaints()[..] else { panic!("{outcome:#?}") };
        assert!(complaint.contains("no such card"), "{complaint}");
    }
}

/// Invocations that print something.
fn invocations() -> Vec<Vec<String>> {
    let (chain, hex) = (fixture("chains/hot"), fixture("README.md"));
    let folder = tempfile::tempdir().unwrap().keep();
    let args: [&[&str]; 7] = [
        &["run", "--device", "cpu", arg(&chain)],
        &["run", "--device", "cpu", "--json", arg(&chain)],
        &["recover", "--device", "cpu", arg(&hex)],
        &["generate", "hot", "--txs", "4", "--accounts", "4", "--out", arg(&folder)],
        &["devices"],
        &["run", "--help"],
        &["run", "--device", "cpu", "nowhere"],
    ];
    args.iter().map(|args| args.iter().map(|&word| word.to_owned()).collect()).collect()
}

#[cfg(unix)]
#[test]
fn a_reader_of_standard_output_that_goes_away_ends_the_program_quietly() {
    // For `devices`, which runs with none as well.
    let _alone = adapter();
    for args in invocations() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked") && !stderr.contains("Broken pipe"), "{args:?}: {stderr}");
        assert!(matches!(output.status.code(), Some(0 | 2)), "{args:?}: {:?}", output.status);
    }
}

#[cfg(unix)]
#[test]
fn a_reader_of_standard_error_that_goes_away_changes_nothing() {
    let chain = fixture("chains/hot");
    let expected =
        [(vec!["run", "--device", "cpu", "nowhere"], 2), (vec!["run", "--device", "cpu", arg(&chain)], 0)];
    for (args, code) in expected {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = command(&args).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}
