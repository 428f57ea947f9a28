//! `evenkeel scenario import`: what it says about a map, and the files and names it takes.

use std::path::Path;
use std::process::Output;

use super::{PGM, YAML};
use crate::helpers::{answer, evenkeel, evenkeel_in, text};

/// Runs the command in a folder.
fn import(folder: &Path, args: &[&str]) -> Output {
    evenkeel_in(folder, &[&["scenario", "import"], args].concat())
}

/// Writes a map of 12 × 8 m: a room with a wall, whose door is 1 m wide, in the middle of unknown cells
/// of grey 205. `door` is whether there is a door.
fn write_house(folder: &Path, door: bool) {
    let mut image = b"P5 40 30 255\n".to_vec();
    for row in 0..30 {
        for column in 0..40 {
            let inside = (5..29).contains(&column) && (7..23).contains(&row);
            let wall = column == 17 && !(door && (10..12).contains(&row));
            image.push(match (inside, wall) {
                (false, _) => 205,
                (true, true) => 0,
                (true, false) => 254,
            });
        }
    }
    std::fs::write(folder.join("m.pgm"), image).unwrap();
    std::fs::write(folder.join("house.yaml"), YAML).unwrap();
}

#[test]
fn the_summary_has_the_figures_to_check() {
    let folder = tempfile::tempdir().unwrap();
    write_house(folder.path(), false);
    let output = import(folder.path(), &["house.yaml", "--out", "house.toml"]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(
        text(&output.stdout),
        "wrote house.toml\n  12 × 8 m from (1.5, 5.5)\n  24 × 16 cells of 0.5 m: what is free of 40 × 30\n  \
         30.7 % free, 1.3 % occupied, 68.0 % unknown, which is solid here\n  \
         occupied above 0.65 and free below 0.196, from 0 (white) to 1 (black)\n  1 box and 0 discs\n  \
         79.80 m² of free space for a robot of 0.2 m radius, in 2 separate parts; the largest has 52.4 %\n"
    );
    write_house(folder.path(), true);
    let args = [
        "scenario",
        "import",
        "house.yaml",
        "--json",
        "--robot-radius-m",
        "0.3",
    ];
    let answer = answer(folder.path(), &args);
    let summary = &answer["summary"];
    assert_eq!(summary["cells"]["size"], serde_json::json!([40, 30]));
    assert_eq!(summary["cells"]["kept"], serde_json::json!([24, 16]));
    assert_eq!(summary["cells"]["free"], 370);
    assert_eq!(summary["cells"]["occupied"], 14);
    assert_eq!(summary["cells"]["unknown"], 40 * 30 - 24 * 16);
    assert_eq!(summary["islands_m2"].as_array().map(Vec::len), Some(1));
    let toml = answer["toml"].as_str().expect("the scenario's text");
    assert!(toml.contains("radius_m = 0.3"), "{toml}");
}

#[test]
fn a_map_that_reads_in_another_way_than_it_looks_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    write_house(folder.path(), true);
    let nav2 = YAML.replace("0.196", "0.25");
    std::fs::write(folder.path().join("house.yaml"), nav2).unwrap();
    let output = import(folder.path(), &["house.yaml", "--out", "house.toml"]);
    let errors = text(&output.stderr);
    let note = "warning: house.yaml:6:14: 816 of 1200 cells have grey 205, which map savers write for \
                unknown cells; free_thresh 0.25 makes them free";
    assert!(errors.starts_with(note), "{errors}");
    // A scenario that refers to the map gets the same note.
    let scenario = "version = 1\ntitle = 'House'\n[arena]\n\
                    map = { ros = { file = 'house.yaml' } }\n[[robot]]\n\
                    footprint = { disc = { radius_m = 0.2 } }\n[robot.drive.differential]\n\
                    max_speed_mps = 1.0\nmax_turn_rate_radps = 2.0\nmax_accel_mps2 = 1.0\n\
                    max_turn_accel_radps2 = 4.0\n[robot.lidar]\nbeams = 16\nrange_m = 5.0\n\
                    [task]\ntime_limit_secs = 60.0\n";
    std::fs::write(folder.path().join("mine.toml"), scenario).unwrap();
    let check = evenkeel_in(folder.path(), &["scenario", "check", "mine.toml"]);
    assert!(check.status.success(), "{}", text(&check.stderr));
    let errors = text(&check.stderr);
    assert!(
        errors.contains("816 of 1200 cells have grey 205"),
        "{errors}"
    );
}

/// A large map of a small room is cut to the room, which keeps its coordinates.
#[test]
fn a_large_map_is_cut_to_its_free_cells() {
    let folder = tempfile::tempdir().unwrap();
    let (side, room) = (5000, 100);
    let mut image = format!("P5 {side} {side} 255\n").into_bytes();
    for row in 0..side {
        let mut pixels = vec![205; side];
        if (2000..2000 + room).contains(&row) {
            pixels[3000..3000 + room].fill(254);
        }
        image.extend(pixels);
    }
    std::fs::write(folder.path().join("m.pgm"), image).unwrap();
    let yaml = YAML.replace("0.5", "0.05");
    std::fs::write(folder.path().join("m.yaml"), yaml).unwrap();
    let output = import(folder.path(), &["m.yaml", "--out", "m.toml"]);
    let answer = text(&output.stdout);
    // The lower left corner of the room: −1 + 3000 · 0.05 and 2 + 2900 · 0.05.
    assert!(answer.contains("5 × 5 m from (149, 147)"), "{answer}");
    assert!(
        answer.contains("100 × 100 cells of 0.05 m: what is free of 5000 × 5000"),
        "{answer}"
    );
    let output = import(folder.path(), &["m.yaml", "--unknown-is-free"]);
    let errors = text(&output.stderr);
    assert!(
        errors.contains(
            "m.yaml:1:8: the free cells of the map span 5000 × 5000 cells; a room has at most"
        ),
        "{errors}"
    );
}

#[test]
fn names_are_written_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    write_house(folder.path(), true);
    let name = "Häuser №2.yaml";
    std::fs::rename(folder.path().join("house.yaml"), folder.path().join(name)).unwrap();
    let output = import(folder.path(), &[name]);
    let toml = text(&output.stdout);
    assert!(
        toml.starts_with("# Imported from Häuser №2.yaml: "),
        "{toml}"
    );
    let broken = "two\nlines.yaml";
    std::fs::rename(folder.path().join(name), folder.path().join(broken)).unwrap();
    let output = import(folder.path(), &[broken]);
    let toml = text(&output.stdout);
    assert!(
        toml.starts_with("# Imported from two\u{fffd}lines.yaml: "),
        "{toml}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn folders_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(OsStr::from_bytes(b"r\xff"));
    std::fs::create_dir(&odd).unwrap();
    std::fs::write(odd.join("m.yaml"), YAML).unwrap();
    std::fs::write(odd.join("m.pgm"), PGM.replace("3 2", "2 3")).unwrap();
    write_house(&odd, true);
    let run = |file: &Path| {
        let mut command = evenkeel(&["scenario", "import", "--json", "--out"]);
        let output = command.arg(odd.join("o.toml")).arg(file).output().unwrap();
        (output.status.code(), text(&output.stderr).to_owned())
    };
    assert_eq!(run(&odd.join("house.yaml")), (Some(0), String::new()));
    assert!(odd.join("o.toml").exists());
    let file = odd.join(OsStr::from_bytes(b"m\xfe.yaml"));
    std::fs::copy(odd.join("m.yaml"), &file).unwrap();
    let (code, errors) = run(&file);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("the file name is not UTF-8 text; rename the file"),
        "{errors}"
    );
    // Arguments that name a scenario are text.
    let output = evenkeel(&["scenario", "check"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(
        errors.contains(r"r\xff/m\xfe.yaml' is not UTF-8 text; rename"),
        "{errors}"
    );
}
