//! What a kernel's speed depends on and its answers do not: sizes that are best chosen on the device at hand.

use std::fmt;

use super::shader::WORKGROUP_LEN;

/// Sizes with which kernels are compiled. The default is what was measured best on lavapipe (`shaders/README.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuning {
    workgroup_len: u32,
    chain_len: u32,
    ladder_window_bits: u32,
    comb_window_bits: u32,
}

/// A parameter, the values that it can have, and where it is.
struct Parameter {
    key: &'static str,
    values: &'static [u32],
    of: fn(&mut Tuning) -> &mut u32,
}

const PARAMETERS: [Parameter; 4] = [
    Parameter { key: "workgroup_len", values: &[32, 64, 128, 256], of: |tuning| &mut tuning.workgroup_len },
    Parameter { key: "chain_len", values: &[4, 8, 16, 32, 64, 128], of: |tuning| &mut tuning.chain_len },
    Parameter { key: "ladder_window_bits", values: &[4, 5], of: |tuning| &mut tuning.ladder_window_bits },
    Parameter { key: "comb_window_bits", values: &[4, 8, 16], of: |tuning| &mut tuning.comb_window_bits },
];

impl Default for Tuning {
    fn default() -> Self {
        Self { workgroup_len: WORKGROUP_LEN, chain_len: 16, ladder_window_bits: 5, comb_window_bits: 8 }
    }
}

impl Tuning {
    /// The same but for one parameter, given as `KEY=VALUE`.
    ///
    /// # Errors
    /// [`TuningError`] if there is no such parameter, or it cannot have the value.
    pub fn with(mut self, setting: &str) -> Result<Self, TuningError> {
        let error = || TuningError { setting: setting.to_owned() };
        let (key, value) = setting.split_once('=').ok_or_else(error)?;
        let parameter = PARAMETERS.iter().find(|parameter| parameter.key == key).ok_or_else(error)?;
        let value = value.parse().ok().filter(|value| parameter.values.contains(value));
        *(parameter.of)(&mut self) = value.ok_or_else(error)?;
        Ok(self)
    }

    /// Every setting that differs from this in one parameter, as [`Self::with`] takes it.
    pub fn challengers(self) -> impl Iterator<Item = (String, Self)> {
        PARAMETERS.iter().flat_map(move |parameter| {
            parameter.values.iter().filter_map(move |&value| {
                let mut other = self;
                *(parameter.of)(&mut other) = value;
                (other != self).then(|| (format!("{}={value}", parameter.key), other))
            })
        })
    }

    /// Threads of a workgroup, where a kernel does not depend on it.
    #[must_use]
    pub const fn workgroup_len(self) -> u32 {
        self.workgroup_len
    }

    /// Items of recovery that share an inversion.
    #[must_use]
    pub const fn chain_len(self) -> u32 {
        self.chain_len
    }

    /// Bits of a digit of the halves of u2 in recovery; an item's table has 2^(bits − 1) entries of 64 bytes.
    #[must_use]
    pub const fn ladder_window_bits(self) -> u32 {
        self.ladder_window_bits
    }

    /// Bits of a digit of u1 in recovery; the comb has 2^(bits − 1) entries of 64 bytes for each of 256 / bits digits:
    /// 32 KiB, 256 KiB or 32 MiB.
    #[must_use]
    pub const fn comb_window_bits(self) -> u32 {
        self.comb_window_bits
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuning = *self;
        for (i, parameter) in PARAMETERS.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}={}", parameter.key, (parameter.of)(&mut tuning))?;
        }
        Ok(())
    }
}

/// A setting that no one knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuningError {
    setting: String,
}

impl fmt::Display for TuningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no setting {:?}; there are", self.setting)?;
        for parameter in &PARAMETERS {
            write!(f, " {}={:?}", parameter.key, parameter.values)?;
        }
        Ok(())
    }
}

impl std::error::Error for TuningError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_one_parameter_and_others_are_refused() {
        let default = Tuning::default();
        assert_eq!(
            default.to_string(),
            "workgroup_len=64 chain_len=16 ladder_window_bits=5 comb_window_bits=8"
        );
        assert_eq!(default.with("chain_len=32").unwrap().chain_len(), 32);
        assert_eq!(default.with("comb_window_bits=16").unwrap().comb_window_bits(), 16);
        for wrong in ["", "chain_len", "chain_len=", "chain_len=7", "chain=8", "workgroup_len=64x"] {
            let error = default.with(wrong).unwrap_err();
            assert!(error.to_string().contains("workgroup_len=[32, 64, 128, 256]"), "{error}");
        }
        for (setting, challenger) in default.challengers() {
            assert_eq!(default.with(&setting), Ok(challenger));
            assert_ne!(challenger, default, "{setting}");
        }
        assert_eq!(default.challengers().count(), 3 + 5 + 1 + 2);
    }
}
