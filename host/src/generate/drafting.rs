//! Writing the transactions of a block, before they are signed.

use super::{genesis::CHAIN_ID, random::Random, wallet::Wallet};
use crate::block::SignedTx;
use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    TxType,
};
use alloy_eips::{
    eip2930::AccessList,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use rayon::prelude::*;

const GWEI: u128 = 1_000_000_000;

/// Gas of a transfer without data.
pub(super) const TRANSFER_GAS: u64 = 21_000;

/// A transaction that waits for its signature; `sender` is a wallet's index.
type Unsigned = (usize, EthereumTypedTransaction<TxEip4844>);

/// What a transaction is for. Sender, nonce, fees and chain id come from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) tx_type: TxType,
    pub(super) to: TxKind,
    pub(super) value: u128,
    pub(super) input: Bytes,
    pub(super) gas_limit: u64,
    pub(super) access_list: AccessList,
    pub(super) authorizations: Vec<SignedAuthorization>,
    pub(super) blob_hashes: Vec<B256>,
}

impl Intent {
    /// A transfer of `value` wei.
    pub(super) fn transfer(tx_type: TxType, to: Address, value: u128) -> Self {
        Self {
            tx_type,
            to: TxKind::Call(to),
            value,
            input: Bytes::new(),
            gas_limit: TRANSFER_GAS,
            access_list: AccessList::default(),
            authorizations: Vec::new(),
            blob_hashes: Vec::new(),
        }
    }

    /// A call with `input`, of at most `gas_limit` gas.
    pub(super) fn call(tx_type: TxType, to: Address, value: u128, input: Vec<u8>, gas_limit: u64) -> Self {
        Self { input: input.into(), gas_limit, ..Self::transfer(tx_type, to, value) }
    }

    /// A contract creation.
    pub(super) fn create(tx_type: TxType, value: u128, init_code: Vec<u8>, gas_limit: u64) -> Self {
        Self { to: TxKind::Create, ..Self::call(tx_type, Address::ZERO, value, init_code, gas_limit) }
    }
}

/// The desk at which a chain's transactions are written: wallets with their nonces, and chance.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) random: Random,
    wallets: Vec<Wallet>,
    nonces: Vec<u64>,
    seed: u64,
    unsigned: Vec<Unsigned>,
}

impl Desk {
    pub(super) fn new(seed: u64, accounts: usize) -> Self {
        Self {
            random: Random::new(seed),
            wallets: Wallet::derive_all(seed, accounts),
            nonces: vec![0; accounts],
            seed,
            unsigned: Vec::new(),
        }
    }

    /// Address of a wallet.
    pub(super) fn address(&self, wallet: usize) -> Address {
        self.wallets[wallet].address()
    }

    /// Addresses of all wallets.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.wallets.iter().map(Wallet::address)
    }

    /// Opens a new wallet, whose account does not exist yet.
    pub(super) fn open_wallet(&mut self) -> usize {
        self.wallets.push(Wallet::derive(self.seed, self.wallets.len() as u64));
        self.nonces.push(0);
        self.wallets.len() - 1
    }

    /// Number of transactions written for the block so far.
    pub(super) const fn written(&self) -> usize {
        self.unsigned.len()
    }

    /// A transaction type that carries neither blobs nor authorisations, as often as on mainnet.
    pub(super) fn plain_type(&mut self) -> TxType {
        match self.random.below(20) {
            0..4 => TxType::Legacy,
            4 => TxType::Eip2930,
            _ => TxType::Eip1559,
        }
    }

    /// Writes a transaction.
    pub(super) fn write(&mut self, sender: usize, intent: Intent) {
        let nonce = self.take_nonce(sender);
        self.write_with_nonce(sender, nonce, intent);
    }

    /// Takes a wallet's next nonce.
    pub(super) fn take_nonce(&mut self, wallet: usize) -> u64 {
        let nonce = self.nonces[wallet];
        self.nonces[wallet] += 1;
        nonce
    }

    /// Writes a transaction whose nonce was taken before.
    pub(super) fn write_with_nonce(&mut self, sender: usize, nonce: u64, intent: Intent) {
        // The base fee begins at one gwei and never rises, as blocks are at most half full.
        let tip = u128::from(self.random.below(2_000_000_000));
        let max_fee = 2 * GWEI + u128::from(self.random.below(40)) * GWEI / 2;
        let Intent { tx_type, to, value, input, gas_limit, access_list, authorizations, blob_hashes } =
            intent;
        let value = U256::from(value);
        let callee = to.to().copied().unwrap_or_default();
        let tx: EthereumTypedTransaction<TxEip4844> = match tx_type {
            TxType::Legacy => {
                // Without a chain id (before EIP-155) now and then: that is still valid.
                let chain_id = (!self.random.one_in(16)).then_some(CHAIN_ID);
                TxLegacy { chain_id, nonce, gas_price: GWEI + tip, gas_limit, to, value, input }.into()
            }
            TxType::Eip2930 => TxEip2930 {
                chain_id: CHAIN_ID,
                nonce,
                gas_price: GWEI + tip,
                gas_limit,
                to,
                value,
                access_list,
                input,
            }
            .into(),
            TxType::Eip1559 => TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list,
                input,
            }
            .into(),
            TxType::Eip4844 => TxEip4844 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
                to: callee,
                value,
                access_list,
                blob_versioned_hashes: blob_hashes,
                max_fee_per_blob_gas: GWEI,
                input,
            }
            .into(),
            TxType::Eip7702 => TxEip7702 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: tip,
                to: callee,
                value,
                access_list,
                authorization_list: authorizations,
                input,
            }
            .into(),
        };
        self.unsigned.push((sender, tx));
    }

    /// Signs an authorisation that takes effect. Its transaction's own nonce is to be taken first,
    /// as the sender's is raised before the tuples are looked at (EIP-7702).
    pub(super) fn authorize(&mut self, authority: usize, delegate: Address) -> SignedAuthorization {
        let nonce = self.take_nonce(authority);
        let chain_id = if self.random.one_in(3) { 0 } else { CHAIN_ID };
        self.sign_authorization(authority, chain_id, delegate, nonce)
    }

    /// Signs an authorisation that has no effect: of another chain, or with a nonce to come.
    pub(super) fn authorize_in_vain(&mut self, authority: usize, delegate: Address) -> SignedAuthorization {
        let (chain_id, ahead) = if self.random.one_in(2) { (CHAIN_ID + 1, 0) } else { (CHAIN_ID, 1000) };
        self.sign_authorization(authority, chain_id, delegate, self.nonces[authority] + ahead)
    }

    fn sign_authorization(
        &self,
        authority: usize,
        chain_id: u64,
        address: Address,
        nonce: u64,
    ) -> SignedAuthorization {
        let authorization = Authorization { chain_id: U256::from(chain_id), address, nonce };
        let signature = self.wallets[authority].sign(authorization.signature_hash());
        authorization.into_signed(signature)
    }

    /// Signs what was written; returns transactions and senders, and leaves the desk empty.
    pub(super) fn sign_all(&mut self) -> (Vec<SignedTx>, Vec<Address>) {
        let unsigned = std::mem::take(&mut self.unsigned);
        let senders = unsigned.iter().map(|(sender, _)| self.wallets[*sender].address()).collect();
        let wallets = &self.wallets;
        let signed = unsigned
            .into_par_iter()
            .map(|(sender, tx)| {
                let signature = wallets[sender].sign(tx.signature_hash());
                tx.into_envelope(signature)
            })
            .collect();
        (signed, senders)
    }
}
