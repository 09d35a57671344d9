//! Which compiled body of the kernels runs: chosen once, passed to every fast function.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// One compiled version of the kernels that this processor can run.
///
/// `naive` are the plain loops of [`crate::naive`]; `portable` is the fast body for any processor; `avx2` is
/// the same body compiled for AVX2 and FMA, `avx512` for AVX-512. A value can only be made where the processor has the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels(pub(crate) Choice);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Naive,
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernels {
    /// The plain loops of [`crate::naive`].
    pub const NAIVE: Self = Self(Choice::Naive);

    /// The fast body without any special instructions.
    pub const PORTABLE: Self = Self(Choice::Portable);

    /// The variable that forces a choice in [`Kernels::from_env`].
    pub const VARIABLE: &str = "CNN_KERNELS";

    /// The fast body for AVX2 and FMA, if this processor has them.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return Some(Self(Choice::Avx2));
        }
        None
    }

    /// The fast body for AVX-512 (F, BW, DQ and VL), if this processor has it.
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
        {
            return Some(Self(Choice::Avx512));
        }
        None
    }

    /// The fastest kernels that this processor can run.
    pub fn detect() -> Self {
        Self::avx512().or(Self::avx2()).unwrap_or(Self::PORTABLE)
    }

    /// The kernels that the variable `CNN_KERNELS` names, or the fastest where it is not set.
    ///
    /// # Errors
    /// An unknown name, and kernels that this processor cannot run.
    pub fn from_env() -> Result<Self> {
        match std::env::var_os(Self::VARIABLE) {
            Some(name) => name.to_string_lossy().parse(),
            None => Ok(Self::detect()),
        }
    }

    /// Every version that this processor can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Some(Self::NAIVE), Some(Self::PORTABLE), Self::avx2(), Self::avx512()].into_iter().flatten()
    }

    /// The name that [`Kernels::from_str`] understands.
    pub fn name(self) -> &'static str {
        match self.0 {
            Choice::Naive => "naive",
            Choice::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kernels {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "naive" => Ok(Self::NAIVE),
            "portable" => Ok(Self::PORTABLE),
            "avx2" => Self::avx2().ok_or(Error::UnavailableKernels { name: "avx2" }),
            "avx512" => Self::avx512().ok_or(Error::UnavailableKernels { name: "avx512" }),
            _ => Err(Error::UnknownKernels { found: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kernels in Kernels::available() {
            assert_eq!(kernels.name().parse(), Ok(kernels));
        }
        assert_eq!(
            "sse9".parse::<Kernels>().unwrap_err().to_string(),
            "kernels: expected one of naive, portable, avx2, avx512, found \"sse9\""
        );
    }
}
