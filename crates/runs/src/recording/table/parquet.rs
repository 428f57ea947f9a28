//! The table as Parquet.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::{ColumnSource, TableColumns, TableValue};
use crate::recording::messages::RobotStep;
use crate::recording::{RecordError, RecordingReader};

/// Rows of a row group. Readers skip whole groups; a group is held in memory until it is written.
const GROUP_ROWS: usize = 16_384;

/// Writes a recording as uncompressed Parquet. Missing values are null. Returns the number of rows.
///
/// # Errors
/// If the recording cannot be read, or `out` cannot be written.
pub fn write_parquet(
    reader: &mut RecordingReader,
    out: &mut (impl Write + Send),
) -> Result<u64, RecordError> {
    let table = TableColumns::of(reader.header());
    let schema = parse_message_type(&table.message_type()).map_err(failed)?;
    let mut file =
        SerializedFileWriter::new(out, Arc::new(schema), Arc::default()).map_err(failed)?;
    let mut rows = 0;
    let mut pending: Vec<RobotStep> = Vec::new();
    loop {
        let episode = reader.next_episode()?;
        let is_end = episode.is_none();
        pending.extend(episode.into_iter().flat_map(|episode| episode.steps));
        if is_end || pending.len() >= GROUP_ROWS {
            rows += pending.len() as u64;
            table.write_group(&mut file, &pending).map_err(failed)?;
            pending.clear();
        }
        if is_end {
            file.close().map_err(failed)?;
            return Ok(rows);
        }
    }
}

fn failed(error: ParquetError) -> RecordError {
    RecordError::Table(io::Error::other(error))
}

impl TableColumns {
    /// The schema, in Parquet's schema language.
    fn message_type(&self) -> String {
        let mut text = "message steps {\n".to_owned();
        for column in &self.columns {
            let kind = match column.source {
                ColumnSource::Episode | ColumnSource::Robot | ColumnSource::Step => {
                    "required int64"
                }
                ColumnSource::TimeSecs => "required double",
                ColumnSource::Inactive | ColumnSource::Contact => "required boolean",
                ColumnSource::Outcome => "required binary",
                ColumnSource::State(_)
                | ColumnSource::Value
                | ColumnSource::Reward
                | ColumnSource::Entry(..) => "optional float",
            };
            let text_of = if matches!(column.source, ColumnSource::Outcome) {
                " (utf8)"
            } else {
                ""
            };
            writeln!(text, "  {kind} {}{text_of};", column.name).expect("a string takes all");
        }
        text.push('}');
        text
    }

    fn write_group<W: Write + Send>(
        &self,
        file: &mut SerializedFileWriter<W>,
        steps: &[RobotStep],
    ) -> Result<(), ParquetError> {
        if steps.is_empty() {
            return Ok(());
        }
        let mut group = file.next_row_group()?;
        for column in &self.columns {
            let cells: Vec<TableValue> =
                steps.iter().map(|step| self.value(column, step)).collect();
            let mut writer = group.next_column()?.expect("a column for each");
            write_column(&mut writer, &cells)?;
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

/// Writes the cells of a column, which are all of one kind.
fn write_column(
    writer: &mut SerializedColumnWriter,
    cells: &[TableValue],
) -> Result<usize, ParquetError> {
    macro_rules! of {
        ($ProtoType:ident, $Type:ty, $value:ident => $to:expr) => {{
            let values = cells.iter().filter_map(|cell| match *cell {
                TableValue::$ProtoType($value) => Some($to),
                _ => None,
            });
            let values: Vec<_> = values.collect();
            writer.typed::<$Type>().write_batch(&values, None, None)
        }};
    }
    match cells[0] {
        TableValue::Count(_) => of!(Count, Int64Type, count => count as i64),
        TableValue::Double(_) => of!(Double, DoubleType, number => number),
        TableValue::Flag(_) => of!(Flag, BoolType, flag => flag),
        TableValue::Text(_) => of!(Text, ByteArrayType, text => ByteArray::from(text)),
        TableValue::Float(_) => {
            let numbers = cells.iter().map(|cell| match *cell {
                TableValue::Float(number) => number,
                _ => None,
            });
            let there: Vec<i16> = numbers.clone().map(|n| n.is_some().into()).collect();
            let values: Vec<f32> = numbers.flatten().collect();
            writer
                .typed::<FloatType>()
                .write_batch(&values, Some(&there), None)
        }
    }
}
