//! `evenkeel bench`: measures the throughput of simulation and training.

use std::sync::Arc;

#[cfg(feature = "learn")]
use anyhow::Context;
use anyhow::ensure;

use super::Ui;
use super::common::{MAX_COUNT, ScenarioArg, SeedArg, SetArgs, count, warn_of_threads};
use evenkeel::env::{EnvBenchResult, bench_env};
#[cfg(feature = "learn")]
use evenkeel::env::{action_dim, obs_layout};
#[cfg(feature = "learn")]
use evenkeel::lab;
#[cfg(feature = "learn")]
use evenkeel::learn::{
    RunDefinition, TelemetryBenchResult, TrainBenchResult, bench_learner, bench_telemetry,
    bench_train,
};
use evenkeel::scenario::{self, Scenario};
use evenkeel::telemetry::format::counted;
#[cfg(feature = "learn")]
use evenkeel::telemetry::{Fanout, JsonlSink, TensorBoardSink};

/// Largest number of environments, as in `train.num_envs`.
const MAX_ENVS: u64 = 1_000_000;

/// Measures the throughput of the code that trains and evaluates, on this machine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  evenkeel bench env reference                       environment steps per second on one thread
  evenkeel bench env reference --threads 2 --envs 4096 --json
  evenkeel bench train reference                     complete training, and where its time goes
  evenkeel bench learn reference                     the learner alone, without simulation
  evenkeel bench telemetry reference --seconds 60    the cost of measuring every optimiser step

Other programs on the machine affect the result: quote the median of several runs, and ratios
rather than absolute figures.")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: BenchCommand,
}

#[derive(Debug, clap::Subcommand)]
enum BenchCommand {
    /// Measure environments alone, under uniform random actions that each last ten steps
    ///
    /// The measured time includes the sampling of layouts on the measured threads.
    Env(EnvArgs),
    /// Measure the learner alone, on a dummy environment with the scenario's observation and action
    /// sizes
    #[cfg(feature = "learn")]
    Learn(LearnArgs),
    /// Measure complete training, with the settings that `train` would use and all logs written
    ///
    /// Evaluations and checkpoints are left out: they occur once in many iterations.
    #[cfg(feature = "learn")]
    Train(LearnArgs),
    /// Measure the cost of computing training metrics, detecting symptoms and logging
    ///
    /// Two trainers run the same iterations in turn. One of them measures only what decides whether
    /// an optimiser step is applied. The cost is a share of the throughput.
    #[cfg(feature = "learn")]
    Telemetry(LearnArgs),
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    scenario: ScenarioArg,
    /// Duration of the measurement, seconds
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
    common: CommonArgs,
    /// Number of threads that step environments; 0 means one per core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count::<usize>(0..=MAX_COUNT))]
    threads: usize,
    /// Number of environments stepped together
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = count::<usize>(1..=MAX_ENVS))]
    envs: usize,
}

#[cfg(feature = "learn")]
#[derive(Debug, clap::Args)]
struct LearnArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Number of threads that step environments and compute gradients; 0 means one per core
    /// [default: the scenario's `train.threads`]
    #[arg(long, value_name = "N", value_parser = count::<u32>(0..=MAX_COUNT))]
    threads: Option<u32>,
    /// Number of environments stepped together [default: the scenario's `train.num_envs`]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=MAX_ENVS))]
    envs: Option<u32>,
}

/// Runs `evenkeel bench`.
///
/// # Errors
/// If the scenario or a setting is invalid, or stdout cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    match args.what {
        BenchCommand::Env(args) => {
            let scenario = args.common.scenario()?;
            let EnvArgs {
                common,
                threads,
                envs,
            } = args;
            warn_of_threads(threads, ui);
            let bench = bench_env(&scenario, common.seed.seed, envs, threads, common.seconds)?;
            ui.answer(&bench, describe_env)
        }
        #[cfg(feature = "learn")]
        BenchCommand::Learn(args) => {
            let definition = args.definition()?;
            let layout = obs_layout(&definition.scenario);
            let bench = with_logs(|logs| {
                let config = &definition.config;
                Ok(bench_learner(
                    config,
                    layout.dim(),
                    action_dim(&definition.scenario),
                    args.common.seconds,
                    logs,
                )?)
            })?;
            ui.answer(&bench, |bench| {
                describe_train(bench, "on a dummy environment")
            })
        }
        #[cfg(feature = "learn")]
        BenchCommand::Train(args) => {
            let definition = args.definition()?;
            let mut trainer = definition.trainer()?;
            let bench =
                with_logs(|logs| Ok(bench_train(&mut trainer, args.common.seconds, logs)?))?;
            ui.answer(&bench, |bench| {
                describe_train(bench, &definition.scenario.name)
            })
        }
        #[cfg(feature = "learn")]
        BenchCommand::Telemetry(args) => {
            let definition = args.definition()?;
            let bench = with_logs(|logs| {
                #[expect(clippy::result_large_err, reason = "made once")]
                let trainer = || definition.trainer();
                Ok(bench_telemetry(trainer, args.common.seconds, logs)?)
            })?;
            ui.answer(&bench, |bench| {
                describe_telemetry(bench, &definition.scenario.name)
            })
        }
    }
}

#[cfg(feature = "learn")]
impl LearnArgs {
    fn definition(&self) -> anyhow::Result<RunDefinition> {
        let scenario = self.common.scenario()?;
        let arm = lab::arm("clipped", None)?;
        let seed = self.common.seed.seed;
        let mut definition = RunDefinition::new(scenario, &arm.layer, &self.common.set.set, seed)?;
        let train = &mut definition.config.train;
        train.threads = self.threads.unwrap_or(train.threads);
        train.num_envs = self.envs.unwrap_or(train.num_envs);
        definition.config.check()?;
        Ok(definition)
    }
}

/// Runs `measure` with the logs of a real run, written to a temporary folder.
#[cfg(feature = "learn")]
fn with_logs<T>(measure: impl FnOnce(&mut Fanout) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut logs = Fanout::new()
        .with(JsonlSink::create(&folder.path().join("metrics.jsonl"))?)
        .with(TensorBoardSink::create(folder.path())?);
    measure(&mut logs)
}

#[cfg(feature = "learn")]
fn describe_train(bench: &TrainBenchResult, title: &str) -> String {
    let parts = &bench.steps_per_s_parts;
    let strong = Ui::STRONG;
    format!(
        "{title}: {strong}{} steps/s{strong:#} ({} median, {} to {} over {} in {:.1} s)\n\
         {} environments × {} steps, {} epochs × {} minibatches, {} threads\n\
         time: {:.0} % simulation, {:.0} % actions, {:.0} % optimiser ({} samples/s)",
        thousands(bench.steps_per_s),
        thousands(parts[parts.len() / 2]),
        thousands(parts[0]),
        thousands(parts[parts.len() - 1]),
        counted(bench.iterations, "iteration"),
        bench.secs,
        bench.envs,
        bench.horizon,
        bench.epochs,
        bench.minibatches,
        bench.threads,
        100.0 * bench.simulate_share,
        100.0 * bench.forward_share,
        100.0 * bench.optimise_share,
        thousands(bench.optimise_samples_per_s),
    )
}

#[cfg(feature = "learn")]
fn describe_telemetry(bench: &TelemetryBenchResult, scenario: &str) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let interval = match (bench.cost_fraction_low, bench.cost_fraction_high) {
        (Some(low), Some(high)) => {
            format!(
                "95 % confidence interval {} to {}",
                percent(low),
                percent(high)
            )
        }
        _ => "too few blocks for an interval; increase --seconds".into(),
    };
    let strong = Ui::STRONG;
    format!(
        "{scenario}: measuring takes {strong}{}{strong:#} of the throughput (median of {} in \
         {:.1} s, {interval})\n\
         {} steps/s with it, {} without; {} environments × {} steps, {} threads",
        percent(bench.cost_fraction),
        counted(bench.blocks, "block"),
        bench.secs,
        thousands(bench.steps_per_s_measured),
        thousands(bench.steps_per_s_silent),
        bench.envs,
        bench.horizon,
        bench.threads,
    )
}

impl CommonArgs {
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

fn describe_env(bench: &EnvBenchResult) -> String {
    let EnvBenchResult {
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
        "{scenario}: {strong}{} steps/s{strong:#} ({} to {} over tenths of {secs:.1} s; {}, {})\n\
         mean episode {:.1} steps · {} resets/s · {} contacts/s",
        thousands(*steps_per_s),
        thousands(low),
        thousands(high),
        counted(*envs, "environment"),
        counted(*threads, "thread"),
        bench.episode_length,
        thousands(bench.resets_per_s),
        thousands(bench.contacts_per_s),
    )
}

/// Formats a number without decimals, with commas between groups of three digits.
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
    fn thousands_are_separated_by_commas() {
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
