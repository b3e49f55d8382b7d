//! What execution made of a block, against what its header promised.

use core::fmt;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom};

use super::{Exception, InvalidBlock};

/// What execution made of a block. What cannot be known is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Gas used, as the header counts it.
    pub gas_used: u64,
    /// Root of the receipts; before Byzantium only with the state root of each transaction.
    pub receipts_root: Option<B256>,
    /// Bloom filter over all logs.
    pub logs_bloom: Bloom,
    /// Hash of the requests (EIP-7685), where the fork has them and the contracts' state is known.
    pub requests_hash: Option<B256>,
    /// Root of the state, where the whole state or a witness of it is known.
    pub state_root: Option<B256>,
    /// Hash of the block access list (EIP-7928), where it was made.
    pub block_access_list_hash: Option<B256>,
}

/// For each field of an [`Outcome`] whether the header agrees; `None` where it cannot be checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Gas used.
    pub gas_used: Option<bool>,
    /// Receipts root.
    pub receipts_root: Option<bool>,
    /// Logs bloom.
    pub logs_bloom: Option<bool>,
    /// Requests hash.
    pub requests_hash: Option<bool>,
    /// State root.
    pub state_root: Option<bool>,
    /// Hash of the block access list.
    pub block_access_list_hash: Option<bool>,
    /// The fields that differ, in the order in which they are judged.
    pub mismatches: Vec<Mismatch>,
}

/// A field of the header that is not what execution made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Name of the field, as in the report.
    pub field: &'static str,
    /// The class of the fault.
    pub exception: Exception,
    /// What the header says.
    pub header: String,
    /// What execution made.
    pub computed: String,
}

impl Comparison {
    /// Compares `outcome` with `header`.
    ///
    /// The order of judgement is that of the execution specs: a wrong state changes everything
    /// after it, so gas and state come before receipts and bloom.
    pub fn new(header: &Header, outcome: &Outcome) -> Self {
        let mut it = Self::default();
        it.gas_used =
            it.compare("gas_used", Exception::InvalidGasUsed, Some(header.gas_used), Some(outcome.gas_used));
        it.state_root = it.compare(
            "state_root",
            Exception::InvalidStateRoot,
            Some(header.state_root),
            outcome.state_root,
        );
        it.receipts_root = it.compare(
            "receipts_root",
            Exception::InvalidReceiptsRoot,
            Some(header.receipts_root),
            outcome.receipts_root,
        );
        it.logs_bloom = it.compare(
            "logs_bloom",
            Exception::InvalidLogBloom,
            Some(header.logs_bloom),
            Some(outcome.logs_bloom),
        );
        it.requests_hash = it.compare(
            "requests_hash",
            Exception::InvalidRequests,
            header.requests_hash,
            outcome.requests_hash,
        );
        it.block_access_list_hash = it.compare(
            "block_access_list_hash",
            Exception::InvalidBlockAccessListHash,
            header.block_access_list_hash,
            outcome.block_access_list_hash,
        );
        it
    }

    /// Whether nothing differs.
    pub const fn is_match(&self) -> bool {
        self.mismatches.is_empty()
    }

    /// The verdict that the first difference amounts to.
    pub fn verdict(&self) -> Option<InvalidBlock> {
        self.mismatches.first().map(|m| InvalidBlock::block(m.exception, m.to_string()))
    }

    fn compare<T: PartialEq + fmt::Display>(
        &mut self,
        field: &'static str,
        exception: Exception,
        header: Option<T>,
        computed: Option<T>,
    ) -> Option<bool> {
        let (header, computed) = (header?, computed?);
        let agrees = header == computed;
        if !agrees {
            self.mismatches.push(Mismatch {
                field,
                exception,
                header: header.to_string(),
                computed: computed.to_string(),
            });
        }
        Some(agrees)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: header {}, computed {}", self.field, self.header, self.computed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            gas_used: 5,
            receipts_root: Some(B256::repeat_byte(1)),
            logs_bloom: Bloom::repeat_byte(2),
            requests_hash: None,
            state_root: None,
            block_access_list_hash: None,
        }
    }

    fn header() -> Header {
        Header {
            gas_used: 5,
            receipts_root: B256::repeat_byte(1),
            logs_bloom: Bloom::repeat_byte(2),
            ..Header::default()
        }
    }

    #[test]
    fn what_cannot_be_known_is_neither_right_nor_wrong() {
        let comparison = Comparison::new(&header(), &outcome());
        assert!(comparison.is_match());
        assert_eq!(comparison.verdict(), None);
        assert_eq!(comparison.gas_used, Some(true));
        assert_eq!(comparison.state_root, None);
        assert_eq!(comparison.requests_hash, None);
        // A fork with requests whose hash could not be computed.
        let header = Header { requests_hash: Some(B256::ZERO), ..header() };
        assert_eq!(Comparison::new(&header, &outcome()).requests_hash, None);
    }

    #[test]
    fn each_field_is_its_own_class_and_names_both_values() {
        let mut outcome = outcome();
        outcome.state_root = Some(header().state_root);
        outcome.requests_hash = Some(B256::ZERO);
        outcome.block_access_list_hash = Some(B256::ZERO);
        let header =
            Header { requests_hash: Some(B256::ZERO), block_access_list_hash: Some(B256::ZERO), ..header() };
        assert!(Comparison::new(&header, &outcome).is_match());
        type Spoil = fn(&mut Outcome);
        let cases: [(Spoil, &str, Exception); 6] = [
            (|o| o.gas_used += 1, "gas_used", Exception::InvalidGasUsed),
            (|o| o.state_root = Some(B256::ZERO), "state_root", Exception::InvalidStateRoot),
            (|o| o.receipts_root = Some(B256::ZERO), "receipts_root", Exception::InvalidReceiptsRoot),
            (|o| o.logs_bloom = Bloom::ZERO, "logs_bloom", Exception::InvalidLogBloom),
            (|o| o.requests_hash = Some(B256::repeat_byte(9)), "requests_hash", Exception::InvalidRequests),
            (
                |o| o.block_access_list_hash = Some(B256::repeat_byte(9)),
                "block_access_list_hash",
                Exception::InvalidBlockAccessListHash,
            ),
        ];
        for (spoil, field, exception) in cases {
            let mut wrong = outcome.clone();
            spoil(&mut wrong);
            let comparison = Comparison::new(&header, &wrong);
            assert_eq!(comparison.mismatches.len(), 1, "{field}");
            assert_eq!(comparison.mismatches[0].field, field);
            assert_eq!(comparison.verdict().unwrap().exception, exception);
        }
        let mut wrong = outcome;
        wrong.gas_used = 6;
        let verdict = Comparison::new(&header, &wrong).verdict().unwrap();
        assert_eq!(verdict.detail, "gas_used: header 5, computed 6");
    }
}
