//! Recover: who signed each transaction and each EIP-7702 authorization of a block.
//!
//! Both go through the kernels in batches. What they promise of a single signature is in
//! [`outrider_kernels::recover`]; which signatures the chain accepts is decided by its policies,
//! in this order for a transaction: y parity and s first, then whether there is a signer at all.

use crate::{
    block::SignedTx,
    ingest::{SenderColumns, authorizations_of},
};
use alloy_eips::eip7702::{RecoveredAuthority, SignedAuthorization};
use alloy_primitives::{Address, map::HashMap};
use outrider_kernels::{
    accelerator::Accelerator,
    keccak::{Payloads, keccak256_one},
    recover::{
        Batch, Messages, Rejection, Signature, Verdict,
        policy::{self, Refusal, SRule},
        recover_one,
    },
};
use revm::primitives::hardfork::SpecId;

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
    recover_with(transactions, spec, |columns| in_batch(accelerator, columns))
}

/// The same on one thread of the CPU, signature by signature: what a confirming run relies on, so
/// that no device and no batch engine has a say in it.
///
/// # Errors
/// As for [`recover`].
pub fn recover_scalar(transactions: &[SignedTx], spec: SpecId) -> Result<Recovered, Unrecoverable> {
    recover_with(transactions, spec, |columns| {
        let rows = columns.payloads.rows().enumerate();
        rows.map(|(row, payload)| recover_one(&keccak256_one(payload), &signature(columns, row))).collect()
    })
}

/// Recovers the sender of each transaction by itself, in order.
pub fn recover_each(
    accelerator: &Accelerator,
    transactions: &[SignedTx],
    rule: SRule,
) -> Vec<Result<Address, SignatureFault>> {
    let columns = SenderColumns::of_transactions(transactions);
    senders(&columns, in_batch(accelerator, &columns), rule).collect()
}

/// Whether the s of a transaction's signature is over half the group order (EIP-2).
pub fn is_high_s(tx: &SignedTx) -> bool {
    !policy::is_low_s(&tx.signature().s().to_be_bytes())
}

/// What becomes of each signature under the policy for transaction senders.
fn senders<'a>(
    columns: &'a SenderColumns,
    verdicts: Vec<Verdict>,
    rule: SRule,
) -> impl Iterator<Item = Result<Address, SignatureFault>> + 'a {
    verdicts.into_iter().enumerate().map(move |(row, verdict)| {
        let y_parity = u64::from(columns.recovery_ids[row]);
        policy::transaction_sender(y_parity, columns.r[row], columns.s[row], rule)?;
        Ok(verdict.map(|signer| Address::from(signer.address))?)
    })
}

fn recover_with(
    transactions: &[SignedTx],
    spec: SpecId,
    verdicts: impl Fn(&SenderColumns) -> Vec<Verdict>,
) -> Result<Recovered, Unrecoverable> {
    let columns = SenderColumns::of_transactions(transactions);
    let verdict = verdicts(&columns);
    let senders = senders(&columns, verdict, s_rule(spec))
        .enumerate()
        .map(|(index, sender)| sender.map_err(|fault| Unrecoverable { index, fault }))
        .collect::<Result<_, _>>()?;
    Ok(Recovered { senders, authorities: authorities(transactions, &verdicts) })
}

fn signature(columns: &SenderColumns, row: usize) -> Signature {
    Signature { r: columns.r[row], s: columns.s[row], recovery_id: columns.recovery_ids[row] }
}

fn in_batch(accelerator: &Accelerator, columns: &SenderColumns) -> Vec<Verdict> {
    let signatures: Vec<Signature> = (0..columns.len()).map(|row| signature(columns, row)).collect();
    let offsets: Result<Vec<u32>, _> =
        columns.payloads.offsets().iter().map(|end| u32::try_from(*end)).collect();
    let offsets = offsets.expect("a block is far below 4 GiB");
    let payloads = Payloads::new(columns.payloads.bytes(), &offsets).expect("columns are in order");
    let batch = Batch::new(Messages::Payloads(payloads), &signatures).expect("columns are equally long");
    accelerator.recover(&batch)
}

fn authorities(
    transactions: &[SignedTx],
    verdicts: &impl Fn(&SenderColumns) -> Vec<Verdict>,
) -> HashMap<usize, Vec<RecoveredAuthority>> {
    let tuples = authorizations_of(transactions);
    let mut authorities: HashMap<usize, Vec<RecoveredAuthority>> = HashMap::default();
    if tuples.is_empty() {
        return authorities;
    }
    let all: Vec<&SignedAuthorization> = tuples.iter().map(|(_, tuple)| *tuple).collect();
    let columns = SenderColumns::of_authorizations(&all);
    let verdicts = verdicts(&columns);
    for (row, ((index, tuple), verdict)) in tuples.into_iter().zip(verdicts).enumerate() {
        let accepted = policy::authority(u64::from(tuple.y_parity()), columns.r[row], columns.s[row]).is_ok();
        let authority = match verdict {
            Ok(signer) if accepted => RecoveredAuthority::Valid(Address::from(signer.address)),
            _ => RecoveredAuthority::Invalid,
        };
        authorities.entry(index).or_default().push(authority);
    }
    authorities
}

#[cfg(test)]
mod tests;
