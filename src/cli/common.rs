//! Arguments that several commands share, so that each is spelt and explained once.
//! `#[command(flatten)]` one of these into a command's `Args`.

use std::path::PathBuf;

use crate::scenario::Override;

/// `SCENARIO`.
#[derive(Clone, Debug, clap::Args)]
pub struct ScenarioArg {
    /// A shipped scenario's name, or the path of a scenario file
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
}

/// `--set PATH=VALUE`, any number of times.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SetArgs {
    /// Override one setting, as in `--set stability.clip.0.global_norm.max=1.0`; repeatable
    ///
    /// PATH names a key of the scenario or of the training settings, list entries by their number
    /// from 0; VALUE is written as in TOML. It is checked as if it stood in the file.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = Override::parse)]
    pub set: Vec<Override>,
}

/// `--seed N`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SeedArg {
    /// Root of every random stream; the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// `--out DIR`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OutArg {
    /// Folder to write to; made if it does not exist
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
