//! What can go wrong on a device, as values that say where.
//!
//! None of these is fatal to the caller: the batch is redone on the CPU and the device is
//! put in quarantine ([`crate::accelerator`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lint::LintError;

/// Where a device failed: which kernel, with how many items, on which adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Name of the kernel, as in the registry.
    pub kernel: &'static str,
    /// Items in the batch that was being worked on (0 where no batch was: compiling, opening).
    pub batch_len: usize,
    /// Name of the adapter, as its driver gives it.
    pub adapter: Arc<str>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}, batch of {}, adapter {}", self.kernel, self.batch_len, self.adapter)
    }
}

/// Text of a driver or of the API, which may fill many lines, as one line of a log.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.0.split_whitespace().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

/// A failure of a device or of work on it.
///
/// A shader's own errors apart, which show the place in its text, it is shown on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The driver gave the device up (removed, reset, watchdog) or could not open it.
    #[error("{site}: device lost: {}", OneLine(.reason))]
    Lost {
        /// Where it was noticed.
        site: Site,
        /// The driver's words.
        reason: String,
    },
    /// No answer came before the deadline. The device is dead from here on, and leaked.
    #[error("{site}: no answer within {deadline:?}")]
    Deadline {
        /// Where it was noticed.
        site: Site,
        /// How long was waited.
        deadline: Duration,
    },
    /// The caller's patience is at its end ([`super::Device::with_patience`]). The job is left behind, and the
    /// device lives.
    #[error("{site}: no answer yet after {waited:?}")]
    Late {
        /// Where it was noticed.
        site: Site,
        /// Time since the job's submission.
        waited: Duration,
    },
    /// The device has no memory left for the batch.
    #[error("{site}: out of device memory: {}", OneLine(.detail))]
    OutOfMemory {
        /// Where it was noticed.
        site: Site,
        /// The driver's words.
        detail: String,
    },
    /// The API refused a call: a bug in this crate, or in the driver's reported limits.
    #[error("{site}: refused by validation: {}", OneLine(.detail))]
    Validation {
        /// Where it was noticed.
        site: Site,
        /// The API's words.
        detail: String,
    },
    /// A failure inside the API or the driver that has no better name.
    #[error("{site}: internal device error: {}", OneLine(.detail))]
    Internal {
        /// Where it was noticed.
        site: Site,
        /// The API's words.
        detail: String,
    },
    /// A shader that cannot be used: unknown import, does not parse, or breaks a house rule.
    #[error("{site}: {source}")]
    Shader {
        /// Where it was noticed.
        site: Site,
        /// What is wrong with the text.
        source: ShaderError,
    },
    /// The output still holds the sentinel it was filled with: the kernel did not write this item.
    #[error("{site}: item {item} was never written")]
    Unanswered {
        /// Where it was noticed.
        site: Site,
        /// Index of the item in its batch.
        item: usize,
    },
    /// The device's answer for an item differs from the CPU's.
    #[error("{site}: wrong answer for item {item}")]
    WrongAnswer {
        /// Where it was noticed.
        site: Site,
        /// Index of the item in its batch.
        item: usize,
    },
    /// The device failed earlier and is no longer used.
    #[error("{site}: device is out of service: {}", OneLine(.reason))]
    OutOfService {
        /// Where it was asked for.
        site: Site,
        /// Why it is out of service.
        reason: Arc<str>,
    },
}

impl DeviceError {
    /// Where the failure was noticed.
    #[must_use]
    pub const fn site(&self) -> &Site {
        match self {
            Self::Lost { site, .. }
            | Self::Deadline { site, .. }
            | Self::Late { site, .. }
            | Self::OutOfMemory { site, .. }
            | Self::Validation { site, .. }
            | Self::Internal { site, .. }
            | Self::Shader { site, .. }
            | Self::Unanswered { site, .. }
            | Self::WrongAnswer { site, .. }
            | Self::OutOfService { site, .. } => site,
        }
    }

    /// Sorts an error of the API into ours.
    pub(super) fn from_api(site: Site, error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { source } => Self::OutOfMemory { site, detail: source.to_string() },
            wgpu::Error::Validation { description, .. } => Self::Validation { site, detail: description },
            wgpu::Error::Internal { description, .. } => Self::Internal { site, detail: description },
        }
    }
}

/// What is wrong with a shader's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShaderError {
    /// `#import` names no known module.
    #[error("shader {shader}: `#import {module}`: no such module")]
    UnknownImport {
        /// The shader whose text was being put together.
        shader: &'static str,
        /// The name that was asked for.
        module: String,
    },
    /// The text does not parse or does not validate.
    #[error("shader {shader}: {detail}")]
    Invalid {
        /// The shader's name.
        shader: &'static str,
        /// The parser's or validator's report, with the place.
        detail: String,
    },
    /// The shader asks for something that the runtime does not bind.
    #[error("shader {shader}: {detail}")]
    Unsupported {
        /// The shader's name.
        shader: &'static str,
        /// What it asks for.
        detail: String,
    },
    /// A house rule is broken.
    #[error("shader {shader}: {source}")]
    Lint {
        /// The shader's name.
        shader: &'static str,
        /// Which rule, and where.
        source: LintError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_words_are_shown_on_one_line() {
        let site = Site { kernel: "keccak", batch_len: 3, adapter: "card".into() };
        let text = "\nValidation Error\n\nCaused by:\n  In Buffer::map_async\r\n    it is invalid\n";
        let flat = "Validation Error Caused by: In Buffer::map_async it is invalid";
        let (reason, detail) = (text.to_owned(), text.to_owned());
        for (error, what) in [
            (DeviceError::Lost { site: site.clone(), reason }, "device lost"),
            (DeviceError::OutOfMemory { site: site.clone(), detail: detail.clone() }, "out of device memory"),
            (DeviceError::Validation { site: site.clone(), detail: detail.clone() }, "refused by validation"),
            (DeviceError::Internal { site: site.clone(), detail }, "internal device error"),
            (DeviceError::OutOfService { site, reason: text.into() }, "device is out of service"),
        ] {
            let shown = format!("kernel keccak, batch of 3, adapter card: {what}: {flat}");
            assert_eq!(error.to_string(), shown);
        }
    }
}
