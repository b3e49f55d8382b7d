//! What becomes of a block, and what that means for its report and for the chain.

use super::{
    Chain, Job, Tried,
    prepare::Content,
    report::{Answer, BlockReport, Mismatch},
};
use crate::{
    ingest::{BlockBytes, DecodeError, Expectation, ExpectedEnd, PostState, Prestate},
    lanes::ExecutionError,
    recover::Unrecoverable,
    rules::{self, Exception, InvalidBlock},
    state::{StateKey, World},
};
use alloy_primitives::B256;
use std::fmt;

/// What became of a block.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Every check that could be made passed; what it changed is applied.
    Valid(Option<Box<Tried>>),
    /// The bytes are no block.
    Undecodable(InvalidBlock),
    /// A rule is broken.
    Invalid(InvalidBlock),
    /// State that was not supplied is needed.
    Needs(StateKey),
    /// Its witness lacks something: in words, what.
    Lacks(String),
    /// Its rules are not known here.
    Unsupported(&'static str),
    /// revm could not execute it, for a reason that is not the block's.
    Failed(String),
    /// The block is fine as far as it goes, but something that the input says is not so.
    Differs,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(_) => f.write_str("valid"),
            Self::Invalid(invalid) | Self::Undecodable(invalid) => invalid.fmt(f),
            Self::Needs(key) => write!(f, "needs {key}"),
            Self::Lacks(what) => write!(f, "needs {what}"),
            Self::Unsupported(rules) => f.write_str(rules),
            Self::Failed(message) => f.write_str(message),
            Self::Differs => f.write_str("differs"),
        }
    }
}

impl Verdict {
    /// Whether two ways of executing a block came to the same end. The words may differ: errors that
    /// are not the block's are told by whatever met them.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Valid(_), Self::Valid(_))
            | (Self::Failed(_), Self::Failed(_))
            | (Self::Lacks(_), Self::Lacks(_)) => true,
            (Self::Invalid(ours), Self::Invalid(theirs)) => same_class(ours, theirs),
            (Self::Needs(ours), Self::Needs(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

/// Whether two failures to execute a block say the same of it.
pub(super) fn same_failure(ours: &ExecutionError, theirs: &ExecutionError) -> bool {
    if let (ExecutionError::Unknown(ours), ExecutionError::Unknown(theirs)) = (ours, theirs) {
        return ours == theirs;
    }
    match (not_executable(ours), not_executable(theirs)) {
        (Some(ours), Some(theirs)) => same_class(&ours, &theirs),
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

fn same_class(ours: &InvalidBlock, theirs: &InvalidBlock) -> bool {
    (ours.exception, ours.transaction) == (theirs.exception, theirs.transaction)
}

/// What bytes that are no block break: for RLP, the rules' own reading of them.
pub(super) fn undecodable(chain: &Chain, bytes: &BlockBytes, error: &DecodeError) -> InvalidBlock {
    match bytes {
        BlockBytes::Rlp(rlp) => {
            let explained = rules::explain_undecodable_block(&chain.spec, rlp);
            InvalidBlock { detail: error.to_string(), ..explained }
        }
        BlockBytes::RpcJson(_) => InvalidBlock::block(Exception::RlpStructuresEncoding, error.to_string()),
    }
}

/// The verdict that a transaction without a sender amounts to.
pub(super) fn unsigned(error: &Unrecoverable) -> InvalidBlock {
    InvalidBlock::transaction(Exception::InvalidSignature, error.index, error.fault.to_string())
}

/// The verdict that a failure to execute amounts to; `None` if it says nothing about the block.
pub(super) fn not_executable(error: &ExecutionError) -> Option<InvalidBlock> {
    match error {
        ExecutionError::InvalidTransaction { index, error } => {
            InvalidBlock::of_invalid_transaction(error, *index)
        }
        ExecutionError::GasPoolExceeded { index, gas_limit, available } => Some(InvalidBlock::transaction(
            Exception::GasAllowanceExceeded,
            *index,
            format!("gas limit {gas_limit} of {available} left"),
        )),
        ExecutionError::Unrecoverable(error) => Some(unsigned(error)),
        ExecutionError::Block(error) => InvalidBlock::of_execution_error(error, None),
        _ => None,
    }
}

/// Sets verdict and match, and moves the chain.
pub(super) fn conclude(
    job: &Job<'_>,
    chain: &mut Chain,
    expectation: &Expectation,
    content: Option<Content>,
    verdict: Verdict,
    report: &mut BlockReport,
) {
    let should_be_valid = matches!(expectation, Expectation::Valid);
    if let Expectation::Invalid { classes } = expectation {
        report.expected_exception = Some(classes.join("|"));
    }
    report.verdict = answer(&verdict, report);
    report.unchecked = report.checks.not_made();
    if report.has_unchecked_ommers {
        report.unchecked.push("ommers");
    }
    let is_undecodable = matches!(verdict, Verdict::Undecodable(_));
    match verdict {
        Verdict::Valid(tried) => {
            if let (Some(tried), Some(content)) = (tried, content) {
                let header = content.block.header.into_inner();
                chain.accept(*tried, header, content.block.ommers);
            }
            report.matched = should_be_valid && report.mismatches.is_empty() && report.checks.none_failed();
            if !should_be_valid {
                report.differs("validity", report.expected_exception.clone().unwrap_or_default(), "valid");
            }
        }
        Verdict::Invalid(invalid) | Verdict::Undecodable(invalid) => {
            report.is_malformed = is_undecodable || invalid.transaction.is_some();
            report.exception = Some(invalid.exception.to_string());
            report.reason = Some(invalid.to_string());
            let as_expected = match expectation {
                Expectation::Valid => false,
                Expectation::Invalid { classes } => {
                    classes.is_empty() || classes.iter().any(|class| invalid.exception.is_expected_by(class))
                }
            };
            report.matched = as_expected && !report.has_disagreement();
            if as_expected {
                report.mismatches.retain(Mismatch::is_disagreement);
            } else if should_be_valid {
                if report.mismatches.is_empty() {
                    report.differs("validity", "valid", &invalid);
                }
            } else {
                let expected = report.expected_exception.clone().unwrap_or_default();
                report.differs("exception", expected, &invalid);
            }
        }
        Verdict::Needs(key) => {
            report.needs = Some(key.to_string());
            report.matched = false;
        }
        Verdict::Lacks(what) => {
            report.needs = Some(what);
            report.matched = false;
        }
        Verdict::Unsupported(rules) => {
            report.reason = Some(rules.to_owned());
            report.is_malformed = true;
        }
        Verdict::Failed(message) => report.differs("execution", "to the end", message),
        Verdict::Differs => report.matched = false,
    }
    if let Some(expected) = job.expected {
        check_end(chain, expected, report);
    }
}

/// What is answered: valid only if the root of the state was computed and is the header's.
fn answer(verdict: &Verdict, report: &BlockReport) -> Answer {
    match verdict {
        Verdict::Valid(_) if report.checks.state_root == Some(true) && report.is_checked_throughout() => {
            Answer::Valid
        }
        Verdict::Invalid(_) | Verdict::Undecodable(_) => Answer::Invalid,
        Verdict::Needs(_) | Verdict::Lacks(_) => Answer::NeedsState,
        Verdict::Valid(_) | Verdict::Unsupported(_) | Verdict::Failed(_) | Verdict::Differs => {
            Answer::Computed
        }
    }
}

/// The end of a test case: the head's hash and the complete state.
pub(super) fn check_end(chain: &Chain, expected: &ExpectedEnd, report: &mut BlockReport) {
    let head = chain.head().unwrap_or(B256::ZERO);
    if head != expected.last_block_hash {
        report.differs("last_block_hash", expected.last_block_hash, head);
        report.matched = false;
        return;
    }
    let difference = match &expected.post_state {
        None => None,
        Some(PostState::Root(root)) => {
            let found = chain.state_root();
            found.filter(|found| found != root).map(|found| (root.to_string(), found.to_string()))
        }
        Some(PostState::Accounts(accounts)) => {
            let expected = Prestate { accounts: accounts.clone(), ..Prestate::default() };
            chain.world().first_difference(&World::from_prestate(expected))
        }
    };
    if let Some((expected, found)) = difference {
        report.differs("post_state", expected, found);
        report.matched = false;
    }
}
