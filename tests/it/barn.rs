//! The BARN challenge's arithmetic on its own files. They are not part of the repository; without
//! them these tests print a note and check nothing.

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel::eval::barn::{npy_points, polyline_m};

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data/barn", "../../shared/data/barn"]
        .map(|folder| root.join(folder))
        .into_iter()
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no barn in ../shared/data");
    }
    found
}

#[test]
fn polyline_lengths_match_the_challenge() {
    let Some(data) = data() else { return };
    // Computed with the challenge's own numpy code from its path_files.
    let expect = [
        (1, 12.431_229_157),
        (7, 12.453_000_784),
        (19, 12.911_829_244),
        (103, 11.121_072_753),
        (151, 10.993_231_936),
        (205, 11.095_553_232),
        (295, 11.203_766_670),
    ];
    for (world, length) in expect {
        let path = data.join(format!("path_files/path_{world}.npy"));
        let cells = npy_points(&fs::read(path).unwrap()).unwrap();
        let found = polyline_m(&cells);
        assert!(
            (found - length).abs() < 1e-6,
            "world {world}: {found} m, not {length} m"
        );
    }
}

#[test]
fn every_path_file_can_be_read() {
    let Some(data) = data() else { return };
    let mut count = 0;
    for entry in fs::read_dir(data.join("path_files")).unwrap() {
        let path = entry.unwrap().path();
        let cells = npy_points(&fs::read(&path).unwrap());
        let cells = cells.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Each cell is one of the eight neighbours of the previous one.
        for pair in cells.windows(2) {
            let step = (pair[1][0] - pair[0][0])
                .abs()
                .max((pair[1][1] - pair[0][1]).abs());
            assert!(step <= 1.0, "{}: {pair:?}", path.display());
        }
        let length = polyline_m(&cells);
        assert!(
            (10.0..20.0).contains(&length),
            "{}: {length} m",
            path.display()
        );
        count += 1;
    }
    assert!(count > 0);
}
