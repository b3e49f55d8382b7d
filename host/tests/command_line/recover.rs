//! `outrider recover`: hash and sender, or a reason, in the order of the lines.

use crate::program::{arg, fixture, outrider, with_input};
use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, U256, hex, uint};
use flate2::read::GzDecoder;
use outrider::{block::SignedTx, generate::Wallet};
use std::{fs, io::Read};

/// The real block's transactions, one a line, and "hash sender" for each.
fn real() -> (String, Vec<String>) {
    let mut hex = String::new();
    let file = fs::File::open(fixture("mainnet/12964999/transactions.hex.gz")).unwrap();
    GzDecoder::new(file).read_to_string(&mut hex).unwrap();
    let senders = fs::read_to_string(fixture("mainnet/12964999/senders.txt")).unwrap();
    (hex, senders.lines().map(str::to_lowercase).collect())
}

fn line(tx: &SignedTx) -> String {
    let mut bytes = Vec::new();
    tx.encode_2718(&mut bytes);
    hex::encode_prefixed(bytes)
}

/// As it is printed: in lower case.
fn address(wallet: &Wallet) -> String {
    wallet.address().to_string().to_lowercase()
}

fn tx() -> TxLegacy {
    TxLegacy { nonce: 7, ..TxLegacy::default() }
}

fn with_signature(signature: Signature) -> SignedTx {
    SignedTx::Legacy(tx().into_signed(signature))
}

#[test]
fn a_real_blocks_senders_in_order_from_a_file_and_from_standard_input() {
    let (hex, expected) = real();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("transactions.txt");
    fs::write(&file, &hex).unwrap();
    let lower = |text: &str| text.lines().map(str::to_lowercase).collect::<Vec<_>>();
    let outcome = outrider(&["recover", "--device", "cpu", arg(&file)]).expect(0);
    assert_eq!(lower(&outcome.stdout), expected);
    for args in [&["recover", "--device", "cpu"][..], &["recover", "--device", "cpu", "-"]] {
        assert_eq!(lower(&with_input(args, hex.as_bytes()).expect(0).stdout), expected);
    }
}

#[test]
fn json_says_line_hash_sender_and_flag() {
    let (hex, expected) = real();
    let outcome = with_input(&["recover", "--device", "cpu", "--json", "--rules", "berlin"], hex.as_bytes());
    let rows = outcome.expect(0).json();
    assert_eq!(rows.len(), expected.len());
    for (index, (row, expected)) in rows.iter().zip(expected).enumerate() {
        let pair = format!("{} {}", row["hash"].as_str().unwrap(), row["sender"].as_str().unwrap());
        assert_eq!(pair.to_lowercase(), expected);
        assert_eq!((&row["line"], &row["high_s"]), (&(index + 1).into(), &false.into()));
        assert!(row["reason"].is_null());
    }
}

#[test]
fn each_bad_line_has_its_reason_and_its_place() {
    let wallet = Wallet::derive(1, 1);
    let good = line(&with_signature(wallet.sign(tx().signature_hash())));
    let no_sender = line(&with_signature(Signature::new(U256::ZERO, U256::ONE, false)));
    let input = format!(
        "# a comment\n{good}\n\nnot hexadecimal\n0xabc\n{}\n{no_sender}\n0x7f00\n{}\n{good}\n",
        &good[..good.len() - 2],
        "00".repeat(40),
    );
    let outcome = with_input(&["recover", "--device", "cpu", "--json"], input.as_bytes()).expect(2);
    let rows = outcome.json();
    let lines: Vec<u64> = rows.iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9, 10]);
    for row in &rows {
        let is_good = matches!(row["line"].as_u64(), Some(2 | 10));
        assert_eq!(row["sender"].is_string(), is_good, "{row}");
        assert_eq!(row["reason"].is_null(), is_good, "{row}");
    }
    assert_eq!(rows[0]["sender"], address(&wallet));
    assert!(rows[4]["hash"].is_string(), "a transaction without a sender has a hash: {}", rows[4]);
    let text = with_input(&["recover", "--device", "cpu"], input.as_bytes()).expect(2).stdout;
    assert_eq!(text.lines().count(), rows.len());
    assert!(text.lines().nth(2).unwrap().contains("line 5: an odd number of hexadecimal digits"), "{text}");
}

#[test]
fn high_s_is_flagged_by_default_and_refused_from_homestead_on() {
    const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let wallet = Wallet::derive(1, 2);
    let low = wallet.sign(tx().signature_hash());
    let high = line(&with_signature(Signature::new(low.r(), ORDER - low.s(), !low.v())));
    let run = |rules: &str| with_input(&["recover", "--device", "cpu", "--rules", rules], high.as_bytes());
    for rules in ["any", "frontier"] {
        let stdout = run(rules).expect(0).stdout;
        assert!(stdout.contains(&address(&wallet)) && stdout.ends_with(" high-s\n"), "{stdout}");
    }
    for rules in ["homestead", "Osaka", "prague"] {
        let stdout = run(rules).expect(2).stdout;
        assert!(!stdout.contains(&address(&wallet)) && stdout.contains("line 1: "), "{stdout}");
    }
}

#[test]
fn files_that_cannot_be_read_and_input_that_is_empty() {
    let outcome = outrider(&["recover", "--device", "cpu", "nowhere.txt"]).expect(2);
    assert!(outcome.complaints()[0].starts_with("nowhere.txt: "), "{outcome:#?}");
    assert_eq!(with_input(&["recover", "--device", "cpu"], b"").expect(0).stdout, "");
    let binary: Vec<u8> = (0..=255).cycle().take(5000).collect();
    with_input(&["recover", "--device", "cpu"], &binary).expect(2);
    let long = "0".repeat(9_000_000);
    with_input(&["recover", "--device", "cpu"], long.as_bytes()).expect(2);
}
