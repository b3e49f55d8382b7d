//! [`Exception`]: the classes of reason for which a block is invalid.

use core::fmt;

/// Defines [`Exception`], its names and its words from one table.
macro_rules! exceptions {
    ($( $(#[$group:meta])* $variant:ident, [$($name:literal),+ $(,)?], $words:literal; )+) => {
        /// Why a block is invalid, as a class.
        ///
        /// The classes are those of the execution-spec tests (`TransactionException` and
        /// `BlockException`), as far as they can be told apart by their definitions. Where the
        /// tests know one situation under several names, because the clients they were made for
        /// meet the fault at different places, the class has several [names](Self::names).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Exception {
            $( #[doc = concat!("The block is invalid because of this: ", $words, ".")] $variant, )+
        }

        impl Exception {
            /// Every class.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The names under which the execution-spec tests know the class, the exact one first.
            pub const fn names(self) -> &'static [&'static str] {
                match self {
                    $( Self::$variant => &[$( $name, )+], )+
                }
            }

            /// The class in words.
            pub const fn words(self) -> &'static str {
                match self {
                    $( Self::$variant => $words, )+
                }
            }
        }
    };
}

exceptions! {
    // Encoding of the block.
    RlpStructuresEncoding, ["BlockException.RLP_STRUCTURES_ENCODING"],
        "the RLP does not have the structure of a block";
    RlpWithdrawalsNotRead,
        ["BlockException.RLP_WITHDRAWALS_NOT_READ", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the block has no list of withdrawals";
    RlpInvalidFieldOverflow64,
        ["BlockException.RLP_INVALID_FIELD_OVERFLOW_64", "BlockException.RLP_STRUCTURES_ENCODING"],
        "a number does not fit 64 bits";
    RlpInvalidAddress,
        ["BlockException.RLP_INVALID_ADDRESS", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the address of a withdrawal does not have 20 bytes";
    RlpBlockLimitExceeded, ["BlockException.RLP_BLOCK_LIMIT_EXCEEDED"],
        "the RLP is larger than a block may be";
    IncorrectBlockFormat, ["BlockException.INCORRECT_BLOCK_FORMAT"],
        "a field is missing, or belongs to a fork that is not active";
    LegacyHeader,
        [
            "BlockException.INCORRECT_BLOCK_FORMAT",
            "BlockException.IMPORT_IMPOSSIBLE_LEGACY",
            "BlockException.IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
        ],
        "the header lacks the base fee that London demands";
    LondonHeaderTooEarly,
        [
            "BlockException.INCORRECT_BLOCK_FORMAT",
            "BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
        ],
        "the header has a base fee before London";
    ParisHeaderOverShanghai,
        [
            "BlockException.INCORRECT_BLOCK_FORMAT",
            "BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
        ],
        "the header lacks the withdrawals root that Shanghai demands";
    ShanghaiHeaderTooEarly,
        ["BlockException.INCORRECT_BLOCK_FORMAT", "BlockException.IMPORT_IMPOSSIBLE_SHANGHAI"],
        "the header has a withdrawals root before Shanghai";
    InvalidBlockHash, ["BlockException.INVALID_BLOCK_HASH"],
        "the hash is not that of the header";

    // The header and its parent.
    UnknownParent, ["BlockException.UNKNOWN_PARENT"], "the parent is not known";
    UnknownParentZero, ["BlockException.UNKNOWN_PARENT_ZERO", "BlockException.UNKNOWN_PARENT"],
        "the parent hash is zero";
    InvalidBlockNumber, ["BlockException.INVALID_BLOCK_NUMBER"],
        "the number is not that of the parent plus one";
    InvalidTimestamp, ["BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT"],
        "the timestamp is not later than that of the parent";
    ExtraDataTooBig, ["BlockException.EXTRA_DATA_TOO_BIG"], "the extra data exceeds 32 bytes";
    ExtraDataInvalidDao, ["BlockException.EXTRA_DATA_INVALID_DAO"],
        "the extra data does not say on which side of the DAO fork the block is";
    InvalidGasLimit, ["BlockException.INVALID_GASLIMIT"],
        "the gas limit is too far from that of the parent, or below 5,000";
    GasLimitTooBig, ["BlockException.GASLIMIT_TOO_BIG", "BlockException.INVALID_GASLIMIT"],
        "the gas limit exceeds 2^63 - 1";
    GasUsedAboveLimit,
        ["BlockException.INVALID_GAS_USED_ABOVE_LIMIT", "BlockException.GAS_USED_OVERFLOW"],
        "the gas used exceeds the gas limit";
    InvalidDifficulty, ["BlockException.INVALID_DIFFICULTY"],
        "the difficulty is not the one that follows from the parent";
    DifficultyOverParis,
        [
            "BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS",
            "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
            "BlockException.IMPORT_IMPOSSIBLE_LONDON_OVER_PARIS",
        ],
        "a proof-of-stake block has a difficulty";
    NonceOverParis,
        ["BlockException.INCORRECT_BLOCK_FORMAT", "BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW"],
        "a proof-of-stake block has a nonce";
    ParisBeforeTerminalDifficulty,
        ["BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS", "BlockException.INVALID_DIFFICULTY"],
        "a block without difficulty, before the terminal total difficulty";
    UnclesOverParis, ["BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS"],
        "a proof-of-stake block has ommers";
    InvalidBaseFeePerGas, ["BlockException.INVALID_BASEFEE_PER_GAS"],
        "the base fee is not the one that follows from the parent";
    IncorrectBlobGasUsed, ["BlockException.INCORRECT_BLOB_GAS_USED"],
        "the blob gas used is not that of the transactions";
    BlobGasUsedAboveLimit,
        ["BlockException.BLOB_GAS_USED_ABOVE_LIMIT", "BlockException.INCORRECT_BLOB_GAS_USED"],
        "the blob gas used exceeds the limit";
    IncorrectExcessBlobGas, ["BlockException.INCORRECT_EXCESS_BLOB_GAS"],
        "the excess blob gas is not the one that follows from the parent";

    // The header and the body.
    InvalidTransactionsRoot, ["BlockException.INVALID_TRANSACTIONS_ROOT"],
        "the transactions root is not that of the transactions";
    InvalidUnclesHash, ["BlockException.INVALID_UNCLES_HASH"],
        "the ommers hash is not that of the ommers";
    InvalidWithdrawalsRoot, ["BlockException.INVALID_WITHDRAWALS_ROOT"],
        "the withdrawals root is not that of the withdrawals";
    TooManyUncles, ["BlockException.TOO_MANY_UNCLES"], "there are more than two ommers";
    UncleInChain, ["BlockException.UNCLE_IN_CHAIN"], "an ommer is in the chain already";
    UncleIsAncestor, ["BlockException.UNCLE_IS_ANCESTOR", "BlockException.UNCLE_IN_CHAIN"],
        "an ommer is an ancestor";
    UncleIsBrother, ["BlockException.UNCLE_IS_BROTHER"],
        "two ommers are the same";
    UncleIsSibling, ["BlockException.UNCLE_IS_BROTHER", "BlockException.UNCLE_PARENT_INCORRECT"],
        "an ommer has the same parent as the block";
    UncleParentIncorrect, ["BlockException.UNCLE_PARENT_INCORRECT"],
        "the parent of an ommer is not one of the six ancestors that it may have";
    UncleUnknownParent,
        ["BlockException.UNCLE_UNKNOWN_PARENT", "BlockException.UNCLE_PARENT_INCORRECT"],
        "the parent of an ommer is not known";

    // What execution made of the block.
    GasUsedOverflow,
        ["BlockException.GAS_USED_OVERFLOW", "BlockException.INVALID_GAS_USED_ABOVE_LIMIT"],
        "the transactions use more gas than the block has";
    InvalidGasUsed, ["BlockException.INVALID_GAS_USED"], "the gas used is another";
    InvalidReceiptsRoot, ["BlockException.INVALID_RECEIPTS_ROOT"], "the receipts root is another";
    InvalidLogBloom, ["BlockException.INVALID_LOG_BLOOM"], "the logs bloom is another";
    InvalidStateRoot, ["BlockException.INVALID_STATE_ROOT"], "the state root is another";
    InvalidRequests, ["BlockException.INVALID_REQUESTS"], "the requests hash is another";
    InvalidDepositEventLayout, ["BlockException.INVALID_DEPOSIT_EVENT_LAYOUT"],
        "a log of the deposit contract does not have the layout of a deposit";
    SystemContractEmpty, ["BlockException.SYSTEM_CONTRACT_EMPTY"], "a system contract has no code";
    SystemContractCallFailed, ["BlockException.SYSTEM_CONTRACT_CALL_FAILED"],
        "the call of a system contract failed";
    InvalidBlockAccessList, ["BlockException.INVALID_BLOCK_ACCESS_LIST"],
        "the block access list is not that of the block";
    // A block carries only the hash of its list, so nothing tells a list that is wrong from one that
    // is ill-formed, or from a hash that belongs to no list.
    InvalidBlockAccessListHash,
        [
            "BlockException.INVALID_BAL_HASH",
            "BlockException.INVALID_BLOCK_ACCESS_LIST",
            "BlockException.INVALID_BLOCK_HASH",
            "BlockException.INCORRECT_BLOCK_FORMAT",
        ],
        "the hash of the block access list is another";
    BlockAccessListGasLimitExceeded, ["BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED"],
        "the block access list has more items than the gas limit pays for";

    // Encoding of a transaction.
    TypeNotSupported, ["TransactionException.TYPE_NOT_SUPPORTED", "BlockException.RLP_STRUCTURES_ENCODING"],
        "there is no such transaction type";
    RlpTooFewElements,
        [
            "TransactionException.RLP_TOO_FEW_ELEMENTS",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the transaction has too few fields";
    RlpTooManyElements,
        [
            "TransactionException.RLP_TOO_MANY_ELEMENTS",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the transaction has too many fields";
    RlpInvalidHeader, ["TransactionException.RLP_INVALID_HEADER", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the transaction is not a list";
    RlpErrorSize,
        [
            "TransactionException.RLP_ERROR_SIZE",
            "TransactionException.RLP_ERROR_EOF",
            "TransactionException.RLP_ERROR_SIZE_LEADING_ZEROS",
            "TransactionException.RLP_LEADING_ZEROS_DATA_SIZE",
            "TransactionException.RLP_LEADING_ZEROS_NONCE_SIZE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the RLP of the transaction contradicts itself";
    AddressTooShort, ["TransactionException.ADDRESS_TOO_SHORT", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the recipient has fewer than 20 bytes";
    AddressTooLong, ["TransactionException.ADDRESS_TOO_LONG", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the recipient has more than 20 bytes";
    NonceOverflow, ["TransactionException.NONCE_OVERFLOW", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the nonce does not fit 64 bits";
    GasLimitOverflow, ["TransactionException.GASLIMIT_OVERFLOW", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the gas limit does not fit 64 bits";
    ValueOverflow, ["TransactionException.VALUE_OVERFLOW", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the value does not fit 256 bits";
    GasPriceOverflow, ["TransactionException.GASPRICE_OVERFLOW", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the gas price does not fit 256 bits";
    PriorityOverflow, ["TransactionException.PRIORITY_OVERFLOW", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the priority fee does not fit 256 bits";
    RlpInvalidSignatureR,
        [
            "TransactionException.RLP_INVALID_SIGNATURE_R",
            "TransactionException.INVALID_SIGNATURE_VRS",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the signature's r does not fit 256 bits";
    RlpInvalidSignatureS,
        [
            "TransactionException.RLP_INVALID_SIGNATURE_S",
            "TransactionException.INVALID_SIGNATURE_VRS",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the signature's s does not fit 256 bits";
    RlpLeadingZerosNonce,
        [
            "TransactionException.RLP_LEADING_ZEROS_NONCE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the nonce has leading zeros";
    RlpLeadingZerosGasPrice,
        [
            "TransactionException.RLP_LEADING_ZEROS_GASPRICE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the gas price has leading zeros";
    RlpLeadingZerosGasLimit,
        [
            "TransactionException.RLP_LEADING_ZEROS_GASLIMIT",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the gas limit has leading zeros";
    RlpLeadingZerosValue,
        [
            "TransactionException.RLP_LEADING_ZEROS_VALUE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the value has leading zeros";
    RlpLeadingZerosBaseFee,
        [
            "TransactionException.RLP_LEADING_ZEROS_BASEFEE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the maximum fee has leading zeros";
    RlpLeadingZerosPriorityFee,
        [
            "TransactionException.RLP_LEADING_ZEROS_PRIORITY_FEE",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the priority fee has leading zeros";
    RlpLeadingZerosV, ["TransactionException.RLP_LEADING_ZEROS_V", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the signature's v has leading zeros";
    RlpLeadingZerosR, ["TransactionException.RLP_LEADING_ZEROS_R", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the signature's r has leading zeros";
    RlpLeadingZerosS, ["TransactionException.RLP_LEADING_ZEROS_S", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the signature's s has leading zeros";
    RlpInvalidNonce, ["TransactionException.RLP_INVALID_NONCE", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the nonce is a list";
    RlpInvalidGasLimit,
        [
            "TransactionException.RLP_INVALID_GASLIMIT",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the gas limit is a list";
    RlpInvalidTo, ["TransactionException.RLP_INVALID_TO", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the recipient is a list";
    RlpInvalidValue, ["TransactionException.RLP_INVALID_VALUE", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the value is a list";
    RlpInvalidData, ["TransactionException.RLP_INVALID_DATA", "BlockException.RLP_STRUCTURES_ENCODING"],
        "the input data is a list";
    AccessListAddressTooLong,
        [
            "TransactionException.RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "an address of the access list has more than 20 bytes";
    AccessListAddressTooShort,
        [
            "TransactionException.RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_SHORT",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "an address of the access list has fewer than 20 bytes";
    AccessListStorageTooLong,
        [
            "TransactionException.RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "a key of the access list has more than 32 bytes";
    AccessListStorageTooShort,
        [
            "TransactionException.RLP_INVALID_ACCESS_LIST_STORAGE_TOO_SHORT",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "a key of the access list has fewer than 32 bytes";
    BlobTxWithFullBlobs,
        ["TransactionException.TYPE_3_TX_WITH_FULL_BLOBS", "BlockException.RLP_STRUCTURES_ENCODING"],
        "a blob transaction carries its blobs";
    InvalidAuthorizationFormat,
        [
            "TransactionException.TYPE_4_INVALID_AUTHORIZATION_FORMAT",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "an authorization is ill-formed";
    InvalidAuthoritySignature,
        [
            "TransactionException.TYPE_4_INVALID_AUTHORITY_SIGNATURE",
            "TransactionException.TYPE_4_INVALID_AUTHORITY_SIGNATURE_S_TOO_HIGH",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "the signature of an authorization is out of range";

    // A transaction on its own.
    InvalidSignature, ["TransactionException.INVALID_SIGNATURE_VRS", "TransactionException.EC_RECOVERY_FAIL"],
        "the signature is out of range or recovers no key";
    InvalidLegacyV, ["TransactionException.INVALID_SIGNATURE_VRS", "TransactionException.INVALID_CHAINID"],
        "the signature's v is neither 27, 28 nor made from a chain id";
    InvalidChainId, ["TransactionException.INVALID_CHAINID"], "the chain id is another";
    AccessListTxPreFork, ["TransactionException.TYPE_1_TX_PRE_FORK"],
        "an access-list transaction before Berlin";
    DynamicFeeTxPreFork, ["TransactionException.TYPE_2_TX_PRE_FORK"],
        "a dynamic-fee transaction before London";
    BlobTxPreFork, ["TransactionException.TYPE_3_TX_PRE_FORK"], "a blob transaction before Cancun";
    BlobTxZeroBlobsPreFork,
        ["TransactionException.TYPE_3_TX_ZERO_BLOBS_PRE_FORK", "TransactionException.TYPE_3_TX_PRE_FORK"],
        "a blob transaction before Cancun, and without blobs";
    SetCodeTxPreFork, ["TransactionException.TYPE_4_TX_PRE_FORK"],
        "a set-code transaction before Prague";
    NonceIsMax, ["TransactionException.NONCE_IS_MAX", "TransactionException.NONCE_TOO_BIG"],
        "the nonce is 2^64 - 1";
    InitcodeSizeExceeded, ["TransactionException.INITCODE_SIZE_EXCEEDED"], "the initcode is too long";
    IntrinsicGasTooLow, ["TransactionException.INTRINSIC_GAS_TOO_LOW"],
        "the gas limit does not pay for the transaction itself";
    IntrinsicGasBelowFloor,
        [
            "TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
            "TransactionException.INTRINSIC_GAS_TOO_LOW",
        ],
        "the gas limit is below the floor that the input data sets";
    GasLimitExceedsMaximum, ["TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM"],
        "the gas limit exceeds that of a transaction";
    PriorityFeeAboveMaxFee,
        [
            "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS",
            "TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2",
        ],
        "the priority fee exceeds the maximum fee";
    BlobTxZeroBlobs, ["TransactionException.TYPE_3_TX_ZERO_BLOBS"], "a blob transaction without blobs";
    BlobTxInvalidVersionedHash, ["TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"],
        "a blob hash has an unknown version";
    BlobTxBlobCountExceeded, ["TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED"],
        "a transaction has too many blobs";
    BlobTxContractCreation,
        [
            "TransactionException.TYPE_3_TX_CONTRACT_CREATION",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "a blob transaction creates a contract";
    SetCodeTxEmptyAuthorizationList, ["TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST"],
        "a set-code transaction without authorizations";
    SetCodeTxContractCreation,
        [
            "TransactionException.TYPE_4_TX_CONTRACT_CREATION",
            "BlockException.RLP_STRUCTURES_ENCODING",
        ],
        "a set-code transaction creates a contract";

    // A transaction in its block and state.
    GasAllowanceExceeded,
        ["TransactionException.GAS_ALLOWANCE_EXCEEDED", "BlockException.GAS_USED_OVERFLOW"],
        "the gas limit exceeds what the block has left";
    BlobGasAllowanceExceeded,
        [
            "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
            "BlockException.BLOB_GAS_USED_ABOVE_LIMIT",
        ],
        "the blobs exceed what the block has left";
    InsufficientMaxFeePerGas, ["TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS"],
        "the maximum fee is below the base fee";
    InsufficientMaxFeePerBlobGas, ["TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"],
        "the maximum blob fee is below the blob base fee";
    NonceTooLow, ["TransactionException.NONCE_MISMATCH_TOO_LOW"],
        "the nonce is below that of the sender";
    NonceTooHigh, ["TransactionException.NONCE_MISMATCH_TOO_HIGH"],
        "the nonce is above that of the sender";
    InsufficientAccountFunds, ["TransactionException.INSUFFICIENT_ACCOUNT_FUNDS"],
        "the sender cannot pay";
    PriceProductOverflow,
        [
            "TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
            "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
        ],
        "the price exceeds what any account can hold";
    SenderNotEoa, ["TransactionException.SENDER_NOT_EOA"], "the sender has code";
}

impl Exception {
    /// Whether a test that expects `expected` (names, alternatives separated by `|`) is content
    /// with this class.
    pub fn is_expected_by(self, expected: &str) -> bool {
        expected.split('|').any(|name| self.names().contains(&name.trim()))
    }

    /// The exact name.
    pub const fn name(self) -> &'static str {
        self.names()[0]
    }

    /// The parts of `expected` that name no class at all: a test that has one asks for something
    /// this version cannot report, rather than for something else than it did report.
    pub fn unknown_names(expected: &str) -> Vec<&str> {
        expected
            .split('|')
            .map(str::trim)
            .filter(|name| !Self::ALL.iter().any(|exception| exception.names().contains(name)))
            .collect()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_match_any_and_only_whole_names() {
        let funds = Exception::InsufficientAccountFunds;
        for expected in [
            "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
            "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS|TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW",
            "TransactionException.NONCE_IS_MAX | TransactionException.INSUFFICIENT_ACCOUNT_FUNDS",
        ] {
            assert!(funds.is_expected_by(expected), "{expected}");
        }
        for expected in [
            "",
            "|",
            "INSUFFICIENT_ACCOUNT_FUNDS",
            "TransactionException.INSUFFICIENT_ACCOUNT_FUNDS_X",
            "BlockException.INSUFFICIENT_ACCOUNT_FUNDS",
            "TransactionException.NONCE_IS_MAX",
        ] {
            assert!(!funds.is_expected_by(expected), "{expected}");
        }
    }

    #[test]
    fn names_are_well_formed_and_unknown_ones_are_told() {
        for exception in Exception::ALL {
            for name in exception.names() {
                let (kind, rest) = name.split_once('.').unwrap();
                assert!(matches!(kind, "TransactionException" | "BlockException"), "{name}");
                assert!(
                    !rest.is_empty()
                        && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                    "{name}"
                );
                assert!(Exception::unknown_names(name).is_empty());
            }
            assert!(exception.is_expected_by(exception.name()));
        }
        let expected = "BlockException.INVALID_GASLIMIT|BlockException.NO_SUCH_THING";
        assert_eq!(Exception::unknown_names(expected), ["BlockException.NO_SUCH_THING"]);
    }

    /// Every member of the two enumerations of the execution-spec tests that a block in a
    /// blockchain test can be invalid for. Left out are those that only other kinds of test use:
    /// payload fields of the engine API (`INVALID_VERSIONED_HASHES`), and log expectations of the
    /// filler.
    #[test]
    fn every_class_of_the_execution_spec_tests_can_be_reported() {
        const BLOCK: &str = "TOO_MANY_UNCLES UNCLE_IN_CHAIN UNCLE_IS_ANCESTOR UNCLE_IS_BROTHER \
            UNCLE_PARENT_INCORRECT EXTRA_DATA_TOO_BIG EXTRA_DATA_INVALID_DAO UNKNOWN_PARENT \
            UNCLE_UNKNOWN_PARENT UNKNOWN_PARENT_ZERO GASLIMIT_TOO_BIG INVALID_BLOCK_NUMBER \
            INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT INVALID_DIFFICULTY INVALID_LOG_BLOOM \
            INVALID_STATE_ROOT INVALID_RECEIPTS_ROOT INVALID_TRANSACTIONS_ROOT \
            INVALID_UNCLES_HASH GAS_USED_OVERFLOW INVALID_GASLIMIT INVALID_BASEFEE_PER_GAS \
            INVALID_GAS_USED INVALID_GAS_USED_ABOVE_LIMIT INVALID_WITHDRAWALS_ROOT \
            INCORRECT_BLOCK_FORMAT BLOB_GAS_USED_ABOVE_LIMIT INCORRECT_BLOB_GAS_USED \
            INCORRECT_EXCESS_BLOB_GAS RLP_STRUCTURES_ENCODING RLP_WITHDRAWALS_NOT_READ \
            RLP_INVALID_FIELD_OVERFLOW_64 RLP_INVALID_ADDRESS RLP_BLOCK_LIMIT_EXCEEDED \
            INVALID_REQUESTS IMPORT_IMPOSSIBLE_LEGACY IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT \
            IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT IMPORT_IMPOSSIBLE_PARIS_WRONG_POW \
            IMPORT_IMPOSSIBLE_LONDON_OVER_PARIS \
            IMPORT_IMPOSSIBLE_PARIS_WRONG_POS IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI \
            IMPORT_IMPOSSIBLE_SHANGHAI IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS \
            IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS SYSTEM_CONTRACT_EMPTY \
            SYSTEM_CONTRACT_CALL_FAILED INVALID_BLOCK_HASH INVALID_DEPOSIT_EVENT_LAYOUT \
            INVALID_BLOCK_ACCESS_LIST INVALID_BAL_HASH BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED";
        const TRANSACTION: &str = "TYPE_NOT_SUPPORTED SENDER_NOT_EOA ADDRESS_TOO_SHORT \
            ADDRESS_TOO_LONG NONCE_MISMATCH_TOO_HIGH NONCE_MISMATCH_TOO_LOW NONCE_TOO_BIG \
            NONCE_IS_MAX NONCE_OVERFLOW GASLIMIT_OVERFLOW VALUE_OVERFLOW GASPRICE_OVERFLOW \
            GASLIMIT_PRICE_PRODUCT_OVERFLOW INVALID_SIGNATURE_VRS RLP_INVALID_SIGNATURE_R \
            RLP_INVALID_SIGNATURE_S RLP_LEADING_ZEROS_GASLIMIT RLP_LEADING_ZEROS_GASPRICE \
            RLP_LEADING_ZEROS_VALUE RLP_LEADING_ZEROS_NONCE RLP_LEADING_ZEROS_R \
            RLP_LEADING_ZEROS_S RLP_LEADING_ZEROS_V RLP_LEADING_ZEROS_BASEFEE \
            RLP_LEADING_ZEROS_PRIORITY_FEE RLP_TOO_FEW_ELEMENTS RLP_TOO_MANY_ELEMENTS \
            RLP_ERROR_EOF RLP_ERROR_SIZE RLP_ERROR_SIZE_LEADING_ZEROS \
            RLP_LEADING_ZEROS_DATA_SIZE RLP_LEADING_ZEROS_NONCE_SIZE \
            PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2 INVALID_CHAINID RLP_INVALID_DATA RLP_INVALID_GASLIMIT \
            RLP_INVALID_NONCE RLP_INVALID_TO RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG \
            RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_SHORT RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG \
            RLP_INVALID_ACCESS_LIST_STORAGE_TOO_SHORT RLP_INVALID_HEADER RLP_INVALID_VALUE \
            EC_RECOVERY_FAIL INSUFFICIENT_ACCOUNT_FUNDS INSUFFICIENT_MAX_FEE_PER_GAS \
            PRIORITY_OVERFLOW PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS \
            INSUFFICIENT_MAX_FEE_PER_BLOB_GAS INTRINSIC_GAS_TOO_LOW \
            INTRINSIC_GAS_BELOW_FLOOR_GAS_COST INITCODE_SIZE_EXCEEDED TYPE_1_TX_PRE_FORK \
            TYPE_2_TX_PRE_FORK TYPE_3_TX_PRE_FORK TYPE_3_TX_ZERO_BLOBS_PRE_FORK \
            TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH TYPE_3_TX_WITH_FULL_BLOBS \
            TYPE_3_TX_BLOB_COUNT_EXCEEDED TYPE_3_TX_CONTRACT_CREATION \
            TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED GAS_ALLOWANCE_EXCEEDED \
            GAS_LIMIT_EXCEEDS_MAXIMUM TYPE_3_TX_ZERO_BLOBS TYPE_4_EMPTY_AUTHORIZATION_LIST \
            TYPE_4_INVALID_AUTHORITY_SIGNATURE TYPE_4_INVALID_AUTHORITY_SIGNATURE_S_TOO_HIGH \
            TYPE_4_TX_CONTRACT_CREATION TYPE_4_INVALID_AUTHORIZATION_FORMAT TYPE_4_TX_PRE_FORK";
        for (kind, names) in [("BlockException", BLOCK), ("TransactionException", TRANSACTION)] {
            for name in names.split_whitespace() {
                let name = format!("{kind}.{name}");
                assert!(Exception::unknown_names(&name).is_empty(), "{name}");
            }
        }
    }
}
