//! Runs one target under libFuzzer. The environment variable `EVENKEEL_FUZZ_TARGET` selects it; the
//! arguments are libFuzzer's. With `EVENKEEL_FUZZ_SEEDS`, it writes the target's first inputs into that
//! folder instead, and ends.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use evenkeel_fuzz::{TARGETS, Target, mutate, target, write_seeds};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

const VARIABLE: &str = "EVENKEEL_FUZZ_TARGET";
const SEEDS: &str = "EVENKEEL_FUZZ_SEEDS";

static SELECTED: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        panic!("{VARIABLE} is {name:?}; it must be one of {names:?}")
    })
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os(SEEDS) {
            write_seeds(SELECTED.name, Path::new(&folder)).expect("a writable folder");
            std::process::exit(0);
        }
    },
    |input: &[u8]| {
        (SELECTED.run)(input);
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(SELECTED.format, data, size, max_size, seed, fuzzer_mutate)
});
