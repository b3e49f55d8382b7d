//! The licences of all dependencies allow what `deny.toml` says.

use std::{collections::BTreeSet, iter::Peekable, path::Path, process::Command, str::SplitWhitespace};

/// `cargo tree` rather than `cargo metadata`: the latter also lists optional dependencies that no
/// feature turns on.
#[test]
#[ignore = "downloads the dependencies of every platform; .ci/run runs it"]
fn every_dependency_has_an_allowed_licence() {
    let allowed = allowed_licences();
    let mut packages = BTreeSet::new();
    for line in cargo_tree().lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let licence = licence.trim_end_matches("(*)").trim();
        assert!(is_allowed(licence, &allowed), "{package}: the licence {licence:?} is not allowed");
        packages.insert(package.to_owned());
    }
    assert!(packages.len() > 100, "only {} packages found", packages.len());
    eprintln!("{} packages, all with allowed licences", packages.len());
}

#[test]
fn a_licence_expression_is_judged_as_a_whole() {
    let allowed = allowed_licences();
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "GPL-3.0 AND GPL-2.0 OR MIT AND ISC",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND MPL-2.0",
        "MIT WITH LLVM-exception",
        "(MIT",
        "MIT)",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

fn cargo_tree() -> String {
    let arguments =
        "tree --locked --workspace --target all --edges normal,build,dev --prefix none --format {p}|{l}";
    let output = Command::new(env!("CARGO"))
        .args(arguments.split(' '))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The entries of `licenses.allow` in `deny.toml`, which stand one a line.
fn allowed_licences() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let text = std::fs::read_to_string(path).expect("deny.toml is there");
    let list = text.split_once("\nallow = [\n").expect("a list of licences").1;
    let list = list.split_once("\n]").expect("the end of the list").0;
    list.lines().map(|line| line.trim().trim_end_matches(',').trim_matches('"').to_owned()).collect()
}

/// Judges an SPDX expression: AND binds tighter than OR, and `/` is an old way to write OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    let verdict = any_of(&mut tokens, allowed);
    verdict == Some(true) && tokens.next().is_none()
}

type Tokens<'a> = Peekable<SplitWhitespace<'a>>;

fn any_of(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut verdict = all_of(tokens, allowed)?;
    while tokens.next_if_eq(&"OR").is_some() {
        verdict |= all_of(tokens, allowed)?;
    }
    Some(verdict)
}

fn all_of(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut verdict = one(tokens, allowed)?;
    while tokens.next_if_eq(&"AND").is_some() {
        verdict &= one(tokens, allowed)?;
    }
    Some(verdict)
}

/// A licence, with its exception if it has one, or an expression in parentheses.
fn one(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> Option<bool> {
    let token = tokens.next()?;
    if token == "(" {
        let verdict = any_of(tokens, allowed)?;
        return tokens.next_if_eq(&")").map(|_| verdict);
    }
    let mut licence = token.to_owned();
    if tokens.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", tokens.next()?);
    }
    Some(allowed.contains(&licence))
}
