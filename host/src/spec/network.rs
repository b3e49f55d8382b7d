//! The networks of the execution-spec tests: a fork from genesis on, or a transition.

use alloy_hardforks::ForkCondition;
use alloy_primitives::U256;

use super::{
    BlobLimits, ChainSpec, Fork, SpecError,
    chain::{DaoFork, Draft},
};

impl ChainSpec {
    /// The rules of a test's network, such as `Prague`, `BerlinToLondonAt5`,
    /// `PragueToOsakaAtTime15k` or `ArrowGlacierToParisAtDiffC0000`.
    ///
    /// `blob_schedule` is the test's own, as (fork name, limits); what it leaves out is as on
    /// mainnet.
    ///
    /// # Errors
    /// A network whose parts do not name forks, a transition that does not suit its fork, and
    /// blob limits that no block could obey, each by name.
    pub fn from_network<'a>(
        network: &str,
        chain_id: u64,
        blob_schedule: impl IntoIterator<Item = (&'a str, BlobLimits)>,
    ) -> Result<Self, SpecError> {
        let mut draft = Draft::new(chain_id);
        for (name, limits) in blob_schedule {
            draft.set_blob_limits(name, limits)?;
        }
        match network.split_once("To") {
            None => activate_from_genesis(&mut draft, named_fork(network, network)?),
            Some((from, transition)) => {
                activate_from_genesis(&mut draft, named_fork(network, from)?);
                activate_transition(&mut draft, network, from, transition)?;
            }
        }
        draft.build()
    }
}

fn named_fork(network: &str, name: &str) -> Result<Fork, SpecError> {
    Fork::from_name(name)
        .ok_or_else(|| SpecError::UnknownNetwork { network: network.to_owned(), fork: name.to_owned() })
}

/// Activates `last` and all before it at genesis.
fn activate_from_genesis(draft: &mut Draft, last: Fork) {
    for fork in Fork::ALL.into_iter().take_while(|fork| *fork <= last) {
        // Amsterdam follows those changes of blob parameters that its chain had.
        let skipped =
            fork.is_blob_parameters_only() && !last.is_blob_parameters_only() && !draft.has_blob_limits(fork);
        if !skipped {
            draft.set(fork, genesis_condition(fork));
        }
    }
}

const fn genesis_condition(fork: Fork) -> ForkCondition {
    if fork.is_by_timestamp() {
        return ForkCondition::ZERO_TIMESTAMP;
    }
    match fork {
        Fork::Paris => {
            ForkCondition::TTD { activation_block_number: 0, fork_block: None, total_difficulty: U256::ZERO }
        }
        _ => ForkCondition::ZERO_BLOCK,
    }
}

/// Activates what lies after `from` up to the fork that `transition` names: `HomesteadAt5`,
/// `OsakaAtTime15k`, `ParisAtDiffC0000`.
fn activate_transition(
    draft: &mut Draft,
    network: &str,
    from: &str,
    transition: &str,
) -> Result<(), SpecError> {
    let bad = || SpecError::BadTransition { network: network.to_owned(), transition: transition.to_owned() };
    let (to, moment) = transition.rsplit_once("At").ok_or_else(bad)?;
    let condition = parse_moment(moment).ok_or_else(bad)?;
    if to.eq_ignore_ascii_case("dao") {
        let ForkCondition::Block(block) = condition else { return Err(bad()) };
        draft.dao = Some(DaoFork { block, support: true });
        return Ok(());
    }
    let (from, to) = (named_fork(network, from)?, named_fork(network, to)?);
    if from >= to {
        return Err(bad());
    }
    for fork in Fork::ALL.into_iter().filter(|fork| *fork > from && *fork <= to) {
        if fork.is_optional() && fork != to {
            continue;
        }
        let suits = match condition {
            ForkCondition::Timestamp(_) => fork.is_by_timestamp(),
            ForkCondition::TTD { .. } => fork == Fork::Paris,
            _ => fork < Fork::Paris,
        };
        if !suits {
            return Err(bad());
        }
        draft.set(fork, condition);
    }
    Ok(())
}

/// `5` is a block, `Time15k` a timestamp, `DiffC0000` a total difficulty in hexadecimal.
fn parse_moment(moment: &str) -> Option<ForkCondition> {
    if let Some(time) = moment.strip_prefix("Time") {
        let time = match time.strip_suffix('k') {
            Some(thousands) => parse_decimal(thousands)?.checked_mul(1000)?,
            None => parse_decimal(time)?,
        };
        return Some(ForkCondition::Timestamp(time));
    }
    if let Some(difficulty) = moment.strip_prefix("Diff") {
        if difficulty.is_empty() || !difficulty.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        return Some(ForkCondition::TTD {
            activation_block_number: u64::MAX,
            fork_block: None,
            total_difficulty: U256::from_str_radix(difficulty, 16).ok()?,
        });
    }
    parse_decimal(moment).map(ForkCondition::Block)
}

/// Digits only: `str::parse` alone would take a sign.
fn parse_decimal(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(network: &str) -> ChainSpec {
        ChainSpec::from_network(network, 1, []).unwrap()
    }

    #[test]
    fn a_fork_from_genesis_holds_in_every_block() {
        for fork in Fork::ALL {
            // The parameters of the later ones are for the test to say.
            if matches!(fork, Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5) {
                let error = ChainSpec::from_network(fork.name(), 1, []).unwrap_err();
                assert!(matches!(error, SpecError::MissingBlobParams { .. }), "{error}");
                continue;
            }
            let spec = spec(fork.name());
            assert_eq!(spec.fork_at(0, 0), fork);
            assert_eq!(spec.fork_at(u64::MAX - 1, u64::MAX), fork);
            assert_eq!(spec.unresolved_merge(), None);
        }
    }

    #[test]
    fn transitions_happen_at_their_block_or_time() {
        for (network, from, to) in [
            ("FrontierToHomesteadAt5", Fork::Frontier, Fork::Homestead),
            ("HomesteadToEIP150At5", Fork::Homestead, Fork::Tangerine),
            ("EIP158ToByzantiumAt5", Fork::SpuriousDragon, Fork::Byzantium),
            ("ByzantiumToConstantinopleAt5", Fork::Byzantium, Fork::Constantinople),
            ("ByzantiumToConstantinopleFixAt5", Fork::Byzantium, Fork::Petersburg),
            ("BerlinToLondonAt5", Fork::Berlin, Fork::London),
        ] {
            let spec = spec(network);
            assert_eq!(spec.fork_at(4, u64::MAX), from, "{network}");
            assert_eq!(spec.fork_at(5, 0), to, "{network}");
        }
        for (network, from, to) in [
            ("ParisToShanghaiAtTime15k", Fork::Paris, Fork::Shanghai),
            ("ShanghaiToCancunAtTime15k", Fork::Shanghai, Fork::Cancun),
            ("CancunToPragueAtTime15k", Fork::Cancun, Fork::Prague),
            ("PragueToOsakaAtTime15k", Fork::Prague, Fork::Osaka),
            ("OsakaToBPO1AtTime15k", Fork::Osaka, Fork::Bpo1),
            ("BPO1ToBPO2AtTime15k", Fork::Bpo1, Fork::Bpo2),
            ("BPO2ToAmsterdamAtTime15k", Fork::Bpo2, Fork::Amsterdam),
        ] {
            let spec = spec(network);
            assert_eq!(spec.fork_at(1, 14_999), from, "{network}");
            assert_eq!(spec.fork_at(1, 15_000), to, "{network}");
        }
    }

    #[test]
    fn the_dao_fork_is_a_block_and_not_a_rule_set() {
        let spec = spec("HomesteadToDaoAt5");
        assert_eq!(spec.dao(), Some(DaoFork { block: 5, support: true }));
        assert_eq!(spec.fork_at(5, 0), Fork::Homestead);
    }

    #[test]
    fn the_merge_follows_the_total_difficulty() {
        let mut spec = spec("ArrowGlacierToParisAtDiffC0000");
        assert_eq!(spec.unresolved_merge(), Some(U256::from(0xC0000)));
        assert_eq!(spec.fork_at(100, 0), Fork::ArrowGlacier);
        assert!(!spec.resolve_merge(2, U256::from(0xBFFFF)));
        assert!(spec.resolve_merge(3, U256::from(0xC0000)));
        assert_eq!(spec.fork_at(2, 0), Fork::ArrowGlacier);
        assert_eq!(spec.fork_at(3, 0), Fork::Paris);
        assert_eq!(spec.unresolved_merge(), None);
        assert!(!spec.resolve_merge(9, U256::MAX), "it was resolved before");
    }

    #[test]
    fn unknown_networks_are_named() {
        for (network, part) in
            [("Pectra", "Pectra"), ("", ""), ("LondonToPectraAt5", "Pectra"), ("MarsToLondonAt5", "Mars")]
        {
            let error = ChainSpec::from_network(network, 1, []).unwrap_err();
            let expected = SpecError::UnknownNetwork { network: network.into(), fork: part.into() };
            assert_eq!(error, expected);
        }
        for network in [
            "BerlinToLondon",
            "BerlinToLondonAt",
            "BerlinToLondonAt+5",
            "BerlinToLondonAtTime5",
            "ParisToShanghaiAt5",
            "LondonToParisAt5",
            "LondonToParisAtDiff",
            "LondonToParisAtDiff-1",
            "ParisToShanghaiAtTime99999999999999999999k",
            "ParisToShanghaiAtTime18446744073709551615k",
            "LondonToBerlinAt5",
            "LondonToShanghaiAtTime15k",
            "HomesteadToDaoAtTime5",
        ] {
            let error = ChainSpec::from_network(network, 1, []).unwrap_err();
            assert!(matches!(error, SpecError::BadTransition { .. }), "{network}: {error}");
        }
    }

    #[test]
    fn a_test_overrides_blob_limits() {
        let limits = BlobLimits { target: 2, max: 5, update_fraction: 7 };
        let spec = ChainSpec::from_network("BPO2ToBPO3AtTime15k", 1, [("BPO3", limits)]).unwrap();
        assert_eq!(spec.blob_params_at(14_999).unwrap().max_blob_count, 21);
        let params = spec.blob_params_at(15_000).unwrap();
        assert_eq!(BlobLimits::from(params), limits);
        assert_eq!(params.max_blobs_per_tx, 6);
        assert_eq!(params.blob_base_cost, 1 << 13);
    }

    #[test]
    fn amsterdam_keeps_the_blob_limits_before_it_unless_it_has_its_own() {
        let bpo2 = BlobLimits { target: 14, max: 21, update_fraction: 11_684_671 };
        let kept = ChainSpec::from_network("Amsterdam", 1, [("BPO2", bpo2)]).unwrap();
        assert_eq!(BlobLimits::from(kept.blob_params_at(0).unwrap()), bpo2);
        let own = BlobLimits { target: 1, max: 2, update_fraction: 3 };
        let schedule = [("Amsterdam", own), ("BPO2", bpo2)];
        let spec = ChainSpec::from_network("Amsterdam", 1, schedule).unwrap();
        assert_eq!(BlobLimits::from(spec.blob_params_at(0).unwrap()), own);
    }

    #[test]
    fn blob_limits_that_no_block_could_obey_are_refused() {
        let good = BlobLimits { target: 3, max: 6, update_fraction: 1 };
        for bad in [
            BlobLimits { update_fraction: 0, ..good },
            BlobLimits { target: 7, ..good },
            BlobLimits { target: 0, max: 0, ..good },
            BlobLimits { max: u64::MAX, ..good },
        ] {
            let error = ChainSpec::from_network("Cancun", 1, [("Cancun", bad)]).unwrap_err();
            assert!(matches!(error, SpecError::BadBlobParams { .. }), "{error}");
        }
        let error = ChainSpec::from_network("Cancun", 1, [("London", good)]).unwrap_err();
        assert!(matches!(error, SpecError::UnknownBlobFork { .. }), "{error}");
    }
}
