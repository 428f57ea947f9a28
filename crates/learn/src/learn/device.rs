//! Where the networks are computed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the networks are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// On the processor.
    #[default]
    Cpu,
    /// On the first CUDA device.
    Cuda,
}

impl Device {
    /// Refuses a device that this machine does not have.
    pub fn check(self) -> Result<(), NoCuda> {
        match self {
            Self::Cuda if !tch::Cuda::is_available() => Err(NoCuda),
            Self::Cpu | Self::Cuda => Ok(()),
        }
    }
}

/// CUDA is requested but not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no CUDA device can be used: this libtorch was built without CUDA, or the system shows no GPU; \
     take `cpu`, or install a libtorch with CUDA (`cargo xtask setup --cuda`)"
)]
pub struct NoCuda;
