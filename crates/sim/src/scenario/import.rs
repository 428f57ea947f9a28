//! Makes scenarios of map files: a scenario file with the reference robot, to be edited by hand, or a
//! scenario with the caller's own robot and task.

use std::path::Path;

use super::load::{Scenario, ScenarioError, resolve, to_toml_text};
use super::spec::{
    ArenaSpec, DiscFootprintSpec, FootprintSpec, MapSpec, ObservationSpec, RobotSpec, TaskSpec,
};
use super::{ImportedMap, Quantity, ScenarioSpec};
use crate::config::Diagnostic;

/// Smallest distance from start to goal on an imported map, as a share of the room's diagonal, unless
/// the reference task has a smaller one.
const MIN_GOAL_DISTANCE_SHARE: f64 = 1.0 / 3.0;

/// The time limit on an imported map, in seconds per metre of the room's diagonal, unless the
/// reference task has a longer one.
const TIME_LIMIT_DIAGONALS: f64 = 4.0;

impl MapSpec {
    /// Selects the kind of map by the extension of the file name. The result names the file without
    /// its folder.
    ///
    /// # Errors
    /// If no kind of map has the extension, or the name is not UTF-8 text.
    ///
    /// # Panics
    /// Never.
    pub fn of_file(path: &Path) -> Result<Self, Diagnostic> {
        let error = |message: &str, help: &str| {
            let file = path.display().to_string();
            Diagnostic::without_position(&file, message.to_owned(), Some(help.to_owned()))
        };
        let extension = path.extension().unwrap_or_default();
        let kind = match extension.to_string_lossy().to_lowercase().as_str() {
            "map" => "moving_ai",
            "yaml" | "yml" => "ros",
            "world" | "sdf" => "sdf",
            _ => {
                return Err(error(
                    "no kind of map has this file name extension",
                    "a map is a .map (MovingAI), .yaml (ROS map_server), .world or .sdf (Gazebo) file",
                ));
            }
        };
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(error("the file name is not UTF-8 text", "rename the file"));
        };
        // Read like a table of a scenario, so that defaults are written once.
        let table = format!("{kind} = {{ file = {} }}", toml::Value::from(file));
        Ok(toml::from_str(&table).expect("a map needs its file only"))
    }
}

impl ImportedMap {
    /// Reads a map file. The extension of its name selects the kind of map.
    ///
    /// # Errors
    /// If the file cannot be read, with the line or the byte and the correct form.
    ///
    /// # Panics
    /// Never.
    pub fn of_file(file: &Path) -> Result<Self, Diagnostic> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let imported = MapSpec::of_file(file)?.read(folder)?;
        Ok(imported.expect("maps of this kind have a file"))
    }

    /// Enlarges the room so that points are inside with a margin to its walls, metres. For Gazebo
    /// worlds, which have no walls. A grid has nothing outside.
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

/// Makes a scenario of a map, a robot and a task, without a file. Start, heading and goal are those of
/// `robot`.
///
/// # Errors
/// If a value is not valid, as in a scenario file.
///
/// # Panics
/// Never: a scenario can be written as TOML.
pub fn scenario_on_map(
    name: &str,
    map: ImportedMap,
    robot: RobotSpec,
    task: TaskSpec,
    observation: ObservationSpec,
) -> Result<Scenario, ScenarioError> {
    let spec = ScenarioSpec {
        robot: vec![robot],
        task,
        observation,
        ..reference_with_map(name, map)?
    };
    Ok(Scenario::from_text(name, name, &to_toml_text(&spec), &[])?)
}

/// Returns the text of a scenario file for a map. It contains the map's shapes and does not need the
/// map file `file`. `robot_radius_m` replaces the radius of the reference robot.
///
/// # Errors
/// If the radius is not valid, or the map has no room for the robot.
///
/// # Panics
/// Never: a scenario can be written as TOML.
pub fn import(
    name: &str,
    file: &Path,
    map: ImportedMap,
    robot_radius_m: Option<f64>,
) -> Result<String, ScenarioError> {
    let [width, height] = map.size_m;
    let diagonal = libm::hypot(width, height);
    let mut spec = reference_with_map(name, map)?;
    if let Some(radius) = robot_radius_m {
        spec.robot[0].footprint = FootprintSpec::Disc(DiscFootprintSpec {
            radius_m: Quantity::Fixed(radius),
        });
    }
    let reference = spec.task;
    let min_distance =
        (MIN_GOAL_DISTANCE_SHARE * diagonal).min(reference.min_start_goal_distance_m);
    let time_limit = (TIME_LIMIT_DIAGONALS * diagonal).max(reference.time_limit_secs);
    let spec = ScenarioSpec {
        task: TaskSpec {
            min_start_goal_distance_m: round_to(min_distance, 0.1),
            time_limit_secs: round_to(time_limit, 1.0),
            ..reference
        },
        ..spec
    };
    let text = format!(
        "# Imported from {}: the shapes are those of that file, the robot is that of the reference\n\
         # scenario, and start and goal are drawn for every episode.\n{}",
        on_one_line(&file.file_name().unwrap_or_default().to_string_lossy()),
        to_toml_text(&spec)
    );
    Scenario::from_text(name, &file.to_string_lossy(), &text, &[])?.check_layouts()?;
    Ok(text)
}

/// The reference scenario with a map instead of its room and obstacles.
fn reference_with_map(name: &str, map: ImportedMap) -> Result<ScenarioSpec, ScenarioError> {
    let [width, height] = map.size_m;
    let counts = [
        (map.shapes.boxes_m.len(), "box", "boxes"),
        (map.shapes.discs_m.len(), "disc", "discs"),
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
        title: on_one_line(&name.replace(['_', '-'], " ")),
        description: format!("{width} × {height} m{inside}"),
        arena: ArenaSpec {
            size_m: Some(map.size_m.map(Quantity::Fixed)),
            origin_m: Some(map.origin_m.map(Quantity::Fixed)),
            map: Some(MapSpec::Shapes(map.shapes)),
        },
        generate: Vec::new(),
        train: toml::Table::new(),
        ..resolve("reference", &[])?.spec
    })
}

/// A name without line breaks and other control characters, for a comment or a title.
fn on_one_line(name: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars().map(printable).collect()
}

/// Rounds to a multiple of a unit, without the noise of binary fractions.
fn round_to(value: f64, unit: f64) -> f64 {
    (value / unit).round() / (1.0 / unit)
}
