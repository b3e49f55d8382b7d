use alloy_consensus::Header;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_evm::{
    EthEvmFactory, EvmFactory,
    block::SystemCaller,
    revm::database::{DBErrorMarker, Database as RevmDatabase, State},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::{
    database::{CacheDB, EmptyDB},
    state::{AccountInfo, Bytecode},
};

use super::*;
use crate::spec::ChainSpec;

/// A database that knows nothing and says so.
#[derive(Debug)]
struct Unknown;

#[derive(Debug, thiserror::Error)]
#[error("not supplied")]
struct NotSupplied;

impl DBErrorMarker for NotSupplied {}

impl RevmDatabase for Unknown {
    type Error = NotSupplied;

    fn basic(&mut self, _: Address) -> Result<Option<AccountInfo>, NotSupplied> {
        Err(NotSupplied)
    }

    fn code_by_hash(&mut self, _: B256) -> Result<Bytecode, NotSupplied> {
        Err(NotSupplied)
    }

    fn storage(&mut self, _: Address, _: U256) -> Result<U256, NotSupplied> {
        Err(NotSupplied)
    }

    fn block_hash(&mut self, _: u64) -> Result<B256, NotSupplied> {
        Err(NotSupplied)
    }
}

fn prague() -> (ChainSpec, Header) {
    let header = Header {
        number: 1,
        timestamp: 1,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(7),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    (ChainSpec::from_network("Prague", 1, []).unwrap(), header)
}

/// alloy-evm tells a contract that fails from an EVM that cannot run in words only; this pins them.
#[test]
fn a_state_that_was_not_supplied_condemns_no_block() {
    let (spec, header) = prague();
    let db = State::builder().with_database(Unknown).build();
    let mut evm = EthEvmFactory::default().create_evm(db, spec.evm_env(&header));
    let mut caller = SystemCaller::new(&spec);
    let errors = [
        caller.apply_withdrawal_requests_contract_call(&mut evm).unwrap_err(),
        caller.apply_consolidation_requests_contract_call(&mut evm).unwrap_err(),
        caller.apply_builder_deposit_requests_contract_call(&mut evm).unwrap_err(),
        caller.apply_builder_exit_requests_contract_call(&mut evm).unwrap_err(),
        caller.apply_blockhashes_contract_call(B256::ZERO, &mut evm).unwrap_err(),
        caller.apply_beacon_root_contract_call(Some(B256::ZERO), &mut evm).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(InvalidBlock::of_execution_error(&error, None), None, "{error}");
    }
}

#[test]
fn a_request_contract_that_reverts_or_halts_condemns_the_block() {
    let (spec, header) = prague();
    // REVERT(0, 0), and an instruction that does not exist.
    for code in [vec![0x5f, 0x5f, 0xfd], vec![0xfe]] {
        let mut db = CacheDB::new(EmptyDB::default());
        let info = AccountInfo {
            code_hash: keccak256(&code),
            code: Some(Bytecode::new_legacy(Bytes::from(code))),
            balance: U256::ZERO,
            ..AccountInfo::default()
        };
        db.insert_account_info(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, info);
        let db = State::builder().with_database(db).build();
        let mut evm = EthEvmFactory::default().create_evm(db, spec.evm_env(&header));
        let error = SystemCaller::new(&spec).apply_withdrawal_requests_contract_call(&mut evm).unwrap_err();
        let verdict = InvalidBlock::of_execution_error(&error, Some(3)).unwrap();
        assert_eq!(verdict.exception, Exception::SystemContractCallFailed);
        assert_eq!(verdict.transaction, None);
    }
}

#[test]
fn a_refused_transaction_keeps_its_index_and_its_reason() {
    let reason = InvalidTransaction::NonceTooLow { tx: 4, state: 5 };
    let error = BlockExecutionError::from(BlockValidationError::InvalidTx {
        hash: B256::ZERO,
        error: Box::new(reason.clone()),
    });
    let verdict = InvalidBlock::of_execution_error(&error, Some(3)).unwrap();
    assert_eq!(verdict.exception, Exception::NonceTooLow);
    assert_eq!(verdict.transaction, Some(3));
    let direct = InvalidBlock::of_invalid_transaction(&reason, 3).unwrap();
    assert_eq!(direct.exception, Exception::NonceTooLow);
    assert_eq!(direct.detail, "nonce 4 too low, expected 5");

    let error =
        BlockExecutionError::from(BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
            transaction_gas_limit: 2,
            block_available_gas: 1,
        });
    let verdict = InvalidBlock::of_execution_error(&error, Some(9)).unwrap();
    assert_eq!((verdict.exception, verdict.transaction), (Exception::GasAllowanceExceeded, Some(9)));
}

#[test]
fn faults_outside_the_protocol_condemn_nothing() {
    let custom = InvalidTransaction::Str("because".into());
    assert_eq!(InvalidBlock::of_invalid_transaction(&custom, 0), None);
    for error in [
        BlockExecutionError::msg("disk on fire"),
        BlockValidationError::IncrementBalanceFailed.into(),
        BlockValidationError::msg("something").into(),
    ] {
        assert_eq!(InvalidBlock::of_execution_error(&error, Some(0)), None, "{error}");
    }
}
