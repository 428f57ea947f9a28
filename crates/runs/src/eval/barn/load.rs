//! Loads a user's copy of the BARN worlds, `world_N.world` and `path_files/path_N.npy`, as
//! scenarios.

use std::collections::BTreeMap;
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
    /// The number of a world is too large.
    #[error("{}: the number is too large; number the worlds from 0 to {}", .path.display(), u32::MAX)]
    Number {
        /// The world's file.
        path: PathBuf,
    },
    /// Two worlds have the same number.
    #[error("{}: {} and {} have the same number; rename one of them", .folder.display(), .names[0], .names[1])]
    Twice {
        /// The folder.
        folder: PathBuf,
        /// Names of the worlds' files.
        names: [String; 2],
    },
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

/// The digits in the file name of a world, `world_7.world` or `world_007.world`.
fn digits_of_world(name: &str) -> Option<&str> {
    let digits = name.strip_prefix("world_")?.strip_suffix(".world")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(digits)
}

/// Loads the worlds in a folder, in the order of their numbers, which may have leading zeros.
/// `observation` replaces the
/// observation of the shipped scenario `barn_like`.
///
/// # Errors
/// If the folder has no worlds or two of the same number, or a file is missing or invalid.
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
    let mut numbers = BTreeMap::new();
    for entry in entries {
        let name = entry
            .map_err(|error| read(folder, error, help))?
            .file_name();
        let name = name.to_string_lossy();
        let Some(digits) = digits_of_world(&name) else {
            continue;
        };
        let number = digits.parse::<u32>().map_err(|_| BarnError::Number {
            path: folder.join(&*name),
        })?;
        if let Some(other) = numbers.insert(number, digits.to_owned()) {
            let names = [other.as_str(), digits].map(|digits| format!("world_{digits}.world"));
            return Err(BarnError::Twice {
                folder: folder.to_owned(),
                names,
            });
        }
    }
    if numbers.is_empty() {
        return Err(BarnError::Empty(folder.to_owned()));
    }
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
    let world = |(number, digits): (u32, String)| {
        let mut path = folder.join(format!("path_files/path_{digits}.npy"));
        if !path.exists() {
            path = folder.join(format!("path_files/path_{number}.npy"));
        }
        let help = "the score of each world needs its path";
        let bytes = fs::read(&path).map_err(|error| read(&path, error, help))?;
        let cells = npy_points(&bytes).map_err(|error| BarnError::Path { path, error })?;
        let file = folder.join(format!("world_{digits}.world"));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A world with one cylinder at (x, 8) m, beside the way from start to goal.
    fn write_world(folder: &Path, digits: &str, x: f64) {
        let world = format!(
            "<sdf version='1.6'><world name='w'><model name='m'><pose>{x} 8 0.5 0 0 0</pose>\
             <link name='l'><collision name='c'><geometry><cylinder><radius>0.1</radius>\
             <length>1</length></cylinder></geometry></collision></link></model></world></sdf>"
        );
        fs::write(folder.join(format!("world_{digits}.world")), world).unwrap();
    }

    fn write_path(folder: &Path, digits: &str) {
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (0, 2), }\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        fs::create_dir_all(folder.join("path_files")).unwrap();
        fs::write(folder.join(format!("path_files/path_{digits}.npy")), bytes).unwrap();
    }

    #[test]
    fn numbers_of_worlds_may_have_leading_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (digits, path) in [("010", "010"), ("2", "2"), ("009", "9"), ("+1", "1")] {
            write_world(folder, digits, -3.5);
            write_path(folder, path);
        }
        let worlds = load_worlds(folder, None).unwrap();
        let numbers: Vec<u32> = worlds.iter().map(|world| world.number).collect();
        assert_eq!(numbers, [2, 9, 10]);
        write_world(folder, "02", -1.0);
        let error = load_worlds(folder, None).unwrap_err().to_string();
        let names = ["world_2.world", "world_02.world"];
        assert!(names.iter().all(|name| error.contains(name)), "{error}");
        fs::remove_file(folder.join("world_02.world")).unwrap();
        write_world(folder, "99999999999", -1.0);
        let error = load_worlds(folder, None).unwrap_err().to_string();
        assert!(
            error.contains("world_99999999999.world: the number is too large"),
            "{error}"
        );
    }
}
