//! `evenkeel export`: writes a recording as a table.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::Ui;
use super::common::RecordingFaults;
use super::files::check_output;
use evenkeel::recording::{RecordError, RecordingReader, TableColumns, write_csv};
use evenkeel::runs::replace_file;
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Write a table with one row per robot and control step:
    evenkeel export dwa.mcap --format csv
  Write the same table for pandas, Polars or DuckDB:
    evenkeel export dwa.mcap --format parquet --out steps.parquet

docs/recordings.md describes the columns.")]
pub(crate) struct Args {
    /// A recording that `evenkeel record` or `evenkeel train` has written
    #[arg(value_name = "FILE.mcap")]
    recording: PathBuf,
    /// Format of the table
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: TableFormat,
    /// File to write to [default: the recording's name with the format's extension]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Format of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TableFormat {
    /// Comma-separated values below a line of column names
    Csv,
    /// Parquet with typed columns and nulls; needs a build with the feature `parquet`
    Parquet,
}

/// The answer.
#[derive(Serialize)]
struct Output {
    path: PathBuf,
    rows: u64,
    columns: usize,
    #[serde(flatten)]
    faults: RecordingFaults,
}

/// Runs `evenkeel export`.
///
/// # Errors
/// If the recording cannot be read, is damaged or cut off, or the table cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let (extension, write): (&str, TableWriter) = match args.format {
        TableFormat::Csv => ("csv", |reader, out| write_csv(reader, out)),
        TableFormat::Parquet => ("parquet", parquet()?),
    };
    let mut reader = RecordingReader::open(&args.recording)?;
    let path = args
        .out
        .unwrap_or_else(|| args.recording.with_extension(extension));
    check_output("--out", &path, [&args.recording])?;
    let columns = TableColumns::of(reader.header()).columns.len();
    let mut rows = 0;
    let written = replace_file(&path, |file| -> Result<(), RecordError> {
        let mut out = BufWriter::new(file);
        rows = write(&mut reader, &mut out)?;
        Ok(out.flush()?)
    });
    written.with_context(|| format!("cannot write {}", path.display()))?;
    let answer = Output {
        path,
        rows,
        columns,
        faults: RecordingFaults::of(&reader),
    };
    ui.answer(&answer, |answer| {
        let (strong, path) = (Ui::STRONG, answer.path.display());
        let mut lines = vec![format!(
            "{strong}{path}{strong:#}: {}, {}",
            counted(answer.rows, "row"),
            counted(answer.columns, "column"),
        )];
        lines.extend(answer.faults.warnings("the table has the complete steps"));
        lines.join("\n")
    })?;
    ensure!(
        answer.faults.is_empty(),
        "{}: the recording is damaged or cut off, and the table may lack steps",
        args.recording.display()
    );
    Ok(())
}

/// Writes a recording's table and returns the number of rows.
type TableWriter = fn(&mut RecordingReader, &mut BufWriter<&mut File>) -> Result<u64, RecordError>;

#[cfg(feature = "parquet")]
#[expect(clippy::unnecessary_wraps, reason = "other builds have no Parquet")]
fn parquet() -> anyhow::Result<TableWriter> {
    Ok(|reader, out| evenkeel::recording::write_parquet(reader, out))
}

#[cfg(not(feature = "parquet"))]
fn parquet() -> anyhow::Result<TableWriter> {
    anyhow::bail!(
        "this program was built without Parquet; build it with `--features parquet`, or use \
         --format csv"
    )
}
