//! Generated worlds as their users meet them.

use std::fmt::Write as _;

use evenkeel::scenario::Scenario;

const REFERENCE: &str = include_str!("../../scenarios/reference.toml");

/// What the reference scenario says with an entry more.
fn with(entry: &str) -> Result<Scenario, String> {
    let text = REFERENCE.replacen("[[robot]]", &format!("{entry}\n\n[[robot]]"), 1);
    Scenario::from_text("mine", "mine.toml", &text, &[]).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_with_a_generator_is_told_with_what_would_be_right() {
    let mut told = String::new();
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
        "rooms = { smallest_m = 2.0, door_m = 0.5 }",
        "rooms = { smallest_m = 0.3, door_m = 0.8 }",
        "rooms = { smallest_m = 2.0, door_m = 0.8, second_doors = -0.1 }",
        "corridor = { width_m = 0.5 }",
        "corridor = { width_m = 1.0, bends = 50 }",
        "corridor = { width_m = 1.0, lay_bys = 0.5 }",
        "corridor = { width_m = 1.0, lay_by_m = [1.0, 0.0] }",
    ] {
        let error = with(&format!("[[generate]]\n{generator}")).expect_err(generator);
        writeln!(told, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(told);
}
