//! `evenkeel suite`: checks and freezes suites, which are sets of scenarios with frozen held-out
//! layouts.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::Ui;
use super::table::table;
use super::work_progress::BusyProgress;
use evenkeel::eval::Suite;
use evenkeel::runs::write_file;
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel suite`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Show the shipped suite, and check that this build samples the layouts that it was frozen with:
    evenkeel suite check gallery
  Freeze the layouts of your own suite, after you have written it or changed its scenarios:
    evenkeel suite freeze suites/mine.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: SuiteCommand,
}

#[derive(Debug, Subcommand)]
enum SuiteCommand {
    /// Check that this build samples the layouts that a suite was frozen with
    Check {
        /// A shipped suite's name, or the path of a suite file
        #[arg(value_name = "SUITE")]
        suite: String,
    },
    /// Write hashes of the layouts that this build samples into a suite's file
    Freeze {
        /// The suite's file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The answer.
#[derive(Serialize)]
struct SuiteContents<'a> {
    suite: &'a str,
    title: &'a str,
    seed: u64,
    scenarios: Vec<SuiteScenarioOutput<'a>>,
}

#[derive(Serialize)]
struct SuiteScenarioOutput<'a> {
    name: &'a str,
    difficulty: &'a str,
    episodes: u64,
    layout_hash: Option<&'a str>,
}

/// Runs `evenkeel suite`.
///
/// # Errors
/// If the suite does not exist, or this build samples other layouts than it was frozen with.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    match args.action {
        SuiteCommand::Check { suite } => {
            let suite = Suite::load(&suite)?;
            let progress = BusyProgress::new("sampling the layouts");
            suite.check()?;
            drop(progress);
            print_suite(&suite, ui)
        }
        SuiteCommand::Freeze { file } => freeze(&file, ui),
    }
}

fn freeze(file: &Path, ui: &Ui) -> anyhow::Result<()> {
    // A path with a folder always means the file, never a shipped suite of that name.
    let path = if file.components().count() > 1 {
        file.to_owned()
    } else {
        Path::new(".").join(file)
    };
    let name = path.display().to_string();
    let progress = BusyProgress::new("sampling the layouts");
    let (text, changed) = Suite::load(&name)?.freeze()?;
    drop(progress);
    if changed > 0 {
        write_file(&path, text)?;
    }
    ui.note(format_args!(
        "{}: froze the layouts of {}",
        file.display(),
        counted(changed, "scenario")
    ));
    print_suite(&Suite::load(&name)?, ui)
}

fn print_suite(suite: &Suite, ui: &Ui) -> anyhow::Result<()> {
    let scenarios = suite.entries.iter().map(|entry| SuiteScenarioOutput {
        name: &entry.name,
        difficulty: &entry.difficulty,
        episodes: entry.episodes,
        layout_hash: entry.layout_hash.as_deref(),
    });
    let contents = SuiteContents {
        suite: &suite.name,
        title: &suite.title,
        seed: suite.seed,
        scenarios: scenarios.collect(),
    };
    ui.answer(&contents, |contents| {
        let rows = contents.scenarios.iter().map(|scenario| {
            let layout_hash = scenario.layout_hash.unwrap_or_default().to_owned();
            let words = [scenario.name, scenario.difficulty].map(str::to_owned);
            let [name, difficulty] = words;
            vec![name, difficulty, layout_hash, scenario.episodes.to_string()]
        });
        let head = ["scenario", "difficulty", "layout_hash", "episodes"];
        let (strong, faint) = (Ui::STRONG, Ui::FAINT);
        format!(
            "{strong}{}{strong:#}\n{faint}held-out layouts of seed {}{faint:#}\n{}",
            contents.title,
            contents.seed,
            table(&head, 3, rows.collect())
        )
    })
}
