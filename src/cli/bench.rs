//! `evenkeel bench`: how fast the code that users run is.

use std::sync::Arc;

use anyhow::ensure;

use super::Ui;
use super::common::{ScenarioArg, SeedArg, SetArgs};
use crate::env::{EnvBench, bench_env};
use crate::scenario::{self, Scenario};

/// Measures the very code that trains and evaluates, on this machine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  evenkeel bench env reference                       environment steps per second, one thread
  evenkeel bench env reference --threads 2 --envs 4096 --json

Quote the median of several runs, and ratios rather than figures: other programs on the machine
take their share.")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Environments alone, under uniform random actions held for ten steps each
    ///
    /// Layouts are drawn on the measured threads within the measured time.
    Env(EnvArgs),
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    scenario: ScenarioArg,
    /// Measured time, seconds
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    seconds: f64,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    set: SetArgs,
}

#[derive(Debug, clap::Args)]
struct EnvArgs {
    #[command(flatten)]
    common: Common,
    /// Threads that step environments; 0 is one for each core
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Environments stepped together
    #[arg(long, value_name = "N", default_value_t = 64)]
    envs: usize,
}

/// Runs the command.
///
/// # Errors
/// If the scenario or a setting is no good, or stdout cannot be written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    match args.what {
        What::Env(args) => {
            let scenario = args.common.scenario()?;
            let EnvArgs {
                common,
                threads,
                envs,
            } = args;
            let bench = bench_env(&scenario, common.seed.seed, envs, threads, common.seconds)?;
            ui.answer(&bench, describe_env)
        }
    }
}

impl Common {
    fn scenario(&self) -> anyhow::Result<Arc<Scenario>> {
        ensure!(
            self.seconds.is_finite() && self.seconds > 0.0,
            "--seconds {}: must be a positive number of seconds",
            self.seconds
        );
        Ok(Arc::new(scenario::resolve(
            &self.scenario.scenario,
            &self.set.set,
        )?))
    }
}

fn describe_env(bench: &EnvBench) -> String {
    let EnvBench {
        scenario,
        envs,
        threads,
        secs,
        steps_per_s,
        steps_per_s_parts: parts,
        ..
    } = bench;
    let (low, high) = (parts[0], parts[parts.len() - 1]);
    let strong = Ui::STRONG;
    format!(
        "{scenario}: {strong}{} steps/s{strong:#} ({} to {} over tenths of {secs:.1} s; {envs} environments, {threads} {})\n\
         mean episode {:.1} steps · {} resets/s · {} contacts/s",
        thousands(*steps_per_s),
        thousands(low),
        thousands(high),
        if *threads == 1 { "thread" } else { "threads" },
        bench.episode_length,
        thousands(bench.resets_per_s),
        thousands(bench.contacts_per_s),
    )
}

/// A whole number with its thousands apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [
            (0.4, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(thousands(value), text);
        }
    }
}
