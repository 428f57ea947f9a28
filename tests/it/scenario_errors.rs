//! Mistakes in scenario files, and their error messages.

use std::fmt::Write as _;

use evenkeel::config::Override;
use evenkeel::scenario::{Scenario, ScenarioError, resolve};
use proptest::prelude::*;

const REFERENCE: &str = include_str!("../../scenarios/reference.toml");

/// Mistakes: text of the reference scenario, and the text that replaces it.
const MISTAKES: &[(&str, &str)] = &[
    // TOML syntax.
    ("size_m = [10.0, 10.0]", "size_m = [10.0, 10.0"),
    ("beams = 64", "beams = 64\nbeams = 32"),
    ("beams = 64", "beams = sixty"),
    ("title = \"Reference room\"", "title = \"Reference room"),
    ("beams = 64", "beams = 99999999999999999999"),
    ("range_m = 5.0", "range_m = 1e999"),
    // Keys.
    ("range_m = 5.0", "rnage_m = 5.0"),
    ("range_m = 5.0", "range_cm = 500"),
    ("range_m = 5.0", "colour = \"red\""),
    ("[robot.lidar]", "[robot.lidr]"),
    ("[arena]", "[aerna]"),
    ("beams = 64", ""),
    ("version = 1", ""),
    ("[arena]\nsize_m = [10.0, 10.0]", ""),
    // Types.
    ("beams = 64", "beams = \"many\""),
    ("beams = 64", "beams = -5"),
    ("beams = 64", "beams = 64.5"),
    ("size_m = [10.0, 10.0]", "size_m = [10.0]"),
    ("size_m = [10.0, 10.0]", "size_m = [10.0, 10.0, 3.0]"),
    ("size_m = [10.0, 10.0]", "size_m = 10.0"),
    (
        "contact_ends_episode = true",
        "contact_ends_episode = \"yes\"",
    ),
    ("range_m = 5.0", "range_m = [1.0, 5.0]"),
    ("[arena]\nsize_m = [10.0, 10.0]", "arena = 10"),
    // Variants.
    ("[robot.drive.differential]", "[robot.drive.diferential]"),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = \"disc\"",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = { ellipse = { half_extents_m = [1, 1] } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = {}",
    ),
    ("discs = { count = 10,", "boxes = {}\ndiscs = { count = 10,"),
    (
        "[robot.lidar]",
        "[robot.goal.anywhere]\nx = 1\n[robot.lidar]",
    ),
    // Quantities.
    ("range_m = 5.0", "range_m = { uniform = [6.0, 4.0] }"),
    ("range_m = 5.0", "range_m = { unifrom = [4.0, 6.0] }"),
    ("range_m = 5.0", "range_m = { uniform = [4.0, 5.0, 6.0] }"),
    ("range_m = 5.0", "range_m = { uniform = [0.0, 6.0] }"),
    ("range_m = 5.0", "range_m = nan"),
    ("range_m = 5.0", "range_m = -5.0"),
    ("range_m = 5.0", "range_m = 5000.0"),
    // Bounds.
    ("version = 1", "version = 2"),
    ("title = \"Reference room\"", "title = \" \""),
    ("title = \"Reference room\"", "title = \"Two\\nlines\""),
    ("beams = 64", "beams = 0"),
    ("beams = 64", "beams = 5000"),
    ("range_m = 5.0", "range_m = 5.0\nfield_of_view_deg = 400"),
    ("max_speed_mps = 1.0", "max_speed_mps = 0.0"),
    ("size_m = [10.0, 10.0]", "size_m = [10.0, -10.0]"),
    (
        "size_m = [10.0, 10.0]",
        "size_m = [{ uniform = [0.3, 10.0] }, 10.0]",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = { disc = { radius_m = 6.0 } }",
    ),
    ("discs = { count = 10,", "discs = { count = 20_000,"),
    ("goal = 10.0", "goal = inf"),
    (
        "goal = 10.0",
        "goal = 10.0\nclearance = { scale = -1.0, margin_m = 0.0 }",
    ),
    ("time_limit_secs = 50.0", "time_limit_secs = 0"),
    ("time_limit_secs = 50.0", "time_limit_secs = 0.05"),
    ("control_step_secs = 0.1", "control_step_secs = 0.0"),
    ("physics_steps = 1", "physics_steps = 0"),
    (
        "min_start_goal_distance_m = 4.0",
        "min_start_goal_distance_m = 40.0",
    ),
    ("physics_steps = 1", "physics_steps = 1\nhold_secs = -0.1"),
    ("physics_steps = 1", "physics_steps = 1\nhold_secs = 50"),
    ("[task]", "[observation]\ngoal_shown_secs = 0\n[task]"),
    (
        "[task]",
        "[observation]\nblocks = [\"lidar\"]\ngoal_shown_secs = 0.1\n[task]",
    ),
    ("[task]", "[observation]\ngoal_shown_sec = 0.1\n[task]"),
    ("[task]", "[observation]\nblocks = []\n[task]"),
    (
        "[task]",
        "[observation]\nblocks = [\"lidar\", \"goal\", \"lidar\"]\n[task]",
    ),
    (
        "[task]",
        "[observation]\nblocks = [\"lidar\", \"gaol\"]\n[task]",
    ),
    // Robots and sensors.
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = { box = { half_extents_m = [8, 1], center_m = [1, 0] } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = { polygon = { vertices_m = [[-1, -1], [1, -1], [0, 0], [1, 1]] } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "footprint = { polygon = { vertices_m = [[0, 0], [1, 0], [2, 0.001], [1, 1]] } }",
    ),
    (
        "max_accel_mps2 = 1.0",
        "max_accel_mps2 = 1.0\nmax_jerk_mps3 = 0",
    ),
    (
        "[robot.drive.differential]",
        "[robot.drive.ackermann]\nwheelbase_m = 0.3",
    ),
    (
        "[robot.drive.differential]\nmax_speed_mps = 1.0\nmax_turn_rate_radps = 2.0\nmax_accel_mps2 = 1.0\nmax_turn_accel_radps2 = 4.0",
        "[robot.drive.ackermann]\nwheelbase_m = 0.3\nmax_steering_rad = 1.6\nmax_steering_rate_radps = 1\nmax_speed_mps = 1\nmax_accel_mps2 = 1",
    ),
    (
        "[robot.lidar]",
        "[robot.actuation]\ndelay_secs = 11\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.actuation]\nslip = { uniform = [0, 1] }\n[robot.lidar]",
    ),
    ("range_m = 5.0", "range_m = 5.0\nbearing_noise_rad = 0.3"),
    ("range_m = 5.0", "range_m = 5.0\ndropout = 1.5"),
    ("range_m = 5.0", "range_m = 5.0\nlatency_secs = -0.1"),
    ("range_m = 5.0", "range_m = 5.0\nrate_hz = 10"),
    (
        "[robot.lidar]",
        "[robot.odometry]\ndistance_scale = 3\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[observation]\nblocks = [\"lidar\"]\n[robot.odometry]\n[robot.lidar]",
    ),
    ("[task]", "[observation]\nstack = 0\n[task]"),
    ("[task]", "[observation]\nlidar_sectors = 7\n[task]"),
    (
        "[task]",
        "[observation]\nblocks = [\"goal\"]\nlidar_sectors = 8\n[task]",
    ),
    // Shapes and positions.
    (
        "[arena]",
        "[[obstacles]]\npolygon = { vertices_m = [[1, 1], [2, 2]] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\npolygon = { vertices_m = [[1, 1], [4, 1], [2, 2], [1, 4]] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\npolygon = { vertices_m = [[1, 1], [2, 1], [3, 1], [2, 3]] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\npolygon = { vertices_m = [[1, 1], [2, 1], [2, 1], [2, 3]] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\npolygon = { vertices_m = [[5, 9], [2.6, 1.8], [8.8, 6.2], [1.2, 6.2], [7.4, 1.8]] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\nsegment = { from_m = [1, 1], to_m = [1, 1] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\ndisc = { center_m = [12, 5], radius_m = 1 }\n[arena]",
    ),
    (
        "[robot.lidar]",
        "[robot.start.region]\nmin_m = [4, 4]\nmax_m = [3, 6]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.start.at]\nposition_m = [11, 4]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.goal.at]\nposition_m = [9.9, 4]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.goal]\none_of = [{ at = { position_m = [9, 4] } }]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.goal]\none_of = [{ at = { position_m = [9, 4] } }, { at = { position_m = [12, 4] } }]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.start]\none_of = [\"anywhere\", { one_of = [\"anywhere\", \"anywhere\"] }]\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.goal.one_of]\nat = { position_m = [9, 4] }\n[robot.lidar]",
    ),
    (
        "[robot.lidar]",
        "[robot.start.at]\nposition_m = [1, 1]\n[robot.goal]\none_of = [{ at = { position_m = [9, 9] } }, { at = { position_m = [1, 2] } }]\n[robot.lidar]",
    ),
    (
        "[task]",
        "[[robot]]\nfootprint = { disc = { radius_m = 0.2 } }\ndrive = { differential = { max_speed_mps = 1, max_turn_rate_radps = 1, max_accel_mps2 = 1, max_turn_accel_radps2 = 1 } }\nlidar = { beams = 1, range_m = 1 }\n[task]",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 0\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 65\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 4\narrangement = \"circle_swap\"\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 4\narrangement = { line_swap = {} }\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 4\narrangement = { circle_swap = { radius_m = 4.9 } }\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 30\narrangement = { circle_swap = { radius_m = { uniform = [3, 4] } } }\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 4\narrangement = { circle_swap = { radius_m = 1 } }\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    (
        "footprint = { disc = { radius_m = 0.2 } }",
        "count = 4\narrangement = { circle_swap = { radius_m = 3 } }\nstart = { at = { position_m = [1, 1] } }\nfootprint = { disc = { radius_m = 0.2 } }",
    ),
    // Valid values that leave no possible layout.
    (
        "[arena]",
        "[[obstacles]]\nbox = { center_m = [5, 5], half_extents_m = [5, 5] }\n[arena]",
    ),
    (
        "[arena]",
        "[[obstacles]]\nsegment = { from_m = [5, 0], to_m = [5, 10] }\n[arena]",
    ),
];

fn load(text: &str) -> Result<Scenario, ScenarioError> {
    let scenario = Scenario::from_text("mine", "mine.toml", text, &[])?;
    scenario.check_layouts()?;
    Ok(scenario)
}

#[test]
fn scenario_file_errors() {
    let mut messages = String::new();
    for (line, replacement) in MISTAKES {
        assert!(
            REFERENCE.contains(line),
            "{line:?} is not in the reference scenario"
        );
        let mut text = REFERENCE.replacen(line, replacement, 1);
        if replacement.contains("segment = { from_m = [5, 0]") {
            // Force start and goal to different sides of the wall.
            text = text.replacen(
                "[robot.lidar]",
                "[robot.start.region]\nmin_m = [1, 1]\nmax_m = [4, 9]\n\
                 [robot.goal.region]\nmin_m = [6, 1]\nmax_m = [9, 9]\n[robot.lidar]",
                1,
            );
        }
        let error = load(&text).expect_err(replacement);
        let replacement = if replacement.is_empty() {
            "(nothing)"
        } else {
            replacement
        };
        writeln!(messages, "--- {line}  =>  {replacement}\n\n{error}\n").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn override_errors() {
    let mut messages = String::new();
    for flag in [
        "robot.lidar.baems=32",
        "robot.0.lidar.beams=many",
        "robot.lidar.beams=0",
        "robot.3.lidar.beams=32",
        "generate.discs.count=3",
        "generate.0.discs.radius=0.3",
        "generate.0.dics.count=3",
        "trian.steps=3",
        "robot.drive=differential",
        "reward.goal={}",
        "arena.size_m=[1",
    ] {
        let error = resolve("reference", &[Override::parse(flag).unwrap()]).expect_err(flag);
        writeln!(messages, "{error}").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn missing_scenario_errors() {
    let mut messages = String::new();
    for name in ["refernce", "utrap", "warehouse", "no/such.toml", "tests"] {
        writeln!(messages, "{}", resolve(name, &[]).expect_err(name)).unwrap();
    }
    insta::assert_snapshot!(messages);
}

/// Loads a scenario. If it is refused, the error must have a position in the text.
fn refuse_or_load(text: &str) -> Result<(), TestCaseError> {
    match Scenario::from_text("any", "any.toml", text, &[]) {
        Ok(_) => Ok(()),
        Err(diagnostic) => {
            let lines = text.split('\n').count();
            let message = diagnostic.to_string();
            prop_assert!(!diagnostic.message.is_empty());
            prop_assert!(
                !message.contains(|c: char| c.is_control() && c != '\n'),
                "{message:?}"
            );
            let (line, _) = diagnostic.position.expect("text has lines");
            prop_assert!(
                (1..=lines).contains(&line),
                "line {line} of {lines}: {message}"
            );
            Ok(())
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let dots = format!("{}a = 1", "a.".repeat(1000));
    let brackets = format!("a = {}", "[".repeat(10_000));
    let tables = format!("[a{}]", ".a".repeat(1000));
    for text in [dots, brackets, tables] {
        assert!(Scenario::from_text("deep", "deep.toml", &text, &[]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}|[\\[\\]{}=.,\"'#\\\\a-c0-9eE+\\-_ \\t\\r\\n\\x07]{0,60}") {
        refuse_or_load(&text)?;
    }

    #[test]
    fn edited_scenarios_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[-\\[\\]{}=.,\"'#a-z0-9_ \\n]{0,6}|-1|nan|inf|1e308|1e-308|\\{ uniform = \\[|[[robot]]"), 1..4),
    ) {
        let mut text: Vec<char> = REFERENCE.chars().collect();
        for (position, length, insertion) in edits {
            let position = position.index(text.len());
            let end = (position + length).min(text.len());
            text.splice(position..end, insertion.chars());
        }
        refuse_or_load(&text.into_iter().collect::<String>())?;
    }
}
