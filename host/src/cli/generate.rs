//! `outrider generate`.

use super::{EXIT_MATCH, Failure, written};
use clap::Args;
use outrider::generate::{self, GenerateOptions, Kind, Progress};
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Instant,
};

const EXAMPLES: &str = "\
Writes genesis.json and chain.rlp, as geth and hive know them. The same options give the same bytes.

Examples:
  outrider generate transfers --txs 50000 --accounts 50000 --out /tmp/transfers
  outrider generate mixed --txs 200 --blocks 5 --seed 7 --out /tmp/mixed
  outrider run /tmp/mixed";

/// Arguments of `outrider generate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// transfers (uniform), hot (one payout wallet, one sweep address) or mixed (calls, creations, all types)
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Transactions in each block
    #[arg(long, default_value_t = 1000, value_name = "N")]
    txs: usize,
    /// Blocks
    #[arg(long, default_value_t = 1, value_name = "N")]
    blocks: usize,
    /// Accounts that hold ether at genesis
    #[arg(long, default_value_t = 1000, value_name = "N")]
    accounts: usize,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs) -> Result<u8, Failure> {
    let options = GenerateOptions {
        kind: args.kind,
        txs_per_block: args.txs,
        blocks: args.blocks,
        accounts: args.accounts,
        seed: args.seed,
    };
    let start = Instant::now();
    let shows_progress = io::stderr().is_terminal();
    let written_chain = generate::generate(&options, &args.out, &mut |progress: Progress| {
        if shows_progress {
            let _ = write!(
                io::stderr(),
                "\r\x1b[K{} of {} blocks, {} transactions",
                progress.blocks,
                progress.blocks_total,
                progress.transactions
            );
        }
    });
    if shows_progress {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    written_chain.map_err(Failure::bad_input)?;
    written(writeln!(
        io::stdout(),
        "{}: {} blocks of {} transactions in {:.1} s",
        args.out.display(),
        args.blocks,
        args.txs,
        start.elapsed().as_secs_f64()
    ))?;
    Ok(EXIT_MATCH)
}
