//! Checks of a device's answer that cost less than the batch.
//!
//! One account per batch is followed, the sender of a transfer drawn at random, however many the sample would be: each
//! costs a pass over all transfers, and a few passes cost as much as the serial table, which would check everything.
//! So this finds a device that is broken, not every wrong answer. What may pass:
//!
//! - A balance or nonce that is wrong for accounts other than the one followed, which is drawn with the share of the
//!   transfers that it sent. Accounts that only receive are never drawn, nor is a fee recipient that sends nothing.
//! - A transfer of another sender that should have failed and is said to have been executed.
//! - The sum of the gas, but for whether the transfer that is said to fail does so with what it leaves; and the tips.
//!
//! The checks of the whole block catch the rest, if they are all made: balances and nonces go into the state root, gas
//! used and the fate of each transaction into the header's gas and the receipts' root. Where one of those is not what
//! the header says, the caller executes the block again without a device before it condemns it.

use super::{Account, Settled, Terms, Transfer, amount, serial};

/// Follows one account through the batch: every amount that it sent was covered, its nonces came in
/// order, and it ended where the device says. Then looks at the transfer that is said to fail. One
/// pass that just compares ids, except where the account is a party.
///
/// The caller chooses the account at random; what passes nevertheless is said above.
pub(crate) fn account_is_right(
    account: u32,
    (before, after): (&[Account], &[Account]),
    transfers: &[Transfer],
    terms: Terms,
    settled: &Settled,
) -> bool {
    let (mut here, end) = (before[account as usize], &after[account as usize]);
    for transfer in &transfers[..settled.done] {
        if transfer.sender == account {
            let (need, beyond) = amount::add(transfer.value, amount::widen(transfer.fee_max));
            let (_, short) = amount::sub(here.balance, need);
            if beyond || short || transfer.nonce != here.nonce {
                return false;
            }
            let (spent, _) = amount::add(transfer.value, amount::widen(transfer.charge));
            (here.balance, _) = amount::sub(here.balance, spent);
            here.nonce += 1;
        }
        if transfer.recipient == account {
            (here.balance, _) = amount::add(here.balance, transfer.value);
        }
        if terms.fee_recipient == Some(account) {
            (here.balance, _) = amount::add(here.balance, amount::widen(transfer.tip));
        }
    }
    here == *end && failure_is_right(after, transfers, terms, settled)
}

/// Whether the transfer that is said to fail does so, on the accounts as they are then.
fn failure_is_right(after: &[Account], transfers: &[Transfer], terms: Terms, settled: &Settled) -> bool {
    let Some(failure) = settled.failure else { return settled.done == transfers.len() };
    let Some(transfer) = transfers.get(failure.index) else { return false };
    // The parties under ids of their own, so that the table need not be copied.
    let ids = [Some(transfer.sender), Some(transfer.recipient), terms.fee_recipient];
    let id = |party: Option<u32>| {
        let first = party.and_then(|id| ids.iter().position(|&other| other == Some(id)));
        first.and_then(|first| u32::try_from(first).ok())
    };
    let mut accounts = ids.map(|id| id.map_or_else(Account::default, |id| after[id as usize]));
    let alone = Transfer {
        sender: id(ids[0]).unwrap_or_default(),
        recipient: id(ids[1]).unwrap_or_default(),
        ..*transfer
    };
    let gas_available = terms.gas_available.saturating_sub(settled.gas_used);
    let terms = Terms { fee_recipient: id(ids[2]), gas_available };
    serial::run(&mut accounts, &[alone], terms).failure.map(|found| found.reason) == Some(failure.reason)
}
