//! `evenkeel export`: writes a recording or the log of a run as a table.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use super::Ui;
use super::common::RecordingFaults;
use super::files::check_output;
use evenkeel::recording::{RecordError, RecordingReader, StepColumns, write_table};
use evenkeel::runs::{RUNS_FOLDER, RunDir, replace_file, resolve_run};
use evenkeel::table::TableFormat;
use evenkeel::telemetry::format::counted;
use evenkeel::telemetry::{LogRows, write_log_table};

/// Arguments of `evenkeel export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Write the metrics of the last run, with one row per iteration:
    evenkeel export @last --format csv --out metrics.csv
  Write what a run's log has on every optimiser step, for pandas, Polars or DuckDB:
    evenkeel export runs/NAME --format parquet --rows steps
  Write a recording, with one row per robot and control step:
    evenkeel export dwa.mcap --format csv

docs/metrics.md describes the columns of a run, docs/recordings.md those of a recording.")]
pub(crate) struct Args {
    /// A run, `@last`, or a recording that `evenkeel record` or `evenkeel train` has written
    #[arg(value_name = "RUN|FILE.mcap")]
    input: String,
    /// Format of the table
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: FormatName,
    /// What the rows of a run's table are [default: iterations]
    #[arg(long, value_name = "ROWS", value_enum)]
    rows: Option<RowsName>,
    /// File to write to [default: the recording's name, or the kind of the rows in the run's folder,
    /// with the format's extension]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Format of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatName {
    /// Comma-separated values below a line of column names
    Csv,
    /// Parquet with typed columns and nulls; needs a build with the feature `parquet`
    Parquet,
}

impl FormatName {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    #[cfg_attr(
        feature = "parquet",
        expect(clippy::unnecessary_wraps, reason = "other builds have no Parquet")
    )]
    fn format(self) -> anyhow::Result<TableFormat> {
        match self {
            Self::Csv => Ok(TableFormat::Csv),
            #[cfg(feature = "parquet")]
            Self::Parquet => Ok(TableFormat::Parquet),
            #[cfg(not(feature = "parquet"))]
            Self::Parquet => bail!(
                "this program was built without Parquet; build it with `--features parquet`, or \
                 use --format csv"
            ),
        }
    }
}

/// What the rows of a run's table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum RowsName {
    /// Iterations, each with the evaluation after it
    Iterations,
    /// Optimiser steps
    Steps,
    /// Evaluations during training
    Evaluations,
    /// Detectors, guard, incidents, checkpoints, divergence
    Events,
}

impl RowsName {
    /// Name of the table's file.
    fn file_name(self) -> &'static str {
        match self {
            Self::Iterations => "iterations",
            Self::Steps => "steps",
            Self::Evaluations => "evaluations",
            Self::Events => "events",
        }
    }

    fn rows(self) -> LogRows {
        match self {
            Self::Iterations => LogRows::Iterations,
            Self::Steps => LogRows::Steps,
            Self::Evaluations => LogRows::Evaluations,
            Self::Events => LogRows::Events,
        }
    }
}

/// The answer.
#[derive(Serialize)]
struct Output {
    path: PathBuf,
    rows: u64,
    columns: usize,
    /// Of a recording.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    faults: Option<RecordingFaults>,
}

impl Output {
    fn text(&self) -> String {
        let (strong, path) = (Ui::STRONG, self.path.display());
        let (rows, columns) = (counted(self.rows, "row"), counted(self.columns, "column"));
        let mut lines = vec![format!("{strong}{path}{strong:#}: {rows}, {columns}")];
        if let Some(faults) = &self.faults {
            lines.extend(faults.warnings("the table has the complete steps"));
        }
        lines.join("\n")
    }
}

/// Runs `evenkeel export`.
///
/// # Errors
/// If the recording or the log cannot be read, is damaged or cut off, or the table cannot be
/// written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let format = args.format.format()?;
    let input = Path::new(&args.input);
    if input.is_file() {
        ensure!(
            args.rows.is_none(),
            "--rows is for runs; {} is a file, and a recording has one row per robot and control \
             step",
            input.display()
        );
        export_recording(input, &args, format, ui)
    } else if input
        .extension()
        .is_some_and(|extension| extension == "mcap")
    {
        bail!("{}: no such file", input.display())
    } else {
        let run = resolve_run(&args.input, Path::new(RUNS_FOLDER))?;
        export_run(&run, &args, format, ui)
    }
}

fn export_run(run: &RunDir, args: &Args, format: TableFormat, ui: &Ui) -> anyhow::Result<()> {
    let rows = args.rows.unwrap_or(RowsName::Iterations);
    let path = args.out.clone().unwrap_or_else(|| {
        let name = format!("{}.{}", rows.file_name(), args.format.extension());
        run.path().join(name)
    });
    check_output("--out", &path, [run.metrics_path()])?;
    let events = run.events()?;
    ensure!(
        !events.is_empty(),
        "{}: the run has logged nothing yet",
        run.metrics_path().display()
    );
    let mut size = None;
    write_file(&path, |out| -> std::io::Result<()> {
        size = Some(write_log_table(&events, rows.rows(), format, out)?);
        Ok(())
    })?;
    let size = size.expect("the table was written");
    let answer = Output {
        path,
        rows: size.rows,
        columns: size.columns,
        faults: None,
    };
    ui.answer(&answer, Output::text)
}

fn export_recording(
    recording: &Path,
    args: &Args,
    format: TableFormat,
    ui: &Ui,
) -> anyhow::Result<()> {
    let mut reader = RecordingReader::open(recording)?;
    let path = args.out.clone();
    let path = path.unwrap_or_else(|| recording.with_extension(args.format.extension()));
    check_output("--out", &path, [recording])?;
    let columns = StepColumns::of(reader.header()).columns.len();
    let mut rows = 0;
    write_file(&path, |out| -> Result<(), RecordError> {
        rows = write_table(&mut reader, format, out)?;
        Ok(())
    })?;
    let faults = RecordingFaults::of(&reader);
    let is_whole = faults.is_empty();
    let answer = Output {
        path,
        rows,
        columns,
        faults: Some(faults),
    };
    ui.answer(&answer, Output::text)?;
    ensure!(
        is_whole,
        "{}: the recording is damaged or cut off, and the table may lack steps",
        recording.display()
    );
    Ok(())
}

/// Writes a file whole or not at all.
fn write_file<E>(
    path: &Path,
    write: impl FnOnce(BufWriter<&mut File>) -> Result<(), E>,
) -> anyhow::Result<()>
where
    E: From<std::io::Error> + std::error::Error + Send + Sync + 'static,
{
    replace_file(path, |file| write(BufWriter::new(file)))
        .with_context(|| format!("cannot write {}", path.display()))
}
