use alloy_primitives::U256;

use super::*;

fn spec(network: &str) -> ChainSpec {
    ChainSpec::from_network(network, 1, []).unwrap()
}

/// A header that follows `parent` under all rules of `spec`.
fn child(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Header {
    let number = parent.number + 1;
    let fork = spec.fork_at(number, timestamp);
    let was_london = spec.is_active(Fork::London, parent.number, parent.timestamp);
    let elasticity = if fork >= Fork::London && !was_london { 2 } else { 1 };
    Header {
        parent_hash: parent.hash_slow(),
        number,
        timestamp,
        gas_limit: parent.gas_limit * elasticity,
        difficulty: if fork < Fork::Paris { next_difficulty(fork, timestamp, parent) } else { U256::ZERO },
        base_fee_per_gas: (fork >= Fork::London).then(|| next_base_fee(parent, was_london)),
        withdrawals_root: (fork >= Fork::Shanghai).then_some(B256::ZERO),
        blob_gas_used: (fork >= Fork::Cancun).then_some(0),
        excess_blob_gas: spec.blob_params_at(timestamp).map(|p| next_excess_blob_gas(parent, &p)),
        parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::ZERO),
        requests_hash: (fork >= Fork::Prague).then_some(B256::ZERO),
        block_access_list_hash: (fork >= Fork::Amsterdam).then_some(B256::ZERO),
        slot_number: (fork >= Fork::Amsterdam).then_some(0),
        ..Header::default()
    }
}

fn genesis(spec: &ChainSpec) -> Header {
    let fork = spec.fork_at(0, 0);
    let is_stake = fork >= Fork::Paris;
    Header {
        gas_limit: 10_240_000,
        difficulty: if is_stake { U256::ZERO } else { U256::from(0x20000) },
        base_fee_per_gas: (fork >= Fork::London).then_some(1_000),
        ..Header::default()
    }
}

fn class(spec: &ChainSpec, header: &Header, parent: &Header) -> Option<Exception> {
    check_header(spec, header, parent.hash_slow(), parent).err().map(|e| e.exception)
}

#[test]
fn every_fork_accepts_its_own_header_and_no_other_forks_fields() {
    let forks = [
        "Frontier",
        "Homestead",
        "EIP150",
        "EIP158",
        "Byzantium",
        "ConstantinopleFix",
        "Istanbul",
        "Berlin",
        "London",
        "ArrowGlacier",
        "GrayGlacier",
        "Paris",
        "Shanghai",
        "Cancun",
        "Prague",
        "Osaka",
        "BPO1",
        "BPO2",
        "Amsterdam",
    ];
    for network in forks {
        let spec = spec(network);
        let parent = genesis(&spec);
        let header = child(&spec, &parent, 12);
        assert_eq!(class(&spec, &header, &parent), None, "{network}");
        let toggles: [fn(&mut Header); 8] = [
            |h| h.base_fee_per_gas = h.base_fee_per_gas.xor(Some(0)),
            |h| h.withdrawals_root = h.withdrawals_root.xor(Some(B256::ZERO)),
            |h| h.blob_gas_used = h.blob_gas_used.xor(Some(0)),
            |h| h.excess_blob_gas = h.excess_blob_gas.xor(Some(0)),
            |h| h.parent_beacon_block_root = h.parent_beacon_block_root.xor(Some(B256::ZERO)),
            |h| h.requests_hash = h.requests_hash.xor(Some(B256::ZERO)),
            |h| h.block_access_list_hash = h.block_access_list_hash.xor(Some(B256::ZERO)),
            |h| h.slot_number = h.slot_number.xor(Some(0)),
        ];
        for toggle in toggles {
            let mut header = header.clone();
            toggle(&mut header);
            let exception = class(&spec, &header, &parent).unwrap();
            assert!(
                exception.is_expected_by("BlockException.INCORRECT_BLOCK_FORMAT"),
                "{network}: {exception}"
            );
        }
    }
}

#[test]
fn the_gas_limit_moves_by_less_than_a_1024th() {
    let spec = spec("London");
    let parent = genesis(&spec);
    // 10,240,000 / 1,024 = 10,000.
    for (gas_limit, is_valid) in [
        (10_240_000, true),
        (10_249_999, true),
        (10_250_000, false),
        (10_230_001, true),
        (10_230_000, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let header = Header { gas_limit, ..child(&spec, &parent, 12) };
        assert_eq!(class(&spec, &header, &parent).is_none(), is_valid, "{gas_limit}");
    }
    let small = Header { gas_limit: 5_003, ..genesis(&spec) };
    for (gas_limit, is_valid) in [(5_000, true), (4_999, false), (5_006, true), (5_007, false)] {
        let header = Header { gas_limit, ..child(&spec, &small, 12) };
        assert_eq!(class(&spec, &header, &small).is_none(), is_valid, "{gas_limit}");
    }
}

#[test]
fn a_gas_limit_of_2_to_the_63_is_too_big_even_next_to_its_parent() {
    let spec = spec("Prague");
    let parent = Header { gas_limit: MAXIMUM_GAS_LIMIT, ..genesis(&spec) };
    let mut header = child(&spec, &parent, 12);
    assert_eq!(class(&spec, &header, &parent), None);
    header.gas_limit += 1;
    assert_eq!(class(&spec, &header, &parent), Some(Exception::GasLimitTooBig));
}

#[test]
fn london_doubles_the_gas_limit_and_starts_at_a_gwei() {
    let spec = spec("BerlinToLondonAt5");
    let mut parent = genesis(&spec);
    for _ in 1..=4 {
        let next = child(&spec, &parent, parent.timestamp + 13);
        assert_eq!(class(&spec, &next, &parent), None);
        parent = next;
    }
    let london = child(&spec, &parent, parent.timestamp + 13);
    assert_eq!(london.base_fee_per_gas, Some(1_000_000_000));
    assert_eq!(london.gas_limit, 20_480_000);
    assert_eq!(class(&spec, &london, &parent), None);
    let undoubled = Header { gas_limit: parent.gas_limit, ..london.clone() };
    assert_eq!(class(&spec, &undoubled, &parent), Some(Exception::InvalidGasLimit));
    let cheap = Header { base_fee_per_gas: Some(875_000_000), ..london };
    assert_eq!(class(&spec, &cheap, &parent), Some(Exception::InvalidBaseFeePerGas));
}

#[test]
fn the_merge_changes_what_difficulty_means() {
    let mut spec = spec("ArrowGlacierToParisAtDiffC0000");
    let parent = Header { difficulty: U256::from(0xC0000), ..genesis(&spec) };
    let stake = Header { difficulty: U256::ZERO, ..child(&spec, &parent, 12) };
    let exception = class(&spec, &stake, &parent);
    assert_eq!(exception, Some(Exception::ParisBeforeTerminalDifficulty));
    spec.resolve_merge(stake.number, parent.difficulty);
    assert_eq!(class(&spec, &stake, &parent), None);
    let work = Header { difficulty: U256::from(0xC0000), ..stake };
    assert_eq!(class(&spec, &work, &parent), Some(Exception::DifficultyOverParis));
}

#[test]
fn ten_blocks_say_on_which_side_of_the_dao_fork_they_are() {
    let spec = spec("HomesteadToDaoAt5");
    for number in 0..20 {
        let mut parent = genesis(&spec);
        parent.number = number;
        let plain = child(&spec, &parent, 13);
        let is_marked = (5..15).contains(&plain.number);
        let marked = Header { extra_data: DAO_EXTRA_DATA.to_vec().into(), ..plain.clone() };
        let expected = is_marked.then_some(Exception::ExtraDataInvalidDao);
        assert_eq!(class(&spec, &plain, &parent), expected, "block {}", plain.number);
        assert_eq!(class(&spec, &marked, &parent), None);
    }
}

#[test]
fn the_timestamp_is_later_than_the_parents() {
    let spec = spec("Prague");
    let parent = Header { timestamp: 100, ..genesis(&spec) };
    for (timestamp, expected) in
        [(99, Some(Exception::InvalidTimestamp)), (100, Some(Exception::InvalidTimestamp)), (101, None)]
    {
        assert_eq!(class(&spec, &child(&spec, &parent, timestamp), &parent), expected);
    }
}

#[test]
fn blob_parameters_change_with_the_child() {
    let spec = spec("PragueToOsakaAtTime15k");
    // At target, with execution a thousand times dearer than blobs: Prague keeps the excess,
    // Osaka's reserve price raises it.
    let parent = Header {
        timestamp: 14_998,
        base_fee_per_gas: Some(1_000_000_000),
        blob_gas_used: Some(6 * DATA_GAS_PER_BLOB),
        excess_blob_gas: Some(DATA_GAS_PER_BLOB),
        gas_used: 5_120_000,
        ..genesis(&spec)
    };
    let before = child(&spec, &parent, 14_999);
    let after = child(&spec, &parent, 15_000);
    assert_eq!(before.excess_blob_gas, Some(DATA_GAS_PER_BLOB));
    assert_eq!(after.excess_blob_gas, Some(3 * DATA_GAS_PER_BLOB));
    assert_eq!(class(&spec, &after, &parent), None);
    let late = Header { excess_blob_gas: before.excess_blob_gas, ..after };
    assert_eq!(class(&spec, &late, &parent), Some(Exception::IncorrectExcessBlobGas));
}

#[test]
fn absurd_headers_are_refused_without_a_panic() {
    let spec = ChainSpec::mainnet();
    for extreme in [0, 1, u64::MAX - 1, u64::MAX] {
        let parent = Header {
            number: extreme,
            timestamp: extreme,
            gas_limit: extreme,
            gas_used: extreme,
            difficulty: U256::MAX,
            base_fee_per_gas: Some(extreme),
            blob_gas_used: Some(extreme),
            excess_blob_gas: Some(extreme),
            ..Header::default()
        };
        for number in [0, 1, u64::MAX] {
            for timestamp in [0, 1, 1_800_000_000, u64::MAX] {
                let header = Header {
                    parent_hash: parent.hash_slow(),
                    number,
                    timestamp,
                    gas_limit: extreme,
                    ..parent.clone()
                };
                assert!(check_header(&spec, &header, header.parent_hash, &parent).is_err());
            }
        }
    }
}
