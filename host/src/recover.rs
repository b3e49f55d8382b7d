//! Recover: who signed each transaction and each EIP-7702 authorization of a block.
//!
//! Both go through the kernels in batches. What they promise of a single signature is in
//! [`outrider_kernels::recover`]; which signatures the chain accepts is decided by its policies,
//! in this order for a transaction: y parity and s first, then whether there is a signer at all.
//! [`SenderCache`] remembers who signed what.

mod cache;

pub use cache::{SenderCache, SenderCacheCounts};

use crate::{
    block::SignedTx,
    ingest::{SenderColumns, Transactions, authorizations_of},
};
use alloy_eips::eip7702::{RecoveredAuthority, SignedAuthorization};
use alloy_primitives::{Address, B256, map::HashMap};
use cache::Origin;
use outrider_kernels::{
    accelerator::Accelerator,
    keccak::keccak256_one,
    recover::{
        Batch, Messages, Rejection, Signature, Verdict,
        policy::{self, Refusal, SRule},
        recover_one,
    },
};
use revm::primitives::hardfork::SpecId;
use std::iter::repeat;

/// Senders and authorities of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The sender of each transaction.
    pub senders: Vec<Address>,
    /// For each EIP-7702 transaction, by index, the authority of each of its tuples.
    pub authorities: HashMap<usize, Vec<RecoveredAuthority>>,
}

/// A transaction that nobody can have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index}: signature: {fault}")]
pub struct Unrecoverable {
    /// Index in the block.
    pub index: usize,
    /// What is wrong with its signature.
    pub fault: SignatureFault,
}

/// What is wrong with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The chain does not accept it, whoever signed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is no signature of anybody.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// Which s a transaction may have under the rules of `spec` (EIP-2).
pub const fn s_rule(spec: SpecId) -> SRule {
    if spec.is_enabled_in(SpecId::HOMESTEAD) { SRule::Low } else { SRule::Any }
}

/// Recovers all senders and authorities, on the accelerator where that pays.
///
/// # Errors
/// The first transaction without a sender. An authorization without an authority is no error: its
/// tuple is skipped when it is executed.
pub fn recover(
    accelerator: &Accelerator,
    transactions: &[SignedTx],
    spec: SpecId,
) -> Result<Recovered, Unrecoverable> {
    let tuples = authorizations_of(transactions);
    let found = find(transactions, &[], &tuples, |columns| in_batch(accelerator, columns));
    found.accept(transactions, &tuples, spec)
}

/// The same on one thread of the CPU, signature by signature: what a confirming run relies on, so
/// that no device, no batch engine and no cache has a say in it.
///
/// # Errors
/// As for [`recover`].
pub fn recover_scalar(transactions: &[SignedTx], spec: SpecId) -> Result<Recovered, Unrecoverable> {
    let tuples = authorizations_of(transactions);
    let found = find(transactions, &[], &tuples, |columns| {
        let rows = columns.payloads.as_payloads();
        let one =
            |(row, payload): (usize, &[u8])| recover_one(&keccak256_one(payload), &signature(columns, row));
        rows.iter().enumerate().map(one).collect()
    });
    found.accept(transactions, &tuples, spec)
}

/// Recovers the sender of each transaction by itself, in order.
pub fn recover_each(
    accelerator: &Accelerator,
    transactions: &[SignedTx],
    rule: SRule,
) -> Vec<Result<Address, SignatureFault>> {
    let found = find(transactions, &[], &[], |columns| in_batch(accelerator, columns));
    senders(transactions, found.signers, rule).collect()
}

impl SenderCache {
    /// Recovers all senders and authorities as [`recover()`] does; senders that are known are not recovered again,
    /// and those that were not are from now on. Authorities are not remembered.
    ///
    /// # Errors
    /// As for [`recover()`].
    pub fn recover(
        &self,
        accelerator: &Accelerator,
        transactions: &Transactions,
        spec: SpecId,
    ) -> Result<Recovered, Unrecoverable> {
        let tuples = authorizations_of(transactions);
        self.find(accelerator, transactions, &tuples).accept(transactions, &tuples, spec)
    }

    /// Recovers the sender of each transaction by itself as [`recover_each()`] does, and remembers it.
    pub fn recover_each(
        &self,
        accelerator: &Accelerator,
        transactions: &Transactions,
        rule: SRule,
    ) -> Vec<Result<Address, SignatureFault>> {
        let found = self.find(accelerator, transactions, &[]);
        senders(transactions, found.signers, rule).collect()
    }

    fn find(&self, accelerator: &Accelerator, transactions: &Transactions, tuples: &[Tuple<'_>]) -> Found {
        // What begins before the device fails is taken for the device's, whoever ends it.
        let origin = match accelerator.adapter() {
            Some(_) if accelerator.is_quarantined() => {
                self.distrust_devices();
                Origin::Cpu
            }
            Some(_) => Origin::Device,
            None => Origin::Cpu,
        };
        let hashes = transactions.hashes();
        let known = self.look_up(hashes);
        let found = find(transactions, &known, tuples, |columns| in_batch(accelerator, columns));
        let fresh = hashes.iter().zip(&known).zip(&found.signers);
        let (hashes, senders): (Vec<B256>, Vec<Address>) = fresh
            .filter_map(|((hash, known), signer)| known.is_none().then_some((*hash, signer.ok()?)))
            .unzip();
        self.store(origin, &hashes, &senders);
        found
    }
}

/// Whether the s of a transaction's signature is over half the group order (EIP-2).
pub fn is_high_s(tx: &SignedTx) -> bool {
    !policy::is_low_s(&tx.signature().s().to_be_bytes())
}

/// An authorization, and the index of its transaction.
type Tuple<'a> = (usize, &'a SignedAuthorization);

/// Signers before the chain has been asked whether it accepts their signatures.
struct Found {
    /// Of the transactions.
    signers: Vec<Result<Address, Rejection>>,
    /// Of the authorizations.
    authorities: Vec<Result<Address, Rejection>>,
}

/// Finds the signers of transactions, but for those that are `known` (none, or one entry for each transaction), and of
/// authorizations: all in one batch.
fn find(
    transactions: &[SignedTx],
    known: &[Option<Address>],
    tuples: &[Tuple<'_>],
    verdicts: impl FnOnce(&SenderColumns) -> Vec<Verdict>,
) -> Found {
    let known = || known.iter().copied().chain(repeat(None)).take(transactions.len());
    let unknown: Vec<&SignedTx> =
        transactions.iter().zip(known()).filter_map(|(tx, known)| known.is_none().then_some(tx)).collect();
    let authorizations: Vec<&SignedAuthorization> = tuples.iter().map(|(_, tuple)| *tuple).collect();
    let columns = SenderColumns::of_both(&unknown, &authorizations);
    let mut verdicts =
        verdicts(&columns).into_iter().map(|verdict| verdict.map(|signer| Address::from(signer.address)));
    let mut next = || verdicts.next().expect("a verdict for each row");
    let signers = known().map(|known| known.map_or_else(&mut next, Ok)).collect();
    Found { signers, authorities: tuples.iter().map(|_| next()).collect() }
}

impl Found {
    /// What the rules of `spec` make of it.
    fn accept(
        self,
        transactions: &[SignedTx],
        tuples: &[Tuple<'_>],
        spec: SpecId,
    ) -> Result<Recovered, Unrecoverable> {
        let senders = senders(transactions, self.signers, s_rule(spec))
            .enumerate()
            .map(|(index, sender)| sender.map_err(|fault| Unrecoverable { index, fault }))
            .collect::<Result<_, _>>()?;
        let mut authorities: HashMap<usize, Vec<RecoveredAuthority>> = HashMap::default();
        for ((index, tuple), signer) in tuples.iter().zip(self.authorities) {
            let [r, s] = [tuple.r(), tuple.s()].map(|scalar| scalar.to_be_bytes());
            let authority = match signer {
                Ok(signer) if policy::authority(u64::from(tuple.y_parity()), r, s).is_ok() => {
                    RecoveredAuthority::Valid(signer)
                }
                _ => RecoveredAuthority::Invalid,
            };
            authorities.entry(*index).or_default().push(authority);
        }
        Ok(Recovered { senders, authorities })
    }
}

/// What becomes of each signer under the policy for transaction senders.
fn senders(
    transactions: &[SignedTx],
    signers: Vec<Result<Address, Rejection>>,
    rule: SRule,
) -> impl Iterator<Item = Result<Address, SignatureFault>> {
    transactions.iter().zip(signers).map(move |(tx, signer)| {
        let signature = tx.signature();
        let [r, s] = [signature.r(), signature.s()].map(|scalar| scalar.to_be_bytes());
        policy::transaction_sender(u64::from(signature.v()), r, s, rule)?;
        Ok(signer?)
    })
}

fn signature(columns: &SenderColumns, row: usize) -> Signature {
    Signature { r: columns.r[row], s: columns.s[row], recovery_id: columns.recovery_ids[row] }
}

fn in_batch(accelerator: &Accelerator, columns: &SenderColumns) -> Vec<Verdict> {
    let signatures: Vec<Signature> = (0..columns.len()).map(|row| signature(columns, row)).collect();
    let payloads = Messages::Payloads(columns.payloads.as_payloads());
    let batch = Batch::new(payloads, &signatures).expect("columns are equally long");
    accelerator.recover(&batch)
}

#[cfg(test)]
mod tests;
