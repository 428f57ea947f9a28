//! `evenkeel eval`: policies over held-out episodes.

mod barn;
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use super::Ui;
use super::common::{MAX_EPISODES, SeedArg};
use super::policy::{
    find_others, find_scenario, find_team_controller, parse_scenario_override, team_name,
};
use super::table::table;
use evenkeel::config::Override;
use evenkeel::env::Controller;
use evenkeel::eval::{
    EvalMetric, EvalOptions, MIN_LEVELS, MIN_ROLLOUTS, Robustness, evaluate, metrics, robustness,
};
use evenkeel::runs::{resolve_policy, write_atomic};
use evenkeel::stats::Average;
use evenkeel::telemetry::EvalSummary;
use evenkeel::telemetry::format::{ABSENT, number, percent};

/// Arguments of `evenkeel eval`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  The newest run, over a thousand episodes that training never draws:
    evenkeel eval @last
  The same policy in another room:
    evenkeel eval @last --scenario corridor
  Whether it holds with faster movers than it was trained among:
    evenkeel eval @last --scenario movers --set movers.0.bouncing.speed_mps=1.2
  How it does in the rooms that it does worst in, its actions drawn anew in each rollout:
    evenkeel eval @last --robustness
  What a driver without learning makes of it, and what chance does:
    evenkeel eval planner:straight --scenario reference --json
    evenkeel eval planner:random --scenario reference
  Several policies through all that comes with the program, as a page to read:
    evenkeel eval planner:dwa planner:pursuit @last --suite gallery --out gallery.html
  One robot among several that are driven by another policy:
    evenkeel eval @last --scenario swap --others planner:orca
  The BARN challenge's protocol over your copy of its worlds, result lines included:
    evenkeel eval planner:dwa --barn ~/barn --out results.txt")]
pub struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`; several with --suite
    #[arg(value_name = "POLICY", required = true)]
    policies: Vec<String>,
    /// Drive each policy through every scenario of a suite, over frozen held-out layouts
    ///
    /// SUITE is `gallery`, the scenarios that come with the program, or the path of a TOML file
    /// such as suites/gallery.toml. Every measure comes by scenario, and by difficulty as the mean
    /// of its scenarios. A suite whose layouts this build draws differently is refused.
    #[arg(long, value_name = "SUITE", group = "many", conflicts_with_all = ["scenario", "set", "episodes", "robustness", "seed", "threads"])]
    suite: Option<String>,
    /// Drive the policy by the protocol of the BARN challenge, ten runs in each world of a folder
    ///
    /// DIR holds `world_N.world` and `path_files/path_N.npy`, as the BARN dataset does. The robot is
    /// that of the scenario `barn_like`: a Jackal's footprint, 2 m/s, 720 beams over 270°.
    #[arg(long, value_name = "DIR", group = "many", conflicts_with_all = ["scenario", "set", "episodes", "robustness", "threads"])]
    barn: Option<PathBuf>,
    /// Scenarios of a suite or worlds of BARN that are driven at once, 0 for one a core; the figures
    /// do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, requires = "many")]
    jobs: usize,
    /// Scenario to drive in [default: the one that the policy was trained in]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Change one setting of that scenario, as in `--set robot.lidar.beams=32`; repeatable
    ///
    /// PATH names a key of the scenario, list entries by their number from 0; VALUE is written as
    /// in TOML. It is checked as if it stood in the file. The training settings are the policy's
    /// own and cannot be changed here.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_scenario_override)]
    set: Vec<Override>,
    /// Held-out episodes to drive
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=MAX_EPISODES))]
    episodes: u64,
    /// Let another policy drive all robots but the first, and tell the figures of the first alone
    ///
    /// Without it the policy drives every robot of a world, and a figure is the mean over them.
    #[arg(long, value_name = "POLICY", conflicts_with = "many")]
    others: Option<String>,
    /// Draw actions from the policy's distribution instead of taking its mode
    #[arg(long)]
    stochastic: bool,
    /// Also tell how the policy does in the levels that it does worst in: mean success in the
    /// worst 5 % and 10 % of them (CVaR)
    ///
    /// Each held-out episode is a level, whose layout and movers stay as they are while the policy
    /// draws its actions, whether or not --stochastic is given. The worst levels are chosen by
    /// some rollouts and scored by others, so that bad luck alone makes no level a bad one.
    #[arg(long)]
    robustness: bool,
    /// Rollouts of each level that choose the worst, and as many again that score them
    #[arg(
        long,
        value_name = "N",
        default_value_t = MIN_ROLLOUTS,
        requires = "robustness",
        value_parser = clap::value_parser!(u64).range(MIN_ROLLOUTS..=10_000)
    )]
    rollouts: u64,
    #[command(flatten)]
    seed: SeedArg,
    /// Threads that step environments, 0 for one a core; the figures do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// File to write the whole evaluation to, every episode and the first few traces (JSON); of a
    /// suite a page for a browser if it ends in .html, of BARN the challenge's result lines if it
    /// ends in .txt, and else every figure (JSON)
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `evenkeel eval`.
///
/// # Errors
/// If there is no such policy or scenario, or they do not fit.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    if let Some(name) = &args.suite {
        return suite::run(name, &args, ui);
    }
    if let Some(folder) = &args.barn {
        return barn::run(folder, &args, ui);
    }
    let [policy] = &args.policies[..] else {
        bail!(
            "{} policies, and only --suite drives several; leave one",
            args.policies.len()
        );
    };
    if args.robustness {
        ensure!(
            args.episodes >= MIN_LEVELS,
            "--episodes {}: too few levels to tell the worst 5 % of them; --robustness needs at \
             least {MIN_LEVELS}",
            args.episodes
        );
    }
    let source = resolve_policy(policy, Path::new("runs"))?;
    let scenario = Arc::new(find_scenario(&source, args.scenario.as_deref(), &args.set)?);
    let others = find_others(args.others.as_deref(), &scenario)?;
    let make = |stochastic: bool| -> anyhow::Result<Box<dyn Controller>> {
        let seed = args.seed.seed;
        let controller =
            find_team_controller(&source, others.as_ref(), &scenario, seed, stochastic)?;
        if stochastic && args.stochastic && !controller.is_stochastic() {
            bail!("{} draws no actions; leave out --stochastic", source.name());
        }
        Ok(controller)
    };
    let mut controller = make(args.stochastic)?;
    let name = team_name(&source, others.as_ref());
    let options = EvalOptions {
        seed: args.seed.seed,
        threads: args.threads,
        first_robot_only: others.is_some(),
        ..EvalOptions::for_report(name, args.episodes)
    };
    let mut report = evaluate(&scenario, controller.as_mut(), &options)?;
    if args.robustness {
        let mut drawing = make(true)?;
        if drawing.is_stochastic() {
            let (levels, times) = (args.episodes, 2 * args.rollouts);
            ui.note(format_args!("playing {levels} levels {times} times each"));
        }
        let found = robustness(&scenario, drawing.as_mut(), &options, args.rollouts)?;
        report.robustness = Some(found);
    }
    if let Some(out) = &args.out {
        let text = serde_json::to_vec(&report)?;
        write_out(out, &text, ui)?;
    }
    let figures = EvalOutput {
        scenario: &report.scenario,
        policy: &report.policy,
        deterministic: report.deterministic,
        seed: report.seed,
        summary: &report.summary,
        robustness: report.robustness.as_ref(),
    };
    ui.answer(&figures, text)
}

/// Writes the file of `--out`, whole or not at all, and says so.
fn write_out(out: &Path, text: &[u8], ui: &Ui) -> anyhow::Result<()> {
    write_atomic(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    ui.note(format_args!("{}", out.display()));
    Ok(())
}

/// What is printed; every episode by itself is in the file of `--out`.
#[derive(Serialize)]
struct EvalOutput<'a> {
    scenario: &'a str,
    policy: &'a str,
    deterministic: bool,
    seed: u64,
    summary: &'a EvalSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    robustness: Option<&'a Robustness>,
}

/// A row of a table of figures: name, figure, its interval and its unit; dashes for what is absent.
fn row(name: &str, unit: &str, figure: Option<Average>, share: bool) -> Vec<String> {
    let write = if share { percent } else { number };
    let ends = figure.map_or([None; 3], |mean| [Some(mean.value), mean.low, mean.high]);
    let [value, low, high] = ends.map(|end| end.map_or(ABSENT.into(), write));
    vec![name.to_owned(), value, low, high, unit.to_owned()]
}

fn text(report: &EvalOutput) -> String {
    let summary = report.summary;
    let told = metrics(summary)
        .into_iter()
        .filter(EvalMetric::is_displayed);
    let rows = told.map(|measure| row(&measure.name, measure.unit, measure.average, measure.share));
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let how = if report.deterministic {
        "deterministic"
    } else {
        "stochastic"
    };
    let robots = match summary.robots() {
        1 => String::new(),
        count => format!(" of {count} robots"),
    };
    let worst = report.robustness.map_or(String::new(), robustness_text);
    format!(
        "{strong}{}{strong:#} in {strong}{}{strong:#}\n{faint}{how}, {} held-out episodes{robots}, \
         seed {}{faint:#}\n{}{worst}",
        report.policy,
        report.scenario,
        summary.episodes,
        report.seed,
        table(&HEAD, 1, rows.collect()),
    )
}

/// Head of a table of figures.
const HEAD: [&str; 5] = ["", "figure", "95 % from", "to", ""];

fn robustness_text(found: &Robustness) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let Robustness {
        levels, rollouts, ..
    } = found;
    let how = if found.stochastic {
        format!(
            "{levels} levels, actions drawn; the worst chosen by {rollouts} rollouts of each and \
             scored by {rollouts} others"
        )
    } else {
        format!(
            "{levels} levels, played once each: no actions are drawn, so that a level always ends \
             alike"
        )
    };
    let all = row("success rate, all levels", "", Some(found.success), true);
    let tails = found.cvar.iter().rev().map(|tail| {
        let name = format!("… in the worst {} %, {} levels", tail.percent, tail.levels);
        row(&name, "CVaR", Some(tail.success), true)
    });
    let rows = std::iter::once(all).chain(tails).collect();
    let table = table(&HEAD, 1, rows);
    format!("\n\n{strong}robustness{strong:#}\n{faint}{how}{faint:#}\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel::eval::CvarEstimate;
    use evenkeel::stats::{Estimate, wilson};
    use evenkeel::telemetry::DrivingQualitySummary;

    fn plain(episodes: u64) -> String {
        let tenth = Estimate {
            value: -1234.5,
            low: -2345.6,
            high: 3456.7,
        };
        let tenth = Average::of(tenth, episodes as usize);
        let share = Average::of(wilson(episodes / 3, episodes), episodes as usize);
        let rate = wilson(episodes / 3, episodes);
        let summary = EvalSummary {
            episodes,
            outcomes: [episodes / 6; 6],
            spl: Some(tenth),
            time_to_goal_secs: Some(tenth),
            outcome_rates: Some([rate; 6]),
            driving_quality: Some(Box::new(DrivingQualitySummary {
                margin_m: 0.2,
                below_margin_secs: tenth,
                proxemics: Some([share; 3]),
                irregularity_radpm: Some(tenth),
                irregularity_episodes: episodes,
                stuck: rate,
                spinning: rate,
                oscillating: rate,
                grazing: rate,
            })),
            ..EvalSummary::default()
        };
        let figures = EvalOutput {
            scenario: "reference",
            policy: "reference__unnormalised__s12__20260301T101500Z",
            deterministic: false,
            seed: u64::MAX,
            summary: &summary,
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
        anstream::adapter::strip_str(&text(&figures)).to_string()
    }

    #[test]
    fn the_table_fits_a_hundred_columns() {
        let text = plain(100_000);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let rows = text
            .lines()
            .filter(|line| line.contains("ended by"))
            .count();
        assert_eq!(rows, 5, "{text}");
    }

    #[test]
    fn few_episodes_have_rates_with_intervals_and_means_without() {
        let few = plain(4);
        let line = |name: &str| {
            few.lines()
                .find(|line| line.starts_with(name))
                .map(str::to_owned)
        };
        let spl: Vec<_> = line(" SPL")
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(spl[6..], ["−1234", "–", "–"], "{few}");
        assert!(!line(" stuck").unwrap().contains('–'), "{few}");
    }
}
