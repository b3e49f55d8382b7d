//! A chain's rules as a genesis file's `config` says them.

use alloy_hardforks::ForkCondition;
use serde_json::{Map, Value, json};

use super::{BlobLimits, ChainSpec, DaoFork, Fork};

/// What geth calls the activations. It has two names for Spurious Dragon, and none for Frontier.
const ACTIVATIONS: [(Fork, &str); 23] = [
    (Fork::Homestead, "homesteadBlock"),
    (Fork::Tangerine, "eip150Block"),
    (Fork::SpuriousDragon, "eip155Block"),
    (Fork::SpuriousDragon, "eip158Block"),
    (Fork::Byzantium, "byzantiumBlock"),
    (Fork::Constantinople, "constantinopleBlock"),
    (Fork::Petersburg, "petersburgBlock"),
    (Fork::Istanbul, "istanbulBlock"),
    (Fork::MuirGlacier, "muirGlacierBlock"),
    (Fork::Berlin, "berlinBlock"),
    (Fork::London, "londonBlock"),
    (Fork::ArrowGlacier, "arrowGlacierBlock"),
    (Fork::GrayGlacier, "grayGlacierBlock"),
    (Fork::Shanghai, "shanghaiTime"),
    (Fork::Cancun, "cancunTime"),
    (Fork::Prague, "pragueTime"),
    (Fork::Osaka, "osakaTime"),
    (Fork::Bpo1, "bpo1Time"),
    (Fork::Bpo2, "bpo2Time"),
    (Fork::Bpo3, "bpo3Time"),
    (Fork::Bpo4, "bpo4Time"),
    (Fork::Bpo5, "bpo5Time"),
    (Fork::Amsterdam, "amsterdamTime"),
];

impl ChainSpec {
    /// A genesis file without accounts that gives one block the rules it has here: of a `config` alone it cannot be said
    /// where a chain merged, so that before the merge there is none, and after it the merge is at genesis.
    pub fn to_genesis_json_for(&self, number: u64, timestamp: u64) -> Value {
        let is_merged = self.is_active(Fork::Paris, number, timestamp);
        let mut config = Map::new();
        config.insert("chainId".to_owned(), self.chain_id().into());
        let mut blob_schedule = Map::new();
        for (fork, name) in ACTIVATIONS {
            match self.activation(fork) {
                ForkCondition::Block(block) => config.insert(name.to_owned(), block.into()),
                ForkCondition::Timestamp(time) if is_merged => {
                    if let Some(params) = self.blob_params_at(time).filter(|_| fork >= Fork::Cancun) {
                        let BlobLimits { target, max, update_fraction } = params.into();
                        let limits = json!({
                            "target": target,
                            "max": max,
                            "baseFeeUpdateFraction": u64::try_from(update_fraction).unwrap_or(u64::MAX),
                        });
                        blob_schedule.insert(fork.name().to_ascii_lowercase(), limits);
                    }
                    config.insert(name.to_owned(), time.into())
                }
                _ => None,
            };
        }
        if let Some(DaoFork { block, support }) = self.dao() {
            config.insert("daoForkBlock".to_owned(), block.into());
            config.insert("daoForkSupport".to_owned(), support.into());
        }
        if is_merged {
            config.insert("terminalTotalDifficulty".to_owned(), 0.into());
        }
        config.insert("depositContractAddress".to_owned(), self.deposit_contract().to_string().into());
        config.insert("blobSchedule".to_owned(), blob_schedule.into());
        json!({ "config": config, "difficulty": "0x0" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that such a file gives.
    fn again(spec: &ChainSpec, number: u64, timestamp: u64) -> ChainSpec {
        let mut json = spec.to_genesis_json_for(number, timestamp);
        json["gasLimit"] = "0x1".into();
        json["alloc"] = json!({});
        ChainSpec::from_genesis(&serde_json::from_value(json).unwrap()).unwrap()
    }

    #[test]
    fn a_block_has_the_same_rules_under_what_is_written() {
        let mut specs = vec![ChainSpec::mainnet()];
        for fork in Fork::ALL {
            if !fork.is_blob_parameters_only() && fork != Fork::Constantinople {
                specs.push(ChainSpec::from_network(fork.name(), 7, []).unwrap());
            }
        }
        let limits = BlobLimits { target: 4, max: 8, update_fraction: 1_234_567 };
        for network in ["BerlinToLondonAt5", "ShanghaiToCancunAtTime15k", "PragueToOsakaAtTime15k"] {
            let schedule = [("Cancun", limits), ("Osaka", limits)];
            specs.push(ChainSpec::from_network(network, 1, schedule).unwrap());
        }
        // On both sides of each fork of mainnet and of the networks.
        let numbers =
            [1, 4, 5, 1_150_000, 1_920_000, 2_463_000, 4_370_000, 7_280_000, 12_964_999, 12_965_000];
        let times = [0, 14_999, 15_000, 1_681_338_454, 1_681_338_455, 1_710_338_135, 1_746_612_311];
        let old = numbers.map(|number| (number, 0));
        let new = times.map(|time| (15_537_394, time));
        for spec in &specs {
            for (number, time) in old.into_iter().chain(new) {
                let other = again(spec, number, time);
                assert_eq!(other.chain_id(), spec.chain_id());
                assert_eq!(other.fork_at(number, time), spec.fork_at(number, time), "{number} at {time}");
                assert_eq!(other.blob_params_at(time), spec.blob_params_at(time), "{number} at {time}");
                assert_eq!(other.dao(), spec.dao());
                assert_eq!(other.deposit_contract(), spec.deposit_contract());
                for fork in Fork::ALL {
                    let is_active = spec.is_active(fork, number, time);
                    assert_eq!(
                        other.is_active(fork, number, time),
                        is_active,
                        "{fork:?}, {number} at {time}"
                    );
                }
            }
        }
    }
}
