//! `evenkeel export`: a recording as a table.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use super::Ui;
use evenkeel::recording::{RecordError, RecordingEnd, RecordingReader, RecordingTable, write_csv};
use evenkeel::runs::replace_file;
use evenkeel::telemetry::format::plural;

/// Arguments of `evenkeel export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A table with one row for each robot and control step:
    evenkeel export dwa.mcap --format csv
  The same for pandas, Polars or DuckDB:
    evenkeel export dwa.mcap --format parquet --out steps.parquet

docs/recordings.md says what is in each column.")]
pub struct Args {
    /// A recording, as `evenkeel record` writes it
    #[arg(value_name = "FILE.mcap")]
    recording: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: TableFormat,
    /// File to write to [default: the recording's name with another ending]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TableFormat {
    /// Comma-separated values under a line of names
    Csv,
    /// Parquet, typed, with nulls; only in a build with the feature `parquet`
    Parquet,
}

/// The answer.
#[derive(Serialize)]
struct Output {
    path: PathBuf,
    rows: u64,
    columns: usize,
    /// Why there are no more, where the recording was cut off.
    cut_off: Option<String>,
}

/// Runs `evenkeel export`.
///
/// # Errors
/// If the recording cannot be read, or the table cannot be written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let (ending, write): (&str, TableWriter) = match args.format {
        TableFormat::Csv => ("csv", |reader, out| write_csv(reader, out)),
        TableFormat::Parquet => ("parquet", parquet()?),
    };
    let mut reader = RecordingReader::open(&args.recording)?;
    let path = args
        .out
        .unwrap_or_else(|| args.recording.with_extension(ending));
    let columns = RecordingTable::of(reader.header()).columns.len();
    let mut rows = 0;
    let written = replace_file(&path, |file| -> Result<(), RecordError> {
        let mut out = BufWriter::new(file);
        rows = write(&mut reader, &mut out)?;
        Ok(out.flush()?)
    });
    written.with_context(|| format!("cannot write {}", path.display()))?;
    let cut_off = match reader.end() {
        Some(RecordingEnd::Truncated(reason)) => Some(reason.clone()),
        _ => None,
    };
    let answer = Output {
        path,
        rows,
        columns,
        cut_off,
    };
    ui.answer(&answer, |answer| {
        let (strong, path) = (Ui::STRONG, answer.path.display());
        let cut_off = answer.cut_off.as_ref().map_or(String::new(), |reason| {
            let warn = Ui::WARN;
            format!("\n{warn}cut off{warn:#}: {reason}; all that is whole is in the table")
        });
        format!(
            "{strong}{path}{strong:#}: {} row{}, {} columns{cut_off}",
            answer.rows,
            plural(answer.rows as usize),
            answer.columns
        )
    })
}

/// Writes a recording's table; returns how many rows there are.
type TableWriter = fn(&mut RecordingReader, &mut BufWriter<&mut File>) -> Result<u64, RecordError>;

#[cfg(feature = "parquet")]
#[expect(clippy::unnecessary_wraps, reason = "other builds have no Parquet")]
fn parquet() -> anyhow::Result<TableWriter> {
    Ok(|reader, out| evenkeel::recording::write_parquet(reader, out))
}

#[cfg(not(feature = "parquet"))]
fn parquet() -> anyhow::Result<TableWriter> {
    anyhow::bail!(
        "this program was built without Parquet; build it with `--features parquet`, or take \
         --format csv"
    )
}
