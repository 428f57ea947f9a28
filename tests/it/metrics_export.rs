//! What other programs read of a run: the tables of `evenkeel export` and the checkpoint, as
//! `docs/metrics.md` and `docs/checkpoints.md` describe them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use crate::helpers::{answer, evenkeel_in, failure, text};
use crate::python::run_python;

/// Trains for a few iterations, with evaluations and a normaliser that has moved.
fn train(folder: &Path) {
    let args = [
        "train",
        "open_field",
        "--envs=16",
        "--steps=12k",
        "--episodes=0",
        "--set=train.horizon=64",
        "--set=train.eval_every=4",
        "--set=train.eval_episodes=4",
        "--out=run",
    ];
    let output = evenkeel_in(folder, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A table in a CSV file without quotes: the columns by name.
fn read_csv(path: &Path) -> HashMap<String, Vec<String>> {
    let table = fs::read_to_string(path).expect("a table");
    let mut lines = table.lines().map(|line| line.split(','));
    let names: Vec<&str> = lines.next().expect("names").collect();
    let mut columns: HashMap<String, Vec<String>> = HashMap::new();
    for line in lines {
        let fields: Vec<&str> = line.collect();
        assert_eq!(fields.len(), names.len());
        for (name, field) in names.iter().zip(fields) {
            let column = columns.entry((*name).to_owned()).or_default();
            column.push(field.to_owned());
        }
    }
    columns
}

fn numbers(column: &[String]) -> Vec<f64> {
    let numbers = column.iter().map(|field| field.parse());
    numbers.collect::<Result<_, _>>().expect("numbers")
}

#[test]
fn a_run_is_exported_with_a_row_per_iteration() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path());
    let exported = answer(folder.path(), &["export", "run", "--format=csv", "--json"]);
    assert_eq!(exported["path"], "run/iterations.csv");
    assert_eq!(exported["rows"], 12);
    let table = read_csv(&folder.path().join("run/iterations.csv"));
    assert_eq!(exported["columns"], table.len());
    let iterations: Vec<f64> = (1..=12).map(f64::from).collect();
    assert_eq!(numbers(&table["iteration"]), iterations);
    let norms = numbers(&table["mean.layer_norms.actor.0.weight"]);
    assert!(norms.iter().all(|norm| *norm > 0.0), "{norms:?}");
    for name in [
        "outcomes.collision_static",
        "reward_terms.progress",
        "layers.critic.2.weight.spectral_norm",
        "wall.elapsed_secs",
    ] {
        numbers(&table[name]);
    }
    let success = &table["evaluation.summary.success.value"];
    // At first after every iteration, then after every second.
    let missing: Vec<usize> = (0..12).filter(|row| success[*row].is_empty()).collect();
    assert_eq!(missing, [8, 10]);

    let steps = ["export", "run", "--format=csv", "--rows=steps", "--json"];
    let exported = answer(folder.path(), &steps);
    let table = read_csv(&folder.path().join("run/steps.csv"));
    assert_eq!(exported["rows"], table["grad_norm"].len());
    numbers(&table["clip.global_norm.norm_before"]);
    let args = [
        "export",
        "run",
        "--format=csv",
        "--rows=evaluations",
        "--json",
    ];
    assert_eq!(answer(folder.path(), &args)["rows"], 10);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_columns_of_csv() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    train(folder.path());
    answer(folder.path(), &["export", "run", "--format=csv", "--json"]);
    answer(
        folder.path(),
        &["export", "run", "--format=parquet", "--json"],
    );
    let csv = read_csv(&folder.path().join("run/iterations.csv"));
    let file = fs::File::open(folder.path().join("run/iterations.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row.get_column_iter().count(), csv.len());
        for (name, field) in row.get_column_iter() {
            let (csv, parquet) = (&csv[name][index], field.to_string());
            match csv.as_str() {
                "" => assert_eq!(parquet, "null", "{name}"),
                "0" | "1" if parquet == "true" || parquet == "false" => {
                    assert_eq!(parquet == "true", csv == "1", "{name}");
                }
                number => {
                    let [csv, parquet] = [number, &parquet].map(str::parse::<f64>);
                    assert_eq!(csv.unwrap().to_bits(), parquet.unwrap().to_bits(), "{name}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_exported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = failure(folder.path(), &["export", "a.mcap", "--format=csv"]);
    assert_eq!(missing, "error: a.mcap: no such file\n");
    fs::write(folder.path().join("a.mcap"), "").unwrap();
    let rows = ["export", "a.mcap", "--format=csv", "--rows=steps"];
    assert!(failure(folder.path(), &rows).starts_with("error: --rows is for runs;"));
    let no_run = failure(folder.path(), &["export", "@last", "--format=csv"]);
    assert!(no_run.contains("evenkeel train"), "{no_run}");
}

/// Trains a policy and records an episode of it. Returns the checkpoint and the episode's table.
fn checkpoint_and_episode(folder: &Path) -> (PathBuf, PathBuf) {
    train(folder);
    let record = [
        "record",
        "run/checkpoints/best",
        "--episodes=1",
        "--out=a.mcap",
        "--json",
    ];
    answer(folder, &record);
    answer(folder, &["export", "a.mcap", "--format=csv", "--json"]);
    (folder.join("run/checkpoints/best"), folder.join("a.csv"))
}

/// Columns whose names begin so, row by row.
fn rows_of(table: &HashMap<String, Vec<String>>, names: &[String]) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = names.iter().map(|name| numbers(&table[name])).collect();
    let row = |row: usize| columns.iter().map(|column| column[row]).collect();
    (0..columns[0].len()).map(row).collect()
}

/// The tensors of a checkpoint by name, as doubles.
fn tensors(checkpoint: &Path) -> HashMap<String, Vec<f64>> {
    use safetensors::Dtype;

    let bytes = fs::read(checkpoint.join("policy.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        let (singles, _) = tensor.data().as_chunks::<4>();
        let (doubles, _) = tensor.data().as_chunks::<8>();
        match tensor.dtype() {
            Dtype::F32 => singles
                .iter()
                .map(|&x| f32::from_le_bytes(x).into())
                .collect(),
            Dtype::F64 => doubles.iter().map(|&x| f64::from_le_bytes(x)).collect(),
            other => panic!("{name} is {other:?}"),
        }
    };
    let names = file.names();
    names
        .iter()
        .map(|name| ((*name).to_owned(), values(name)))
        .collect()
}

/// The action, by the arithmetic of `docs/checkpoints.md`.
fn act(tensors: &HashMap<String, Vec<f64>>, observation: &[f64]) -> Vec<f64> {
    let part = |name: &str| &tensors[&format!("normaliser.observation.{name}")];
    let count = part("count")[0];
    let moments = part("mean").iter().zip(part("squares"));
    let normalised = observation.iter().zip(moments).map(|(x, (mean, squares))| {
        ((x - mean) / (squares / count).sqrt().max(1.0)).clamp(-10.0, 10.0)
    });
    let mut x: Vec<f64> = normalised.collect();
    for layer in 0..3 {
        let weight = &tensors[&format!("actor.{layer}.weight")];
        let bias = &tensors[&format!("actor.{layer}.bias")];
        let rows = weight.chunks_exact(x.len()).zip(bias);
        let sums =
            rows.map(|(row, bias)| bias + row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>());
        x = if layer < 2 {
            sums.map(f64::tanh).collect()
        } else {
            sums.map(|sum| sum.clamp(-1.0, 1.0)).collect()
        };
    }
    x
}

#[test]
fn the_documented_arithmetic_gives_the_recorded_actions() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, episode) = checkpoint_and_episode(folder.path());
    let (tensors, table) = (tensors(&checkpoint), read_csv(&episode));
    let length = tensors["normaliser.observation.mean"].len();
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(checkpoint.join("state.json")).unwrap()).unwrap();
    let mut names = Vec::new();
    for block in state["obs_blocks"].as_array().unwrap() {
        let (name, length) = (block[0].as_str().unwrap(), block[2].as_u64().unwrap());
        assert_eq!(block[1], names.len());
        names.extend((0..length).map(|index| format!("obs_{name}_{index}")));
    }
    assert_eq!(names.len(), length);
    let actions = ["action_speed", "action_turn_rate"].map(str::to_owned);
    let observations = rows_of(&table, &names);
    assert!(observations.len() > 20);
    for (observation, recorded) in observations.iter().zip(rows_of(&table, &actions)) {
        for (computed, recorded) in act(&tensors, observation).iter().zip(&recorded) {
            assert!((computed - recorded).abs() < 1e-5, "{computed} {recorded}");
        }
    }
}

/// The blocks of Python in a page.
fn python_blocks(page: &str) -> String {
    let blocks = page.split("```python\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_numpy_of_the_guide_reproduces_the_recorded_actions() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, episode) = checkpoint_and_episode(folder.path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/checkpoints.md")).unwrap();
    let blocks = python_blocks(&page);
    let args = [
        OsStr::new("-c"),
        OsStr::new(&blocks),
        checkpoint.as_ref(),
        episode.as_ref(),
    ];
    let Some(printed) = run_python(&["numpy", "safetensors"], &args) else {
        return;
    };
    let printed = printed.trim();
    let difference: f64 = printed
        .strip_prefix("largest difference: ")
        .unwrap_or_else(|| panic!("{printed}"))
        .parse()
        .unwrap();
    assert!(difference < 1e-5, "{printed}");
}
