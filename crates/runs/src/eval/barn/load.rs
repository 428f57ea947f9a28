//! Loads a user's copy of the BARN worlds, `world_N.world` and `path_files/path_N.npy`, as
//! scenarios.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use super::{
    BarnWorld, GOAL_M, GOAL_RADIUS_M, LIMIT_SECS, NpyError, START_M, npy_points, optimal_secs,
    polyline_m,
};
use evenkeel_sim::config::Diagnostic;
use evenkeel_sim::scenario::spec::{ObservationSpec, PointSpec, PositionSpec, TaskSpec};
use evenkeel_sim::scenario::{ImportedMap, Quantity, ScenarioError, resolve, scenario_on_map};

/// The shipped scenario with the challenge's robot: its footprint, speed and lidar.
const BASE_SCENARIO: &str = "barn_like";

/// Margin of the map around start and goal, metres. Larger than the range of the lidar.
const MAP_MARGIN_M: f64 = 12.0;

/// Error of loading the worlds.
#[derive(Debug, thiserror::Error)]
pub enum BarnError {
    /// A file or the folder cannot be read.
    #[error("cannot read {}: {error}; {help}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
        /// How to fix it.
        help: &'static str,
    },
    /// The folder has no world.
    #[error("{} has no world_N.world; name the folder with BARN's worlds and their path_files", .0.display())]
    Empty(PathBuf),
    /// A path file is invalid.
    #[error("{}: {error}", .path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        error: NpyError,
    },
    /// A world file is invalid.
    #[error(transparent)]
    World(#[from] Diagnostic),
    /// A world is not a valid scenario for the robot.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// Loads the worlds in a folder, in the order of their numbers. `observation` replaces the
/// observation of the shipped scenario `barn_like`.
///
/// # Errors
/// If the folder has no worlds, or a file is missing or invalid.
pub fn load_worlds(
    folder: &Path,
    observation: Option<&ObservationSpec>,
) -> Result<Vec<BarnWorld>, BarnError> {
    let read = |path: &Path, error, help| BarnError::Read {
        path: path.to_owned(),
        error,
        help,
    };
    let help = "name the folder with BARN's worlds";
    let entries = fs::read_dir(folder).map_err(|error| read(folder, error, help))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|error| read(folder, error, help))?
            .file_name();
        let name = name.to_string_lossy();
        let number = name
            .strip_prefix("world_")
            .and_then(|rest| rest.strip_suffix(".world"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    if numbers.is_empty() {
        return Err(BarnError::Empty(folder.to_owned()));
    }
    numbers.sort_unstable();
    let base = resolve(BASE_SCENARIO, &[])?.spec;
    let at = |[x, y]: [f64; 2]| {
        PositionSpec::At(PointSpec {
            position_m: [Quantity::Fixed(x), Quantity::Fixed(y)],
        })
    };
    let mut robot = base.robot[0].clone();
    robot.start = at(START_M);
    robot.start_heading_rad = Quantity::Fixed(std::f64::consts::FRAC_PI_2);
    robot.goal = at(GOAL_M);
    let task = TaskSpec {
        goal_radius_m: Quantity::Fixed(GOAL_RADIUS_M),
        // Twice the limit of the clock, which starts later than the episode and ends the run.
        time_limit_secs: 2.0 * LIMIT_SECS,
        contact_ends_episode: true,
        ..base.task
    };
    let observation = observation.unwrap_or(&base.observation);
    let world = |number: u32| {
        let path = folder.join(format!("path_files/path_{number}.npy"));
        let help = "the score of each world needs its path";
        let bytes = fs::read(&path).map_err(|error| read(&path, error, help))?;
        let cells = npy_points(&bytes).map_err(|error| BarnError::Path { path, error })?;
        let file = folder.join(format!("world_{number}.world"));
        let map = ImportedMap::of_file(&file)?.widened(&[START_M, GOAL_M], MAP_MARGIN_M);
        let name = format!("world_{number}");
        let scenario =
            scenario_on_map(&name, map, robot.clone(), task.clone(), observation.clone())?;
        Ok(BarnWorld {
            number,
            scenario: Arc::new(scenario),
            optimal_secs: optimal_secs(polyline_m(&cells)),
        })
    };
    numbers.into_iter().map(world).collect()
}
