//! States on disk: made, continued, shown, verified, given on, and what is said when that cannot be.

use crate::program::{arg, fixture, outrider};
use std::{fs, io::Read as _, path::Path};
use tempfile::TempDir;

/// A folder with a chain in it and a store of its genesis state.
fn begun(chain: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    outrider(&["state", "init", arg(folder.path()), arg(chain)]).expect(0);
    folder
}

fn run_on(folder: &Path, chain: &Path) -> crate::program::Outcome {
    outrider(&["run", "--device", "cpu", "--json", "--data", arg(folder), arg(chain)])
}

fn info(folder: &Path) -> serde_json::Value {
    outrider(&["state", "info", "--json", arg(folder)]).expect(0).json().remove(0)
}

#[test]
fn a_chain_is_continued_where_it_ended() {
    let chain = fixture("chains/mixed");
    let folder = begun(&chain);
    assert_eq!(info(folder.path())["head_number"], 0);
    let first = run_on(folder.path(), &chain).expect(0);
    assert_eq!(first.json().len(), 7, "six blocks and a total");
    let again = run_on(folder.path(), &chain).expect(0);
    assert_eq!(again.json().len(), 1, "nothing but a total");
    assert_eq!(again.complaints(), ["continuing after block 6; 6 blocks of the file are in the store"]);
    // Cut short, and then whole: the rest is executed on what the store holds.
    let folder = begun(&chain);
    let part = tempfile::tempdir().unwrap();
    for name in ["genesis.json.gz", "chain.rlp.gz"] {
        fs::copy(chain.join(name), part.path().join(name)).unwrap();
    }
    let packed = fs::read(part.path().join("chain.rlp.gz")).unwrap();
    let mut whole = Vec::new();
    flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut whole).unwrap();
    let prefix = usize::from(whole[0] - 0xf7);
    let first_len = whole[1..=prefix].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)) + 1 + prefix;
    fs::write(part.path().join("chain.rlp.gz"), &whole[..first_len]).unwrap();
    run_on(folder.path(), part.path()).expect(0);
    assert_eq!(info(folder.path())["head_number"], 1);
    let rest = run_on(folder.path(), &chain).expect(0);
    assert_eq!(rest.json().len(), 6, "five blocks and a total");
    let lines = outrider(&["state", "verify", "--json", arg(folder.path())]).expect(0).json();
    assert_eq!((&lines[0]["head_number"], &lines[0]["state_roots"]), (&6.into(), &7.into()));
}

#[test]
fn a_state_is_given_on_and_taken_only_with_the_root_of_its_header() {
    let chain = fixture("chains/mixed");
    let folder = begun(&chain);
    run_on(folder.path(), &chain).expect(0);
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let (plain, packed, headers) = (file("state.json"), file("state.json.gz"), file("headers.rlp"));
    let export = ["state", "export", arg(folder.path()), "--headers", arg(&headers), "--out"];
    outrider(&[&export[..], &[arg(&plain)]].concat()).expect(0);
    outrider(&[&export[..], &[arg(&packed)]].concat()).expect(0);
    assert!(fs::read(&packed).unwrap().starts_with(&[0x1f, 0x8b]));
    for (name, source) in [("a", &plain), ("b", &packed)] {
        let copy = file(name);
        let given = ["--genesis", arg(&chain), "--headers", arg(&headers)];
        outrider(&[&["state", "import", arg(&copy), arg(source)][..], &given].concat()).expect(0);
        assert_eq!(info(&copy)["state_root"], info(folder.path())["state_root"]);
        // BLOCKHASH and all else that later blocks ask is there: nothing is left to run, and nothing is refused.
        assert_eq!(run_on(&copy, &chain).expect(0).json().len(), 1);
    }
    // Another state than the header's: the genesis header does not fit, and neither does a balance that was touched.
    let wrong = file("wrong");
    let outcome =
        outrider(&["state", "import", arg(&wrong), arg(&plain), "--genesis", arg(&chain)]).expect(1);
    assert!(outcome.complaints()[0].contains("state root"), "{outcome:?}");
    let text = fs::read_to_string(&plain).unwrap();
    fs::write(&plain, text.replacen("\"balance\": \"0x", "\"balance\": \"0x1", 1)).unwrap();
    let given = ["--genesis", arg(&chain), "--headers", arg(&headers)];
    outrider(&[&["state", "import", arg(&wrong), arg(&plain)][..], &given].concat()).expect(1);
    fs::write(&plain, text.replacen("\"balance\"", "\"ballast\"", 1)).unwrap();
    outrider(&[&["state", "import", arg(&wrong), arg(&plain)][..], &given].concat()).expect(2);
    assert!(!wrong.exists());
}

#[test]
fn what_is_wrong_with_a_store_has_its_own_code_and_line() {
    let (mixed, hot) = (fixture("chains/mixed"), fixture("chains/hot"));
    let folder = begun(&mixed);
    let nowhere = folder.path().join("nowhere");
    let code = |args: &[&str], code: i32, words: &str| {
        let outcome = outrider(args).expect(code);
        let [complaint] = outcome.complaints()[..] else { panic!("{outcome:#?}") };
        assert!(complaint.contains(words), "{args:?}: {complaint}");
    };
    code(&["state", "info", arg(&nowhere)], 6, "holds no store");
    code(&["run", "--device", "cpu", "--data", arg(&nowhere), arg(&mixed)], 6, "holds no store");
    code(&["state", "init", arg(folder.path()), arg(&mixed)], 6, "holds a store already");
    code(&["run", "--device", "cpu", "--data", arg(folder.path()), arg(&hot)], 7, "not chain 1337");
    code(
        &["run", "--device", "cpu", "--data", arg(folder.path()), arg(&mixed), arg(&mixed)],
        2,
        "one chain folder",
    );
    let tests = tempfile::tempdir().unwrap();
    code(&["run", "--device", "cpu", "--data", arg(folder.path()), arg(tests.path())], 2, "neither blocks");
    code(&["state", "init", arg(&nowhere), arg(tests.path())], 2, "genesis.json is missing");
    // Nobody, not even root, makes folders there.
    if cfg!(target_os = "linux") {
        code(&["state", "init", "/proc/outrider", arg(&mixed)], 6, "/proc/outrider");
    }
    let file = folder.path().join("state.redb");
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&file, bytes).unwrap();
    for command in ["info", "verify"] {
        code(&["state", command, arg(folder.path())], 4, "damaged");
    }
}
