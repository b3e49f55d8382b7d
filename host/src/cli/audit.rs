//! Arguments that say how a device's answers are checked.

use clap::Args;
use outrider_kernels::accelerator::{self, Audit, Reports};
use std::{num::NonZeroU32, path::PathBuf, str::FromStr};

/// How a device is checked while it serves, shared by the commands that have it serve.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// What the CPU checks of a device's answers: some items of each batch, recomputed; every recovered key of a batch,
    /// all at once by a random linear combination; or nothing [default: what suits this processor]
    #[arg(long, value_name = "sample[=1/N]|batch|off")]
    audit: Option<AuditName>,
    /// Keep a device's wrong answers in this folder, with their inputs: up to 8 files of 1 MiB, readable by you alone,
    /// the oldest go first. They hold transactions as they came in
    #[arg(long, value_name = "DIR")]
    keep_mismatches: Option<PathBuf>,
}

impl AuditArgs {
    /// Puts what was asked for into the accelerator's options.
    pub(crate) fn apply(&self, options: &mut accelerator::Options) {
        if let Some(AuditName(audit)) = self.audit {
            options.audit = audit;
        }
        options.reports = self.keep_mismatches.clone().map(Reports::in_folder);
    }
}

/// An audit by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AuditName(Audit);

impl FromStr for AuditName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let audit = match text {
            "off" => Audit::Off,
            "batch" => Audit::Combination,
            "sample" => Audit::SAMPLE,
            _ => {
                let one_in = text.strip_prefix("sample=1/").and_then(|n| n.parse::<NonZeroU32>().ok());
                let one_in = one_in.ok_or("expected sample, sample=1/N, batch or off")?;
                Audit::Sample { one_in, at_most: usize::MAX }
            }
        };
        Ok(Self(audit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audits_go_by_their_names() {
        let parse = |text: &str| text.parse().map(|AuditName(audit)| audit);
        assert_eq!(parse("sample"), Ok(Audit::SAMPLE));
        let one_in = NonZeroU32::new(64).unwrap();
        assert_eq!(parse("sample=1/64"), Ok(Audit::Sample { one_in, at_most: usize::MAX }));
        assert_eq!(parse("batch"), Ok(Audit::Combination));
        assert_eq!(parse("off"), Ok(Audit::Off));
        for bad in ["", "on", "sample=", "sample=1/0", "sample=1/-2", "sample=0.1", "batch=1/2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
