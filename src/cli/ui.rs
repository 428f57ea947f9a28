//! Output of all commands: answers go to stdout, everything else to stderr, with colours only where
//! they are wanted. A closed stdout is not a panic.

use std::fmt::Display;
use std::io;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

/// The reader has closed stdout. [`super::main`] does not report this as a failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct StdoutClosed;

/// The output of a command. Text may contain ANSI styles (`clap::builder::styling`); they are
/// removed where the stream is no terminal or the user wants none (`NO_COLOR`, `CLICOLOR`).
#[derive(Debug)]
pub(crate) struct Ui {
    /// Whether answers are printed as one JSON object (`--json`).
    pub json: bool,
}

impl Ui {
    /// Style of names and headlines.
    pub(crate) const STRONG: Style = Style::new().bold();
    /// Style of secondary text.
    pub(crate) const FAINT: Style = Style::new().dimmed();
    /// Style of success.
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
    /// Style of warnings.
    pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
    /// Style of failure.
    pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

    /// Creates an output that prints answers as JSON or as text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the command's answer: `value` as one JSON object with `--json`, otherwise the text
    /// that `human` returns.
    ///
    /// # Errors
    /// [`StdoutClosed`], or any other error of writing to stdout.
    pub(crate) fn answer<T, S>(&self, value: &T, human: impl FnOnce(&T) -> S) -> anyhow::Result<()>
    where
        T: Serialize + ?Sized,
        S: Display,
    {
        if self.json {
            self.out(serde_json::to_string(value)?)
        } else {
            self.out(human(value))
        }
    }

    /// Prints text on stdout, with a newline at the end if the text has none.
    ///
    /// # Errors
    /// [`StdoutClosed`], or any other error of writing to stdout.
    #[expect(clippy::unused_self, reason = "printing is a matter of the interface")]
    pub(crate) fn out(&self, text: impl Display) -> anyhow::Result<()> {
        write_line(&mut anstream::stdout().lock(), text).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                StdoutClosed.into()
            } else {
                anyhow::Error::new(error).context("cannot write to standard output")
            }
        })
    }

    /// Prints text on stderr that is not part of the answer. Errors are ignored.
    #[expect(clippy::unused_self, reason = "printing is a matter of the interface")]
    pub(crate) fn note(&self, text: impl Display) {
        write_line(&mut anstream::stderr().lock(), text).ok();
    }

    /// Prints a warning on stderr. Errors are ignored.
    pub(crate) fn warn(&self, text: impl Display) {
        let style = Self::WARN;
        self.note(format_args!("{style}warning{style:#}: {text}"));
    }

    /// Prints an error and its causes on stderr.
    pub(super) fn error(&self, error: &anyhow::Error) {
        let style = Self::BAD;
        self.note(format_args!("{style}error{style:#}: {}", describe(error)));
    }
}

fn write_line(stream: &mut impl io::Write, text: impl Display) -> io::Result<()> {
    let mut text = text.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Formats an error: its message, then one line per cause. A cause that the previous message already
/// contains is left out.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !last.contains(&cause) {
            text.push_str("\n  caused by: ");
            text.push_str(&cause);
        }
        last = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn repeated_causes_are_left_out() {
        let error = anyhow!("no such file").context("cannot read a.toml: no such file");
        assert_eq!(describe(&error), "cannot read a.toml: no such file");
        let error = anyhow!("disk full")
            .context("cannot save")
            .context("training stopped");
        assert_eq!(
            describe(&error),
            "training stopped\n  caused by: cannot save\n  caused by: disk full"
        );
    }

    #[test]
    fn write_line_ends_with_one_newline() {
        for text in ["one", "one\n"] {
            let mut written = Vec::new();
            write_line(&mut written, text).unwrap();
            assert_eq!(written, b"one\n");
        }
    }
}
