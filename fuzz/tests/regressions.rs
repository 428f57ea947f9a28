//! Runs every target on its first inputs and on the inputs that once failed.

use std::path::Path;

use evenkeel_fuzz::{TARGETS, seeds};

#[test]
fn first_inputs_are_read() {
    for target in TARGETS {
        let seeds = seeds(target.name);
        assert!(!seeds.is_empty(), "{} has no first input", target.name);
        for seed in seeds {
            (target.run)(&seed);
        }
    }
}

#[test]
fn inputs_that_once_failed_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut count = 0;
    for target in TARGETS {
        let Ok(files) = folder.join(target.name).read_dir() else {
            continue;
        };
        for file in files {
            let path = file.expect("a readable folder").path();
            println!("{}", path.display());
            (target.run)(&std::fs::read(&path).expect("a readable file"));
            count += 1;
        }
    }
    assert!(count > 0, "no input in {}", folder.display());
}
