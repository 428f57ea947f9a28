//! The program as a process: exit codes, streams, and a closed stdout.

use std::process::Output;

use crate::helpers::{evenkeel, text};

fn output(args: &[&str]) -> Output {
    evenkeel(args).output().expect("the program starts")
}

#[test]
fn version_names_libtorch() {
    let output = output(&["--version"]);
    let libtorch = evenkeel::LIBTORCH_VERSION.map_or_else(
        || "built without libtorch".to_owned(),
        |version| format!("libtorch {version}"),
    );
    assert_eq!(
        text(&output.stdout),
        format!("evenkeel {} ({libtorch})\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_exits_with_2_and_prints_on_stderr() {
    for args in [
        &["no-such-command"][..],
        &["completions"],
        &["--no-such-flag"],
        &[],
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(text(&output.stderr).contains("Usage: evenkeel"), "{args:?}");
    }
}

/// The message about a wrong number, and the flag that it belongs to.
fn number_error(args: &[&str]) -> String {
    let output = output(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    let first = text(&output.stderr).lines().next().unwrap_or_default();
    first.to_owned()
}

#[test]
fn wrong_counts_are_refused_with_what_would_be_right() {
    let eval = ["eval", "planner:random", "--scenario=open_field"];
    let cases: [&[&str]; 8] = [
        &["compare", "open_field", "--steps", "1,5M"],
        &["compare", "open_field", "--seeds", "1__0"],
        &["compare", "open_field", "--seed", "-1"],
        &["bench", "env", "open_field", "--envs", "1.000"],
        &["eval", "planner:random", "--episodes", "0"],
        &["eval", "planner:random", "--threads=+2"],
        &[eval[0], eval[1], eval[2], "--seed=18446744073709551616"],
        &["scenario", "show", "open_field", "--episode", "０"],
    ];
    insta::assert_snapshot!(cases.map(number_error).join("\n"), @r"
    error: invalid value '1,5M' for '--steps <N>': expected a whole number from 1 to 1000000000000, as in 1500000, 1_500_000 or 1.5M
    error: invalid value '1__0' for '--seeds <N>': expected a whole number from 1 to 1000
    error: invalid value '-1' for '--seed <N>': expected a whole number from 0 to 18446744073709551615
    error: invalid value '1.000' for '--envs <N>': expected a whole number from 1 to 1000000
    error: invalid value '0' for '--episodes <N>': expected a whole number from 1 to 10000000
    error: invalid value '+2' for '--threads <N>': expected a whole number from 0 to 4294967295, as in 1500000, 1_500_000 or 1.5M
    error: invalid value '18446744073709551616' for '--seed <N>': expected a whole number from 0 to 18446744073709551615
    error: invalid value '０' for '--episode <N>': expected a whole number from 0 to 18446744073709551615
    ");
}

#[test]
fn counts_take_suffixes() {
    let args = ["eval", "planner:random", "--scenario=open_field", "--json"];
    let output = output(&[&args[..], &["--episodes", "0.002k", "--seed", "1_000"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["seed"], 1000);
    assert_eq!(answer["summary"]["episodes"], 2);
}

#[test]
fn closed_stdout_ends_the_program_quietly() {
    for args in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = evenkeel(args)
            .stdout(writer)
            .output()
            .expect("the program starts");
        assert_eq!(text(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

/// Commands that print without work, help and version included.
const PRINTING: [&[&str]; 11] = [
    &["--help"],
    &["-h"],
    &["--version"],
    &["help", "eval"],
    &["scenario", "show", "--help"],
    &["scenario", "list"],
    &["scenario", "list", "--json"],
    &["scenario", "schema"],
    &["arms"],
    &["runs", "."],
    &["completions", "bash"],
];

#[cfg(target_os = "linux")]
#[test]
fn unwritable_stdout_is_an_error() {
    for args in PRINTING {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = evenkeel(args)
            .stdout(full.expect("/dev/full"))
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(
            text(&output.stderr),
            "error: cannot write to standard output\n  caused by: No space left on device (os error 28)\n",
            "{args:?}"
        );
    }
}

#[test]
fn json_is_one_object_on_stdout() {
    let output = output(&["completions", "fish", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(answer["shell"], "fish");
    assert!(
        answer["script"]
            .as_str()
            .expect("text")
            .contains("evenkeel")
    );
    assert!(output.stderr.is_empty());
}

/// Commands of the feature `view`. Their help texts are tested in `screenshots.rs`.
#[cfg(feature = "learn")]
const WINDOW_COMMANDS: [&str; 2] = ["watch", "drive"];

/// Prints `--help` of every command, so that a changed text shows in the snapshot.
#[cfg(feature = "learn")]
#[test]
fn help_texts() {
    use std::fmt::Write as _;

    /// Appends the help of a command and of its subcommands.
    fn add(text: &mut String, path: &[&str]) {
        let output = output(&[path, &["--help"]].concat());
        let help = String::from_utf8(output.stdout).expect("UTF-8");
        let words: String = path.iter().flat_map(|word| [*word, " "]).collect();
        let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default();
        let names: Vec<&str> = commands
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("  ")?.split_once(' '))
            .map(|(name, _)| name)
            .filter(|name| !name.is_empty() && *name != "help" && !WINDOW_COMMANDS.contains(name))
            .collect();
        writeln!(text, "$ evenkeel {words}--help").expect("a string takes all");
        for line in help.lines() {
            let is_window = |name: &&str| line.starts_with(&format!("  {name} "));
            if !(path.is_empty() && WINDOW_COMMANDS.iter().any(is_window)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.push_str("\n\n");
        for name in names {
            add(text, &[path, &[name]].concat());
        }
    }
    let mut text = String::new();
    add(&mut text, &[]);
    insta::assert_snapshot!(text);
}
