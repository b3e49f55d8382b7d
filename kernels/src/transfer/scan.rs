//! The scan on the CPU: the device's stages one by one, in the device's layout.
//!
//! 1. [`sorted_events`]: each transfer becomes events at its sender, its recipient and, if that is a
//!    party, the fee recipient; a stable counting sort brings each account's events together. This stage
//!    runs on the CPU for the device too. It is two passes over ids that the caller has just dealt out,
//!    and on a device the same sort takes several dispatches with a scan in each.
//! 2. [`reduce`]: the sum of each block of [`BLOCK`] events, from its last segment head on.
//! 3. [`scan_blocks`]: what has accumulated before each block.
//! 4. [`apply`]: each event's balance and nonce beforehand, what it fails on, and the totals after it.
//! 5. [`settle`]: the last event of each account before the first failure writes that account.

use super::{
    Account, Failure, Reason, Settled, Terms, Transfer,
    amount::{self, I160},
    serial,
};

/// Events in a block: the lanes of a workgroup.
pub const BLOCK: usize = 256;

/// No failure, in the encoding that [`decode_failure`] undoes.
pub const NO_FAILURE: u32 = u32::MAX;

/// Transfers that [`I160`] and the failure key have room for.
pub const TRANSFERS_MAX: usize = 1 << 24;

/// What an event is to its account. The discriminant is its place among the events of its transfer.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pays value and charge, and uses up a nonce.
    Sender = 0,
    /// Gets the value.
    Recipient = 1,
    /// Gets the tip.
    FeeRecipient = 2,
}

/// A change of an account by a transfer. Eight bytes, read by the device as two words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Event {
    /// Id of the account.
    pub account: u32,
    /// Three times the index of the transfer, plus the [`Role`].
    pub key: u32,
}

impl Event {
    const fn new(account: u32, transfer: usize, role: Role) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "at most 3 * 2^24")]
        Self { account, key: 3 * transfer as u32 + role as u32 }
    }

    const fn transfer(self) -> usize {
        (self.key / 3) as usize
    }

    const fn role(self) -> Role {
        match self.key % 3 {
            0 => Role::Sender,
            1 => Role::Recipient,
            _ => Role::FeeRecipient,
        }
    }
}

/// A failure as one number: the smallest is the first transfer's, and its first reason.
#[allow(clippy::cast_possible_truncation, reason = "the index is below 2^24")]
const fn failure_key(transfer: usize, reason: Reason) -> u32 {
    8 * transfer as u32 + reason as u32
}

/// The failure that a key stands for, if it stands for any.
#[must_use]
pub fn decode_failure(key: u32) -> Option<Failure> {
    let reason = *Reason::ALL.get(key as usize % 8)?;
    (key != NO_FAILURE).then_some(Failure { index: key as usize / 8, reason })
}

/// What events add to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Sum of the amounts.
    pub amount: I160,
    /// Number of transfers sent.
    pub sends: u32,
}

impl Running {
    fn plus(self, other: Self) -> Self {
        Self { amount: self.amount.plus(other.amount), sends: self.sends.wrapping_add(other.sends) }
    }
}

/// The sum over a run of events and of transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockSum {
    /// Whether an account's first event is among them.
    pub has_head: bool,
    /// Sum of the events from the last such one on; of all events if there is none.
    pub running: Running,
    /// Gas used by the transfers, modulo 2^64: exact up to the first failure.
    pub gas_used: u64,
}

impl BlockSum {
    /// `self` followed by `next`: associative, with the default as its unit.
    fn then(self, next: Self) -> Self {
        Self {
            has_head: self.has_head || next.has_head,
            running: if next.has_head { next.running } else { self.running.plus(next.running) },
            gas_used: self.gas_used.wrapping_add(next.gas_used),
        }
    }
}

/// Whether 160 bits and 32-bit keys hold everything of this batch.
#[must_use]
pub fn fits(accounts: &[Account], transfers: &[Transfer]) -> bool {
    let wide = accounts.iter().fold(0, |wide, a| wide | a.balance[2] | a.balance[3]);
    let wide = transfers.iter().fold(wide, |wide, t| wide | t.value[2] | t.value[3]);
    wide == 0 && transfers.len() < TRANSFERS_MAX
}

/// All events, by account and then by key.
///
/// # Panics
///
/// If an id is not below `accounts_len`.
#[must_use]
pub fn sorted_events(accounts_len: usize, transfers: &[Transfer], fee_recipient: Option<u32>) -> Vec<Event> {
    let mut next = vec![0_u32; accounts_len];
    for transfer in transfers {
        next[transfer.sender as usize] += 1;
        next[transfer.recipient as usize] += 1;
    }
    if let Some(id) = fee_recipient {
        next[id as usize] += u32::try_from(transfers.len()).unwrap_or(u32::MAX);
    }
    let mut total = 0;
    for next in &mut next {
        total += std::mem::replace(next, total);
    }
    let mut events = vec![Event::default(); total as usize];
    let mut place = |account: u32, transfer, role| {
        let next = &mut next[account as usize];
        events[*next as usize] = Event::new(account, transfer, role);
        *next += 1;
    };
    for (index, transfer) in transfers.iter().enumerate() {
        place(transfer.sender, index, Role::Sender);
        place(transfer.recipient, index, Role::Recipient);
        if let Some(id) = fee_recipient {
            place(id, index, Role::FeeRecipient);
        }
    }
    events
}

/// What an event adds to its account.
fn contribution(event: Event, transfers: &[Transfer]) -> Running {
    let transfer = &transfers[event.transfer()];
    let value = I160::from_u128(amount::low(transfer.value));
    match event.role() {
        Role::Sender => {
            let amount = I160::ZERO.minus(value).minus(I160::from_u128(transfer.charge));
            Running { amount, sends: 1 }
        }
        Role::Recipient => Running { amount: value, sends: 0 },
        Role::FeeRecipient => Running { amount: I160::from_u128(transfer.tip), sends: 0 },
    }
}

/// Whether the event at `position` is its account's first.
fn is_head(events: &[Event], position: usize) -> bool {
    position == 0 || events[position - 1].account != events[position].account
}

/// The inclusive scan within a block.
fn scan_within(events: &[Event], transfers: &[Transfer], block: usize) -> impl Iterator<Item = BlockSum> {
    let mut sum = BlockSum::default();
    (block * BLOCK..(block + 1) * BLOCK).map(move |position| {
        let mut next = BlockSum::default();
        if position < events.len() {
            next.has_head = is_head(events, position);
            next.running = contribution(events[position], transfers);
        }
        next.gas_used = transfers.get(position).map_or(0, |transfer| transfer.gas_used);
        sum = sum.then(next);
        sum
    })
}

/// The sum of each block.
#[must_use]
pub fn reduce(events: &[Event], transfers: &[Transfer]) -> Vec<BlockSum> {
    let blocks = events.len().div_ceil(BLOCK);
    (0..blocks).map(|block| scan_within(events, transfers, block).last().unwrap_or_default()).collect()
}

/// The exclusive scan of the blocks, in place.
pub fn scan_blocks(blocks: &mut [BlockSum]) {
    let mut before = BlockSum::default();
    for block in blocks {
        let sum = before.then(*block);
        *block = std::mem::replace(&mut before, sum);
    }
}

/// Checks every event and every transfer's gas. `before` holds what has accumulated before each block.
/// Gives the totals of each account after each event, and the least failure key.
#[must_use]
pub fn apply(
    accounts: &[Account],
    transfers: &[Transfer],
    gas_available: u64,
    events: &[Event],
    before: &[BlockSum],
) -> (Vec<Running>, u32) {
    let mut after = Vec::with_capacity(events.len());
    let mut first = NO_FAILURE;
    for (block, before) in before.iter().enumerate() {
        let mut exclusive = *before;
        for (lane, inclusive) in scan_within(events, transfers, block).enumerate() {
            let position = block * BLOCK + lane;
            let inclusive = before.then(inclusive);
            if let Some(transfer) = transfers.get(position) {
                // Before the first failure no more gas is used than is available.
                let left = gas_available.saturating_sub(exclusive.gas_used);
                if transfer.gas_limit > left {
                    first = first.min(failure_key(position, Reason::GasPool));
                }
            }
            if let Some(event) = events.get(position) {
                let head = is_head(events, position);
                let had = if head { Running::default() } else { exclusive.running };
                if event.role() == Role::Sender
                    && let Some(reason) =
                        sender_failure(&accounts[event.account as usize], &transfers[event.transfer()], had)
                {
                    first = first.min(failure_key(event.transfer(), reason));
                }
                after.push(inclusive.running);
            }
            exclusive = inclusive;
        }
    }
    (after, first)
}

/// What a sender fails on that had `had` added to it since the start of the batch. Nothing that is sent
/// overflows a recipient in a batch that [`fits`].
fn sender_failure(start: &Account, transfer: &Transfer, had: Running) -> Option<Reason> {
    let nonce = start.nonce.wrapping_add(u64::from(had.sends));
    let balance = I160::from_u128(amount::low(start.balance)).plus(had.amount);
    let value = I160::from_u128(amount::low(transfer.value));
    if transfer.nonce < nonce {
        Some(Reason::NonceTooLow)
    } else if transfer.nonce > nonce {
        Some(Reason::NonceTooHigh)
    } else if balance < value.plus(I160::from_u128(transfer.fee_max)) {
        Some(Reason::InsufficientFunds)
    } else {
        None
    }
}

/// Writes to `accounts` what stands after all transfers before `done`.
pub fn settle(accounts: &mut [Account], events: &[Event], after: &[Running], done: usize) {
    for (position, event) in events.iter().enumerate() {
        let next = events.get(position + 1);
        let stands = |event: &Event| event.transfer() < done;
        let last = next.is_none_or(|next| next.account != event.account || !stands(next));
        if stands(event) && last {
            let account = &mut accounts[event.account as usize];
            let sum = I160::from_u128(amount::low(account.balance)).plus(after[position].amount);
            // Not below zero: the transfers before the failure were all covered.
            account.balance = sum.to_limbs().unwrap_or_default();
            account.nonce = account.nonce.wrapping_add(u64::from(after[position].sends));
        }
    }
}

/// The plain sums of a batch of which `first` is the least failure key.
#[must_use]
pub fn settled(transfers: &[Transfer], first: u32) -> Settled {
    let failure = decode_failure(first);
    let done = failure.map_or(transfers.len(), |failure| failure.index);
    let gas_used = transfers[..done].iter().map(|transfer| transfer.gas_used).sum();
    Settled { done, failure, tips: serial::sum_tips(&transfers[..done]), gas_used }
}

/// Executes `transfers` in order up to the first that fails, and updates `accounts`: all stages.
/// `None`, and nothing is changed, if the batch does not [`fit`](fits).
///
/// # Panics
///
/// If an id is out of range: the caller dealt them out.
#[must_use]
pub fn run(accounts: &mut [Account], transfers: &[Transfer], terms: Terms) -> Option<Settled> {
    if !fits(accounts, transfers) {
        return None;
    }
    let events = sorted_events(accounts.len(), transfers, terms.fee_recipient);
    let mut blocks = reduce(&events, transfers);
    scan_blocks(&mut blocks);
    let (after, first) = apply(accounts, transfers, terms.gas_available, &events, &blocks);
    let settled = settled(transfers, first);
    settle(accounts, &events, &after, settled.done);
    Some(settled)
}
