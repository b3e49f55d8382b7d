//! Rules around execution-layer requests that alloy-evm leaves out.

use alloy_consensus::TxReceipt;
use alloy_eips::{
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, Log, b256};

use super::{Exception, InvalidBlock};
use crate::spec::Fork;

/// Topic of the deposit contract's log: `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_TOPIC: B256 = b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Length of that log's data, in bytes.
const DEPOSIT_DATA_BYTES: usize = 576;

/// Where in the data each field begins (which the head of the data repeats), and its length: public
/// key, withdrawal credentials, amount, signature, index.
const DEPOSIT_FIELDS: [(usize, u64); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Checks that each deposit in the receipts of a block has exactly the layout that EIP-6110 reads
/// deposits by. alloy-evm decodes it as Solidity would, which takes more.
///
/// # Errors
/// [`Exception::InvalidDepositEventLayout`], with the transaction whose log it is.
pub fn check_deposits<'a, R>(
    deposit_contract: Address,
    receipts: impl IntoIterator<Item = &'a R>,
) -> Result<(), InvalidBlock>
where
    R: TxReceipt<Log = Log> + 'a,
{
    for (index, receipt) in receipts.into_iter().enumerate() {
        for log in receipt.logs() {
            if log.address == deposit_contract
                && log.topics().first() == Some(&DEPOSIT_TOPIC)
                && !is_deposit_data(&log.data.data)
            {
                let detail = format!("log data of {} bytes", log.data.data.len());
                return Err(InvalidBlock::transaction(Exception::InvalidDepositEventLayout, index, detail));
            }
        }
    }
    Ok(())
}

/// `is_valid_deposit_event_data` of EIP-6110.
fn is_deposit_data(data: &[u8]) -> bool {
    if data.len() != DEPOSIT_DATA_BYTES {
        return false;
    }
    let (words, _) = data.as_chunks::<32>();
    DEPOSIT_FIELDS.iter().enumerate().all(|(i, (offset, length))| {
        is_word(&words[i], *offset as u64) && is_word(&words[offset / 32], *length)
    })
}

/// Whether the word is this number.
fn is_word(word: &[u8; 32], number: u64) -> bool {
    let (high, low) = word.split_at(24);
    high.iter().all(|byte| *byte == 0) && low == number.to_be_bytes()
}

/// The contracts that must have code when their requests are taken at the end of a block of `fork`
/// (EIP-7002, EIP-7251); without code the block is invalid, but a call would succeed all the same.
pub const fn request_contracts(fork: Fork) -> &'static [Address] {
    if fork as u8 >= Fork::Prague as u8 {
        &[WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS]
    } else {
        &[]
    }
}

/// The verdict on a block at whose end the contract has no code.
pub fn empty_system_contract(address: Address) -> InvalidBlock {
    InvalidBlock::block(Exception::SystemContractEmpty, address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Receipt;
    use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
    use alloy_primitives::{Bytes, LogData};

    fn deposit() -> Vec<u8> {
        let mut data = vec![0; DEPOSIT_DATA_BYTES];
        for (i, (offset, length)) in DEPOSIT_FIELDS.iter().enumerate() {
            data[32 * i + 24..32 * i + 32].copy_from_slice(&(*offset as u64).to_be_bytes());
            data[offset + 24..offset + 32].copy_from_slice(&length.to_be_bytes());
            data[offset + 32] = 0xaa;
        }
        data
    }

    fn verdict(address: Address, topics: Vec<B256>, data: Vec<u8>) -> Option<(Exception, Option<usize>)> {
        let log = Log { address, data: LogData::new_unchecked(topics, Bytes::from(data)) };
        let empty = Receipt::default();
        let receipt = Receipt { logs: vec![log], ..Receipt::default() };
        check_deposits(MAINNET_DEPOSIT_CONTRACT_ADDRESS, &[empty, receipt])
            .err()
            .map(|e| (e.exception, e.transaction))
    }

    #[test]
    fn the_layout_is_exact_and_every_word_of_it_counts() {
        let bad = Some((Exception::InvalidDepositEventLayout, Some(1)));
        let of = |data| verdict(MAINNET_DEPOSIT_CONTRACT_ADDRESS, vec![DEPOSIT_TOPIC], data);
        assert_eq!(of(deposit()), None);
        assert_eq!(of(vec![]), bad);
        assert_eq!(of(deposit()[..575].to_vec()), bad);
        assert_eq!(of([deposit(), vec![0]].concat()), bad);
        for (i, (offset, _)) in DEPOSIT_FIELDS.iter().enumerate() {
            for at in [32 * i, 32 * i + 31, *offset, offset + 31] {
                let mut data = deposit();
                data[at] ^= 1;
                assert_eq!(of(data), bad, "byte {at}");
            }
            let mut content = deposit();
            content[offset + 32] ^= 1;
            assert_eq!(of(content), None, "content of field {i}");
        }
    }

    #[test]
    fn other_logs_may_look_as_they_like() {
        let contract = MAINNET_DEPOSIT_CONTRACT_ADDRESS;
        assert_eq!(verdict(Address::ZERO, vec![DEPOSIT_TOPIC], vec![]), None);
        assert_eq!(verdict(contract, vec![], vec![]), None);
        assert_eq!(verdict(contract, vec![B256::ZERO, DEPOSIT_TOPIC], vec![]), None);
    }

    #[test]
    fn request_contracts_come_with_prague() {
        assert!(request_contracts(Fork::Cancun).is_empty());
        assert_eq!(request_contracts(Fork::Prague).len(), 2);
        assert_eq!(request_contracts(Fork::Amsterdam).len(), 2);
    }
}
