//! `evenkeel compare --grid` as a process.

use std::path::Path;
use std::process::Output;

use evenkeel::runs::{Comparison, RunDir};
use serde_json::Value;

use crate::helpers::{self, evenkeel_in};
use crate::synthetic_runs::{self, CLIPPED, RAW, UNCLIPPED};

const COMPARE: [&str; 5] = ["compare", "--grid", "grid.toml", "--out", "out"];

fn compare(folder: &Path) -> Output {
    evenkeel_in(folder, &COMPARE)
}

fn answer(folder: &Path, args: &[&str]) -> Value {
    helpers::answer(folder, &[&COMPARE[..], args, &["--json"]].concat())
}

fn failure(text: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("grid.toml"), text).unwrap();
    let output = compare(root.path());
    assert!(!output.status.success(), "{text}\nis accepted");
    assert!(!root.path().join("out").exists(), "{text}");
    String::from_utf8(output.stderr).unwrap()
}

const SMALL_GRID: &str = r#"
scenarios = ["open_field"]
seeds = 1
steps = 512
episodes = 5
set = ["train.num_envs=16", "train.horizon=16"]
baseline = "clipped+gamma_0.9+small"

[[axis]]
name = "clip"
arms = ["unclipped", "clipped"]

[[axis]]
name = "discount"
setting = "train.gamma"
values = [0.9, 0.99]

[[axis]]
name = "network"
setting = "policy.actor.hidden"
values = [[8], [16, 16]]
names = ["small", "large"]
"#;

/// Trains eight cells for two iterations each, deletes one run, and adds a seed.
#[test]
fn grid_is_trained_and_extended() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("grid.toml");
    std::fs::write(&file, SMALL_GRID).unwrap();
    let first = answer(root.path(), &["--jobs", "2"]);
    let cells = first["grids"][0]["cells"].as_array().unwrap();
    assert_eq!(
        first["axes"],
        serde_json::json!(["clip", "discount", "network"])
    );
    assert_eq!(cells.len(), 8);
    let options = serde_json::json!(["unclipped", "gamma_0.9", "small"]);
    assert_eq!(cells[0]["options"], options);
    assert_eq!(cells[4]["cell"], first["baseline"]);
    assert_eq!(cells[4]["difference_to_baseline"], Value::Null);
    assert_eq!(cells[0]["difference_to_baseline"]["seeds"], 1);
    assert_eq!(cells[0]["diverged"]["total"], 1);

    // A cell has exactly the settings of its options.
    let comparison = root.path().join("out/open_field");
    let run = |name: &str| RunDir::open(&comparison.join(name)).unwrap();
    let config = run("unclipped+gamma_0.99+large__s1").config().unwrap();
    assert_eq!(config["stability"]["clip"].as_array().unwrap().len(), 0);
    assert_eq!(config["train"]["gamma"].as_float(), Some(0.99));
    assert_eq!(
        config["policy"]["actor"]["hidden"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // As after an interruption: one run was never started, the others are finished.
    let deleted = comparison.join("unclipped+gamma_0.9+small__s1");
    std::fs::remove_dir_all(&deleted).unwrap();
    let mut manifest = Comparison::read(&comparison).unwrap();
    manifest
        .runs
        .retain(|run| run.arm != "unclipped+gamma_0.9+small");
    manifest.write(&comparison).unwrap();
    let log = comparison.join("clipped+gamma_0.99+large__s1/metrics.jsonl");
    let before = std::fs::read(&log).unwrap();
    std::fs::write(&file, SMALL_GRID.replace("seeds = 1", "seeds = 2")).unwrap();
    let second = answer(root.path(), &["--jobs", "2"]);
    let cells = second["grids"][0]["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["diverged"]["total"] == 2));
    assert!(deleted.is_dir());
    assert_eq!(
        std::fs::read(&log).unwrap(),
        before,
        "a finished run was trained again"
    );
    assert!(root.path().join("out/report.html").is_file());

    // The settings of an existing cell must not change.
    std::fs::write(
        &file,
        SMALL_GRID.replace("values = [[8], [16, 16]]", "values = [[8], [32, 16]]"),
    )
    .unwrap();
    let output = compare(root.path());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expect = "grid.toml: arm 'large' has other settings than in out/open_field";
    assert!(stderr.contains(expect), "{stderr}");
}

#[test]
fn grid_as_text() {
    let root = tempfile::tempdir().unwrap();
    let text = "scenarios = ['reference']\nbaseline = 'clipped'\n\
                [[axis]]\nname = 'arm'\narms = ['raw', 'clipped', 'unclipped']\n";
    std::fs::write(root.path().join("grid.toml"), text).unwrap();
    let runs = root.path().join("runs");
    let comparison = root.path().join("out/reference");
    std::fs::create_dir_all(&comparison).unwrap();
    for record in synthetic_runs::runs(&runs, &[CLIPPED, UNCLIPPED, RAW], 5) {
        let name = format!("{}__s{}", record.info.arm, record.info.seed);
        std::fs::rename(runs.join(&record.name), comparison.join(name)).unwrap();
    }
    let output = compare(root.path());
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn grid_errors() {
    let axis = "[[axis]]\nname = 'clip'\narms = ['clipped', 'raw']\n";
    let with = |head: &str, tail: &str| format!("scenarios = ['open_field']\n{head}{axis}{tail}");
    let values = |setting: &str, values: &str| {
        with(
            "",
            &format!("[[axis]]\nname = 'b'\nsetting = '{setting}'\nvalues = {values}\n"),
        )
    };
    let cases = [
        with("sedes = 3\n", ""),
        with("seeds = 0\n", ""),
        with("set = ['train.gamma']\n", ""),
        with("baseline = 'clippd'\n", ""),
        "scenarios = ['open_feld']\n[[axis]]\nname = 'clip'\narms = ['raw']\n".into(),
        "scenarios = ['open_field']\naxis = []\n".into(),
        with("", "[[axis]]\nname = 'clip'\narms = ['agc']\n"),
        with("", "[[axis]]\nname = 'b'\narms = ['raw+agg']\n"),
        with("", "[[axis]]\nname = 'b'\narms = []\n"),
        with("", "[[axis]]\nname = 'b'\nvalues = [1]\n"),
        values("arena.size_m", "[1]"),
        values("stability.clip.0.global_norm.max", "[1]"),
        values("train.gama", "[0.9]"),
        values("train.gamma", "[0.9, 7]"),
        values("policy.actor.hidden", "[[8], [16]]"),
    ];
    let messages: Vec<String> = cases.iter().map(|text| failure(text)).collect();
    insta::assert_snapshot!(messages.join("---\n"));
}

#[test]
fn shipped_grids_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grids");
    let cells = |name: &str| {
        let grid = evenkeel::lab::ExperimentGrid::load(&folder.join(name)).unwrap();
        grid.cells().len()
    };
    assert_eq!((cells("clips.toml"), cells("remedies.toml")), (18, 38));
}

const SAMPLED_GRID: &str = r#"
scenarios = ["open_field"]
seeds = 1
steps = 1536
episodes = 5
samples = 6
give_up = "median"
set = ["train.num_envs=16", "train.horizon=16", "train.eval_every=1", "train.eval_episodes=10"]

[[axis]]
name = "lr"
setting = "train.learning_rate"
log_uniform = [1e-4, 1e-2]

[[axis]]
name = "time"
setting = "reward.time"
uniform = [-0.1, 0.0]

[[axis]]
name = "epochs"
setting = "train.epochs"
uniform = [1, 4]
whole = true

[[axis]]
name = "clip"
arms = ["unclipped", "clipped"]
"#;

/// A sampled grid trains the cells that its seed gives, whatever is asked for later.
#[test]
fn sampled_grid_is_trained_resumed_and_extended() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("grid.toml");
    std::fs::write(&file, SAMPLED_GRID).unwrap();
    let first = answer(root.path(), &["--jobs", "2"]);
    let names = |answer: &Value| -> Vec<String> {
        let cells = answer["grids"][0]["cells"].as_array().unwrap();
        let name = |cell: &Value| cell["cell"].as_str().unwrap().to_owned();
        cells.iter().map(name).collect()
    };
    let cells = names(&first);
    assert_eq!((cells.len(), cells[0].as_str()), (7, "clipped"));
    assert_eq!(first["baseline"], "clipped");
    let best = &first["grids"][0]["best"];
    assert!(cells.contains(&best["cell"].as_str().unwrap().to_owned()));
    assert_eq!(best["rivals"], Value::Null);

    // A cell's name states its values.
    let comparison = root.path().join("out/open_field");
    let run = RunDir::open(&comparison.join(format!("{}__s1", cells[1]))).unwrap();
    let config = run.config().unwrap();
    let value = |axis: &str| -> f64 {
        let mut parts = cells[1].split('+');
        let part = parts.find_map(|part| part.strip_prefix(axis)).unwrap();
        part.parse().unwrap()
    };
    let settings = &config["train"];
    assert_eq!(settings["learning_rate"].as_float(), Some(value("lr_")));
    assert_eq!(
        settings["epochs"].as_integer(),
        Some(value("epochs_") as i64)
    );
    assert_eq!(config["reward"]["time"].as_float(), Some(value("time_")));
    assert!((1e-4..=1e-2).contains(&value("lr_")));

    // Runs after the first round have rules, those of the first have none.
    let info = |cell: &str| {
        let run = RunDir::open(&comparison.join(format!("{cell}__s1"))).unwrap();
        run.info().unwrap()
    };
    assert!(info(&cells[1]).stop_below.is_empty());
    assert!(cells.iter().all(|cell| info(cell).is_over()));

    // More samples keep the cells that are there.
    let more = SAMPLED_GRID.replace("samples = 6", "samples = 8");
    std::fs::write(&file, more).unwrap();
    let second = answer(root.path(), &["--jobs", "2"]);
    assert_eq!(names(&second)[..7], cells);
    assert_eq!(names(&second).len(), 9);
}

#[test]
fn mistakes_in_a_sampled_grid_are_named() {
    let errors = [
        ("samples = 6", "samples = 0"),
        ("samples = 6", ""),
        ("[1e-4, 1e-2]", "[0.0, 1e-2]"),
        ("[1e-4, 1e-2]", "[1e-2, 1e-4]"),
        ("[1e-4, 1e-2]", "[1e-4, 1e-2]\nvalues = [1.0]"),
        ("\"reward.time\"", "\"arena.size_m\""),
        ("name = \"time\"", "name = \"time limit\""),
        ("give_up = \"median\"", "give_up = \"mean\""),
        ("uniform = [1, 4]", "uniform = [0.0, 0.4]"),
    ]
    .map(|(text, replacement)| failure(&SAMPLED_GRID.replace(text, replacement)));
    insta::assert_snapshot!(errors.join("---\n"));
}
