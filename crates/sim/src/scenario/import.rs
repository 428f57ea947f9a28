//! A map of another program as a scenario: either a file to be changed by hand, with the reference
//! robot among the map's shapes, or one with a robot and a task of the caller's own.

use std::fmt::Write as _;
use std::path::Path;

use super::spec::{ArenaSpec, MapSpec, ObservationSpec, RobotSpec, TaskSpec};
use super::{ImportedMap, Quantity, Scenario, ScenarioError, ScenarioSpec, resolve};
use crate::config::Diagnostic;

/// Start and goal of an imported map are at least this share of the room's diagonal apart, unless
/// the reference task asks for less.
const MIN_GOAL_DISTANCE_SHARE: f64 = 1.0 / 3.0;

/// An episode of an imported map has the time to drive this many diagonals at full speed, or that
/// of the reference task where it is longer.
const TIME_LIMIT_DIAGONALS: f64 = 4.0;

impl MapSpec {
    /// The map that a file is, by the ending of its name.
    ///
    /// # Errors
    /// If the ending says nothing.
    ///
    /// # Panics
    /// Never.
    pub fn of_file(file: &str) -> Result<Self, Diagnostic> {
        let ending = Path::new(file).extension().unwrap_or_default();
        let kind = match ending.to_string_lossy().to_lowercase().as_str() {
            "map" => "moving_ai",
            "yaml" | "yml" => "ros",
            "world" | "sdf" => "sdf",
            _ => {
                let message = "the ending of the name says of no kind of map".to_owned();
                let help = "a map is a .map (MovingAI), .yaml (ROS map_server), .world or .sdf file (Gazebo)";
                return Err(Diagnostic::without_position(
                    file,
                    message,
                    Some(help.to_owned()),
                ));
            }
        };
        // Read as a scenario's table would be, so that defaults are said once.
        let table = format!("{kind} = {{ file = {} }}", toml::Value::from(file));
        Ok(toml::from_str(&table).expect("a map with its file alone is whole"))
    }
}

impl ImportedMap {
    /// Reads a map file, by the ending of its name.
    ///
    /// # Errors
    /// One message with the file, the line or the byte, what is there, and what would be right.
    ///
    /// # Panics
    /// Never.
    pub fn of_file(file: &Path) -> Result<Self, Diagnostic> {
        let map = MapSpec::of_file(&file.to_string_lossy())?;
        let room = map.read(Path::new(""))?;
        Ok(room.expect("only shapes have no file to read"))
    }

    /// The room widened so that these points are within it, a margin from its walls, metres. For
    /// Gazebo's worlds, which have no walls; beyond a grid there is nothing.
    #[must_use]
    pub fn widened(mut self, points_m: &[[f64; 2]], margin_m: f64) -> Self {
        for point in points_m {
            for axis in [0, 1] {
                let low = self.origin_m[axis].min(point[axis] - margin_m);
                let high = self.origin_m[axis] + self.size_m[axis];
                self.size_m[axis] = high.max(point[axis] + margin_m) - low;
                self.origin_m[axis] = low;
            }
        }
        self
    }
}

/// The scenario of a robot and a task on a map, no file between: where the robot starts, its
/// heading and its goal are those of `robot`, and what is random in either is drawn as ever.
///
/// # Errors
/// If anything in either cannot be, as a scenario file that says it would be refused.
///
/// # Panics
/// Never: a scenario can be written as TOML.
pub fn scenario_on_map(
    name: &str,
    room: ImportedMap,
    robot: RobotSpec,
    task: TaskSpec,
    observation: ObservationSpec,
) -> Result<Scenario, ScenarioError> {
    let spec = ScenarioSpec {
        robot: vec![robot],
        task,
        observation,
        ..reference_with_map(name, room)?
    };
    Ok(Scenario::from_text(name, name, &to_toml_text(&spec), &[])?)
}

/// The scenario file of a map, which needs the map's own file, `file`, no more.
///
/// # Errors
/// If there is no room in it for the reference robot.
///
/// # Panics
/// Never: a scenario can be written as TOML.
pub fn import(name: &str, file: &Path, room: ImportedMap) -> Result<String, ScenarioError> {
    let [width, height] = room.size_m;
    let diagonal = libm::hypot(width, height);
    let spec = reference_with_map(name, room)?;
    let reference = spec.task;
    let spec = ScenarioSpec {
        task: TaskSpec {
            min_start_goal_distance_m: (MIN_GOAL_DISTANCE_SHARE * diagonal)
                .min(reference.min_start_goal_distance_m)
                .round_to(0.1),
            time_limit_secs: (TIME_LIMIT_DIAGONALS * diagonal)
                .max(reference.time_limit_secs)
                .round_to(1.0),
            ..reference
        },
        ..spec
    };
    let text = format!(
        "# Imported from {}: the shapes are as in that file, the robot is that of the reference\n\
         # scenario, and start and goal are drawn anew for every episode.\n{}",
        file.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .escape_default(),
        to_toml_text(&spec)
    );
    Scenario::from_text(name, &file.to_string_lossy(), &text, &[])?.check_layouts()?;
    Ok(text)
}

/// The reference scenario with a map in the place of its room and of what is scattered there.
fn reference_with_map(name: &str, room: ImportedMap) -> Result<ScenarioSpec, ScenarioError> {
    let [width, height] = room.size_m;
    let counts = [
        (room.shapes.boxes_m.len(), "box", "boxes"),
        (room.shapes.discs_m.len(), "disc", "discs"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    let inside = match counts.join(" and ") {
        nothing if nothing.is_empty() => nothing,
        shapes => format!(" with {shapes}"),
    };
    Ok(ScenarioSpec {
        title: name.replace(['_', '-'], " "),
        description: format!("{width} × {height} m{inside}"),
        arena: ArenaSpec {
            size_m: Some(room.size_m.map(Quantity::Fixed)),
            origin_m: Some(room.origin_m.map(Quantity::Fixed)),
            map: Some(MapSpec::Shapes(room.shapes)),
        },
        generate: Vec::new(),
        train: toml::Table::new(),
        ..resolve("reference", &[])?.spec
    })
}

/// A scenario as TOML, a map's shapes one a line.
pub(super) fn to_toml_text(spec: &ScenarioSpec) -> String {
    let plain = toml::to_string(spec).expect("a scenario can be written as TOML");
    let mut text = String::with_capacity(plain.len());
    for line in plain.lines() {
        match line.split_once(" = [[") {
            Some((key @ ("boxes_m" | "discs_m"), shapes)) => {
                let shapes = shapes.trim_end_matches("]]").replace("], [", "],\n    [");
                writeln!(text, "{key} = [\n    [{shapes}],\n]").ok();
            }
            _ => writeln!(text, "{line}").unwrap_or_default(),
        }
    }
    text
}

trait RoundTo {
    fn round_to(self, unit: f64) -> f64;
}

impl RoundTo for f64 {
    /// The nearest multiple of a unit, without the noise of binary fractions.
    fn round_to(self, unit: f64) -> f64 {
        (self / unit).round() / (1.0 / unit)
    }
}
