//! `evenkeel scenario`: lists, checks, draws and imports scenarios, and describes their format.

mod import;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::Ui;
use super::common::{ScenarioArg, SeedArg, SetArgs, count};
use super::files::check_output;
use super::work_progress::BusyProgress;
use evenkeel::eval::SampledNumber;
use evenkeel::runs::write_file;
use evenkeel::scenario::spec::GeneratorSpec;
use evenkeel::scenario::{
    self, EpisodeKey, Geodesic, Layout, LayoutCheck, LayoutSampler, Quantity, Scenario,
    ScenarioError, SvgOptions,
};
use evenkeel::seed::Split;
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel scenario`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  List the shipped scenarios:
    evenkeel scenario list
  Draw one layout of the U-trap:
    evenkeel scenario show u_trap --episode 3 --out u_trap.svg
  Import a map of another program, and draw it:
    evenkeel scenario import office.yaml --out office.toml
    evenkeel scenario show office.toml --out office.svg
  Start a scenario of your own:
    evenkeel scenario show reference --toml > mine.toml
    evenkeel scenario check mine.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: ScenarioCommand,
}

#[derive(Debug, Subcommand)]
enum ScenarioCommand {
    /// List the shipped scenarios
    List,
    /// Check that scenario files are valid, and that layouts with a path to the goal can be sampled
    Check(CheckArgs),
    /// Draw one sampled layout of a scenario as SVG, with the shortest path to the goal
    Show(ShowArgs),
    /// Convert a map of another program into a scenario file
    ///
    /// The file's extension gives the format: `.map` (`MovingAI`), `.yaml` (ROS `map_server`, with a
    /// PGM or PNG image next to it), `.world` or `.sdf` (Gazebo). The scenario holds the map's
    /// shapes and does not need the map's file. To refer to the file instead, write
    /// `map = { ros = { file = "…" } }` in a scenario's `[arena]`.
    Import(import::Args),
    /// Print the JSON Schema (draft 7) of the scenario file, for editors
    Schema(SchemaArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    scenario: ScenarioArg,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    seed: SeedArg,
    /// Number of the held-out episode whose layout is drawn
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u64>(0..=u64::MAX))]
    episode: u64,
    /// File to write to instead of stdout
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the resolved scenario file instead of a drawing
    #[arg(long)]
    toml: bool,
}

#[derive(Debug, clap::Args)]
struct SchemaArgs {
    /// Print the format's documentation in Markdown instead
    #[arg(long)]
    markdown: bool,
}

/// Runs `evenkeel scenario`.
///
/// # Errors
/// If a scenario or map is invalid, or a file cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    match args.action {
        ScenarioCommand::List => list(ui),
        ScenarioCommand::Check(args) => check(&args, ui),
        ScenarioCommand::Show(args) => show(&args, ui),
        ScenarioCommand::Import(args) => import::run(&args, ui),
        ScenarioCommand::Schema(args) if args.markdown => {
            ui.answer(&scenario::reference_markdown(), Clone::clone)
        }
        ScenarioCommand::Schema(_) => ui.out(scenario::schema_json()),
    }
}

#[derive(Serialize)]
struct ScenarioListEntry {
    name: String,
    title: String,
    description: String,
    size_m: [Quantity; 2],
    obstacles: usize,
    worlds: Vec<&'static str>,
    movers: u32,
    robots: usize,
}

#[derive(Serialize)]
struct ScenarioList {
    scenarios: Vec<ScenarioListEntry>,
}

fn list(ui: &Ui) -> anyhow::Result<()> {
    let scenarios = scenario::shipped_scenarios()
        .iter()
        .map(|shipped| scenario::resolve(shipped.name, &[]).map(|scenario| entry(&scenario)))
        .collect::<Result<_, _>>()?;
    ui.answer(&ScenarioList { scenarios }, |list| {
        let (strong, faint) = (Ui::STRONG, Ui::FAINT);
        let widths = list.scenarios.iter().map(|entry| entry.name.len());
        let width = widths.max().unwrap_or(0);
        let mut text = String::new();
        for ScenarioListEntry {
            name,
            title,
            description,
            size_m,
            obstacles,
            worlds,
            movers,
            robots,
        } in &list.scenarios
        {
            let mut facts = format!("{} × {} m", format_side(size_m[0]), format_side(size_m[1]));
            for world in worlds {
                write!(facts, ", {world}").ok();
            }
            if *obstacles > 0 {
                write!(facts, ", {}", counted(*obstacles, "obstacle")).ok();
            }
            if *movers > 0 {
                write!(facts, ", {}", counted(*movers, "mover")).ok();
            }
            if *robots > 1 {
                write!(facts, ", {robots} robots").ok();
            }
            writeln!(
                text,
                "{strong}{name:<width$}{strong:#} {title} {faint}({facts}){faint:#}"
            )
            .ok();
            writeln!(text, "{:<width$} {description}\n", "").ok();
        }
        text.push_str("Draw one with `evenkeel scenario show NAME --out drawing.svg`.");
        text
    })
}

fn entry(scenario: &Scenario) -> ScenarioListEntry {
    let spec = &scenario.spec;
    ScenarioListEntry {
        name: scenario.name.clone(),
        title: spec.title.clone(),
        description: spec.description.clone(),
        size_m: spec.arena.size(),
        obstacles: spec.obstacle_count(),
        worlds: spec
            .generate
            .iter()
            .filter_map(GeneratorSpec::structure_name)
            .collect(),
        movers: spec.mover_count(),
        robots: spec.robot_count(),
    }
}

fn format_side(quantity: Quantity) -> String {
    match quantity {
        Quantity::Fixed(value) => value.to_string(),
        Quantity::Range {
            uniform: [low, high],
        } => format!("{low}–{high}"),
    }
}

#[derive(Serialize)]
struct FileCheck {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CheckFailure>,
    /// What the scenario's map file does not have, and what decided about its cells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    map_notes: Vec<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    facts: Option<CheckFacts>,
}

#[derive(Serialize)]
struct CheckFailure {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    message: String,
}

#[derive(Serialize)]
struct CheckReport {
    ok: bool,
    files: Vec<FileCheck>,
}

fn check(args: &CheckArgs, ui: &Ui) -> anyhow::Result<()> {
    let mut text = String::new();
    let mut files = Vec::new();
    for file in &args.files {
        let progress = BusyProgress::new(format!("checking the layouts of {file}"));
        let outcome = scenario::resolve(file, &[]).and_then(|scenario| {
            let layouts = scenario.check_layouts()?;
            Ok((scenario, layouts))
        });
        drop(progress);
        let mut notes = Vec::new();
        let mut facts = None;
        let error = match outcome {
            Ok((scenario, layouts)) => {
                let (good, title) = (Ui::GOOD, &scenario.spec.title);
                writeln!(text, "{good}ok{good:#}      {file}: {title}").ok();
                notes.extend(scenario.map_notes.iter().map(ToString::to_string));
                import::warn_of_map(&notes, ui);
                let found = CheckFacts::new(&scenario, layouts);
                for note in &found.notes {
                    writeln!(text, "        {note}").ok();
                }
                facts = Some(found);
                None
            }
            Err(error) => {
                let bad = Ui::BAD;
                writeln!(text, "{bad}invalid{bad:#} {error}").ok();
                Some(failure(&error))
            }
        };
        files.push(FileCheck {
            file: file.clone(),
            ok: error.is_none(),
            error,
            map_notes: notes,
            facts,
        });
    }
    let invalid = files.iter().filter(|file| !file.ok).count();
    let report = CheckReport {
        ok: invalid == 0,
        files,
    };
    ui.answer(&report, |_| text)?;
    if invalid > 0 {
        anyhow::bail!(
            "{invalid} of {} {} invalid",
            counted(report.files.len(), "scenario"),
            if report.files.len() == 1 { "is" } else { "are" }
        );
    }
    Ok(())
}

/// What holds for a valid scenario although its file does not say so.
#[derive(Serialize)]
struct CheckFacts {
    /// The time limit in effect, control steps.
    time_limit_steps: u32,
    /// The time limit in effect, seconds.
    time_limit_secs: f64,
    /// Physics steps that are made in each control step.
    physics_steps: u32,
    /// Layouts that were drawn to check the scenario.
    sampled_layouts: u32,
    /// Those of them that could not be placed at first, and were drawn again.
    redrawn_layouts: u32,
    /// What differs from the file or from what one would expect, for people.
    notes: Vec<String>,
}

impl CheckFacts {
    fn new(scenario: &Scenario, layouts: LayoutCheck) -> Self {
        let (spec, task) = (&scenario.spec, &scenario.spec.task);
        let LayoutCheck { sampled, redrawn } = layouts;
        let facts = Self {
            time_limit_steps: task.time_limit_steps(),
            time_limit_secs: f64::from(task.time_limit_steps()) * task.control_step_secs,
            physics_steps: spec.physics_steps(),
            sampled_layouts: sampled,
            redrawn_layouts: redrawn,
            notes: Vec::new(),
        };
        let mut notes = Vec::new();
        if (facts.time_limit_secs - task.time_limit_secs).abs() > 1e-6 * task.time_limit_secs {
            notes.push(format!(
                "the time limit of {} s is rounded to {} control steps: {:.3} s",
                task.time_limit_secs, facts.time_limit_steps, facts.time_limit_secs
            ));
        }
        if facts.physics_steps > task.physics_steps {
            notes.push(format!(
                "{} physics steps are made in each control step, not {}, so that no body passes \
                 through another",
                facts.physics_steps, task.physics_steps
            ));
        }
        if redrawn > 0 {
            notes.push(format!(
                "{redrawn} of {sampled} layouts ({:.1} %) could not be placed and were drawn again, \
                 with other values; make more room for fewer",
                100.0 * f64::from(redrawn) / f64::from(sampled)
            ));
        }
        Self { notes, ..facts }
    }
}

fn failure(error: &ScenarioError) -> CheckFailure {
    match error {
        ScenarioError::Invalid(diagnostic) => CheckFailure {
            line: diagnostic.position.map(|(line, _)| line),
            column: diagnostic.position.map(|(_, column)| column),
            message: diagnostic.text(),
        },
        other => CheckFailure {
            line: None,
            column: None,
            message: other.to_string(),
        },
    }
}

#[derive(Serialize)]
struct LayoutDrawing {
    scenario: String,
    seed: u64,
    episode: u64,
    geodesic_m: Option<f64>,
    /// Physical parameters that were sampled from ranges, by key.
    sampled_parameters: Vec<SampledNumber>,
    difficulty: Option<f32>,
    /// How many times the layout was drawn again, because it could not be placed.
    redraws: u32,
    /// The time limit in effect: whole control steps, seconds.
    time_limit_secs: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    svg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

fn show(args: &ShowArgs, ui: &Ui) -> anyhow::Result<()> {
    let scenario = scenario::resolve(&args.scenario.scenario, &args.set.set)?;
    if let Some(out) = &args.out {
        check_output("--out", out, scenario.files())?;
    }
    if args.toml {
        return match &args.out {
            Some(path) => Ok(write_file(path, scenario.to_toml())?),
            None => ui.answer(&scenario.spec, |_| scenario.to_toml()),
        };
    }
    let (seed, episode) = (args.seed.seed, args.episode);
    let key = EpisodeKey {
        root: seed,
        split: Split::Eval,
        env: 0,
        episode,
    };
    let progress = BusyProgress::new("sampling the layout");
    let mut layout = Layout::default();
    let mut sampler = LayoutSampler::default();
    sampler
        .sample(&scenario, key, &mut layout)
        .map_err(|reason| scenario.unplaceable(reason))?;
    let difficulty = sampler.difficulty(&layout);
    let difficulty_text = difficulty.map_or(String::new(), |d| format!(" · difficulty {d:.2}"));
    let paths: Vec<_> = layout
        .robots
        .iter()
        .map(|robot| Geodesic::new(&layout, robot.passage_radius).path(robot.start, robot.goal))
        .collect();
    drop(progress);
    let redrawn = match layout.redraws {
        0 => String::new(),
        count => format!(" · drawn again {count} ×"),
    };
    let options = SvgOptions {
        title: scenario.spec.title.clone(),
        subtitle: format!(
            "{} · seed {seed} · held-out episode {episode}{difficulty_text}{redrawn}",
            scenario.name
        ),
        field_of_view_rad: scenario.spec.robot[0].lidar.field_of_view_rad(),
    };
    let svg = scenario::draw(&layout, &paths, &options);
    let geodesic_m = paths.iter().flatten().next().map(|path| path.length_m);
    let task = &scenario.spec.task;
    let time_limit_secs = f64::from(task.time_limit_steps()) * task.control_step_secs;
    let mut drawing = LayoutDrawing {
        scenario: scenario.name,
        seed,
        episode,
        geodesic_m,
        sampled_parameters: layout.sampled_parameters.iter().map(Into::into).collect(),
        difficulty,
        redraws: layout.redraws,
        time_limit_secs,
        svg: None,
        file: None,
    };
    if let Some(path) = &args.out {
        write_file(path, &svg)?;
        drawing.file = Some(path.display().to_string());
        return ui.answer(&drawing, |drawing| {
            let mut text = format!("wrote {}", path.display());
            for SampledNumber { name, value } in &drawing.sampled_parameters {
                write!(text, "\n{name} = {value}").ok();
            }
            text
        });
    }
    drawing.svg = Some(svg);
    ui.answer(&drawing, |drawing| drawing.svg.clone().unwrap_or_default())
}
