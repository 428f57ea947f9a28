//! `evenkeel watch`, `evenkeel drive` and `evenkeel train --view` in a build without the window:
//! they say how to get it.

use anyhow::bail;

use super::Ui;

/// Arguments of a command that this build lacks.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
This build has no window. From a checkout, this builds one that has, some minutes the first time:
    cargo run --release --features view -- watch planner:straight --scenario movers
or, to drive yourself, what `evenkeel drive reference` would do:
    cargo run --release --features view -- drive reference
With the window, `evenkeel watch --help` and `evenkeel drive --help` say more.")]
pub struct Args {
    /// What it would be told
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// Says how to run `command` with a window.
///
/// # Errors
/// Always.
pub fn run(command: &str, args: Args, _ui: &Ui) -> anyhow::Result<()> {
    refuse(command, &args.words)
}

/// Says how to run the `evenkeel train` that was typed with a window.
///
/// # Errors
/// Always.
///
/// # Panics
/// Never: it is called for what was typed.
#[cfg(all(feature = "learn", not(feature = "view")))]
pub fn train() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, words) = words.split_first().expect("`train` was read");
    refuse(command, words)
}

fn refuse(command: &str, words: &[String]) -> anyhow::Result<()> {
    bail!(
        "this build has no window; from a checkout, this builds one that has, some minutes the \
         first time:\n    cargo run --release --features view -- {}",
        typed(command, words)
    )
}

/// The command as it can be typed again in a shell.
fn typed(command: &str, words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+%".contains(c);
    let mut typed = vec![command.to_owned()];
    typed.extend(words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    }));
    typed.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_can_be_typed_again() {
        let words = ["planner:straight", "--scenario", "my room.toml", "it's", ""];
        let words: Vec<String> = words.map(str::to_owned).into();
        assert_eq!(
            typed("watch", &words),
            r"watch planner:straight --scenario 'my room.toml' 'it'\''s' ''"
        );
    }

    #[test]
    fn the_way_to_a_window_is_told() {
        let args = Args {
            words: vec!["@last".into()],
        };
        let error = run("watch", args, &Ui::new(false)).expect_err("no window");
        assert!(
            error
                .to_string()
                .ends_with("cargo run --release --features view -- watch @last"),
            "{error}"
        );
    }
}
