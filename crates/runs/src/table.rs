//! Tables for other programs: typed columns and rows, written as CSV or as Parquet. What the columns
//! mean is said where they are filled (`recording/table.rs`, `telemetry/log_table.rs`).

use std::fmt::Write as _;
use std::io::{self, Write};

#[cfg(feature = "parquet")]
mod parquet;

/// Format of a table's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values below a line of column names (RFC 4180, with line feeds alone).
    Csv,
    /// Uncompressed Parquet.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: ColumnKind,
    /// Whether values may be missing.
    pub optional: bool,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers from 0.
    Count,
    /// Double precision.
    Double,
    /// Single precision.
    Float,
    /// True or false; 1 or 0 in CSV.
    Flag,
    /// UTF-8.
    Text,
}

/// The value in a row and a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TableValue<'a> {
    /// None; an empty field in CSV, null in Parquet.
    Missing,
    /// Of a column of [`ColumnKind::Count`].
    Count(u64),
    /// Of a column of [`ColumnKind::Double`].
    Double(f64),
    /// Of a column of [`ColumnKind::Float`].
    Float(f32),
    /// Of a column of [`ColumnKind::Flag`].
    Flag(bool),
    /// Of a column of [`ColumnKind::Text`].
    Text(&'a str),
}

/// A table that is being written.
pub struct TableWriter<W: Write + Send> {
    rows: u64,
    format: FormatWriter<W>,
}

enum FormatWriter<W: Write + Send> {
    Csv {
        out: W,
        line: String,
    },
    #[cfg(feature = "parquet")]
    Parquet(parquet::ParquetWriter<W>),
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table with these columns.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(format: TableFormat, columns: &[TableColumn], out: W) -> io::Result<Self> {
        let format = match format {
            TableFormat::Csv => {
                let mut writer = FormatWriter::Csv {
                    out,
                    line: String::new(),
                };
                let names = columns.iter().map(|column| TableValue::Text(&column.name));
                writer.write(names)?;
                writer
            }
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => {
                FormatWriter::Parquet(parquet::ParquetWriter::new(columns, out)?)
            }
        };
        Ok(Self { rows: 0, format })
    }

    /// Adds a row: a value for each column, in order.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn row<'a>(&mut self, values: impl Iterator<Item = TableValue<'a>>) -> io::Result<()> {
        self.rows += 1;
        self.format.write(values)
    }

    /// Completes the table. Returns the number of rows.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> io::Result<u64> {
        match self.format {
            FormatWriter::Csv { mut out, .. } => out.flush()?,
            #[cfg(feature = "parquet")]
            FormatWriter::Parquet(writer) => writer.finish()?,
        }
        Ok(self.rows)
    }
}

impl<W: Write + Send> FormatWriter<W> {
    fn write<'a>(&mut self, values: impl Iterator<Item = TableValue<'a>>) -> io::Result<()> {
        match self {
            Self::Csv { out, line } => {
                line.clear();
                for value in values {
                    value.append(line);
                    line.push(',');
                }
                line.pop();
                line.push('\n');
                out.write_all(line.as_bytes())
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(writer) => writer.row(values),
        }
    }
}

impl TableValue<'_> {
    /// Appends the value to a line. Numbers have all digits that reading them back needs.
    fn append(self, line: &mut String) {
        let written = match self {
            Self::Missing => Ok(()),
            Self::Count(count) => write!(line, "{count}"),
            Self::Double(number) => write!(line, "{number}"),
            Self::Float(number) => write!(line, "{number}"),
            Self::Flag(flag) => write!(line, "{}", u8::from(flag)),
            Self::Text(text) if text.contains(['"', ',', '\n', '\r']) => {
                write!(line, "\"{}\"", text.replace('"', "\"\""))
            }
            Self::Text(text) => write!(line, "{text}"),
        };
        written.expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_would_end_a_field() {
        let column = |name: &str, kind| TableColumn {
            name: name.to_owned(),
            kind,
            optional: true,
        };
        let columns = [
            column("note", ColumnKind::Text),
            column("x,y", ColumnKind::Double),
            column("ok", ColumnKind::Flag),
        ];
        let mut out = Vec::new();
        let mut table = TableWriter::new(TableFormat::Csv, &columns, &mut out).unwrap();
        let rows = [
            [
                TableValue::Text("say \"a, b\"\n"),
                TableValue::Double(0.1),
                TableValue::Flag(true),
            ],
            [
                TableValue::Text("plain"),
                TableValue::Missing,
                TableValue::Flag(false),
            ],
        ];
        for row in rows {
            table.row(row.into_iter()).unwrap();
        }
        assert_eq!(table.finish().unwrap(), 2);
        let expected = "note,\"x,y\",ok\n\"say \"\"a, b\"\"\n\",0.1,1\nplain,,0\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
