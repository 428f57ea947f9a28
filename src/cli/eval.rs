//! `evenkeel eval`: evaluates policies on held-out episodes.

mod barn;
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, ensure};
use serde::Serialize;

use super::Ui;
use super::common::{MAX_COUNT, MAX_EPISODES, count, warn_of_threads};
use super::files::{check_output, policy_files};
use super::policy::{HeldOutArgs, check_stochastic, find_others, find_policy, warn_of_other_robot};
use super::table::table;
use super::work_progress::PercentProgress;
use evenkeel::env::Controller;
use evenkeel::eval::{
    CheckpointReference, EvalMetric, EvalOptions, EvalReport, MIN_LEVELS, MIN_ROLLOUTS, Robustness,
    evaluate_with_progress, metrics, robustness,
};
use evenkeel::lab::{team_controller, team_name};
use evenkeel::runs::{PolicySource, resolve_last_checkpoint, write_file};
use evenkeel::scenario::Scenario;
use evenkeel::stats::Average;
use evenkeel::telemetry::EvalSummary;
use evenkeel::telemetry::format::{ABSENT, counted, number, percent};

/// Arguments of `evenkeel eval`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Evaluate the best and the last checkpoint of your newest run on a thousand held-out episodes:
    evenkeel eval @last
  Evaluate the same policy in another scenario:
    evenkeel eval @last --scenario corridor
  Evaluate it among faster movers:
    evenkeel eval @last --scenario movers --set movers.0.bouncing.speed_mps=1.2
  Measure its success in the episodes that it does worst in:
    evenkeel eval @last --robustness
  Evaluate a planner, and random actions:
    evenkeel eval planner:straight --scenario reference --json
    evenkeel eval planner:random --scenario reference
  Evaluate several policies in all shipped scenarios, and write an HTML page:
    evenkeel eval planner:dwa planner:pursuit @last --suite gallery --out gallery.html
  Evaluate one robot among several that another policy drives:
    evenkeel eval @last --scenario swap --others planner:orca
  Follow the BARN challenge's protocol on your copy of its worlds, and write its result lines:
    evenkeel eval planner:dwa --barn ~/barn --out results.txt")]
pub(crate) struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`; several with --suite
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<String>,
    /// Evaluate each policy in every scenario of a suite, on frozen held-out layouts
    ///
    /// SUITE is `gallery`, the shipped scenarios, or the path of a TOML file such as
    /// suites/gallery.toml. Each metric is reported per scenario, and per difficulty as the mean
    /// over its scenarios. If this build samples other layouts than the suite was frozen with, the
    /// command fails.
    #[arg(long, value_name = "SUITE", group = "many", conflicts_with_all = ["scenario", "set", "episodes", "robustness", "seed", "threads"])]
    suite: Option<String>,
    /// Evaluate the policy by the protocol of the BARN challenge: ten runs in each world of a folder
    ///
    /// DIR holds `world_N.world` and `path_files/path_N.npy`, like the BARN dataset. The robot is
    /// that of the scenario `barn_like`: a Jackal's footprint, 2 m/s, 720 beams over 270°.
    #[arg(long, value_name = "DIR", group = "many", conflicts_with_all = ["scenario", "set", "episodes", "robustness", "threads"])]
    barn: Option<PathBuf>,
    /// Number of a suite's scenarios or of BARN's worlds evaluated in parallel; 0 means one per
    /// core. The results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, requires = "many", value_parser = count::<usize>(0..=MAX_COUNT))]
    jobs: usize,
    #[command(flatten)]
    held_out: HeldOutArgs,
    /// Number of held-out episodes
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count::<u64>(1..=MAX_EPISODES))]
    episodes: u64,
    /// Let another policy drive all robots but the first, and report the metrics of the first robot
    ///
    /// By default the policy drives every robot, and each metric is the mean over the robots.
    #[arg(long, value_name = "POLICY", conflicts_with = "many")]
    others: Option<String>,
    /// Also report the mean success in the worst 5 % and 10 % of the levels (CVaR)
    ///
    /// A level is a held-out episode with fixed layout and movers. It is played several times with
    /// sampled actions, whether or not --stochastic is given. One half of the rollouts selects the
    /// worst levels and the other half scores them, so that the score has no selection bias.
    #[arg(long)]
    robustness: bool,
    /// Rollouts per level that select the worst levels; as many again score them
    #[arg(
        long,
        value_name = "N",
        default_value_t = MIN_ROLLOUTS,
        requires = "robustness",
        value_parser = count::<u64>(MIN_ROLLOUTS..=10_000)
    )]
    rollouts: u64,
    /// Number of threads that step environments; 0 means one per core. The results do not depend
    /// on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<usize>(0..=MAX_COUNT))]
    threads: usize,
    /// File to write the complete evaluation to, with every episode and the first few traces (JSON)
    ///
    /// With --suite, FILE.html is an HTML page; with --barn, FILE.txt has the challenge's result
    /// lines; any other file has all results as JSON.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `evenkeel eval`.
///
/// # Errors
/// If the policy or the scenario does not exist, or the policy does not fit the scenario.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    if let Some(name) = &args.suite {
        return suite::run(name, &args, ui);
    }
    if let Some(folder) = &args.barn {
        return barn::run(folder, &args, ui);
    }
    let [policy] = &args.policies[..] else {
        bail!(
            "{} policies are given, but only --suite evaluates several; give one",
            args.policies.len()
        );
    };
    if args.robustness {
        ensure!(
            args.episodes >= MIN_LEVELS,
            "--episodes {}: too few levels for the worst 5 %; --robustness needs at least \
             {MIN_LEVELS}",
            args.episodes
        );
    }
    let source = find_policy(policy)?;
    let scenario = Arc::new(args.held_out.scenario(&source)?);
    if let Some(out) = &args.out {
        let policy = policy_files(&source);
        check_output("--out", out, scenario.files().iter().chain(&policy))?;
    }
    let others = find_others(args.others.as_deref(), &scenario)?;
    for source in std::iter::once(&source).chain(&others) {
        warn_of_other_robot(source, &scenario, ui)?;
    }
    warn_of_threads(args.threads, ui);
    let evaluation = PolicyEvaluation {
        args: &args,
        scenario: &scenario,
        others: others.as_ref(),
    };
    let mut report = evaluation.evaluate(&source)?;
    let last = resolve_last_checkpoint(policy, &source)?;
    let last = last.map(|last| evaluation.evaluate(&last)).transpose()?;
    if args.robustness {
        report.robustness = Some(evaluation.robustness(&source, ui)?);
    }
    if let Some(out) = &args.out {
        let file = EvalFile {
            report: &report,
            last: last.as_ref(),
        };
        write_out(out, &serde_json::to_vec(&file)?, ui)?;
    }
    let output = EvalOutput {
        scenario: &report.scenario,
        policy: &report.policy,
        checkpoint: report.checkpoint.as_ref(),
        deterministic: report.deterministic,
        seed: report.seed,
        summary: &report.summary,
        last: last.as_ref().map(|last| CheckpointOutput {
            checkpoint: last.checkpoint.as_ref(),
            summary: &last.summary,
        }),
        robustness: report.robustness.as_ref(),
    };
    ui.answer(&output, text)
}

/// How the policies of a command are evaluated.
struct PolicyEvaluation<'a> {
    args: &'a Args,
    scenario: &'a Arc<Scenario>,
    others: Option<&'a PolicySource>,
}

impl PolicyEvaluation<'_> {
    fn controller(
        &self,
        source: &PolicySource,
        stochastic: bool,
    ) -> anyhow::Result<Box<dyn Controller>> {
        let seed = self.args.held_out.seed();
        let controller = team_controller(source, self.others, self.scenario, seed, stochastic)?;
        if self.args.held_out.stochastic {
            check_stochastic(controller.as_ref(), source)?;
        }
        Ok(controller)
    }

    fn options(&self, source: &PolicySource) -> EvalOptions {
        EvalOptions {
            seed: self.args.held_out.seed(),
            threads: self.args.threads,
            first_robot_only: self.others.is_some(),
            ..EvalOptions::for_report(team_name(source, self.others), self.args.episodes)
        }
    }

    /// Evaluates a policy, and shows the progress.
    fn evaluate(&self, source: &PolicySource) -> anyhow::Result<EvalReport> {
        let mut controller = self.controller(source, self.args.held_out.stochastic)?;
        let checkpoint = source.checkpoint();
        let name = checkpoint
            .as_ref()
            .map(|checkpoint| format!(" ({checkpoint})"));
        let what = format!("evaluating{}", name.unwrap_or_default());
        let progress = PercentProgress::new(what, true);
        let episodes = self.args.episodes as f64;
        let report = evaluate_with_progress(
            self.scenario,
            controller.as_mut(),
            &self.options(source),
            &mut |done| progress.set(done as f64 / episodes),
        );
        progress.finish();
        Ok(EvalReport {
            checkpoint,
            ..report?
        })
    }

    /// Measures the success in the worst levels.
    fn robustness(&self, source: &PolicySource, ui: &Ui) -> anyhow::Result<Robustness> {
        let mut sampling = self.controller(source, true)?;
        if sampling.is_stochastic() {
            let (levels, times) = (self.args.episodes, 2 * self.args.rollouts);
            ui.note(format_args!(
                "playing {} {times} times each",
                counted(levels, "level")
            ));
        }
        let (options, rollouts) = (self.options(source), self.args.rollouts);
        Ok(robustness(
            self.scenario,
            sampling.as_mut(),
            &options,
            rollouts,
        )?)
    }
}

/// The file of `--out`: the evaluation of the policy, and that of the run's last checkpoint.
#[derive(Serialize)]
struct EvalFile<'a> {
    #[serde(flatten)]
    report: &'a EvalReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<&'a EvalReport>,
}

/// Writes the file of `--out` atomically, and prints its path on stderr.
fn write_out(out: &Path, text: &[u8], ui: &Ui) -> anyhow::Result<()> {
    write_file(out, text)?;
    ui.note(format_args!("{}", out.display()));
    Ok(())
}

/// The answer. It has no single episodes; these are in the file of `--out`.
#[derive(Serialize)]
struct EvalOutput<'a> {
    scenario: &'a str,
    policy: &'a str,
    /// The evaluated checkpoint of a run: the best one, if only the run is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'a CheckpointReference>,
    deterministic: bool,
    seed: u64,
    summary: &'a EvalSummary,
    /// The run's last checkpoint in the same episodes, if it is a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<CheckpointOutput<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    robustness: Option<&'a Robustness>,
}

/// The results of another checkpoint.
#[derive(Serialize)]
struct CheckpointOutput<'a> {
    checkpoint: Option<&'a CheckpointReference>,
    summary: &'a EvalSummary,
}

/// Formats a row of a metrics table: name, value, interval and unit, with dashes for missing
/// numbers.
fn row(name: &str, unit: &str, average: Option<Average>, is_share: bool) -> Vec<String> {
    let format = if is_share { percent } else { number };
    let cells = average.map_or([None; 3], |mean| [Some(mean.value), mean.low, mean.high]);
    let [value, low, high] = cells.map(|cell| cell.map_or(ABSENT.into(), format));
    vec![name.to_owned(), value, low, high, unit.to_owned()]
}

fn text(report: &EvalOutput) -> String {
    let summary = report.summary;
    let displayed = metrics(summary)
        .into_iter()
        .filter(EvalMetric::is_displayed);
    let last = report.last.as_ref();
    let figures = if let Some(last) = last {
        let last = metrics(last.summary);
        let rows = displayed.map(|best| {
            let last = last.iter().find(|metric| metric.name == best.name);
            let cells = [Some(&best), last].map(|metric| metric.map_or(ABSENT.into(), figure));
            let [best_cell, last_cell] = cells;
            vec![
                best.name.clone(),
                best_cell,
                last_cell,
                best.unit.to_owned(),
            ]
        });
        table(&["", "best", "last", ""], 1, rows.collect())
    } else {
        let rows =
            displayed.map(|metric| row(&metric.name, metric.unit, metric.average, metric.share));
        table(&HEAD, 1, rows.collect())
    };
    let checkpoints = [report.checkpoint, last.and_then(|last| last.checkpoint)];
    let checkpoints: Vec<String> = checkpoints
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let checkpoints = if checkpoints.is_empty() {
        String::new()
    } else {
        format!("{}\n", checkpoints.join(" · "))
    };
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let mode = if report.deterministic {
        "deterministic"
    } else {
        "stochastic"
    };
    let robots = match summary.robots() {
        1 => String::new(),
        count => format!(" of {count} robots"),
    };
    let robustness = report.robustness.map_or(String::new(), robustness_text);
    format!(
        "{strong}{}{strong:#} in {strong}{}{strong:#}\n{checkpoints}{faint}{mode}, {}{robots}, \
         seed {}{faint:#}\n{}{robustness}",
        report.policy,
        report.scenario,
        counted(summary.episodes, "held-out episode"),
        report.seed,
        figures,
    )
}

/// Formats a metric with its interval, as in `94.7 % [93.2, 96.5]`.
fn figure(metric: &EvalMetric) -> String {
    let format = if metric.share { percent } else { number };
    let Some(average) = metric.average else {
        return ABSENT.into();
    };
    let value = format(average.value);
    match average.interval() {
        Some(ends) => {
            let [low, high] = ends.map(|end| format(end).trim_end_matches(" %").to_owned());
            format!("{value} [{low}, {high}]")
        }
        None => value,
    }
}

/// Head of a metrics table.
const HEAD: [&str; 5] = ["", "value", "95 % from", "to", ""];

fn robustness_text(robustness: &Robustness) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let Robustness {
        levels, rollouts, ..
    } = robustness;
    let levels = counted(*levels, "level");
    let method = if robustness.stochastic {
        format!(
            "{levels}, sampled actions; {} each select the worst, as many others score them",
            counted(*rollouts, "rollout")
        )
    } else {
        format!("{levels}, played once each because the policy is deterministic")
    };
    let success = Some(robustness.success);
    let all = row("success rate, all levels", "", success, true);
    let tails = robustness.cvar.iter().rev().map(|tail| {
        let name = format!(
            "… in the worst {} %, {}",
            tail.percent,
            counted(tail.levels, "level")
        );
        row(&name, "CVaR", Some(tail.success), true)
    });
    let rows = std::iter::once(all).chain(tails).collect();
    let table = table(&HEAD, 1, rows);
    format!("\n\n{strong}robustness{strong:#}\n{faint}{method}{faint:#}\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel::eval::CvarEstimate;
    use evenkeel::stats::{Estimate, wilson};
    use evenkeel::telemetry::DrivingQualitySummary;

    /// The text of an evaluation over `episodes` episodes, without styles.
    fn plain_text(episodes: u64, has_last: bool) -> String {
        let wide = Estimate {
            value: -1234.5,
            low: -2345.6,
            high: 3456.7,
        };
        let wide = Average::of(wide, episodes as usize);
        let share = Average::of(wilson(episodes / 3, episodes), episodes as usize);
        let rate = wilson(episodes / 3, episodes);
        let summary = EvalSummary {
            episodes,
            outcomes: [episodes / 6; 6],
            spl: Some(wide),
            time_to_goal_secs: Some(wide),
            outcome_rates: Some([rate; 6]),
            driving_quality: Some(Box::new(DrivingQualitySummary {
                margin_m: 0.2,
                below_margin_secs: wide,
                proxemics: Some([share; 3]),
                irregularity_radpm: Some(wide),
                irregularity_episodes: episodes,
                stuck: rate,
                spinning: rate,
                oscillating: rate,
                grazing: rate,
            })),
            ..EvalSummary::default()
        };
        let output = EvalOutput {
            scenario: "reference",
            policy: "reference__unnormalised__s12__20260301T101500Z",
            checkpoint: None,
            deterministic: false,
            seed: u64::MAX,
            summary: &summary,
            last: has_last.then_some(CheckpointOutput {
                checkpoint: None,
                summary: &summary,
            }),
            robustness: Some(&Robustness {
                levels: episodes,
                rollouts: 10_000,
                stochastic: true,
                success: share,
                cvar: vec![CvarEstimate {
                    percent: 10,
                    levels: episodes / 10,
                    success: share,
                }],
            }),
        };
        anstream::adapter::strip_str(&text(&output)).to_string()
    }

    #[test]
    fn the_table_fits_a_hundred_columns() {
        for has_last in [false, true] {
            let text = plain_text(100_000, has_last);
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
            let rows = text
                .lines()
                .filter(|line| line.contains("ended by"))
                .count();
            assert_eq!(rows, 5, "{text}");
        }
    }

    #[test]
    fn with_few_episodes_rates_have_intervals_and_means_have_none() {
        let text = plain_text(4, false);
        let line = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .map(str::to_owned)
        };
        let spl: Vec<_> = line(" SPL")
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(spl[6..], ["−1234", "–", "–"], "{text}");
        assert!(!line(" stuck").unwrap().contains('–'), "{text}");
    }
}
