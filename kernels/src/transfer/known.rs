//! Known answers: batches whose results were worked out by hand, so that no way is its own judge.

use super::{Account, Failure, Reason, Settled, Terms, Transfer};

/// A made-up batch of valid transfers: payouts from a few wallets to as many accounts as transfers.
pub(super) fn trial(len: usize) -> (Vec<Account>, Vec<Transfer>) {
    const WALLETS: u32 = 8;
    let wallets = (0..WALLETS).map(|_| Account { balance: [0, 1 << 32, 0, 0], nonce: 0 });
    let accounts = wallets.chain((0..len as u64).map(|id| account(id << 20, id))).collect();
    let transfers = (0..len as u64)
        .zip((0..WALLETS).cycle())
        .zip(WALLETS..)
        .map(|((index, wallet), recipient)| {
            transfer(wallet, recipient, index.wrapping_mul(0x9e37_79b9) >> 8, index / u64::from(WALLETS))
        })
        .collect();
    (accounts, transfers)
}

/// A batch's transfers, and what must come of them.
struct Known {
    name: &'static str,
    accounts: Vec<Account>,
    transfers: Vec<Transfer>,
    terms: Terms,
    after: Vec<Account>,
    settled: Settled,
}

const fn account(balance: u64, nonce: u64) -> Account {
    Account { balance: [balance, 0, 0, 0], nonce }
}

/// 21,000 gas at a price of 3, of which 2 are burnt, from a sender that would pay up to 5.
fn transfer(sender: u32, recipient: u32, value: u64, nonce: u64) -> Transfer {
    Transfer {
        value: [value, 0, 0, 0],
        fee_max: 105_000,
        charge: 63_000,
        tip: 21_000,
        nonce,
        gas_limit: 21_000,
        gas_used: 21_000,
        sender,
        recipient,
    }
}

/// 600 transfers of 1 wei from one payout wallet to 40 recipients in turn, across three blocks.
fn payout() -> Known {
    let accounts = [vec![account(37_942_200, 7)], vec![account(5, 0); 40]].concat();
    let transfers: Vec<_> =
        (0..600_u64).zip((1..=40).cycle()).map(|(i, to)| transfer(0, to, 1, 7 + i)).collect();
    let after = [vec![account(141_600, 607)], vec![account(20, 0); 40]].concat();
    Known {
        name: "payout",
        accounts,
        transfers,
        terms: Terms { fee_recipient: None, gas_available: 12_600_000 },
        after,
        settled: Settled { done: 600, failure: None, tips: [12_600_000, 0, 0, 0], gas_used: 12_600_000 },
    }
}

/// A transfer to oneself, the fee recipient as sender and recipient, money that was received just before,
/// and a carry through all limbs of 128 bits.
fn circle() -> Known {
    Known {
        name: "circle",
        accounts: vec![
            account(105_010, 0),
            account(100_000, 4),
            Account { balance: [u64::MAX - 1, u64::MAX, 0, 0], nonce: 9 },
        ],
        transfers: vec![
            transfer(0, 0, 10, 0),
            transfer(2, 1, 5_010, 9),
            transfer(1, 2, 10, 4),
            transfer(2, 0, 1_000_000, 10),
        ],
        terms: Terms { fee_recipient: Some(2), gas_available: u64::MAX },
        // 105010 - 63000 + 1000000; 100000 + 5010 - 63010; 2^128 - 2 + 4 * 21000 - 68010 + 10 - 1063000.
        after: vec![
            account(1_042_010, 1),
            account(42_000, 5),
            Account { balance: [u64::MAX - 1_047_001, u64::MAX, 0, 0], nonce: 11 },
        ],
        settled: Settled { done: 4, failure: None, tips: [84_000, 0, 0, 0], gas_used: 84_000 },
    }
}

/// Two transfers that stand, one that fails for `reason`, and one behind it that would pass.
fn failing(name: &'static str, reason: Reason, spoil: impl FnOnce(&mut Transfer)) -> Known {
    let mut transfers =
        vec![transfer(0, 1, 100, 3), transfer(1, 0, 50, 0), transfer(0, 1, 100, 4), transfer(1, 0, 50, 1)];
    spoil(&mut transfers[2]);
    Known {
        name,
        accounts: vec![account(1_000_000, 3), account(500_000, 0)],
        transfers,
        terms: Terms { fee_recipient: None, gas_available: 84_000 },
        after: vec![account(936_950, 4), account(437_050, 1)],
        settled: Settled {
            done: 2,
            failure: Some(Failure { index: 2, reason }),
            tips: [42_000, 0, 0, 0],
            gas_used: 42_000,
        },
    }
}

fn all() -> Vec<Known> {
    vec![
        payout(),
        circle(),
        failing("gas pool", Reason::GasPool, |transfer| transfer.gas_limit = 42_001),
        failing("nonce too low", Reason::NonceTooLow, |transfer| transfer.nonce = 3),
        failing("nonce too high", Reason::NonceTooHigh, |transfer| transfer.nonce = 5),
        // Owned then: 936,950; needed: 105,000 and the value.
        failing("funds", Reason::InsufficientFunds, |transfer| transfer.value[0] = 831_951),
    ]
}

/// Runs all known batches through `way`; `Some((transfers, item))` names the first wrong answer.
pub(super) fn run<E>(
    mut way: impl FnMut(&mut [Account], &[Transfer], Terms) -> Result<Settled, E>,
) -> Result<Option<(usize, usize)>, E> {
    for known in all() {
        let mut accounts = known.accounts.clone();
        let settled = way(&mut accounts, &known.transfers, known.terms)?;
        let wrong = accounts.iter().zip(&known.after).position(|(account, after)| account != after);
        if settled != known.settled || wrong.is_some() {
            let name = known.name;
            log::warn!("transfer: known answer {name:?}: {settled:?}, first wrong account {wrong:?}");
            return Ok(Some((known.transfers.len(), wrong.unwrap_or(settled.done))));
        }
    }
    Ok(None)
}
