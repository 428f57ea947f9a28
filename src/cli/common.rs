//! Arguments and helpers that several commands share. Add `#[command(flatten)]` to use one of the
//! argument groups in a command's `Args`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::{StringValueParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;
use evenkeel::config::{Diagnostic, Override, parse_count};
use evenkeel::env::max_threads;
use evenkeel::recording::{Damage, RecordingEnd, RecordingReader};
#[cfg(any(test, feature = "learn", not(feature = "view")))]
use evenkeel::telemetry::format::shell_word;

/// `SCENARIO`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ScenarioArg {
    /// A shipped scenario's name, or the path of a scenario file
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
}

/// `--set PATH=VALUE`, any number of times.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SetArgs {
    /// Override one setting, as in `--set stability.clip.0.global_norm.max=1.0`; repeatable
    ///
    /// PATH names a key of the scenario or of the training settings; list entries are numbered
    /// from 0. VALUE is written as in TOML, a whole number also like 2M. It is checked like a value in
    /// the file.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = Override::parse)]
    pub set: Vec<Override>,
}

/// `--seed N`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct SeedArg {
    /// Root seed of all random streams; the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u64>(0..=u64::MAX))]
    pub seed: u64,
}

/// `--out DIR`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OutArg {
    /// Folder to write to; created if it does not exist
    #[arg(long, short, value_name = "DIR", value_parser = text_path())]
    pub out: Option<PathBuf>,
}

/// `--theme THEME`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ThemeArg {
    /// Colour theme of the window or video
    #[arg(long, value_enum, default_value_t = ThemeName::Dark)]
    #[cfg_attr(not(feature = "view"), allow(dead_code, reason = "there is no window"))]
    theme: ThemeName,
}

/// A colour theme on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum ThemeName {
    Dark,
    Light,
}

#[cfg(feature = "view")]
impl ThemeArg {
    /// Converts the argument to the theme.
    pub(super) fn theme(self) -> evenkeel::view::Theme {
        self.theme.theme()
    }
}

#[cfg(feature = "view")]
impl ThemeName {
    /// Converts the argument to the theme.
    pub(super) fn theme(self) -> evenkeel::view::Theme {
        match self {
            Self::Dark => evenkeel::view::Theme::Dark,
            Self::Light => evenkeel::view::Theme::Light,
        }
    }
}

/// Largest number of held-out episodes in one evaluation.
pub(super) const MAX_EPISODES: u64 = 10_000_000;

/// Largest number of environment steps of one training.
pub(super) const MAX_STEPS: u64 = 1_000_000_000_000;

/// Largest number of a thing of which there can be as many as memory holds, such as threads.
pub(super) const MAX_COUNT: u64 = u32::MAX as u64;

/// Returns a parser of whole numbers in `range`, which `T` must hold: `2000000`, `2_000_000`,
/// `500k`, `1.5M`. Every whole number on the command line is read by it.
pub(super) fn count<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let count = parse_count(text, range.clone())?;
        T::try_from(count).map_err(|_| format!("{count} is too large"))
    }
}

/// Returns a parser of paths that are UTF-8 text. Others cannot be named as a RUN or a POLICY later.
pub(super) fn text_path() -> impl TypedValueParser<Value = PathBuf> {
    StringValueParser::new().map(PathBuf::from)
}

/// Tells the user that fewer threads are started than requested, where more would only wait for each
/// other.
pub(super) fn warn_of_threads(threads: usize, ui: &Ui) {
    let most = max_threads();
    if threads > most {
        ui.warn(format_args!(
            "{threads} threads are requested and {most} are used, four per core; results do not \
             depend on it"
        ));
    }
}

/// Joins the words of a command into a line that a shell reads back.
#[cfg(any(test, feature = "learn", not(feature = "view")))]
pub(super) fn shell_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| shell_word(word).into_owned());
    quoted.collect::<Vec<String>>().join(" ")
}

/// What is wrong with a recording that has been read to its end.
#[derive(Debug, serde::Serialize)]
pub(super) struct RecordingFaults {
    /// Its damaged parts.
    damaged: Vec<Damage>,
    /// Why the recording is truncated, if it is.
    cut_off: Option<String>,
    #[serde(skip)]
    phrases: Vec<String>,
}

impl RecordingFaults {
    /// Returns the faults that the reader has found.
    pub(super) fn of(reader: &RecordingReader) -> Self {
        Self {
            damaged: reader.damage().to_vec(),
            cut_off: match reader.end() {
                Some(RecordingEnd::Truncated(reason)) => Some(reason.clone()),
                _ => None,
            },
            phrases: reader.faults(),
        }
    }

    /// Whether the recording ends early.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.is_some()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.phrases.is_empty()
    }

    /// Returns one line for each fault; the last says that `whole` is all there is.
    pub(super) fn warnings(&self, whole: &str) -> Vec<String> {
        let warn = Ui::WARN;
        let lines = self.phrases.iter();
        let mut lines: Vec<String> = lines
            .map(|fault| format!("{warn}{fault}{warn:#}"))
            .collect();
        if let Some(last) = lines.last_mut() {
            last.push_str("; ");
            last.push_str(whole);
        }
        lines
    }
}

/// Parses a size in pixels, as in `1280x720`, into `[width, height]`.
pub(super) fn parse_size(text: &str) -> Result<[u32; 2], String> {
    let sides = text.split_once(['x', 'X', '×']);
    let sides = sides.and_then(|(w, h)| Some([w.trim().parse().ok()?, h.trim().parse().ok()?]));
    sides.ok_or_else(|| "expected width and height in pixels, as in 1280x720".to_owned())
}

/// Returns a progress bar that counts `unit`s. The caller sets its length.
pub(super) fn progress_bar(unit: &str) -> ProgressBar {
    let style = format!("{{bar:24.cyan/dim}} {{pos}}/{{len}} {unit} · {{msg}}{{eta}} left");
    let style = ProgressStyle::with_template(&style).expect("the template is well-formed");
    ProgressBar::new(0).with_style(style.progress_chars("━━─"))
}

/// Formats a size, as in `812 kB` or `2.1 MB`.
pub(super) fn format_bytes(bytes: u64) -> String {
    match bytes as f64 {
        bytes @ ..1e6 => format!("{:.0} kB", (bytes / 1e3).ceil()),
        bytes @ ..1e9 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.2} GB", bytes / 1e9),
    }
}

/// Checks a value of `--set` and returns it unparsed, for the runs to parse again.
pub(super) fn checked_override(text: &str) -> Result<String, Diagnostic> {
    Override::parse(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_line_quotes_special_characters() {
        let words = ["watch", "planner:straight", "my room.toml", "it's", ""];
        assert_eq!(
            shell_line(&words.map(str::to_owned)),
            r"watch planner:straight 'my room.toml' 'it'\''s' ''"
        );
    }

    #[test]
    fn parse_size_takes_two_numbers() {
        assert_eq!(parse_size("640x480"), Ok([640, 480]));
        assert_eq!(parse_size("640 × 480"), Ok([640, 480]));
        for wrong in ["640", "640x", "x480", "-1x5", "640x480x3", "wide"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
