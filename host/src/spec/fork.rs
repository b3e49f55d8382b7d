//! Fork names: ours, revm's, alloy's and the execution-spec tests'.

use core::fmt;

use alloy_hardforks::EthereumHardfork;
use revm::primitives::hardfork::SpecId;

/// A set of consensus rules, in the order in which mainnet activated them.
///
/// The DAO fork is absent: it is an irregular state change at one block, not a rule set. See
/// [`ChainSpec::dao`](super::ChainSpec::dao).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fork {
    /// Launch rules.
    Frontier,
    /// EIP-2, EIP-7, EIP-8.
    Homestead,
    /// Tangerine Whistle: EIP-150.
    Tangerine,
    /// Spurious Dragon: EIP-155, EIP-160, EIP-161, EIP-170.
    SpuriousDragon,
    /// EIP-609.
    Byzantium,
    /// EIP-1013, with the net gas metering of EIP-1283 that Petersburg took out again.
    Constantinople,
    /// EIP-1716: Constantinople without EIP-1283.
    Petersburg,
    /// EIP-1679.
    Istanbul,
    /// EIP-2387: the difficulty bomb of EIP-2384.
    MuirGlacier,
    /// EIP-2930 and its companions.
    Berlin,
    /// EIP-1559 and its companions.
    London,
    /// The difficulty bomb of EIP-4345.
    ArrowGlacier,
    /// The difficulty bomb of EIP-5133.
    GrayGlacier,
    /// The merge: EIP-3675, EIP-4399.
    Paris,
    /// EIP-4895 and its companions.
    Shanghai,
    /// EIP-4844 and its companions.
    Cancun,
    /// EIP-7600.
    Prague,
    /// EIP-7607.
    Osaka,
    /// First fork that changes blob parameters only (EIP-7892).
    Bpo1,
    /// Second fork that changes blob parameters only (EIP-7892).
    Bpo2,
    /// Third fork that changes blob parameters only (EIP-7892).
    Bpo3,
    /// Fourth fork that changes blob parameters only (EIP-7892).
    Bpo4,
    /// Fifth fork that changes blob parameters only (EIP-7892).
    Bpo5,
    /// EIP-7773.
    Amsterdam,
}

impl Fork {
    /// Every fork, oldest first.
    pub const ALL: [Self; 24] = [
        Self::Frontier,
        Self::Homestead,
        Self::Tangerine,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::MuirGlacier,
        Self::Berlin,
        Self::London,
        Self::ArrowGlacier,
        Self::GrayGlacier,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
        Self::Bpo1,
        Self::Bpo2,
        Self::Bpo3,
        Self::Bpo4,
        Self::Bpo5,
        Self::Amsterdam,
    ];

    /// The name that reports print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "Frontier",
            Self::Homestead => "Homestead",
            Self::Tangerine => "TangerineWhistle",
            Self::SpuriousDragon => "SpuriousDragon",
            Self::Byzantium => "Byzantium",
            Self::Constantinople => "Constantinople",
            Self::Petersburg => "Petersburg",
            Self::Istanbul => "Istanbul",
            Self::MuirGlacier => "MuirGlacier",
            Self::Berlin => "Berlin",
            Self::London => "London",
            Self::ArrowGlacier => "ArrowGlacier",
            Self::GrayGlacier => "GrayGlacier",
            Self::Paris => "Paris",
            Self::Shanghai => "Shanghai",
            Self::Cancun => "Cancun",
            Self::Prague => "Prague",
            Self::Osaka => "Osaka",
            Self::Bpo1 => "BPO1",
            Self::Bpo2 => "BPO2",
            Self::Bpo3 => "BPO3",
            Self::Bpo4 => "BPO4",
            Self::Bpo5 => "BPO5",
            Self::Amsterdam => "Amsterdam",
        }
    }

    /// The fork that goes by `name`, in any of the spellings in use (`EIP150`, `Merge`,
    /// `ConstantinopleFix`, ...); letter case, spaces and underscores are ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        let folded: String =
            name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
        Some(match folded.as_str() {
            "frontier" => Self::Frontier,
            "homestead" => Self::Homestead,
            "eip150" | "tangerine" | "tangerinewhistle" => Self::Tangerine,
            "eip158" | "eip161" | "spuriousdragon" => Self::SpuriousDragon,
            "byzantium" => Self::Byzantium,
            "constantinople" => Self::Constantinople,
            "constantinoplefix" | "petersburg" => Self::Petersburg,
            "istanbul" => Self::Istanbul,
            "muirglacier" => Self::MuirGlacier,
            "berlin" => Self::Berlin,
            "london" => Self::London,
            "arrowglacier" => Self::ArrowGlacier,
            "grayglacier" => Self::GrayGlacier,
            "merge" | "paris" => Self::Paris,
            "shanghai" => Self::Shanghai,
            "cancun" => Self::Cancun,
            "prague" => Self::Prague,
            "osaka" => Self::Osaka,
            "bpo1" => Self::Bpo1,
            "bpo2" => Self::Bpo2,
            "bpo3" => Self::Bpo3,
            "bpo4" => Self::Bpo4,
            "bpo5" => Self::Bpo5,
            "amsterdam" => Self::Amsterdam,
            _ => return None,
        })
    }

    /// The instruction set and gas schedule that revm runs under this fork.
    ///
    /// revm no longer knows EIP-1283, so Constantinople answers as Petersburg; the one chain that
    /// tells them apart must be refused by whoever executes it
    /// ([`ChainSpec::needs_eip1283`](super::ChainSpec::needs_eip1283)).
    pub const fn spec_id(self) -> SpecId {
        match self {
            Self::Frontier => SpecId::FRONTIER,
            Self::Homestead => SpecId::HOMESTEAD,
            Self::Tangerine => SpecId::TANGERINE,
            Self::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
            Self::Byzantium => SpecId::BYZANTIUM,
            Self::Constantinople | Self::Petersburg => SpecId::PETERSBURG,
            Self::Istanbul | Self::MuirGlacier => SpecId::ISTANBUL,
            Self::Berlin => SpecId::BERLIN,
            Self::London | Self::ArrowGlacier | Self::GrayGlacier => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka | Self::Bpo1 | Self::Bpo2 | Self::Bpo3 | Self::Bpo4 | Self::Bpo5 => SpecId::OSAKA,
            Self::Amsterdam => SpecId::AMSTERDAM,
        }
    }

    /// Whether the fork changes nothing but blob parameters (EIP-7892).
    pub const fn is_blob_parameters_only(self) -> bool {
        matches!(self, Self::Bpo1 | Self::Bpo2 | Self::Bpo3 | Self::Bpo4 | Self::Bpo5)
    }

    /// Whether a chain may leave the fork out while activating later ones: bomb delays mean
    /// nothing without proof of work, and blob parameters change only when a chain says so.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::MuirGlacier | Self::ArrowGlacier | Self::GrayGlacier)
            || self.is_blob_parameters_only()
    }

    /// Whether the fork activates by timestamp (from Shanghai on), not by block number.
    pub const fn is_by_timestamp(self) -> bool {
        self as u8 >= Self::Shanghai as u8
    }

    /// Our fork for alloy's; `None` for the DAO fork and for what lies beyond Amsterdam.
    pub const fn from_alloy(fork: EthereumHardfork) -> Option<Self> {
        Some(match fork {
            EthereumHardfork::Frontier => Self::Frontier,
            EthereumHardfork::Homestead => Self::Homestead,
            EthereumHardfork::Tangerine => Self::Tangerine,
            EthereumHardfork::SpuriousDragon => Self::SpuriousDragon,
            EthereumHardfork::Byzantium => Self::Byzantium,
            EthereumHardfork::Constantinople => Self::Constantinople,
            EthereumHardfork::Petersburg => Self::Petersburg,
            EthereumHardfork::Istanbul => Self::Istanbul,
            EthereumHardfork::MuirGlacier => Self::MuirGlacier,
            EthereumHardfork::Berlin => Self::Berlin,
            EthereumHardfork::London => Self::London,
            EthereumHardfork::ArrowGlacier => Self::ArrowGlacier,
            EthereumHardfork::GrayGlacier => Self::GrayGlacier,
            EthereumHardfork::Paris => Self::Paris,
            EthereumHardfork::Shanghai => Self::Shanghai,
            EthereumHardfork::Cancun => Self::Cancun,
            EthereumHardfork::Prague => Self::Prague,
            EthereumHardfork::Osaka => Self::Osaka,
            EthereumHardfork::Bpo1 => Self::Bpo1,
            EthereumHardfork::Bpo2 => Self::Bpo2,
            EthereumHardfork::Bpo3 => Self::Bpo3,
            EthereumHardfork::Bpo4 => Self::Bpo4,
            EthereumHardfork::Bpo5 => Self::Bpo5,
            EthereumHardfork::Amsterdam => Self::Amsterdam,
            _ => return None,
        })
    }

    /// Position in [`Fork::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fork_is_found_by_its_own_name_and_stands_at_its_index() {
        for (i, fork) in Fork::ALL.into_iter().enumerate() {
            assert_eq!(fork.index(), i);
            assert_eq!(Fork::from_name(fork.name()), Some(fork));
            assert_eq!(Fork::from_name(&fork.name().to_uppercase()), Some(fork));
        }
    }

    #[test]
    fn test_spellings_name_the_fork_they_mean() {
        for (name, fork) in [
            ("EIP150", Fork::Tangerine),
            ("EIP158", Fork::SpuriousDragon),
            ("ConstantinopleFix", Fork::Petersburg),
            ("Merge", Fork::Paris),
            ("Tangerine Whistle", Fork::Tangerine),
        ] {
            assert_eq!(Fork::from_name(name), Some(fork), "{name}");
        }
        assert_eq!(Fork::from_name("Pectra"), None);
        assert_eq!(Fork::from_name(""), None);
    }

    #[test]
    fn revm_specs_never_go_back_in_time() {
        for pair in Fork::ALL.windows(2) {
            assert!(pair[0].spec_id() <= pair[1].spec_id(), "{} {}", pair[0], pair[1]);
        }
    }
}
