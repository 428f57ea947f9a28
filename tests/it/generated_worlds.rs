//! Generated worlds: error messages, and reproducible crowds.

use std::fmt::Write as _;
use std::sync::Arc;

use evenkeel::env::NavEnv;
use evenkeel::scenario::Scenario;
use evenkeel::seed::Split;

const REFERENCE: &str = include_str!("../../scenarios/reference.toml");

/// Loads the reference scenario with one more entry.
fn reference_with(entry: &str) -> Result<Scenario, String> {
    let text = REFERENCE.replacen("[[robot]]", &format!("{entry}\n\n[[robot]]"), 1);
    Scenario::from_text("mine", "mine.toml", &text, &[]).map_err(|error| error.to_string())
}

#[test]
fn generator_errors() {
    let mut messages = String::new();
    for generator in [
        "cells = {}",
        "cells = { fill = 1.2 }",
        "cells = { fill = 0.2, smoothing = 2.5 }",
        "cells = { fill = 0.2, smoothing = { uniform = [-1, 4] } }",
        "cells = { fill = 0.2, columns = 64 }",
        "cells = { fill = 0.2, rows = 0 }",
        "cells = { fill = 0.2, lead_rows = 2000 }",
        "cells = { fill = 0.2, cell_m = 0 }",
        "cells = { fill = 0.2, corner_m = [11, 0] }",
        "maze = { columns = 0, rows = 4 }",
        "maze = { columns = 4, rows = 400 }",
        "maze = { columns = 18, rows = 4 }",
        "maze = { columns = 4, rows = 4, wall_m = 2.0 }",
        "maze = { columns = 4, rows = 4, braid = { uniform = [0.5, 1.5] } }",
        "maze = { columns = 4, rows = 4, method = \"prim\" }",
        "rooms = { min_side_m = 2.0, door_m = 0.5 }",
        "rooms = { min_side_m = 0.3, door_m = 0.8 }",
        "rooms = { min_side_m = 2.0, door_m = 0.8, second_doors = -0.1 }",
        "corridor = { width_m = 0.5 }",
        "corridor = { width_m = 1.0, bends = 50 }",
        "corridor = { width_m = 1.0, lay_bys = 0.5 }",
        "corridor = { width_m = 1.0, lay_by_m = [1.0, 0.0] }",
    ] {
        let error = reference_with(&format!("[[generate]]\n{generator}")).expect_err(generator);
        writeln!(messages, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn mover_errors() {
    let mut messages = String::new();
    for mover in [
        "linear = { speed_mps = 1 }",
        "linear = { radius_m = 0.2, speed_mps = -1 }",
        "linear = { radius_m = 0.2, speed_mps = 1, at_end = \"wrap\" }",
        "linear = { radius_m = 0.2, speed_mps = 1, start = { at = { position_m = [20, 1] } } }",
        "waypoints = { radius_m = 0.2, speed_mps = 1, points_m = [[1, 1]] }",
        "waypoints = { radius_m = 0.2, speed_mps = 1, points_m = [[1, 1], [1, 30]] }",
        "crowd = { count = 4 }",
        "crowd = { count = 0, pattern = \"flow\" }",
        "crowd = { count = 4, pattern = \"square\" }",
        "crowd = { count = 4, pattern = \"flow\", model = \"orca\" }",
        "crowd = { count = 4, pattern = \"flow\", radius_m = 6 }",
        "crowd = { count = 4, pattern = \"flow\", model = { orca = { horizon_secs = 0 } } }",
        "crowd = { count = 4, pattern = \"flow\", model = { social_force = { behind = 1.5 } } }",
        "crowd = { count = 4, pattern = \"flow\", model = { social_force = { view_deg = 400 } } }",
        "crowd = { count = 4, pattern = \"flow\", model = { social_force = { range_m = 0 } } }",
    ] {
        let error = reference_with(&format!("[[movers]]\n{mover}")).expect_err(mover);
        writeln!(messages, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn crowds_are_restored_bit_for_bit() {
    for name in ["crossing_orca", "crossing_social", "lay_by"] {
        let scenario = crate::helpers::scenario(name, &[]);
        let env = || NavEnv::new(Arc::clone(&scenario), 2, Split::Eval, 5).unwrap();
        let (mut first, mut resumed) = (env(), env());
        let mut steps = 0_usize;
        for episode in 0..4 {
            first.reset(episode);
            loop {
                let now = steps;
                let wave = |period: usize| (now % period) as f32 / period as f32 * 2.0 - 1.0;
                steps += 1;
                if first.step(&[wave(37), wave(23)]).outcome.is_some() {
                    break;
                }
                if steps.is_multiple_of(20) {
                    resumed.restore(&first.state()).unwrap();
                    assert_eq!(first.state_bits(), resumed.state_bits(), "{name}");
                }
            }
        }
    }
}
