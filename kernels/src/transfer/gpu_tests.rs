//! The device form: layouts against the shaders' own, and results against the oracle and both CPU forms.

use std::mem::{offset_of, size_of};

use super::{
    Account, Failure, Reason, Settled, Terms, Transfer,
    gpu::{Params, TransferKernel},
    recheck,
    scan::{self, Event},
    serial,
    tests::{Batch, FAULTS, Random, assert_equals_oracle, batch, spoil},
};
use crate::accelerator::{Accelerator, KernelCounts, Options};
use crate::gpu::{
    BATCH_LEN_MAX, Device, DeviceChoice, DeviceKernel, DeviceOptions, Fault, FaultPlan, IntegerForm,
    tests::device,
};

fn kernel(options: DeviceOptions) -> Option<(Device, TransferKernel)> {
    let device = device(options)?;
    let pipelines = device.compile(&TransferKernel::shaders(device.integer_form(), device.tuning())).unwrap();
    let kernel = TransferKernel::new(&device, pipelines).unwrap();
    Some((device, kernel))
}

/// Bit-equal to the oracle where that is quick enough, and always to the serial table.
fn assert_gpu_equals_cpu(device: &Device, kernel: &TransferKernel, batch: &Batch) {
    assert!(TransferKernel::takes(&batch.accounts, &batch.transfers));
    let on_device = |accounts: &mut [Account], transfers: &[Transfer], terms: Terms| {
        kernel.run(device, accounts, transfers, terms).unwrap()
    };
    if batch.transfers.len() < 2_000 {
        assert_equals_oracle(batch, "gpu", on_device);
    }
    let (mut ours, mut theirs) = (batch.accounts.clone(), batch.accounts.clone());
    let settled = on_device(&mut ours, &batch.transfers, batch.terms);
    assert_eq!(settled, serial::run(&mut theirs, &batch.transfers, batch.terms));
    assert!(ours == theirs, "accounts differ");
    let mut theirs = batch.accounts.clone();
    assert_eq!(Some(settled), scan::run(&mut theirs, &batch.transfers, batch.terms));
    assert!(ours == theirs, "accounts differ from the scan's");
}

#[test]
fn rust_and_shaders_lay_rows_out_alike() {
    let structs = [
        (
            "Params",
            size_of::<Params>(),
            vec![
                ("transfers_len", offset_of!(Params, transfers_len)),
                ("events_len", offset_of!(Params, events_len)),
                ("blocks_len", offset_of!(Params, blocks_len)),
                ("padding", offset_of!(Params, padding)),
                ("gas_available", offset_of!(Params, gas_available)),
            ],
        ),
        (
            "Transfer",
            size_of::<Transfer>(),
            vec![
                ("value", offset_of!(Transfer, value)),
                ("value_high", offset_of!(Transfer, value) + 16),
                ("fee_max", offset_of!(Transfer, fee_max)),
                ("charge", offset_of!(Transfer, charge)),
                ("tip", offset_of!(Transfer, tip)),
                ("nonce", offset_of!(Transfer, nonce)),
                ("gas_limit", offset_of!(Transfer, gas_limit)),
                ("gas_used", offset_of!(Transfer, gas_used)),
                ("sender", offset_of!(Transfer, sender)),
                ("recipient", offset_of!(Transfer, recipient)),
            ],
        ),
        (
            "Account",
            size_of::<Account>(),
            vec![("balance", offset_of!(Account, balance)), ("nonce", offset_of!(Account, nonce))],
        ),
        (
            "Event",
            size_of::<Event>(),
            vec![("account", offset_of!(Event, account)), ("key", offset_of!(Event, key))],
        ),
    ];
    let mut seen = 0;
    for shader in TransferKernel::shaders(IntegerForm::U32, crate::gpu::Tuning::default()) {
        let module = naga::front::wgsl::parse_str(&shader.source().unwrap()).unwrap();
        for (_, ty) in module.types.iter() {
            let naga::TypeInner::Struct { members, span } = &ty.inner else { continue };
            let Some((name, size, fields)) =
                structs.iter().find(|(name, ..)| ty.name.as_deref() == Some(name))
            else {
                continue;
            };
            let offsets: Vec<_> =
                members.iter().map(|m| (m.name.as_deref().unwrap(), m.offset as usize)).collect();
            assert_eq!((*span as usize, &offsets), (*size, fields), "{name} in {}", shader.name());
            seen += 1;
        }
    }
    assert!(seen >= 2 * structs.len(), "{seen}");
}

#[test]
fn gpu_gives_the_known_answers() {
    let Some((device, kernel)) = kernel(DeviceOptions::default()) else { return };
    kernel.self_test(&device).unwrap();
}

#[test]
fn canary_a_wrong_word_fails_the_self_test() {
    let options = DeviceOptions { fault: Some(Fault::WrongSelfTest.into()), ..DeviceOptions::default() };
    let Some((device, kernel)) = kernel(options) else { return };
    kernel.self_test(&device).unwrap_err();
}

#[test]
fn gpu_matches_cpu_at_workgroup_boundaries() {
    let Some((device, kernel)) = kernel(DeviceOptions::default()) else { return };
    for len in [1, 2, 85, 86, 127, 128, 129, 170, 171, 255, 256, 257, 511, 512, 513] {
        for party in [false, true] {
            eprintln!("seed {len}: {len} transfers, fee recipient a party: {party}");
            let batch = batch(&mut Random(len as u64), len, 1 + len / 9, party);
            assert_gpu_equals_cpu(&device, &kernel, &batch);
        }
    }
}

#[test]
fn gpu_finds_the_first_failure_of_every_kind() {
    let Some((device, kernel)) = kernel(DeviceOptions::default()) else { return };
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut batch = batch(&mut random, 400, 11, seed % 3 == 0);
        let index = random.index(400);
        spoil(&mut batch, index, FAULTS[random.index(4)]);
        spoil(&mut batch, random.index(400), FAULTS[random.index(4)]);
        eprintln!("seed {seed}: {index}");
        assert_gpu_equals_cpu(&device, &kernel, &batch);
    }
}

/// One account pays all, whose balance and nonce are the sums of everything before.
fn payout(len: usize, fee_recipient: Option<u32>) -> Batch {
    let mut accounts = vec![Account::default(); 1_001];
    accounts[0] = Account { balance: [u64::MAX, u64::MAX, 0, 0], nonce: 3 };
    let mut random = Random(9);
    let transfers = (0..len as u64)
        .zip((1..=1_000).cycle())
        .map(|(index, recipient)| {
            let charge = u128::from(random.next()) << 40;
            Transfer {
                value: [random.next(), random.next() >> 20, 0, 0],
                fee_max: charge + 7,
                charge,
                tip: charge >> 3,
                nonce: 3 + index,
                gas_limit: 30_000,
                gas_used: 21_000,
                sender: 0,
                recipient,
            }
        })
        .collect();
    Batch { accounts, transfers, terms: Terms { fee_recipient, gas_available: 1 << 33 } }
}

#[test]
fn gpu_matches_cpu_at_batch_boundary() {
    let Some((device, kernel)) = kernel(DeviceOptions::default()) else { return };
    for (len, fee_recipient) in
        [(BATCH_LEN_MAX - 1, Some(17)), (BATCH_LEN_MAX, Some(0)), (BATCH_LEN_MAX, None)]
    {
        let mut batch = payout(len, fee_recipient);
        assert_gpu_equals_cpu(&device, &kernel, &batch);
        batch.transfers[len - 1].nonce = 2;
        assert_gpu_equals_cpu(&device, &kernel, &batch);
        let settled = kernel.run(&device, &mut batch.accounts, &batch.transfers, batch.terms).unwrap();
        assert_eq!(settled.failure, Some(Failure { index: len - 1, reason: Reason::NonceTooLow }));
    }
    assert!(!TransferKernel::takes(&[], &payout(BATCH_LEN_MAX + 1, None).transfers));
    assert!(!TransferKernel::takes(&[], &[]));
}

#[test]
fn balances_at_the_limit_of_128_bits_carry_on_the_device() {
    let Some((device, kernel)) = kernel(DeviceOptions::default()) else { return };
    let mut batch = payout(3, Some(1));
    batch.accounts[1].balance = [u64::MAX, u64::MAX, 0, 0];
    batch.accounts[2].nonce = u64::from(u32::MAX);
    batch.transfers[1].sender = 2;
    batch.transfers[1].nonce = u64::from(u32::MAX);
    batch.transfers[1] = Transfer { value: [0; 4], fee_max: 0, charge: 0, tip: 0, ..batch.transfers[1] };
    batch.transfers[2].nonce = 4;
    assert_gpu_equals_cpu(&device, &kernel, &batch);
    let mut accounts = batch.accounts.clone();
    assert_eq!(kernel.run(&device, &mut accounts, &batch.transfers, batch.terms).unwrap().done, 3);
    assert_eq!(accounts[1].balance[2], 1, "wider than 128 bits");
    assert_eq!(accounts[2].nonce, 1 << 32);
}

#[test]
fn accounts_stay_as_they_were_when_the_device_fails() {
    for fault in [Fault::Lost, Fault::OutOfMemory] {
        let options = DeviceOptions { fault: Some(fault.into()), ..DeviceOptions::default() };
        let Some((device, kernel)) = kernel(options) else { return };
        device.begin_service();
        let mut batch = payout(300, None);
        let before = batch.accounts.clone();
        let result = kernel.run(&device, &mut batch.accounts, &batch.transfers, batch.terms);
        assert!(result.is_err(), "{result:?}");
        assert!(batch.accounts == before);
    }
}

fn accelerator(fault: Option<FaultPlan>) -> Option<Accelerator> {
    device(DeviceOptions::default())?;
    let deadline = std::time::Duration::from_secs(2);
    let device = DeviceOptions { deadline, fault, ..DeviceOptions::default() };
    Some(
        Accelerator::open(
            &DeviceChoice::Gpu,
            &Options { device, sample_seed: Some(1), ..Options::default() },
        )
        .unwrap(),
    )
}

fn assert_accelerator_equals_serial(accelerator: &Accelerator, batch: &Batch) {
    let (mut ours, mut theirs) = (batch.accounts.clone(), batch.accounts.clone());
    let settled = accelerator.transfer_scan(&mut ours, &batch.transfers, batch.terms);
    assert_eq!(settled, serial::run(&mut theirs, &batch.transfers, batch.terms));
    assert!(ours == theirs, "accounts differ");
}

fn counts(accelerator: &Accelerator) -> KernelCounts {
    accelerator.counts().into_iter().find(|(name, _)| *name == "transfer").unwrap().1
}

#[test]
fn an_accelerator_gives_narrow_batches_to_its_device_and_wide_ones_to_the_cpu() {
    let Some(accelerator) = accelerator(None) else { return };
    let mut batch = payout(700, Some(3));
    assert_accelerator_equals_serial(&accelerator, &batch);
    batch.transfers[650].nonce = 1;
    assert_accelerator_equals_serial(&accelerator, &batch);
    assert_eq!(counts(&accelerator), KernelCounts { gpu: 1_400, cpu: 0, redone: 0 });
    batch.accounts[900].balance = [0, 0, 0, 1 << 63];
    assert_accelerator_equals_serial(&accelerator, &batch);
    assert_accelerator_equals_serial(&accelerator, &Batch { transfers: Vec::new(), ..batch });
    assert_eq!(counts(&accelerator), KernelCounts { gpu: 1_400, cpu: 700, redone: 0 });
}

#[test]
fn every_fault_in_service_ends_in_the_serial_result() {
    for fault in [Fault::Lost, Fault::Hang, Fault::OutOfMemory, Fault::WrongAnswer] {
        let Some(accelerator) = accelerator(Some(fault.into())) else { return };
        assert_accelerator_equals_serial(&accelerator, &payout(300, None));
        assert!(accelerator.is_quarantined(), "{fault:?}");
        assert_eq!(counts(&accelerator), KernelCounts { gpu: 0, cpu: 300, redone: 300 }, "{fault:?}");
    }
}

#[test]
fn canary_the_recheck_catches_every_kind_of_wrong_answer() {
    let mut batch = payout(300, Some(7));
    batch.transfers[290].nonce = 1;
    let mut after = batch.accounts.clone();
    let settled = serial::run(&mut after, &batch.transfers, batch.terms);
    let check = |account, after: &[Account], settled: &Settled| {
        recheck::account_is_right(account, (&batch.accounts, after), &batch.transfers, batch.terms, settled)
    };
    for account in [0, 1, 7, 290, 999] {
        assert!(check(account, &after, &settled));
        let spoils: [fn(&mut Account); 3] =
            [|wrong| wrong.balance[3] ^= 1, |wrong| wrong.balance[0] ^= 1, |wrong| wrong.nonce ^= 1];
        for spoil in spoils {
            let mut wrong = after.clone();
            spoil(&mut wrong[account as usize]);
            assert!(!check(account, &wrong, &settled), "account {account}");
        }
    }
    let failure = Failure { index: 290, reason: Reason::NonceTooHigh };
    assert!(!check(0, &after, &Settled { failure: Some(failure), ..settled }), "another reason");
    assert!(!check(0, &after, &Settled { failure: None, ..settled }), "not all are done");
    let missed = Settled { done: 300, failure: None, ..settled };
    assert!(!check(0, &after, &missed), "a failure was missed");
    let early = Failure { index: 280, reason: Reason::NonceTooLow };
    assert!(!check(0, &after, &Settled { done: 280, failure: Some(early), ..settled }), "an early end");
}
