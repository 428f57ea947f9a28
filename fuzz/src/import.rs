//! Targets that import maps of other programs.

use std::path::Path;

use evenkeel::scenario::{ImportedMap, Scenario, import as scenario_text};

use crate::bundle::Bundle;
use crate::{check_message, drive};

/// A ROS map: a bundle with `map.yaml` and its image.
pub(crate) fn ros_map(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bundle = Bundle::parse(input);
    bundle.write(folder.path()).ok();
    import(&folder.path().join("map.yaml"));
}

/// A map of the `MovingAI` benchmarks.
pub(crate) fn moving_ai(input: &[u8]) {
    import_bytes("fuzz.map", input);
}

/// A Gazebo world.
pub(crate) fn sdf(input: &[u8]) {
    import_bytes("fuzz.sdf", input);
}

fn import_bytes(name: &str, input: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(name);
    std::fs::write(&file, input).expect("a writable folder");
    import(&file);
}

/// Imports a map file as `evenkeel scenario import` does. The text of the scenario must read back as
/// a scenario in which a robot can drive.
fn import(file: &Path) {
    let map = match ImportedMap::of_file(file) {
        Ok(map) => map,
        Err(error) => return check_message(&error),
    };
    for axis in [0, 1] {
        assert!(map.size_m[axis].is_finite() && map.origin_m[axis].is_finite());
    }
    match scenario_text("fuzz", file, map, None) {
        Ok(text) => {
            let scenario = Scenario::from_text("fuzz", "fuzz.toml", &text, &[])
                .expect("an imported scenario reads back");
            drive::check(scenario);
        }
        Err(error) => check_message(&error),
    }
}
