use alloy_evm::spec_by_timestamp_and_block_number;
use alloy_primitives::{B256, address};

use super::*;

#[test]
fn mainnet_forks_hold_from_their_blocks_and_times() {
    let spec = ChainSpec::mainnet();
    assert_eq!(spec.chain_id(), 1);
    for (number, timestamp, fork) in [
        (0, 0, Fork::Frontier),
        (1_149_999, 0, Fork::Frontier),
        (1_150_000, 0, Fork::Homestead),
        (1_920_000, 0, Fork::Homestead),
        (2_463_000, 0, Fork::Tangerine),
        (2_675_000, 0, Fork::SpuriousDragon),
        (4_370_000, 0, Fork::Byzantium),
        (7_279_999, 0, Fork::Byzantium),
        (7_280_000, 0, Fork::Petersburg),
        (9_069_000, 0, Fork::Istanbul),
        (9_200_000, 0, Fork::MuirGlacier),
        (12_244_000, 0, Fork::Berlin),
        (12_965_000, 0, Fork::London),
        (13_773_000, 0, Fork::ArrowGlacier),
        (15_050_000, 0, Fork::GrayGlacier),
        (15_537_393, 0, Fork::GrayGlacier),
        (15_537_394, 0, Fork::Paris),
        (17_034_870, 1_681_338_454, Fork::Paris),
        (17_034_870, 1_681_338_455, Fork::Shanghai),
        (19_426_587, 1_710_338_135, Fork::Cancun),
        (22_431_084, 1_746_612_311, Fork::Prague),
        (23_935_694, 1_764_798_551, Fork::Osaka),
        (24_000_000, 1_765_290_071, Fork::Bpo1),
        (24_100_000, 1_767_747_671, Fork::Bpo2),
    ] {
        assert_eq!(spec.fork_at(number, timestamp), fork, "block {number}");
        assert_eq!(
            spec.spec_id_at(number, timestamp),
            spec_by_timestamp_and_block_number(&spec, timestamp, number),
            "block {number}"
        );
    }
    assert_eq!(spec.dao(), Some(DaoFork { block: 1_920_000, support: true }));
    assert_eq!(spec.unresolved_merge(), None);
}

#[test]
fn mainnet_blob_parameters_follow_its_forks() {
    let spec = ChainSpec::mainnet();
    for (timestamp, expected) in [
        (1_710_338_134, None),
        (1_710_338_135, Some(BlobParams::cancun())),
        (1_746_612_311, Some(BlobParams::prague())),
        (1_764_798_551, Some(BlobParams::osaka())),
        (1_765_290_071, Some(BlobParams::bpo1())),
        (1_767_747_670, Some(BlobParams::bpo1())),
        (1_767_747_671, Some(BlobParams::bpo2())),
    ] {
        assert_eq!(spec.blob_params_at(timestamp), expected, "time {timestamp}");
    }
}

#[test]
fn alloy_sees_the_same_schedule_as_its_own_mainnet() {
    let (ours, theirs) = (ChainSpec::mainnet(), EthereumChainHardforks::mainnet());
    for fork in EthereumHardfork::VARIANTS {
        assert_eq!(ours.ethereum_fork_activation(*fork), theirs.ethereum_fork_activation(*fork), "{fork}");
    }
    let deposits = address!("0x00000000219ab540356cbb839cbe05303d7705fa");
    assert_eq!(ours.deposit_contract_address(), Some(deposits));
}

#[test]
fn the_environment_is_that_of_the_header_and_its_fork() {
    let mut header = Header {
        number: 15_537_393,
        timestamp: 1_663_224_100,
        difficulty: U256::from(7),
        mix_hash: B256::repeat_byte(9),
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(11),
        ..Header::default()
    };
    let spec = ChainSpec::mainnet();
    let env = spec.evm_env(&header);
    assert_eq!(env.cfg_env.spec, SpecId::LONDON);
    assert_eq!(env.block_env.difficulty, U256::from(7));
    assert_eq!(env.block_env.prevrandao, None);
    assert_eq!(env.block_env.blob_excess_gas_and_price, None);

    header.number = 24_100_000;
    header.timestamp = 1_767_747_671;
    header.excess_blob_gas = Some(10_000_000);
    let env = spec.evm_env(&header);
    assert_eq!(env.cfg_env.spec, SpecId::OSAKA);
    assert_eq!(env.cfg_env.tx_gas_limit_cap, Some(1 << 24));
    assert_eq!(env.cfg_env.max_blobs_per_tx, Some(6));
    assert_eq!(env.block_env.prevrandao, Some(B256::repeat_byte(9)));
    // e^(10,000,000 / 11,684,671), rounded down.
    assert_eq!(env.block_env.blob_excess_gas_and_price.unwrap().blob_gasprice, 2);
}

#[test]
fn a_chain_that_refused_the_dao_fork_drains_nothing() {
    let mut spec = ChainSpec::mainnet();
    spec.dao = Some(DaoFork { block: 1_920_000, support: false });
    assert_eq!(spec.ethereum_fork_activation(EthereumHardfork::Dao), ForkCondition::Never);
}
