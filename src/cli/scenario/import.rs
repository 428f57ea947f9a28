//! `evenkeel scenario import`: converts a map of another program into a scenario file, and
//! summarises what was read.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Ui;
use crate::cli::files::check_output;
use crate::cli::work_progress::BusyProgress;
use evenkeel::runs::write_file;
use evenkeel::scenario::spec::{MapSpec, MovingAiSpec, UnknownCells};
use evenkeel::scenario::{self, CellDecision, GridSummary, ImportedMap};
use evenkeel::telemetry::format::{counted, percent};

/// Notes about a map that are printed. A world may have hundreds of plugins.
const MAX_NOTES: usize = 20;

/// Arguments of `evenkeel scenario import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The map's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Side length of a cell of a `MovingAI` map, metres [default: 1]
    #[arg(long, value_name = "METRES", value_parser = parse_cell)]
    cell_m: Option<f64>,
    /// Treat the unknown cells of a ROS map as free
    #[arg(long)]
    unknown_is_free: bool,
    /// Radius of the robot, metres [default: that of the reference robot]
    #[arg(long, value_name = "METRES", value_parser = parse_radius)]
    robot_radius_m: Option<f64>,
    /// File to write to instead of stdout
    #[arg(long, short, value_name = "SCENARIO.toml")]
    out: Option<PathBuf>,
}

fn parse_cell(text: &str) -> Result<f64, String> {
    let side = text.parse().ok();
    side.filter(|side| MovingAiSpec::CELL_M.contains(side))
        .ok_or_else(|| "expected a number from 0.001 to 100 (metres)".to_owned())
}

fn parse_radius(text: &str) -> Result<f64, String> {
    let radius = text.parse().ok();
    radius
        .filter(|radius| (0.01..=100.0).contains(radius))
        .ok_or_else(|| "expected a number from 0.01 to 100 (metres)".to_owned())
}

#[derive(Serialize)]
struct ImportResult {
    map: String,
    summary: Summary,
    /// What the map does not have, and what decided about its cells, each with file and line.
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<String>,
}

/// Figures by which a person can check that a map was read as it was meant.
#[derive(Serialize)]
struct Summary {
    origin_m: [f64; 2],
    size_m: [f64; 2],
    boxes: usize,
    discs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Cells>,
    robot_radius_m: f64,
    /// The areas in which the robot's centre can be, largest first. No path joins two of them.
    islands_m2: Vec<f64>,
}

/// The cells of a grid.
#[derive(Serialize)]
struct Cells {
    /// Columns and rows of the file.
    size: [usize; 2],
    /// Columns and rows of the room, which is cut to what is free.
    kept: [usize; 2],
    side_m: f64,
    free: usize,
    occupied: usize,
    unknown: usize,
    unknown_is_free: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    occupied_thresh: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_thresh: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    negate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_alpha: Option<bool>,
}

impl From<&GridSummary> for Cells {
    fn from(grid: &GridSummary) -> Self {
        Self {
            size: grid.cells,
            kept: grid.kept_cells,
            side_m: grid.cell_m,
            free: grid.free,
            occupied: grid.occupied,
            unknown: grid.unknown,
            unknown_is_free: grid.unknown_is_free,
            occupied_thresh: grid.decision.map(|decision| decision.occupied_thresh),
            free_thresh: grid.decision.map(|decision| decision.free_thresh),
            negate: grid.decision.map(|decision| decision.negate),
            has_alpha: grid.decision.map(|decision| decision.has_alpha),
        }
    }
}

/// Runs `evenkeel scenario import`.
pub(super) fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut map = MapSpec::of_file(&args.file)?;
    let wrong_flag = match (&mut map, args.cell_m, args.unknown_is_free) {
        (MapSpec::MovingAi(grid), Some(cell_m), false) => {
            grid.cell_m = cell_m;
            None
        }
        (MapSpec::Ros(grid), None, true) => {
            grid.unknown = UnknownCells::Free;
            None
        }
        (_, Some(_), _) => Some("--cell-m applies only to MovingAI maps; leave it out"),
        (_, None, true) => Some("--unknown-is-free applies only to ROS maps; leave it out"),
        (_, None, false) => None,
    };
    if let Some(message) = wrong_flag {
        anyhow::bail!("{message}");
    }
    let folder = args.file.parent().unwrap_or(Path::new(""));
    if let Some(out) = &args.out {
        check_output("--out", out, map.files(folder))?;
    }
    let progress = BusyProgress::new(format!("reading {}", args.file.display()));
    let map = map.read(folder)?;
    let map = map.expect("a map made from a file name has a file");
    let reference = scenario::resolve("reference", &[])?;
    let radius = reference.spec.robot[0].footprint.radius().max();
    let summary = summary(&map, args.robot_radius_m.unwrap_or(radius));
    let text = text(&summary, map.grid.and_then(|grid| grid.decision));
    let notes: Vec<String> = map.notes.iter().map(ToString::to_string).collect();
    warn_of_map(&notes, ui);
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let toml = scenario::import(&name, &args.file, map, args.robot_radius_m);
    drop(progress);
    // A map without room for a robot is explained by its figures.
    let toml = toml.inspect_err(|_| ui.note(&text))?;
    let mut imported = ImportResult {
        map: args.file.display().to_string(),
        summary,
        notes,
        file: None,
        toml: None,
    };
    if let Some(path) = &args.out {
        write_file(path, &toml)?;
        imported.file = Some(path.display().to_string());
        return ui.answer(&imported, |_| format!("wrote {}\n{text}", path.display()));
    }
    if !ui.json {
        ui.note(&text);
    }
    imported.toml = Some(toml);
    ui.answer(&imported, |imported| {
        imported.toml.clone().unwrap_or_default()
    })
}

/// Prints the notes on a map, the first [`MAX_NOTES`] of them.
pub(super) fn warn_of_map(notes: &[String], ui: &Ui) {
    for note in notes.iter().take(MAX_NOTES) {
        ui.warn(note);
    }
    let more = notes.len().saturating_sub(MAX_NOTES);
    if more > 0 {
        ui.warn(format_args!("{}", counted(more, "more such note")));
    }
}

fn summary(map: &ImportedMap, robot_radius_m: f64) -> Summary {
    Summary {
        origin_m: map.origin_m,
        size_m: map.size_m,
        boxes: map.shapes.boxes_m.len(),
        discs: map.shapes.discs_m.len(),
        cells: map.grid.as_ref().map(Cells::from),
        robot_radius_m,
        islands_m2: map.islands_m2(robot_radius_m),
    }
}

fn text(summary: &Summary, decision: Option<CellDecision>) -> String {
    let ([x, y], [width, height]) = (summary.origin_m, summary.size_m);
    let mut lines = vec![format!("{width} × {height} m from ({x}, {y})")];
    if let Some(cells) = &summary.cells {
        let ([columns, rows], side) = (cells.kept, cells.side_m);
        let mut line = format!("{columns} × {rows} cells of {side} m");
        if cells.kept != cells.size {
            let [columns, rows] = cells.size;
            write!(line, ": what is free of {columns} × {rows}").ok();
        }
        lines.push(line);
        let all = (cells.free + cells.occupied + cells.unknown) as f64;
        let share = |count: usize| percent(count as f64 / all);
        let unknown = match (cells.unknown, cells.unknown_is_free) {
            (0, _) => "",
            (_, true) => ", which is free here",
            (_, false) => ", which is solid here",
        };
        let counts = [
            (cells.free, "free"),
            (cells.occupied, "occupied"),
            (cells.unknown, "unknown"),
        ];
        let counts = counts.map(|(count, name)| format!("{} {name}", share(count)));
        lines.push(format!("{}{unknown}", counts.join(", ")));
    }
    if let Some(decision) = decision {
        let (colour, other) = if decision.negate {
            ("white", "black")
        } else {
            ("black", "white")
        };
        let alpha = if decision.has_alpha {
            ", alpha counted as a colour"
        } else {
            ""
        };
        lines.push(format!(
            "occupied above {} and free below {}, from 0 ({other}) to 1 ({colour}){alpha}",
            decision.occupied_thresh, decision.free_thresh
        ));
    }
    let (boxes, discs) = (summary.boxes, summary.discs);
    lines.push(format!(
        "{boxes} box{} and {}",
        if boxes == 1 { "" } else { "es" },
        counted(discs, "disc")
    ));
    let radius = summary.robot_radius_m;
    let robot = format!("for a robot of {radius} m radius");
    let areas = &summary.islands_m2;
    let all: f64 = areas.iter().sum();
    lines.push(match areas.len() {
        0 => format!("no free space {robot}"),
        1 => format!("{all:.2} m² of free space {robot}, all connected"),
        count => format!(
            "{all:.2} m² of free space {robot}, in {count} separate parts; the largest has {}",
            percent(areas[0] / all)
        ),
    });
    let lines = lines.iter().map(|line| format!("  {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
