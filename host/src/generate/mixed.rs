//! Blocks of everything: each way in which a transaction can differ from a plain transfer, or in
//! which transactions can depend on each other, is one [`Action`].

use super::{
    contracts::{
        BURNER, CHILD_INIT, CONTRACTS, COUNTER, DEPLOYER, PROBE, REVERTER, SPLITTER, TOKEN, token_balances,
        token_transfer,
    },
    drafting::{Desk, Intent, TRANSFER_GAS},
    kinds::{Workload, pair},
};
use alloy_consensus::TxType;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4844::VERSIONED_HASH_VERSION_KZG,
    eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, U256, keccak256};
use revm::bytecode::opcode::{CALLER, INVALID, PUSH0, REVERT, SELFDESTRUCT};

/// The wallet that also collects the fees.
const FEE_WALLET: usize = 0;
/// More gas than any action uses, burning aside.
const CALL_GAS: u64 = 200_000;
/// At most so many blob transactions in a block, of one blob each: the target of Prague, so that
/// the blob base fee stays where it is.
const BLOBS_PER_BLOCK_MAX: usize = 6;

/// What one draw writes into a block (one transaction, except where it says).
#[derive(Clone, Copy, Debug)]
enum Action {
    Transfer,
    TransferWithData,
    SelfTransfer,
    ToFeeRecipient,
    FromFeeRecipient,
    /// Nothing sent to an account that does not exist (EIP-161).
    NothingToAbsent,
    ToAbsent,
    /// A fresh wallet is funded, and sends in the next transaction: two transactions.
    FreshWalletSpends,
    ToPrecompile,
    Token,
    Count,
    Split,
    Probe,
    Deploy,
    Create,
    Revert,
    OutOfGas,
    Blob,
    Delegate,
    ToDelegated,
    SystemRequest,
}

/// Actions with their share of the draws.
const SHARES: [(Action, u64); 21] = [
    (Action::Transfer, 30),
    (Action::TransferWithData, 5),
    (Action::SelfTransfer, 2),
    (Action::ToFeeRecipient, 2),
    (Action::FromFeeRecipient, 2),
    (Action::NothingToAbsent, 2),
    (Action::ToAbsent, 3),
    (Action::FreshWalletSpends, 2),
    (Action::ToPrecompile, 2),
    (Action::Token, 20),
    (Action::Count, 4),
    (Action::Split, 4),
    (Action::Probe, 2),
    (Action::Deploy, 3),
    (Action::Create, 4),
    (Action::Revert, 3),
    (Action::OutOfGas, 2),
    (Action::Blob, 2),
    (Action::Delegate, 3),
    (Action::ToDelegated, 2),
    (Action::SystemRequest, 1),
];

#[derive(Debug)]
pub(super) struct Mixed;

impl Workload for Mixed {
    fn gas_per_transaction(&self) -> u64 {
        CALL_GAS
    }

    fn contracts(&self, desk: &Desk) -> Vec<(Address, GenesisAccount)> {
        // Three in four hold tokens; transfers of the others revert.
        let holders = desk.addresses().enumerate().filter(|(index, _)| index % 4 != 3);
        let balances = token_balances(holders.map(|(_, address)| address), U256::from(1_000_000_000));
        let mut contracts = CONTRACTS.map(|contract| (contract.address(), contract.account())).to_vec();
        for (address, account) in &mut contracts {
            if *address == TOKEN.address() {
                account.storage = Some(balances.clone());
            }
        }
        contracts
    }

    fn beneficiary(&self, desk: &Desk) -> Address {
        desk.address(FEE_WALLET)
    }

    fn write_block(&self, desk: &mut Desk, accounts: usize, count: usize) {
        let shares: u64 = SHARES.iter().map(|(_, share)| share).sum();
        let mut blobs = 0;
        while desk.written() < count {
            let mut draw = desk.random.below(shares);
            let action = SHARES.iter().find_map(|(action, share)| {
                let found = draw < *share;
                draw = draw.saturating_sub(*share);
                found.then_some(*action)
            });
            let action = match action.unwrap_or(Action::Transfer) {
                Action::FreshWalletSpends if desk.written() + 2 > count => Action::Transfer,
                Action::Blob if blobs == BLOBS_PER_BLOCK_MAX => Action::Transfer,
                action => action,
            };
            blobs += usize::from(matches!(action, Action::Blob));
            write(desk, accounts, action);
        }
    }

    fn withdrawals(&self, desk: &mut Desk, accounts: usize) -> Vec<Withdrawal> {
        let first = desk.random.below(1 << 40);
        (0..4)
            .map(|index| {
                let wallet = desk.random.index(accounts);
                Withdrawal {
                    index: first + index,
                    validator_index: desk.random.below(1 << 20),
                    address: desk.address(wallet),
                    amount: desk.random.below(32_000_000_000),
                }
            })
            .collect()
    }
}

fn write(desk: &mut Desk, accounts: usize, action: Action) {
    let (sender, other) = pair(desk, accounts);
    let tx_type = desk.plain_type();
    let amount = desk.random.amount();
    let to = desk.address(other);
    let intent = match action {
        Action::Transfer => Intent::transfer(tx_type, to, amount),
        Action::TransferWithData => transfer_with_data(desk, tx_type, to, amount),
        Action::SelfTransfer => Intent::transfer(tx_type, desk.address(sender), amount),
        Action::ToFeeRecipient => Intent::transfer(tx_type, desk.address(FEE_WALLET), amount),
        Action::FromFeeRecipient => {
            return desk.write(FEE_WALLET, Intent::transfer(tx_type, to, amount));
        }
        Action::NothingToAbsent => Intent::transfer(tx_type, absent(desk), 0),
        Action::ToAbsent => Intent::transfer(tx_type, absent(desk), amount),
        Action::FreshWalletSpends => return fresh_wallet_spends(desk, sender, to),
        Action::ToPrecompile => {
            // ecrecover, SHA-256, RIPEMD-160, identity; now and then with value.
            let [.., number] = (1 + desk.random.below(4)).to_be_bytes();
            let value = if desk.random.one_in(2) { amount } else { 0 };
            let input = desk.random.bytes(128);
            Intent::call(tx_type, Address::with_last_byte(number), value, input, CALL_GAS)
        }
        Action::Token => {
            let input = token_transfer(to, U256::from(1 + desk.random.below(1000)));
            let mut intent = Intent::call(tx_type, TOKEN.address(), 0, input, CALL_GAS / 2);
            if tx_type == TxType::Eip2930 {
                intent.access_list = token_access(&to);
            }
            intent
        }
        Action::Count => Intent::call(tx_type, COUNTER.address(), 0, Vec::new(), CALL_GAS / 2),
        Action::Split => {
            let input = to.into_word().to_vec();
            Intent::call(tx_type, SPLITTER.address(), amount, input, CALL_GAS)
        }
        Action::Probe => Intent::call(tx_type, PROBE.address(), 0, Vec::new(), CALL_GAS),
        Action::Deploy => {
            // Few salts, so that some come twice.
            let salt = U256::from(desk.random.below(64)).to_be_bytes::<32>();
            Intent::call(tx_type, DEPLOYER.address(), amount, salt.to_vec(), CALL_GAS)
        }
        Action::Create => create(desk, tx_type, amount),
        Action::Revert => Intent::call(tx_type, REVERTER.address(), amount, Vec::new(), CALL_GAS),
        Action::OutOfGas => Intent::call(tx_type, BURNER.address(), amount, Vec::new(), 30_000),
        Action::Blob => {
            Intent { blob_hashes: vec![blob_hash(desk)], ..Intent::transfer(TxType::Eip4844, to, amount) }
        }
        Action::Delegate => return delegate(desk, accounts, sender, amount),
        Action::ToDelegated => {
            let authority = authority(desk, accounts);
            Intent::call(tx_type, desk.address(authority), amount, Vec::new(), CALL_GAS)
        }
        Action::SystemRequest => system_request(desk, tx_type),
    };
    desk.write(sender, intent);
}

/// A transfer that carries a message. Gas by EIP-2028, with the floor of EIP-7623.
fn transfer_with_data(desk: &mut Desk, tx_type: TxType, to: Address, amount: u128) -> Intent {
    let len = 1 + desk.random.index(200);
    let input = desk.random.bytes(len);
    let tokens: u64 = input.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum();
    Intent::call(tx_type, to, amount, input, TRANSFER_GAS + 10 * tokens)
}

fn fresh_wallet_spends(desk: &mut Desk, sender: usize, to: Address) {
    let fresh = desk.open_wallet();
    let ether = 1_000_000_000_000_000_000;
    let (funding, spending) = (desk.plain_type(), desk.plain_type());
    let address = desk.address(fresh);
    desk.write(sender, Intent::transfer(funding, address, ether));
    let amount = desk.random.amount();
    desk.write(fresh, Intent::transfer(spending, to, amount));
}

/// Init code that deploys a contract, deploys nothing, destroys itself, reverts or is invalid.
fn create(desk: &mut Desk, tx_type: TxType, amount: u128) -> Intent {
    let init_code = match desk.random.below(5) {
        0 | 1 => CHILD_INIT.to_vec(),
        2 => vec![CALLER, SELFDESTRUCT],
        3 => vec![PUSH0, PUSH0, REVERT],
        _ => vec![INVALID],
    };
    Intent::create(tx_type, amount, init_code, CALL_GAS / 2)
}

/// A transaction of type 4: some authorisations take effect, some do not, some take a delegation
/// back; the sender may be the authority itself.
fn delegate(desk: &mut Desk, accounts: usize, sender: usize, amount: u128) {
    let nonce = desk.take_nonce(sender);
    let authorizations = (0..=desk.random.below(3))
        .map(|_| {
            let authority = if desk.random.one_in(4) { sender } else { authority(desk, accounts) };
            let delegate = match desk.random.below(4) {
                0 => Address::ZERO,
                1 => SPLITTER.address(),
                _ => COUNTER.address(),
            };
            if desk.random.one_in(4) {
                desk.authorize_in_vain(authority, delegate)
            } else {
                desk.authorize(authority, delegate)
            }
        })
        .collect();
    let callee = authority(desk, accounts);
    let call = Intent::call(TxType::Eip7702, desk.address(callee), amount, Vec::new(), CALL_GAS);
    desk.write_with_nonce(sender, nonce, Intent { authorizations, ..call });
}

/// A wallet of the last eighth: those may be delegated, so that most transfers stay plain.
fn authority(desk: &mut Desk, accounts: usize) -> usize {
    accounts - 1 - desk.random.index(accounts / 8)
}

/// A withdrawal or consolidation request to its system contract (EIP-7002, EIP-7251).
fn system_request(desk: &mut Desk, tx_type: TxType) -> Intent {
    // The fee is one wei until more than a few requests a block come; the rest of it is lost.
    let fee = 1_000;
    if desk.random.one_in(2) {
        let input = desk.random.bytes(56);
        Intent::call(tx_type, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, fee, input, CALL_GAS)
    } else {
        let input = desk.random.bytes(96);
        Intent::call(tx_type, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, fee, input, CALL_GAS)
    }
}

fn absent(desk: &mut Desk) -> Address {
    Address::from_word(keccak256(desk.random.next().to_be_bytes()))
}

fn blob_hash(desk: &mut Desk) -> B256 {
    let mut hash = keccak256(desk.random.next().to_be_bytes());
    hash[0] = VERSIONED_HASH_VERSION_KZG;
    hash
}

fn token_access(holder: &Address) -> AccessList {
    let slots = token_balances([*holder], U256::ZERO).into_keys().collect();
    AccessList(vec![AccessListItem { address: TOKEN.address(), storage_keys: slots }])
}
