//! A chain as geth's genesis file describes it.

use alloy_genesis::Genesis;
use alloy_hardforks::ForkCondition;
use alloy_primitives::U256;
use serde_json::Value;
use std::collections::BTreeMap;

use super::{
    ChainSpec, Fork, SpecError,
    chain::{DaoFork, Draft},
};

impl ChainSpec {
    /// The rules that a genesis file's `config` schedules.
    ///
    /// The merge: a terminal total difficulty that genesis has reached makes every later block a
    /// proof-of-stake one. A higher one stays [unresolved](Self::unresolved_merge) until the
    /// headers are known; `mergeNetsplitBlock` is no substitute, because it splits networks and
    /// need not be the merge, and `terminalTotalDifficultyPassed` says when, not where. Without a
    /// terminal total difficulty there is no merge, except that forks by timestamp over a genesis
    /// of no difficulty leave no other reading than one at genesis.
    ///
    /// # Errors
    /// Forks out of order or unknown, a blob schedule with holes, and consensus engines other
    /// than proof of work and proof of stake.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, SpecError> {
        let config = &genesis.config;
        if config.clique.is_some() {
            return Err(SpecError::UnsupportedEngine { engine: "clique" });
        }
        if config.parlia.is_some() {
            return Err(SpecError::UnsupportedEngine { engine: "parlia" });
        }
        if config.eip155_block != config.eip158_block {
            return Err(SpecError::SplitSpuriousDragon {
                eip155: config.eip155_block,
                eip158: config.eip158_block,
            });
        }
        if config.bogota_time.is_some() {
            return Err(SpecError::UnsupportedFork { fork: "Bogota".to_owned() });
        }
        if let Some(name) = unknown_fork(&config.extra_fields) {
            return Err(SpecError::UnsupportedFork { fork: name.to_owned() });
        }

        let mut draft = Draft::new(config.chain_id);
        // geth: a chain that never mentions Petersburg had it together with Constantinople.
        let petersburg = config.petersburg_block.or(config.constantinople_block);
        for (fork, number) in [
            (Fork::Homestead, config.homestead_block),
            (Fork::Tangerine, config.eip150_block),
            (Fork::SpuriousDragon, config.eip158_block),
            (Fork::Byzantium, config.byzantium_block),
            (Fork::Constantinople, config.constantinople_block),
            (Fork::Petersburg, petersburg),
            (Fork::Istanbul, config.istanbul_block),
            (Fork::MuirGlacier, config.muir_glacier_block),
            (Fork::Berlin, config.berlin_block),
            (Fork::London, config.london_block),
            (Fork::ArrowGlacier, config.arrow_glacier_block),
            (Fork::GrayGlacier, config.gray_glacier_block),
        ] {
            draft.set(fork, number.map_or(ForkCondition::Never, ForkCondition::Block));
        }
        for (fork, time) in [
            (Fork::Shanghai, config.shanghai_time),
            (Fork::Cancun, config.cancun_time),
            (Fork::Prague, config.prague_time),
            (Fork::Osaka, config.osaka_time),
            (Fork::Bpo1, config.bpo1_time),
            (Fork::Bpo2, config.bpo2_time),
            (Fork::Bpo3, config.bpo3_time),
            (Fork::Bpo4, config.bpo4_time),
            (Fork::Bpo5, config.bpo5_time),
            (Fork::Amsterdam, config.amsterdam_time),
        ] {
            draft.set(fork, time.map_or(ForkCondition::Never, ForkCondition::Timestamp));
        }
        draft.set(Fork::Paris, merge(genesis, &draft)?);
        draft.dao = config.dao_fork_block.map(|block| DaoFork { block, support: config.dao_fork_support });
        draft.deposit_contract = config.deposit_contract_address;
        for (name, params) in &config.blob_schedule {
            draft.set_blob_limits(name, (*params).into())?;
        }
        draft.build()
    }
}

/// The first key that schedules a fork which is none of ours: what is named like a fork's activation
/// changes the rules, and must not be passed over, whether it is a fork to come or a misspelt one.
fn unknown_fork(extra: &BTreeMap<String, Value>) -> Option<&str> {
    let is_activation = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.ends_with("block") || name.ends_with("time") || name.ends_with("timestamp")
    };
    let scheduled = extra.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str());
    // geth's old name for mergeNetsplitBlock changes no rules.
    scheduled.filter(|name| is_activation(name) && *name != "mergeForkBlock").min()
}

fn merge(genesis: &Genesis, draft: &Draft) -> Result<ForkCondition, SpecError> {
    let at_genesis = |total_difficulty| ForkCondition::TTD {
        activation_block_number: 0,
        fork_block: None,
        total_difficulty,
    };
    if let Some(terminal) = genesis.config.terminal_total_difficulty {
        if terminal <= genesis.difficulty {
            return Ok(at_genesis(terminal));
        }
        return Ok(ForkCondition::TTD {
            activation_block_number: u64::MAX,
            fork_block: None,
            total_difficulty: terminal,
        });
    }
    let by_time =
        Fork::ALL.into_iter().find(|fork| fork.is_by_timestamp() && draft.get(*fork) != ForkCondition::Never);
    match by_time {
        None => Ok(ForkCondition::Never),
        Some(_) if genesis.difficulty.is_zero() => Ok(at_genesis(U256::ZERO)),
        Some(fork) => Err(SpecError::NoMerge { fork }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_that_is_none_of_ours_is_refused_by_name() {
        for name in ["futureforkTime", "pragueBlock", "osakatime", "verkleTime", "shanghaiTimestamp"] {
            let json = format!(
                r#"{{"config":{{"chainId":1,"{name}":0}},"alloc":{{}},"difficulty":"0x0","gasLimit":"0x1"}}"#
            );
            let genesis: Genesis = serde_json::from_str(&json).unwrap();
            let error = ChainSpec::from_genesis(&genesis).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            let off = json.replace(":0}", ":null}");
            let genesis: Genesis = serde_json::from_str(&off).unwrap();
            assert!(ChainSpec::from_genesis(&genesis).is_ok(), "{name} is not scheduled");
        }
    }
    use crate::spec::BlobLimits;

    fn genesis(config: &str, difficulty: &str) -> Genesis {
        let json = format!(
            r#"{{"config":{config},"difficulty":"{difficulty}","gasLimit":"0x1c9c380","alloc":{{}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    const TO_BERLIN: &str = r#""chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,
        "eip158Block":0,"byzantiumBlock":0,"constantinopleBlock":0,"istanbulBlock":0,
        "berlinBlock":0"#;

    fn with(more: &str) -> String {
        format!("{{{TO_BERLIN}{more}}}")
    }

    #[test]
    fn blocks_and_times_are_taken_from_the_file() {
        let config = with(
            r#","londonBlock":0,"terminalTotalDifficulty":0,"terminalTotalDifficultyPassed":true,
            "shanghaiTime":10,"cancunTime":20,"pragueTime":30,"osakaTime":40,"bpo1Time":50,
            "depositContractAddress":"0x4242424242424242424242424242424242424242",
            "blobSchedule":{"cancun":{"target":3,"max":6,"baseFeeUpdateFraction":3338477},
                "prague":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
                "osaka":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
                "bpo1":{"target":10,"max":15,"baseFeeUpdateFraction":8346193}}"#,
        );
        let spec = ChainSpec::from_genesis(&genesis(&config, "0x0")).unwrap();
        assert_eq!(spec.chain_id(), 1337);
        assert_eq!(spec.fork_at(0, 9), Fork::Paris);
        for (time, fork) in [
            (10, Fork::Shanghai),
            (20, Fork::Cancun),
            (30, Fork::Prague),
            (40, Fork::Osaka),
            (50, Fork::Bpo1),
        ] {
            assert_eq!(spec.fork_at(1, time), fork);
        }
        assert_eq!(spec.blob_params_at(19), None);
        let bpo1 = BlobLimits { target: 10, max: 15, update_fraction: 8_346_193 };
        assert_eq!(BlobLimits::from(spec.blob_params_at(50).unwrap()), bpo1);
        assert_eq!(spec.deposit_contract().to_string(), format!("0x{}", "42".repeat(20)));
    }

    #[test]
    fn petersburg_comes_with_constantinople_unless_told() {
        let spec = ChainSpec::from_genesis(&genesis(&with(r#","londonBlock":4"#), "0x20000")).unwrap();
        assert_eq!(spec.fork_at(3, 0), Fork::Berlin);
        assert_eq!(spec.fork_at(4, 0), Fork::London);
        assert_eq!(spec.activation(Fork::Petersburg), ForkCondition::Block(0));
        assert_eq!(spec.activation(Fork::Paris), ForkCondition::Never);
    }

    #[test]
    fn a_merge_ahead_waits_for_the_headers() {
        let config = with(r#","londonBlock":0,"terminalTotalDifficulty":262144,"shanghaiTime":100"#);
        let mut spec = ChainSpec::from_genesis(&genesis(&config, "0x20000")).unwrap();
        assert_eq!(spec.fork_at(9, 0), Fork::London);
        let difficulties = [0x20000u64, 0x30000, 0x40000, 0x40000].map(U256::from);
        let resolved =
            difficulties.into_iter().zip(1..).map(|(total, number)| spec.resolve_merge(number, total));
        assert_eq!(resolved.collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(spec.fork_at(3, 0), Fork::Paris);
        assert_eq!(spec.fork_at(3, 100), Fork::Shanghai);
    }

    #[test]
    fn schedules_that_make_no_sense_are_refused() {
        let refuse = |config: &str, difficulty: &str| {
            ChainSpec::from_genesis(&genesis(config, difficulty)).unwrap_err().to_string()
        };
        let no_merge = refuse(&with(r#","londonBlock":0,"shanghaiTime":1"#), "0x1");
        assert!(no_merge.contains("Shanghai is scheduled by time"), "{no_merge}");
        let hole = refuse(&with(r#","londonBlock":0,"terminalTotalDifficulty":0,"cancunTime":1"#), "0x0");
        assert!(hole.contains("Shanghai at never"), "{hole}");
        let backwards = refuse(
            &with(r#","londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":2,"cancunTime":1"#),
            "0x0",
        );
        assert!(backwards.contains("Cancun activates at time 1"), "{backwards}");
        let split = refuse(r#"{"chainId":1,"eip155Block":1,"eip158Block":2}"#, "0x1");
        assert!(split.contains("eip155Block"), "{split}");
        let late = refuse(&with(r#","londonBlock":4,"terminalTotalDifficulty":0"#), "0x0");
        assert!(late.contains("London at block 4"), "{late}");
        let clique = refuse(&with(r#","clique":{"period":1,"epoch":30000}"#), "0x1");
        assert!(clique.contains("clique"), "{clique}");
        let unnamed = refuse(
            &with(
                r#","londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0,
                "pragueTime":0,"osakaTime":0,"bpo3Time":0"#,
            ),
            "0x0",
        );
        assert!(unnamed.contains("no entry for BPO3"), "{unnamed}");
    }
}
