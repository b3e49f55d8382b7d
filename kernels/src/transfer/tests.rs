//! The ways against each other and against [`oracle`], which shares no code with any of them.

use super::{Account, Failure, Reason, Settled, Terms, Transfer, scan, serial};

/// `SplitMix64`: one seed, the same batch everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    fn id(&mut self, accounts: usize) -> u32 {
        u32::try_from(self.index(accounts)).unwrap()
    }
}

/// A batch to be executed.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) accounts: Vec<Account>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) terms: Terms,
}

/// What is broken in one transfer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Gas,
    NonceLow,
    NonceHigh,
    Funds,
}

pub(super) const FAULTS: [Fault; 4] = [Fault::Gas, Fault::NonceLow, Fault::NonceHigh, Fault::Funds];

/// A batch of `len` valid transfers among `accounts` accounts, some of them hot, with balances that
/// often are used up to the last wei.
pub(super) fn batch(random: &mut Random, len: usize, accounts: usize, party: bool) -> Batch {
    let fee_recipient = party.then(|| random.id(accounts));
    let mut table: Vec<_> = (0..accounts)
        .map(|_| Account {
            balance: [random.next(), random.next() >> random.below(64), 0, 0],
            nonce: random.below(1 << 40),
        })
        .collect();
    let started = table.clone();
    let hot = [random.id(accounts), random.id(accounts)];
    let mut transfers = Vec::with_capacity(len);
    while transfers.len() < len {
        let sender = if random.below(3) == 0 { hot[0] } else { random.id(accounts) };
        let recipient = match random.below(8) {
            0 => sender,
            1 | 2 => hot[1],
            _ => random.id(accounts),
        };
        let Account { balance, nonce } = table[sender as usize];
        let owned = u128::from(balance[0]) | u128::from(balance[1]) << 64;
        let fee_max = (u128::from(random.next()) << random.below(20)).min(owned);
        let charge = fee_max - fee_max / (2 + u128::from(random.below(9)));
        let rest = owned - fee_max;
        let value = match random.below(6) {
            0 => 0,
            1 => rest,
            _ => rest >> random.below(64),
        };
        let gas_limit = 21_000 + random.below(40_000);
        let transfer = Transfer {
            value: super::amount::widen(value),
            fee_max,
            charge,
            tip: charge >> random.below(40),
            nonce,
            gas_limit,
            gas_used: 21_000 + random.below(gas_limit - 20_999),
            sender,
            recipient,
        };
        let terms = Terms { fee_recipient, gas_available: u64::MAX };
        let wide = |table: &[Account]| table.iter().any(|a| a.balance[2] != 0);
        let mut tried = table.clone();
        let settled = serial::run(&mut tried, &[transfer], terms);
        if settled.done == 1 && !wide(&tried) {
            transfers.push(transfer);
            table = tried;
        }
    }
    let used: u64 = transfers.iter().map(|transfer| transfer.gas_used).sum();
    let last = transfers.last().map_or(0, |last| last.gas_limit - last.gas_used);
    let gas_available = if random.below(2) == 0 { 30_000_000_000 } else { used + last };
    let gas_available = gas_available.max(transfers.iter().map(|t| t.gas_limit).max().unwrap_or(0) + used);
    Batch { accounts: started, transfers, terms: Terms { fee_recipient, gas_available } }
}

/// Breaks the transfer at `index`.
pub(super) fn spoil(batch: &mut Batch, index: usize, fault: Fault) {
    let transfer = &mut batch.transfers[index];
    match fault {
        Fault::Gas => transfer.gas_limit = batch.terms.gas_available + 1,
        Fault::NonceLow => transfer.nonce = transfer.nonce.saturating_sub(1),
        Fault::NonceHigh => transfer.nonce += 1,
        Fault::Funds => transfer.fee_max = u128::MAX,
    }
}

/// A non-negative number as 48 decimal-free base-256 digits, most significant first.
type Big = [u8; 48];

fn big(bytes: &[u8]) -> Big {
    let mut big = [0; 48];
    big[48 - bytes.len()..].copy_from_slice(bytes);
    big
}

fn big_limbs(limbs: [u64; 4]) -> Big {
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    big(&bytes)
}

fn limbs(big: Big) -> [u64; 4] {
    let limb = |at: usize| u64::from_be_bytes(big[at..at + 8].try_into().unwrap());
    assert!(big[..16].iter().all(|&digit| digit == 0), "the oracle keeps balances within 256 bits");
    [limb(40), limb(32), limb(24), limb(16)]
}

fn plus(a: Big, b: Big) -> Big {
    let (mut sum, mut carry) = ([0; 48], 0);
    for digit in (0..48).rev() {
        let total = u32::from(a[digit]) + u32::from(b[digit]) + carry;
        (sum[digit], carry) = (u8::try_from(total % 256).unwrap(), total / 256);
    }
    sum
}

fn minus(a: Big, b: Big) -> Big {
    assert!(a >= b, "the oracle never goes below zero");
    let (mut difference, mut borrow) = ([0; 48], 0);
    for digit in (0..48).rev() {
        let total = 256 + i32::from(a[digit]) - i32::from(b[digit]) - borrow;
        (difference[digit], borrow) = (u8::try_from(total % 256).unwrap(), 1 - total / 256);
    }
    difference
}

/// The yellow paper's order of checks, on whole numbers, with a copy of the accounts for every transfer.
pub(super) fn oracle(batch: &Batch) -> (Vec<Account>, Settled) {
    let beyond_256 = plus(big_limbs([u64::MAX; 4]), big(&[1]));
    let mut accounts: Vec<_> =
        batch.accounts.iter().map(|a| (big_limbs(a.balance), u128::from(a.nonce))).collect();
    let (mut tips, mut gas) = (big(&[]), 0_u128);
    let mut failure = None;
    for (index, transfer) in batch.transfers.iter().enumerate() {
        let mut trial = accounts.clone();
        let (sender, recipient) = (transfer.sender as usize, transfer.recipient as usize);
        let value = big_limbs(transfer.value);
        let [fee_max, charge, tip] =
            [transfer.fee_max, transfer.charge, transfer.tip].map(|fee| big(&fee.to_be_bytes()));
        let mut check = || {
            if gas + u128::from(transfer.gas_limit) > u128::from(batch.terms.gas_available) {
                return Err(Reason::GasPool);
            }
            if u128::from(transfer.nonce) < trial[sender].1 {
                return Err(Reason::NonceTooLow);
            }
            if u128::from(transfer.nonce) > trial[sender].1 {
                return Err(Reason::NonceTooHigh);
            }
            if plus(value, fee_max) > trial[sender].0 {
                return Err(Reason::InsufficientFunds);
            }
            trial[sender].0 = minus(trial[sender].0, plus(value, charge));
            trial[sender].1 += 1;
            trial[recipient].0 = plus(trial[recipient].0, value);
            if trial[recipient].0 >= beyond_256 {
                return Err(Reason::RecipientOverflow);
            }
            if let Some(id) = batch.terms.fee_recipient {
                trial[id as usize].0 = plus(trial[id as usize].0, tip);
                if trial[id as usize].0 >= beyond_256 {
                    return Err(Reason::FeeRecipientOverflow);
                }
            }
            Ok(())
        };
        if let Err(reason) = check() {
            failure = Some(Failure { index, reason });
            break;
        }
        accounts = trial;
        tips = plus(tips, tip);
        gas += u128::from(transfer.gas_used);
    }
    let accounts = accounts
        .into_iter()
        .map(|(balance, nonce)| Account { balance: limbs(balance), nonce: u64::try_from(nonce).unwrap() })
        .collect();
    let done = failure.map_or(batch.transfers.len(), |failure| failure.index);
    (accounts, Settled { done, failure, tips: limbs(tips), gas_used: u64::try_from(gas).unwrap() })
}

/// Asserts that `way` gives what the oracle gives.
pub(super) fn assert_equals_oracle(
    batch: &Batch,
    name: &str,
    way: impl FnOnce(&mut [Account], &[Transfer], Terms) -> Settled,
) {
    let mut accounts = batch.accounts.clone();
    let settled = way(&mut accounts, &batch.transfers, batch.terms);
    let (expected, expected_settled) = oracle(batch);
    assert_eq!(settled, expected_settled, "{name}");
    for (id, (account, expected)) in accounts.iter().zip(&expected).enumerate() {
        assert_eq!(account, expected, "{name}: account {id}");
    }
}

fn assert_cpu_ways_equal_oracle(batch: &Batch) {
    assert_equals_oracle(batch, "serial", serial::run);
    if scan::fits(&batch.accounts, &batch.transfers) {
        assert_equals_oracle(batch, "scan", |accounts, transfers, terms| {
            scan::run(accounts, transfers, terms).unwrap()
        });
    }
}

#[test]
fn cpu_ways_equal_oracle_on_hot_valid_batches() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (len, accounts) = (random.index(700), 1 + random.index(30));
        let batch = batch(&mut random, len, accounts, seed % 2 == 0);
        eprintln!("seed {seed}: {len} transfers, {accounts} accounts");
        assert_cpu_ways_equal_oracle(&batch);
        let mut accounts = batch.accounts.clone();
        assert_eq!(serial::run(&mut accounts, &batch.transfers, batch.terms).done, len, "all are valid");
    }
}

#[test]
fn first_failure_of_every_kind_is_found_at_every_position_of_a_block() {
    for (kind, fault) in FAULTS.into_iter().enumerate() {
        for seed in 0..24 {
            let mut random = Random(1_000 * kind as u64 + seed);
            let mut batch = batch(&mut random, 300, 7, seed % 3 == 0);
            let index = random.index(299);
            spoil(&mut batch, index, fault);
            // A second fault behind the first changes nothing.
            spoil(&mut batch, 299, FAULTS[random.index(4)]);
            eprintln!("{fault:?} at {index}, seed {seed}");
            assert_cpu_ways_equal_oracle(&batch);
            assert!(oracle(&batch).1.failure.is_some_and(|failure| failure.index <= index));
        }
    }
}

#[test]
fn reasons_are_looked_for_in_order() {
    let mut batch = batch(&mut Random(5), 9, 4, true);
    let mut expect = Vec::new();
    for (fault, reason) in [
        (Fault::Funds, Reason::InsufficientFunds),
        (Fault::NonceHigh, Reason::NonceTooHigh),
        (Fault::Gas, Reason::GasPool),
    ] {
        spoil(&mut batch, 6, fault);
        expect.push(reason);
        assert_cpu_ways_equal_oracle(&batch);
        assert_eq!(oracle(&batch).1.failure, Some(Failure { index: 6, reason }), "after {expect:?}");
    }
}

/// One transfer of `value` from account 0 to `recipient`, free of charge but for a tip of 3.
fn single(balances: &[[u64; 4]], recipient: u32, value: [u64; 4], fee_recipient: Option<u32>) -> Batch {
    let accounts = balances.iter().map(|&balance| Account { balance, nonce: 9 }).collect();
    let transfer = Transfer {
        value,
        fee_max: 5,
        charge: 4,
        tip: 3,
        nonce: 9,
        gas_limit: 21_000,
        gas_used: 21_000,
        sender: 0,
        recipient,
    };
    Batch { accounts, transfers: vec![transfer], terms: Terms { fee_recipient, gas_available: 21_000 } }
}

#[test]
fn wide_amounts_overflow_exactly_at_256_bits() {
    let max = [u64::MAX; 4];
    let rich = [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1];
    let near = |below: u64| [u64::MAX - below, u64::MAX, u64::MAX, u64::MAX];
    for (balances, recipient, value, fee_recipient, failure) in [
        (vec![rich, near(7)], 1, [7, 0, 0, 0], None, None),
        (vec![rich, near(6)], 1, [7, 0, 0, 0], None, Some(Reason::RecipientOverflow)),
        (vec![rich, near(9)], 1, [7, 0, 0, 0], Some(1), Some(Reason::FeeRecipientOverflow)),
        (vec![rich, near(10)], 1, [7, 0, 0, 0], Some(1), None),
        (vec![rich, rich, near(2)], 1, [7, 0, 0, 0], Some(2), Some(Reason::FeeRecipientOverflow)),
        (vec![max], 0, [0, 0, 0, 1], Some(0), None),
        (vec![max], 0, near(5), Some(0), None),
        (vec![max], 0, near(4), Some(0), Some(Reason::InsufficientFunds)),
        (vec![max, rich], 1, near(3), None, Some(Reason::InsufficientFunds)),
        (vec![rich, max], 1, [0; 4], None, None),
    ] {
        let batch = single(&balances, recipient, value, fee_recipient);
        assert_cpu_ways_equal_oracle(&batch);
        assert_eq!(oracle(&batch).1.failure, failure.map(|reason| Failure { index: 0, reason }), "{batch:?}");
    }
}

#[test]
fn narrow_amounts_at_their_limits_fit_the_scan() {
    let top = [u64::MAX, u64::MAX, 0, 0];
    let mut batch = single(&[top, top], 1, [u64::MAX - 5, u64::MAX, 0, 0], Some(1));
    assert!(scan::fits(&batch.accounts, &batch.transfers));
    assert_cpu_ways_equal_oracle(&batch);
    assert_eq!(oracle(&batch).1.failure, None, "balance becomes wider than 128 bits within the batch");
    batch.transfers[0].value[0] += 1;
    assert_cpu_ways_equal_oracle(&batch);
    assert_eq!(oracle(&batch).1.failure.map(|f| f.reason), Some(Reason::InsufficientFunds));
    batch.accounts[1].balance = [0, 0, 1, 0];
    assert!(!scan::fits(&batch.accounts, &batch.transfers));
    let mut accounts = batch.accounts.clone();
    assert_eq!(scan::run(&mut accounts, &batch.transfers, batch.terms), None);
    assert_eq!(accounts, batch.accounts, "a batch that does not fit changes nothing");
}

#[test]
fn a_run_resumed_behind_its_failures_equals_a_run_without_them() {
    let good = batch(&mut Random(77), 500, 9, true);
    let mut bad = good.clone();
    for index in [0, 3, 4, 255, 256, 257, 499] {
        let twin = bad.transfers[index];
        bad.transfers.insert(index, Transfer { nonce: twin.nonce + 5, ..twin });
    }
    let mut expected = good.accounts.clone();
    let whole = serial::run(&mut expected, &good.transfers, good.terms);
    let (mut accounts, mut rest, mut terms) = (good.accounts.clone(), &bad.transfers[..], good.terms);
    let mut failures = 0;
    loop {
        let settled = scan::run(&mut accounts, rest, terms).unwrap();
        terms.gas_available -= settled.gas_used;
        let Some(failure) = settled.failure else { break };
        assert_eq!(failure.reason, Reason::NonceTooHigh);
        failures += 1;
        rest = &rest[settled.done + 1..];
    }
    assert_eq!((failures, accounts), (7, expected));
    assert_eq!(terms.gas_available, good.terms.gas_available - whole.gas_used);
}

#[test]
fn an_empty_batch_changes_nothing() {
    let batch = batch(&mut Random(1), 0, 3, true);
    assert_cpu_ways_equal_oracle(&batch);
}

#[test]
fn stages_agree_with_a_scan_that_knows_no_blocks() {
    let batch = batch(&mut Random(31), 900, 40, true);
    let events = scan::sorted_events(40, &batch.transfers, batch.terms.fee_recipient);
    assert!(events.is_sorted_by_key(|event| (event.account, event.key)));
    assert_eq!(events.len(), 2_700);
    let mut blocks = scan::reduce(&events, &batch.transfers);
    let gas: u64 = blocks.iter().map(|block| block.gas_used).sum();
    assert_eq!(gas, batch.transfers.iter().map(|transfer| transfer.gas_used).sum::<u64>());
    scan::scan_blocks(&mut blocks);
    for (block, before) in blocks.iter().enumerate().skip(1) {
        let account = events[block * scan::BLOCK - 1].account;
        let sends = events[..block * scan::BLOCK]
            .iter()
            .filter(|event| event.account == account && event.key % 3 == 0)
            .count();
        assert_eq!(before.running.sends as usize, sends, "block {block}");
    }
}

#[test]
fn cpu_ways_give_the_known_answers() {
    let serial =
        super::known::run(|accounts, transfers, terms| Ok::<_, ()>(serial::run(accounts, transfers, terms)));
    assert_eq!(serial, Ok(None));
    let scan =
        super::known::run(|accounts, transfers, terms| scan::run(accounts, transfers, terms).ok_or(()));
    assert_eq!(scan, Ok(None));
}
