//! Files that commands write: they replace no input, and are whole or absent.

use std::fs;
use std::path::Path;

#[cfg(feature = "learn")]
use crate::helpers::answer;
use crate::helpers::{evenkeel_in, failure, text};

/// A scenario on a map, the map's two files, a recording, and two names for the scenario.
fn workplace() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let mut image = b"P5 40 40 255\n".to_vec();
    image.extend((0..1600).map(|at| {
        if at / 40 == 20 && at % 40 < 12 {
            0
        } else {
            254
        }
    }));
    fs::write(path("floor.pgm"), image).unwrap();
    let yaml = "image: floor.pgm\nresolution: 0.25\norigin: [0.0, 0.0, 0.0]\nnegate: 0\n\
                occupied_thresh: 0.65\nfree_thresh: 0.196\n";
    fs::write(path("floor.yaml"), yaml).unwrap();
    let scenario = evenkeel_in(root.path(), &["scenario", "show", "open_field", "--toml"]);
    let scenario = text(&scenario.stdout).replace(
        "[arena]\n",
        "[arena]\nmap = { ros = { file = \"floor.yaml\" } }\n",
    );
    let scenario: Vec<&str> = scenario
        .lines()
        .filter(|line| !line.starts_with("size_m"))
        .collect();
    fs::write(path("floor.toml"), scenario.join("\n")).unwrap();
    let args = [
        "record",
        "planner:straight",
        "--scenario=floor.toml",
        "--episodes=1",
        "--out=floor.mcap",
    ];
    let output = evenkeel_in(root.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("floor.toml", path("soft")).unwrap();
        fs::hard_link(path("floor.toml"), path("hard")).unwrap();
    }
    root
}

/// The contents of all files in a folder, by name.
fn contents(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<_> = files
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn an_output_never_replaces_an_input() {
    let root = workplace();
    let before = contents(root.path());
    let show = ["scenario", "show", "floor.toml"];
    let eval = [
        "eval",
        "planner:random",
        "--scenario=floor.toml",
        "--episodes=1",
    ];
    let record = ["record", "planner:random", "--scenario=floor.toml"];
    let import = ["scenario", "import", "floor.yaml"];
    let export = ["export", "floor.mcap", "--format=csv"];
    let mut cases: Vec<(&[&str], &str)> = vec![
        (&show, "floor.toml"),
        (&show, "./floor.toml"),
        (&show, "floor.yaml"),
        (&show, "floor.pgm"),
        (&import, "floor.yaml"),
        (&import, "floor.pgm"),
        (&record, "floor.toml"),
        (&record, "floor.pgm"),
        (&export, "floor.mcap"),
        (&eval, "floor.toml"),
    ];
    if cfg!(unix) {
        cases.extend([(&show[..], "soft"), (&show, "hard"), (&record, "hard")]);
    }
    for (args, out) in cases {
        let message = failure(root.path(), &[args, &["--out", out]].concat());
        let is_clear = message.starts_with(&format!("error: --out {out}: "))
            && message.contains("read")
            && message.ends_with("name another file to write to\n");
        assert!(is_clear, "{args:?}: {message}");
        assert!(contents(root.path()) == before, "{args:?} {out}");
    }
}

#[test]
fn an_output_never_replaces_a_run() {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("a");
    fs::create_dir(&run).unwrap();
    for name in ["run.json", "config.toml", "metrics.jsonl"] {
        fs::write(run.join(name), name).unwrap();
        let out = format!("a/{name}");
        let args = ["scenario", "show", "open_field", "--out", &out];
        assert_eq!(
            failure(root.path(), &args),
            format!(
                "error: --out {out}: this file belongs to a run; name another file to write to\n"
            )
        );
        assert_eq!(fs::read(run.join(name)).unwrap(), name.as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_written_to() {
    let root = tempfile::tempdir().unwrap();
    let show = |out: &str| evenkeel_in(root.path(), &["scenario", "show", "maze", "--out", out]);
    assert!(show("/dev/null").status.success());
    let full = show("/dev/full");
    assert_eq!(
        text(&full.stderr),
        "error: cannot write /dev/full\n  caused by: No space left on device (os error 28)\n"
    );
}

#[test]
fn hints_quote_paths() {
    let root = tempfile::tempdir().unwrap();
    let args = [
        "record",
        "planner:straight",
        "--scenario=open_field",
        "--episodes=1",
        "--out=my drive.mcap",
    ];
    let recorded = evenkeel_in(root.path(), &args);
    assert!(
        text(&recorded.stdout).contains("\n  evenkeel replay 'my drive.mcap' --verify\n"),
        "{}",
        text(&recorded.stdout)
    );
}

/// Two comparisons that begin at once, without `--out`.
#[cfg(feature = "learn")]
#[test]
fn simultaneous_comparisons_have_different_folders() {
    let root = tempfile::tempdir().unwrap();
    let args = |arm| {
        [
            "compare",
            "open_field",
            "--json",
            "--seeds=1",
            "--steps=256",
            "--episodes=1",
            "--set=train.num_envs=16",
            "--set=train.horizon=16",
            "--arms",
            arm,
        ]
    };
    let reports = std::thread::scope(|scope| {
        let compare = |arm| answer(root.path(), &args(arm))["report"].clone();
        let other = scope.spawn(move || compare("raw"));
        [compare("clipped"), other.join().unwrap()]
    });
    assert_ne!(reports[0], reports[1]);
    for (report, arm) in reports.iter().zip(["clipped", "raw"]) {
        let folder = root.path().join(report.as_str().unwrap());
        let manifest = fs::read(folder.with_file_name("comparison.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["arms"], serde_json::json!([arm]));
    }
}

/// A run in a folder whose name is not UTF-8 could not be named later.
#[cfg(all(unix, feature = "learn"))]
#[test]
fn names_that_are_not_text_are_refused_before_training_and_listed() {
    use crate::helpers::evenkeel;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"r\xff"));
    for command in [&["train", "open_field"][..], &["compare", "open_field"]] {
        let output = evenkeel(command).arg("--out").arg(&odd).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let errors = text(&output.stderr);
        assert!(
            errors.contains(r"r\xff' is not UTF-8 text; rename"),
            "{errors}"
        );
        assert!(!odd.exists());
    }
    let info = evenkeel::runs::RunInfo::begin("open_field", "clipped", 1, 100, None);
    evenkeel::runs::RunDir::create_at(&odd, "", &info).unwrap();
    let output = evenkeel(&["runs", "--json"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("r\u{fffd}"),
        "{}",
        text(&output.stdout)
    );
}
