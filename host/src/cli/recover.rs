//! `outrider recover`.

use super::{
    DeviceArgs, EXIT_BAD_INPUT, EXIT_MATCH, Failure, accelerator_options, audit::AuditArgs, complain, written,
};
use alloy_eips::Encodable2718;
use clap::Args;
use outrider::{
    ingest::{LineFault, RawLine, RawLines, Transactions},
    recover::{SignatureFault, is_high_s, recover_each, s_rule},
    rules,
    run::report::DeviceReport,
    spec::Fork,
};
use outrider_kernels::{accelerator::Accelerator, recover::policy::SRule};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Prints a line for each transaction, in order: hash and sender, or hash and the reason why there is
no sender. Blank lines and lines that begin with # are passed over. Where there is a device, it says last what
was checked of its answers: on standard error, or with --json as a line of its own.

Examples:
  outrider recover transactions.txt
  outrider recover --device gpu --audit batch transactions.txt
  curl -s NODE | jq -r '.[].raw' | outrider recover --rules osaka --json -";

/// Lines that go through the kernels at once.
const BATCH_LEN: usize = 65_536;
/// Bytes of transactions from which on no further line joins a batch.
const BATCH_BYTES: usize = 64 << 20;

/// Arguments of `outrider recover`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RecoverArgs {
    /// File with raw signed transactions, hexadecimal, one a line; - is standard input
    #[arg(default_value = "-", value_name = "FILE|-")]
    file: PathBuf,
    /// any = every signature that has a signer, high s flagged; or a fork, whose transaction types and
    /// signature rules (low s, EIP-155) then hold
    #[arg(long, default_value = "any", value_name = "any|FORK")]
    rules: String,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    audit: AuditArgs,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// One line of output.
#[derive(Serialize)]
struct Row {
    line: u64,
    hash: Option<String>,
    sender: Option<String>,
    high_s: bool,
    reason: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &RecoverArgs) -> Result<u8, Failure> {
    let fork = match args.rules.as_str() {
        "any" => None,
        name => Some(
            Fork::from_name(name)
                .ok_or_else(|| Failure::bad_input(format_args!("--rules: {name:?} names no fork")))?,
        ),
    };
    let accelerator = Accelerator::open(&args.device.choice(), &accelerator_options(&args.audit)?)?;
    let name = args.file.display();
    let mut lines = RawLines::new(open(&args.file)?);
    let mut out = BufWriter::new(io::stdout());
    let mut all_recovered = true;
    loop {
        let batch =
            next_batch(&mut lines).map_err(|error| Failure::bad_input(format_args!("{name}: {error}")))?;
        if batch.is_empty() {
            break;
        }
        for row in rows(&accelerator, batch, fork) {
            all_recovered &= row.sender.is_some();
            written(print(&mut out, &row, args.json))?;
        }
    }
    if let Some(device) = DeviceReport::of(&accelerator) {
        if args.json {
            #[derive(Serialize)]
            struct Line {
                device: DeviceReport,
            }
            let line = serde_json::to_writer(&mut out, &Line { device }).map_err(io::Error::from);
            written(line.and_then(|()| writeln!(out)))?;
        } else {
            complain(device);
        }
    }
    written(out.flush())?;
    Ok(if all_recovered { EXIT_MATCH } else { EXIT_BAD_INPUT })
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file =
        File::open(path).map_err(|error| Failure::bad_input(format_args!("{}: {error}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

/// The next lines, as many as go through the kernels at once; none at the end.
fn next_batch(lines: &mut impl Iterator<Item = io::Result<RawLine>>) -> io::Result<Vec<RawLine>> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_LEN && bytes < BATCH_BYTES {
        let Some(mut line) = lines.next().transpose()? else { break };
        if let Ok(raw) = &mut line.transaction {
            // Blobs are not signed themselves.
            raw.sidecar = None;
            bytes += raw.transaction.encode_2718_len();
        }
        batch.push(line);
    }
    Ok(batch)
}

fn rows(accelerator: &Accelerator, batch: Vec<RawLine>, fork: Option<Fork>) -> Vec<Row> {
    let rule = fork.map_or(SRule::Any, |fork| s_rule(fork.spec_id()));
    let mut transactions = Vec::with_capacity(batch.len());
    let places: Vec<(u64, Result<usize, LineFault>)> = batch
        .into_iter()
        .map(|line| {
            let place = line.transaction.map(|raw| {
                transactions.push(raw.transaction);
                transactions.len() - 1
            });
            (line.number, place)
        })
        .collect();
    let transactions = Transactions::encode(transactions);
    let senders = recover_each(accelerator, &transactions, rule);
    let hashes = transactions.hashes();
    let row = |(line, place): (u64, Result<usize, LineFault>)| {
        let index = match place {
            Ok(index) => index,
            Err(fault) => {
                return Row {
                    line,
                    hash: None,
                    sender: None,
                    high_s: false,
                    reason: Some(fault.to_string()),
                };
            }
        };
        let hash = Some(hashes[index].to_string());
        let high_s = is_high_s(&transactions[index]);
        let misfit = fork.and_then(|fork| rules::check_form(fork, &transactions[index]).err());
        let (sender, reason) = match senders[index] {
            _ if let Some(misfit) = misfit => (None, Some(misfit.words().to_owned())),
            Ok(sender) => (Some(format!("{sender:#x}")), None),
            Err(fault) => (None, Some(SignatureFault::to_string(&fault))),
        };
        Row { line, hash, sender, high_s, reason }
    };
    places.into_iter().map(row).collect()
}

fn print(out: &mut impl Write, row: &Row, json: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, row)?;
        return writeln!(out);
    }
    let hash = row.hash.as_deref().unwrap_or("-");
    let flag = if row.high_s { " high-s" } else { "" };
    match (&row.sender, &row.reason) {
        (Some(sender), _) => writeln!(out, "{hash} {sender}{flag}"),
        (None, reason) => {
            writeln!(out, "{hash} line {}: {}{flag}", row.line, reason.as_deref().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxLegacy};
    use alloy_primitives::Signature;
    use outrider::ingest::RawTransaction;

    fn line(number: u64, input_bytes: usize) -> io::Result<RawLine> {
        let tx = TxLegacy { input: vec![1; input_bytes].into(), ..TxLegacy::default() };
        let transaction = tx.into_signed(Signature::test_signature()).into();
        Ok(RawLine { number, transaction: Ok(RawTransaction { transaction, sidecar: None }) })
    }

    #[test]
    fn batches_are_bounded_in_lines_and_in_bytes() {
        let mut lines = (0..).map(|number| line(number, 0));
        assert_eq!(next_batch(&mut lines).unwrap().len(), BATCH_LEN);
        let mut lines = (0..10).map(|number| line(number, BATCH_BYTES / 3));
        let batches: Vec<usize> = (0..5).map(|_| next_batch(&mut lines).unwrap().len()).collect();
        assert_eq!(batches, [3, 3, 3, 1, 0]);
        let mut lines = [line(1, 0), Err(io::ErrorKind::UnexpectedEof.into())].into_iter();
        assert!(next_batch(&mut lines).is_err());
    }
}
