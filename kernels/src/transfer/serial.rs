//! The serial table: transfers in order over a dense table of accounts. The production CPU form, for
//! all widths; no allocation.

use super::{Account, Failure, Reason, Settled, Terms, Transfer, amount};

/// Executes `transfers` in order up to the first that fails, and updates `accounts`.
///
/// # Panics
///
/// If an id is out of range: the caller dealt them out.
#[must_use]
pub fn run(accounts: &mut [Account], transfers: &[Transfer], terms: Terms) -> Settled {
    let mut tips = Tips::default();
    let mut gas_used = 0;
    for (index, transfer) in transfers.iter().enumerate() {
        debug_assert!(transfer.tip <= transfer.charge && transfer.charge <= transfer.fee_max);
        debug_assert!(transfer.gas_used <= transfer.gas_limit && transfer.nonce < u64::MAX);
        let outcome = if transfer.gas_limit > terms.gas_available.saturating_sub(gas_used) {
            Err(Reason::GasPool)
        } else {
            step(accounts, transfer, terms.fee_recipient)
        };
        if let Err(reason) = outcome {
            let failure = Some(Failure { index, reason });
            return Settled { done: index, failure, tips: tips.total(), gas_used };
        }
        gas_used += transfer.gas_used;
        tips.add(transfer.tip);
    }
    Settled { done: transfers.len(), failure: None, tips: tips.total(), gas_used }
}

/// Executes one transfer, or leaves all accounts as they were.
#[inline(always)]
fn step(accounts: &mut [Account], transfer: &Transfer, fee_recipient: Option<u32>) -> Result<(), Reason> {
    let (sender, recipient) = (transfer.sender as usize, transfer.recipient as usize);
    let before = accounts[sender];
    if transfer.nonce != before.nonce {
        let used = transfer.nonce < before.nonce;
        return Err(if used { Reason::NonceTooLow } else { Reason::NonceTooHigh });
    }
    let (need, beyond) = amount::add(transfer.value, amount::widen(transfer.fee_max));
    let (_, short) = amount::sub(before.balance, need);
    if beyond || short {
        return Err(Reason::InsufficientFunds);
    }
    // Cannot borrow: the need was covered, and the charge is no more than the fee in it.
    let (paid, _) = amount::sub(before.balance, amount::widen(transfer.charge));
    let (paid, _) = amount::sub(paid, transfer.value);
    accounts[sender] = Account { balance: paid, nonce: before.nonce.wrapping_add(1) };

    // The sender is written first so that a transfer to oneself reads what was left of it.
    let held = accounts[recipient].balance;
    let (credited, over) = amount::add(held, transfer.value);
    if over {
        accounts[sender] = before;
        return Err(Reason::RecipientOverflow);
    }
    accounts[recipient].balance = credited;

    if let Some(id) = fee_recipient {
        let account = &mut accounts[id as usize];
        let (tipped, over) = amount::add(account.balance, amount::widen(transfer.tip));
        if over {
            accounts[recipient].balance = held;
            accounts[sender] = before;
            return Err(Reason::FeeRecipientOverflow);
        }
        account.balance = tipped;
    }
    Ok(())
}

/// A sum of 128-bit tips. Its carries are counted apart: fewer than 2^64 tips can be summed.
#[derive(Default)]
struct Tips {
    low: u128,
    carries: u64,
}

impl Tips {
    #[inline(always)]
    fn add(&mut self, tip: u128) {
        let (low, carry) = self.low.overflowing_add(tip);
        self.low = low;
        self.carries += u64::from(carry);
    }

    const fn total(&self) -> [u64; 4] {
        let [a, b, ..] = amount::widen(self.low);
        [a, b, self.carries, 0]
    }
}

/// Sum of the tips of `transfers`, in 256 bits.
#[must_use]
pub fn sum_tips(transfers: &[Transfer]) -> [u64; 4] {
    let mut tips = Tips::default();
    for transfer in transfers {
        tips.add(transfer.tip);
    }
    tips.total()
}
