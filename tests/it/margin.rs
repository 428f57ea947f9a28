//! `evenkeel margin` as a process.

use std::path::Path;

use evenkeel::lab::{MARGIN_FILE, MarginReport};
use serde_json::Value;

use crate::helpers::{self, evenkeel_in};

/// Runs of one iteration each, in a few tenths of a second.
const MARGIN: [&str; 14] = [
    "margin",
    "open_field",
    "--steps",
    "512",
    "--set",
    "train.num_envs=16",
    "--set",
    "train.horizon=32",
    "--set",
    "train.eval_episodes=20",
    "--seeds",
    "2",
    "--out",
    "out",
];

fn answer(folder: &Path, args: &[&str]) -> Value {
    helpers::answer(folder, &[&MARGIN[..], args, &["--json"]].concat())
}

fn failure(folder: &Path, args: &[&str]) -> String {
    let output = evenkeel_in(folder, args);
    assert!(!output.status.success(), "{args:?} is accepted");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_margin_is_measured_continued_and_extended() {
    let root = tempfile::tempdir().unwrap();
    let args = ["--arms", "clipped", "--axis", "epochs,sensor_noise"];
    let first = answer(root.path(), &args);
    let text = std::fs::read(root.path().join("out").join(MARGIN_FILE)).unwrap();
    let report: MarginReport = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        (report.scenario.as_str(), report.steps),
        ("open_field", 512)
    );
    assert_eq!((report.margins.len(), &report.seeds), (2, &vec![1, 2]));
    let [epochs, noise] = [&report.margins[0], &report.margins[1]];
    assert!(!epochs.from_zero && noise.from_zero);
    // The unchanged runs belong to both axes. The others change their axis, and nothing else.
    for (margin, setting) in [
        (epochs, "train.epochs="),
        (noise, "robot.0.lidar.range_noise_m="),
    ] {
        assert!(margin.probes.len() > 1, "{margin:?}");
        for probe in &margin.probes {
            assert_eq!(probe.runs.len(), 2);
            match probe.set.as_slice() {
                [] => assert!(probe.octaves == 0.0),
                [change] => assert!(change.starts_with(setting), "{change}"),
                several => panic!("{several:?}"),
            }
        }
    }
    let page = std::fs::read_to_string(root.path().join("out/margin.html")).unwrap();
    assert!(page.contains("sensor_noise") && page.contains("</html>"));

    // Again, nothing is trained, and the answer is the same.
    let run = root.path().join("out/clipped__s1/run.json");
    let before = std::fs::metadata(&run).unwrap().modified().unwrap();
    assert_eq!(answer(root.path(), &args), first);
    assert_eq!(std::fs::metadata(&run).unwrap().modified().unwrap(), before);
    // Another arm is added to what is there.
    let both = ["--arms", "clipped,raw", "--axis", "epochs,sensor_noise"];
    let extended = answer(root.path(), &both);
    assert_eq!(extended["arms"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::metadata(&run).unwrap().modified().unwrap(), before);

    let mut other = MARGIN.to_vec();
    other[3] = "1024";
    let error = failure(root.path(), &other);
    assert!(
        error.contains("holds margins of open_field with 512 steps"),
        "{error}"
    );
}

#[test]
fn an_invalid_margin_starts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let error = |args: &[&str]| failure(root.path(), &[&MARGIN[..], args].concat());
    assert!(error(&["--axis", "learning_rat"]).contains("did you mean 'learning_rate'?"));
    assert!(error(&["--axis", "recurrent_gain"]).contains("needs a policy with memory"));
    assert!(error(&["--axis", "epochs,epochs"]).contains("axis 'epochs' is named twice"));
    assert!(error(&["--arms", "raw,raw"]).contains("arm 'raw' is named twice"));
    assert!(error(&["--arms", "rwa"]).contains("no arm 'rwa'"));
    assert!(!root.path().join("out").exists());
}

#[test]
fn a_run_that_is_far_behind_ends_early() {
    let root = tempfile::tempdir().unwrap();
    let train = |rule: &str, out: &str| {
        let args = [
            "train",
            "open_field",
            "--steps",
            "4096",
            "--set",
            "train.num_envs=16",
            "--set",
            "train.horizon=32",
            "--set",
            "train.eval_episodes=20",
            "--episodes",
            "0",
            "--stop-below",
            rule,
            "--out",
            out,
        ];
        helpers::answer(root.path(), &[&args[..], &["--json"]].concat())
    };
    let stopped = train("1k:1.0", "behind");
    assert_eq!(stopped["status"], "stopped");
    assert_eq!(stopped["stopped_by"]["step"], 1000);
    let steps = stopped["global_step"].as_u64().unwrap();
    assert!((1000..4096).contains(&steps), "{steps}");
    assert_eq!(train("1k:0.0", "ahead")["status"], "finished");
    // Resumed, it goes on to its end.
    let resumed = helpers::answer(root.path(), &["train", "--resume", "behind", "--json"]);
    assert_eq!(resumed["status"], "finished");
    let error = failure(root.path(), &["train", "open_field", "--stop-below", "1k"]);
    assert!(
        error.contains("STEP:SUCCESS with a success rate from 0 to 1"),
        "{error}"
    );
}
