//! Which vector instructions the CPU kernels use, chosen at run time.
//!
//! Binaries are built for the baseline processor of their target and carry every form; [`Backend::selected`] picks
//! one when a kernel is first used. `OUTRIDER_SIMD` in the environment overrules it, for tests and comparisons.
//!
//! All vector code is in the modules `avx512` and `avx2`, behind what both have in common, `lanes`, and the kernels are
//! written for that.

#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
#[allow(unsafe_code, reason = "holds the vector instructions")]
pub(crate) mod avx2;
#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
#[allow(unsafe_code, reason = "holds the vector instructions")]
pub(crate) mod avx512;
#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
#[allow(unsafe_code, reason = "promises what the vector instructions need, and has one of its own")]
pub(crate) mod lanes;

use std::sync::OnceLock;

#[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
use lanes::Lanes as _;

/// The environment variable that overrules the choice: `avx512ifma`, `avx2` or `portable`.
pub const VARIABLE: &str = "OUTRIDER_SIMD";

/// A form of the CPU kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Eight items in the lanes of AVX-512 with IFMA (and BW, DQ, VBMI2): Intel from Ice Lake, AMD from Zen 4.
    Avx512Ifma,
    /// Eight items in the lanes of AVX2 with FMA: Intel from Haswell, AMD from Zen.
    Avx2,
    /// One item at a time, on any processor: libsecp256k1 and sha3.
    Portable,
}

/// A backend that was asked for and is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// No backend has this name.
    #[error("{VARIABLE}={0}: no such backend; there are avx512ifma, avx2 and portable")]
    Unknown(String),
    /// This processor, or its system, lacks the instructions.
    #[error("{VARIABLE}={0}: this processor does not have the instructions")]
    Unsupported(&'static str),
}

impl Backend {
    /// What this machine can run, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512Ifma, Self::Avx2, Self::Portable].into_iter().filter(|backend| backend.is_available())
    }

    /// The backend that kernels use unless told otherwise, decided once per process: what the environment asks for,
    /// else the fastest. If what it asks for is not to be had, that is logged as a warning and the fastest is used.
    #[must_use]
    pub fn selected() -> Self {
        static SELECTED: OnceLock<Backend> = OnceLock::new();
        *SELECTED.get_or_init(|| {
            Self::from_environment().unwrap_or_else(|error| {
                let fastest = Self::fastest();
                log::warn!("{error}; using {}", fastest.name());
                fastest
            })
        })
    }

    /// What the environment asks for, else the fastest.
    ///
    /// # Errors
    /// [`BackendError`] if it asks for what is not to be had.
    pub fn from_environment() -> Result<Self, BackendError> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::fastest()),
            Some(name) => Self::from_name(&name.to_string_lossy()),
        }
    }

    /// The backend of a name.
    ///
    /// # Errors
    /// [`BackendError`] if there is none, or this machine cannot run it.
    pub fn from_name(name: &str) -> Result<Self, BackendError> {
        let backend = match name {
            "avx512ifma" => Self::Avx512Ifma,
            "avx2" => Self::Avx2,
            "portable" => Self::Portable,
            _ => return Err(BackendError::Unknown(name.to_owned())),
        };
        if backend.is_available() { Ok(backend) } else { Err(BackendError::Unsupported(backend.name())) }
    }

    /// What [`VARIABLE`] calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512Ifma => "avx512ifma",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
            Self::Avx512Ifma => avx512::U64x8::detect().is_some(),
            #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
            Self::Avx2 => avx2::U64x8::detect().is_some(),
            #[cfg(not(all(target_arch = "x86_64", not(outrider_portable))))]
            Self::Avx512Ifma | Self::Avx2 => false,
            Self::Portable => true,
        }
    }

    fn fastest() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }
}

/// Asks for the cache line of a value that will be read soon. Does nothing on processors without vector instructions here.
#[inline]
pub fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(outrider_portable)))]
    lanes::prefetch(value);
    #[cfg(not(all(target_arch = "x86_64", not(outrider_portable))))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_go_by_their_names() {
        for backend in Backend::available() {
            assert_eq!(Backend::from_name(backend.name()), Ok(backend));
        }
        assert_eq!(Backend::available().last(), Some(Backend::Portable));
        for name in ["AVX512", "avx", ""] {
            let error = Backend::from_name(name).unwrap_err();
            assert_eq!(error, BackendError::Unknown(name.to_owned()));
            let message =
                format!("OUTRIDER_SIMD={name}: no such backend; there are avx512ifma, avx2 and portable");
            assert_eq!(error.to_string(), message);
        }
    }
}
