//! Arguments that several commands share, so that each is spelt and explained once.
//! `#[command(flatten)]` one of these into a command's `Args`.

use std::path::PathBuf;

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
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = parse_override)]
    pub set: Vec<String>,
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

/// Takes `PATH=VALUE` as it is, once both sides of the sign hold something.
fn parse_override(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() && !value.trim().is_empty() => {
            Ok(text.to_owned())
        }
        _ => Err("expected PATH=VALUE, for example task.goal_radius_m=0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_override;

    #[test]
    fn an_override_has_two_sides() {
        assert!(parse_override("train.steps=1000").is_ok());
        assert!(parse_override("train.arm=\"a=b\"").is_ok());
        for wrong in ["", "train.steps", "=1", "train.steps=", "train.steps= "] {
            assert!(parse_override(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
