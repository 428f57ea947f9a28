//! The commands that record, replay and export.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use evenkeel::recording::RecordingReader;
#[cfg(feature = "parquet")]
use evenkeel::recording::messages::RobotStep;

use crate::helpers::{evenkeel, text};
use crate::recordings::{change_step, differences, episodes, rewrite};

fn output(args: &[&str]) -> Output {
    evenkeel(args).output().expect("the program starts")
}

fn record_with_the_program(folder: &Path) -> PathBuf {
    let path = folder.join("a.mcap");
    let args = [
        "record",
        "planner:straight",
        "--scenario",
        "movers",
        "--episodes",
        "3",
        "--out",
    ];
    let output = evenkeel(&args).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("evenkeel replay"),
        "{}",
        text(&output.stdout)
    );
    path
}

#[test]
fn program_records_lists_verifies_and_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = record_with_the_program(folder.path());
    let file = path.to_str().unwrap();
    let listing = output(&["replay", file, "--json"]);
    let listing: serde_json::Value = serde_json::from_slice(&listing.stdout).unwrap();
    assert_eq!(listing["policy"], "planner:straight");
    assert_eq!(listing["episodes"].as_array().unwrap().len(), 3);
    assert!(listing["cut_off"].is_null());
    let same = output(&["replay", file, "--verify"]);
    assert!(same.status.success() && text(&same.stdout).contains("bit for bit"));

    let changed = folder.path().join("b.mcap");
    rewrite(&path, &changed, |topic, data| {
        if topic == "/step" {
            change_step(data, |step| {
                if (step.episode, step.step) == (1, 4) {
                    step.action[0] = 0.125;
                }
            });
        }
    });
    let differs = output(&["replay", changed.to_str().unwrap(), "--verify"]);
    assert_eq!(differs.status.code(), Some(1));
    let stdout = text(&differs.stdout);
    assert!(
        stdout.contains("episode 1 differs from step 4 on"),
        "{stdout}"
    );
    assert!(stdout.contains("recorded by evenkeel") && stdout.contains("simulated by evenkeel"));

    let exported = output(&["export", file, "--format", "csv"]);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let csv = fs::read_to_string(folder.path().join("a.csv")).unwrap();
    let steps: u64 = listing["episodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|episode| episode["steps"].as_u64().unwrap())
        .sum();
    assert_eq!(csv.lines().count() as u64, steps + 1);
}

/// A recording whose process was killed can be read and verified.
#[cfg(unix)]
#[test]
fn killed_recording_is_read_up_to_its_last_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let unfinished = folder.path().join("a.unfinished.mcap");
    let args = [
        "record",
        "planner:straight",
        "--scenario",
        "movers",
        "--episodes",
        "10000000",
    ];
    let mut child = evenkeel(&args)
        .arg("--out")
        .arg(&path)
        .spawn()
        .expect("the program starts");
    let length = || fs::metadata(&unfinished).map_or(0, |file| file.len());
    while length() < 1_000_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !path.exists(),
        "only a complete recording has the final name"
    );
    let mut reader = RecordingReader::open(&unfinished).unwrap();
    let found = episodes(&mut reader);
    let steps: usize = found.iter().map(|episode| episode.steps.len()).sum();
    assert!(steps > 100, "{steps} steps");
    assert_eq!(differences(&unfinished), []);
    let listing = output(&["replay", unfinished.to_str().unwrap()]);
    assert!(listing.status.success());
    assert!(
        text(&listing.stdout).contains("cut off"),
        "{}",
        text(&listing.stdout)
    );
}

/// Without `--out`, settings that give other episodes do not replace an earlier recording.
#[test]
fn a_recording_with_other_settings_gets_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let record = |set: &[&str]| {
        let args = ["record", "planner:straight", "--scenario", "movers"];
        let args = [&args[..], &["--episodes", "1", "--json"], set].concat();
        crate::helpers::answer(folder.path(), &args)["path"].clone()
    };
    let first = record(&[]);
    let path = folder.path().join(first.as_str().unwrap());
    let bytes = fs::read(&path).unwrap();
    let limit = ["--set", "task.time_limit_secs=2.0"];
    let second = record(&limit);
    assert_ne!(second, first);
    assert_eq!(fs::read(&path).unwrap(), bytes, "the first is still there");
    // The same settings give the same file again.
    assert_eq!((record(&[]), record(&limit)), (first, second));
}

#[cfg(feature = "parquet")]
#[test]
#[allow(clippy::float_cmp, reason = "the numbers are written and read exactly")]
fn parquet_has_the_numbers_of_the_recording() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    let folder = tempfile::tempdir().unwrap();
    let path = record_with_the_program(folder.path());
    let out = folder.path().join("steps.parquet");
    let args = [
        "export",
        path.to_str().unwrap(),
        "--format",
        "parquet",
        "--out",
    ];
    let exported = evenkeel(&args).arg(&out).output().unwrap();
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let reader = SerializedFileReader::new(fs::File::open(out).unwrap()).unwrap();
    let steps: Vec<RobotStep> = episodes(&mut RecordingReader::open(&path).unwrap())
        .into_iter()
        .flat_map(|episode| episode.steps)
        .collect();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), steps.len());
    for (row, step) in rows.iter().zip(&steps) {
        assert_eq!(row.get_long(0).unwrap() as u64, step.episode);
        let of = |name: &str| {
            row.get_column_iter()
                .find(|(column, _)| *column == name)
                .unwrap()
                .1
        };
        assert_eq!(of("outcome").to_string(), format!("{:?}", step.outcome));
        assert_eq!(of("value").to_string(), "null");
        let number = |name: &str| of(name).to_string().parse::<f32>().unwrap();
        assert_eq!(number("x_m"), step.state.as_ref().unwrap().x_m);
        assert_eq!(number("obs_lidar_3"), step.observation[3]);
    }
}
