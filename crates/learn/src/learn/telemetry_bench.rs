//! The cost of measuring and logging training: two trainers do the same work in turn, one of them
//! without measurements.

use std::time::Instant;

use serde::Serialize;

use super::{LearnError, MetricsLevel, Trainer};
use evenkeel_runs::stats::{Estimate, median_interval, quantile};
use evenkeel_runs::telemetry::{Fanout, Sink};
use evenkeel_sim::env::VectorEnv;

/// Result of a benchmark of what measuring costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TelemetryBenchResult {
    /// Environments stepped together.
    pub envs: usize,
    /// Control steps in a rollout.
    pub horizon: usize,
    /// Threads in use.
    pub threads: usize,
    /// Duration of the benchmark, seconds.
    pub secs: f64,
    /// Blocks of four iterations: measured, silent, silent, measured.
    pub blocks: usize,
    /// Share of training's throughput that measuring takes, 1 − silent time / measured time:
    /// median over blocks.
    pub cost_fraction: f64,
    /// Lower end of its 95 % interval; absent where there are too few blocks.
    pub cost_fraction_low: Option<f64>,
    /// Upper end.
    pub cost_fraction_high: Option<f64>,
    /// The same in each block, smallest first.
    pub cost_fraction_parts: Vec<f64>,
    /// Environment steps per second with everything measured, median over blocks.
    pub steps_per_s_measured: f64,
    /// Environment steps per second without measurements, median over blocks.
    pub steps_per_s_silent: f64,
}

/// Trains for about `secs` seconds with two equal trainers, made by `make`, in turn. One measures
/// everything, runs the detectors and writes to `sink`; the other does none of that. Both compute
/// the same iterations bit for bit, and a drift of the machine's speed affects both.
///
/// # Errors
/// If a trainer cannot be made or an event cannot be recorded.
pub fn bench_telemetry<E: VectorEnv, Error: From<LearnError>>(
    make: impl Fn() -> Result<Trainer<E>, Error>,
    secs: f64,
    sink: &mut dyn Sink,
) -> Result<TelemetryBenchResult, Error> {
    let (mut measured, mut silent) = (make()?, make()?);
    silent.set_metrics_level(MetricsLevel::Minimal);
    let no_sink = &mut Fanout::new();
    // The first iteration of each warms up.
    timed(&mut measured, sink)?;
    timed(&mut silent, no_sink)?;
    let mut blocks: Vec<[f64; 2]> = Vec::new();
    let began = Instant::now();
    while blocks.is_empty() || began.elapsed().as_secs_f64() < secs {
        let first = timed(&mut measured, sink)?;
        let between = timed(&mut silent, no_sink)? + timed(&mut silent, no_sink)?;
        blocks.push([first + timed(&mut measured, sink)?, between]);
    }
    let secs = began.elapsed().as_secs_f64();
    let config = measured.config();
    let steps = 2.0 * config.steps_per_iteration() as f64;
    let median = |of: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = blocks.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        quantile(&values, 0.5).unwrap_or(f64::NAN)
    };
    let mut parts: Vec<f64> = blocks.iter().map(|[on, off]| 1.0 - off / on).collect();
    let interval = median_interval(&mut parts);
    Ok(TelemetryBenchResult {
        envs: config.train.num_envs as usize,
        horizon: config.train.horizon as usize,
        threads: config.threads(),
        secs,
        blocks: blocks.len(),
        cost_fraction: median(|[on, off]| 1.0 - off / on),
        cost_fraction_low: interval.map(|Estimate { low, .. }| low),
        cost_fraction_high: interval.map(|Estimate { high, .. }| high),
        cost_fraction_parts: parts,
        steps_per_s_measured: steps / median(|[on, _]| *on),
        steps_per_s_silent: steps / median(|[_, off]| *off),
    })
}

/// Seconds that an iteration takes, with writing its events.
fn timed<E: VectorEnv>(trainer: &mut Trainer<E>, sink: &mut dyn Sink) -> Result<f64, LearnError> {
    let began = Instant::now();
    trainer.iterate(sink)?;
    sink.flush().map_err(LearnError::Sink)?;
    Ok(began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{RunConfig, TinyEnv};
    use crate::nn::RecurrentConfig;
    use evenkeel_runs::telemetry::Event;

    fn trainer(memory: Option<RecurrentConfig>) -> Trainer<TinyEnv> {
        let mut config = RunConfig::default();
        (config.train.num_envs, config.train.horizon) = (8, 16);
        config.train.threads = 1;
        config.policy.memory = memory;
        Trainer::new(&config, 3, TinyEnv::new(3, 8)).unwrap()
    }

    /// Counts events.
    #[derive(Default)]
    struct Count(usize);

    impl Sink for Count {
        fn record(&mut self, _: &Event) -> std::io::Result<()> {
            self.0 += 1;
            Ok(())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn training_does_not_depend_on_the_metrics_level() {
        for memory in [
            None,
            Some(RecurrentConfig::Lstm(crate::nn::LstmSpec::default())),
        ] {
            let (mut measured, mut silent) = (trainer(memory), trainer(memory));
            silent.set_metrics_level(MetricsLevel::Minimal);
            let (mut events, mut no_events) = (Count::default(), Count::default());
            for _ in 0..3 {
                measured.iterate(&mut events).unwrap();
                silent.iterate(&mut no_events).unwrap();
            }
            assert_eq!(measured.parameters(), silent.parameters());
            assert_eq!(measured.global_step(), silent.global_step());
            assert!(events.0 > 0);
            assert_eq!(no_events.0, 0);
        }
    }

    #[test]
    fn a_block_is_two_iterations_of_each() {
        let mut events = Count::default();
        let bench = bench_telemetry(|| Ok::<_, LearnError>(trainer(None)), 0.0, &mut events);
        let bench = bench.unwrap();
        assert_eq!((bench.blocks, bench.cost_fraction_parts.len()), (1, 1));
        assert_eq!(bench.cost_fraction_low, None);
        let mut alone = Count::default();
        let mut other = trainer(None);
        (0..3).for_each(|_| assert!(other.iterate(&mut alone).unwrap().is_none()));
        assert_eq!(events.0, alone.0);
    }
}
