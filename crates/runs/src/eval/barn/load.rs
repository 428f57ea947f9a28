//! A user's copy of the BARN worlds as scenarios: `world_N.world` and `path_files/path_N.npy`.

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

/// The shipped scenario whose robot drives: the challenge's, in footprint, speed and lidar.
const BASE_SCENARIO: &str = "barn_like";

/// Room about start and goal, metres: more than the lidar sees.
const MAP_MARGIN_M: f64 = 12.0;

/// Why worlds cannot be had from a folder.
#[derive(Debug, thiserror::Error)]
pub enum BarnError {
    /// A file or the folder cannot be read.
    #[error("cannot read {}: {error}; {help}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
        /// What would be right.
        help: &'static str,
    },
    /// The folder has no world.
    #[error("{} has no world_N.world; name the folder that BARN's worlds lie in, with their path_files", .0.display())]
    Empty(PathBuf),
    /// A path file says nothing.
    #[error("{}: {error}", .path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// What it has and what would be right.
        error: NpyError,
    },
    /// A world file says nothing.
    #[error(transparent)]
    World(#[from] Diagnostic),
    /// A world is none for this robot.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// The worlds of a folder in the order of their numbers, with a robot that sees what `observation`
/// says, or what the one of the shipped scenario does.
///
/// # Errors
/// If there is none, or a file is missing or not what it should be.
pub fn load_worlds(
    folder: &Path,
    observation: Option<&ObservationSpec>,
) -> Result<Vec<BarnWorld>, BarnError> {
    let read = |path: &Path, error, help| BarnError::Read {
        path: path.to_owned(),
        error,
        help,
    };
    let help = "name the folder that BARN's worlds lie in";
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
    let like = resolve(BASE_SCENARIO, &[])?.spec;
    let at = |[x, y]: [f64; 2]| {
        PositionSpec::At(PointSpec {
            position_m: [Quantity::Fixed(x), Quantity::Fixed(y)],
        })
    };
    let mut robot = like.robot[0].clone();
    robot.start = at(START_M);
    robot.start_heading_rad = Quantity::Fixed(std::f64::consts::FRAC_PI_2);
    robot.goal = at(GOAL_M);
    let task = TaskSpec {
        goal_radius_m: Quantity::Fixed(GOAL_RADIUS_M),
        // The clock starts with the robot's first decimetre, and is the one to stop the run.
        time_limit_secs: 2.0 * LIMIT_SECS,
        contact_ends_episode: true,
        ..like.task
    };
    let observation = observation.unwrap_or(&like.observation);
    let world = |number: u32| {
        let path = folder.join(format!("path_files/path_{number}.npy"));
        let help = "every world has its path there; the score cannot do without";
        let bytes = fs::read(&path).map_err(|error| read(&path, error, help))?;
        let cells = npy_points(&bytes).map_err(|error| BarnError::Path { path, error })?;
        let file = folder.join(format!("world_{number}.world"));
        let room = ImportedMap::of_file(&file)?.widened(&[START_M, GOAL_M], MAP_MARGIN_M);
        let name = format!("world_{number}");
        let scenario = scenario_on_map(
            &name,
            room,
            robot.clone(),
            task.clone(),
            observation.clone(),
        )?;
        Ok(BarnWorld {
            number,
            scenario: Arc::new(scenario),
            optimal_secs: optimal_secs(polyline_m(&cells)),
        })
    };
    numbers.into_iter().map(world).collect()
}
