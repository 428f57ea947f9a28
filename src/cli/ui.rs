//! How every command speaks: answers on stdout, everything else on stderr, colours only where
//! they are wanted, and no panic when the reader has gone.

use std::fmt::Display;
use std::io;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

/// Standard output was closed by its reader. Not a failure: [`super::main`] ends quietly on it.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub struct StdoutClosed;

/// Where a command prints. Text may hold ANSI styles (`clap::builder::styling`); they are taken
/// out where stdout or stderr is no terminal or the user wants none (`NO_COLOR`, `CLICOLOR`).
#[derive(Debug)]
pub struct Ui {
    /// Whether the user asked for one JSON object on stdout.
    pub json: bool,
}

impl Ui {
    /// What is meant to be read first.
    pub const STRONG: Style = Style::new().bold();
    /// What may be overlooked.
    pub const FAINT: Style = Style::new().dimmed();
    /// What went well.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// What deserves a second look.
    pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
    /// What went wrong.
    pub const BAD: Style = AnsiColor::Red.on_default().bold();

    /// A user interface that answers in JSON, or in text for people.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the command's answer: `value` as one JSON object where the user asked for that,
    /// otherwise the text that `human` makes of it.
    ///
    /// # Errors
    /// [`StdoutClosed`], or whatever else kept stdout from taking it.
    pub fn answer<T, S>(&self, value: &T, human: impl FnOnce(&T) -> S) -> anyhow::Result<()>
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

    /// Prints text on stdout and ends the line if the text does not.
    ///
    /// # Errors
    /// [`StdoutClosed`], or whatever else kept stdout from taking it.
    pub fn out(&self, text: impl Display) -> anyhow::Result<()> {
        write_line(&mut anstream::stdout().lock(), text).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                StdoutClosed.into()
            } else {
                anyhow::Error::new(error).context("cannot write to standard output")
            }
        })
    }

    /// Tells the user something on stderr that is not part of the answer. Never fails: a note
    /// that cannot be shown is no reason to stop.
    pub fn note(&self, text: impl Display) {
        write_line(&mut anstream::stderr().lock(), text).ok();
    }

    /// Like [`Ui::note`], marked as a warning.
    pub fn warn(&self, text: impl Display) {
        let style = Self::WARN;
        self.note(format_args!("{style}warning{style:#}: {text}"));
    }

    /// Prints a failure and what caused it, once each.
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

/// The failure's message, then one line per cause, leaving out causes that the message before
/// them already tells.
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
    fn causes_are_told_once_each() {
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
    fn a_line_is_ended_once() {
        for text in ["one", "one\n"] {
            let mut written = Vec::new();
            write_line(&mut written, text).unwrap();
            assert_eq!(written, b"one\n");
        }
    }
}
