//! One case for each rule of the fork, the account or the amount.

use super::*;

/// One transfer from `eoa(1)`, which owns 2^40 and has nonce 4, on top of what `set_up` makes.
fn single(fork: &str, tx: impl Into<SignedTx>, set_up: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case::new(fork);
    case.fund(eoa(1), U256::from(1_u64 << 40), 4);
    set_up(&mut case);
    case.push(eoa(1), tx.into());
    case
}

#[test]
fn eip161_decides_what_an_empty_recipient_becomes() {
    for (fork, exists) in [("TangerineWhistle", true), ("SpuriousDragon", false), ("Byzantium", false)] {
        let case = single(fork, signed(legacy(4, eoa(9), U256::ZERO, 1)), |_| {});
        assert_eq!(case.assert_equal(fork), 1);
        let changes = case.by_revm().1;
        assert_eq!(changes.accounts.contains_key(&eoa(9)), exists, "{fork}");
        assert!(changes.accounts[&BENEFICIARY].account.is_some(), "{fork}");
    }
}

#[test]
fn eip161_decides_what_an_unpaid_fee_recipient_becomes() {
    for (fork, price, exists) in [
        ("Frontier", 0, true),
        ("SpuriousDragon", 0, false),
        ("London", u128::from(BASE_FEE), false),
        ("Prague", u128::from(BASE_FEE), false),
        ("Prague", u128::from(BASE_FEE) + 1, true),
    ] {
        let case = single(fork, signed(legacy(4, eoa(9), U256::from(5), price)), |_| {});
        assert_eq!(case.assert_equal(fork), 1);
        assert_eq!(case.by_revm().1.accounts.contains_key(&BENEFICIARY), exists, "{fork} at {price}");
    }
}

#[test]
fn an_empty_account_that_exists_is_left_to_revm_where_touching_removes_it() {
    for (fork, by_lane) in [("Homestead", 1), ("SpuriousDragon", 0), ("Cancun", 0)] {
        for value in [U256::ZERO, U256::from(7)] {
            let slots = [(U256::from(1), U256::from(2))];
            let case = single(fork, signed(legacy(4, eoa(9), value, 2_000)), |case| {
                case.world.insert(eoa(9), U256::ZERO, 0, Bytes::new(), slots);
            });
            assert_eq!(case.assert_equal(fork), by_lane, "{fork}, value {value}");
            let case = single(fork, signed(legacy(4, eoa(8), value, 2_000)), |case| {
                case.world.insert(BENEFICIARY, U256::ZERO, 0, Bytes::new(), slots);
            });
            assert_eq!(case.assert_equal(fork), by_lane, "{fork}, value {value}, fee recipient");
        }
    }
}

#[test]
fn fees_go_whole_to_the_miner_before_london_and_without_the_base_fee_since() {
    for (fork, tip) in [("Berlin", 3_000_u64), ("London", 2_000)] {
        let case = single(fork, signed(legacy(4, eoa(9), U256::from(1), 3_000)), |_| {});
        assert_eq!(case.assert_equal(fork), 1);
        let paid = case.by_revm().1.accounts[&BENEFICIARY].account.unwrap().balance;
        assert_eq!(paid, U256::from(21_000 * tip), "{fork}");
    }
}

#[test]
fn accounts_with_code_are_left_to_revm_but_a_delegated_sender_is_not() {
    let target = eoa(0xc0);
    let designator = [&[0xef, 0x01, 0x00][..], target.as_slice()].concat();
    for (fork, code, by_lane) in
        [("Prague", &designator[..], 1), ("Prague", &[0x00][..], 0), ("London", &[0x00][..], 0)]
    {
        let mut case = Case::new(fork);
        case.code(eoa(1), code);
        case.push(eoa(1), signed(legacy(1, eoa(9), U256::from(3), 2_000)));
        assert_eq!(case.assert_equal(fork), by_lane, "{fork}: sender with code {code:02x?}");
        let case =
            single(fork, signed(legacy(4, eoa(9), U256::from(3), 2_000)), |case| case.code(eoa(9), code));
        assert_eq!(case.assert_equal(fork), 0, "{fork}: recipient with code {code:02x?}");
        let case = single(fork, signed(legacy(4, eoa(9), U256::from(3), 2_000)), |case| {
            case.code(BENEFICIARY, code)
        });
        assert_eq!(case.assert_equal(fork), 1, "{fork}: fee recipient with code {code:02x?}");
    }
}

#[test]
fn precompiles_are_recipients_of_plain_transfers_only_before_their_fork() {
    for (fork, number, by_lane) in [
        ("Frontier", 4, 0),
        ("Homestead", 5, 1),
        ("Byzantium", 5, 0),
        ("London", 10, 1),
        ("Cancun", 10, 0),
        ("Cancun", 11, 1),
        ("Prague", 11, 0),
    ] {
        let to = Address::with_last_byte(number);
        let mut tx = legacy(4, to, U256::from(3), 2_000);
        tx.gas_limit = 500_000;
        let case = single(fork, signed(tx), |_| {});
        assert_eq!(case.assert_equal(fork), by_lane, "{fork}: precompile {number}");
    }
}

#[test]
fn calldata_costs_follow_the_fork_up_to_the_floor() {
    for fork in FORKS {
        for input in [vec![0; 100], vec![1; 100], vec![1; 1], Vec::new()] {
            for gas_limit in [21_000, 22_599, 22_600, 24_999, 25_000, 27_800, 60_000] {
                let mut tx = legacy(4, eoa(9), U256::from(3), 2_000);
                (tx.gas_limit, tx.input) = (gas_limit, input.clone().into());
                single(fork, signed(tx), |_| {}).assert_equal(&format!("{fork}, {gas_limit}, {input:?}"));
            }
        }
    }
}

#[test]
fn the_osaka_gas_cap_ends_a_run() {
    for (fork, by_lane) in [("Prague", 1), ("Osaka", 0)] {
        let mut tx = legacy(4, eoa(9), U256::from(3), 2_000);
        tx.gas_limit = (1 << 24) + 1;
        assert_eq!(single(fork, signed(tx), |_| {}).assert_equal(fork), by_lane);
    }
}

#[test]
fn balances_beyond_128_bits_and_their_overflow_equal_revm() {
    let half = U256::from(1) << 255;
    for (value, by_lane) in [(half, 1), (half + U256::from(1), 0)] {
        let mut case = Case::new("Berlin");
        case.fund(eoa(1), U256::MAX, 0);
        case.fund(eoa(2), half - U256::from(1), 0);
        case.push(eoa(1), signed(legacy(0, eoa(2), value, 5)));
        assert_eq!(case.assert_equal("overflow of a recipient"), by_lane);
    }
    for (held, by_lane) in [(U256::MAX - U256::from(105_000), 1), (U256::MAX - U256::from(104_999), 0)] {
        let mut case = Case::new("Berlin");
        case.fund(eoa(1), U256::MAX, 0);
        case.fund(BENEFICIARY, held, 0);
        case.push(eoa(1), signed(legacy(0, eoa(2), U256::from(1), 5)));
        assert_eq!(case.assert_equal("overflow of the fee recipient"), by_lane);
    }
}

#[test]
fn the_last_nonce_is_left_to_revm() {
    let mut case = Case::new("Berlin");
    case.fund(eoa(1), U256::MAX, u64::MAX - 1);
    case.push(eoa(1), signed(legacy(u64::MAX - 1, eoa(2), U256::from(1), 5)));
    case.push(eoa(1), signed(legacy(u64::MAX, eoa(2), U256::from(1), 5)));
    assert_eq!(case.assert_equal("nonces"), 1);
}

#[test]
fn transactions_of_a_later_fork_or_another_chain_are_left_to_revm() {
    let tx = TxEip1559 {
        chain_id: 1,
        nonce: 4,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000,
        to: TxKind::Call(eoa(9)),
        ..TxEip1559::default()
    };
    for (fork, chain_id, by_lane) in [("Berlin", 1, 0), ("London", 1, 1), ("London", 5, 0)] {
        let case = single(fork, signed(TxEip1559 { chain_id, ..tx.clone() }), |_| {});
        assert_eq!(case.assert_equal(fork), by_lane, "{fork}, chain {chain_id}");
    }
    let create =
        signed(TxLegacy { to: TxKind::Create, gas_limit: 90_000, ..legacy(4, eoa(9), U256::ZERO, 2_000) });
    assert_eq!(single("London", create, |_| {}).assert_equal("creation"), 0);
}

#[test]
fn amsterdam_has_no_plain_transfers() {
    let mut env = Case::new("Osaka").env();
    assert!(TransferRules::new(&env).is_some());
    env.cfg_env.set_spec_and_mainnet_gas_params(revm::primitives::hardfork::SpecId::AMSTERDAM);
    assert!(TransferRules::new(&env).is_none());
}

#[test]
fn long_runs_on_several_threads_equal_short_ones() {
    let mut case = Case::new("Prague");
    case.header.gas_limit = 1 << 40;
    let mut random = Random(11);
    for id in 1..=200 {
        case.fund(eoa(id), U256::from(1_u64 << 60), 0);
    }
    let mut nonces = [0; 256];
    for index in 0..3_000 {
        let id = u8::try_from(1 + random.below(200)).unwrap();
        let to = Address::from_word(B256::from(U256::from(1_000 + random.below(4_000))));
        let skipped = u64::from(index % 1_000 == 999);
        let nonce = nonces[usize::from(id)] + skipped;
        nonces[usize::from(id)] += 1 - skipped;
        case.push(eoa(id), signed(legacy(nonce, to, U256::from(random.below(1 << 40)), 2_000)));
    }
    assert_eq!(case.assert_equal("3,000 transfers"), 2_997);
}
