//! A table as Parquet.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::{ColumnKind, TableColumn, TableValue};

/// Rows of a row group. Readers skip whole groups; a group is held in memory until it is written.
const GROUP_ROWS: usize = 16_384;

/// A Parquet file that is being written.
pub(super) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// The rows of the next group, by column.
    columns: Vec<PendingColumn>,
    rows: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(super) fn new(columns: &[TableColumn], out: W) -> io::Result<Self> {
        let fields: Result<Vec<_>, ParquetError> = columns.iter().map(field).collect();
        let schema = Type::group_type_builder("table")
            .with_fields(fields.map_err(io::Error::other)?)
            .build()
            .map_err(io::Error::other)?;
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::default());
        Ok(Self {
            file: file.map_err(io::Error::other)?,
            columns: columns.iter().map(PendingColumn::new).collect(),
            rows: 0,
        })
    }

    pub(super) fn row<'a>(
        &mut self,
        values: impl Iterator<Item = TableValue<'a>>,
    ) -> io::Result<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group().map_err(io::Error::other)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group().map_err(io::Error::other)?;
        }
        self.file.into_inner().map_err(io::Error::other)?.flush()
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            let mut writer = group.next_column()?.expect("a column for each");
            column.write(&mut writer)?;
            writer.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

/// The column's place in the schema.
fn field(column: &TableColumn) -> Result<Arc<Type>, ParquetError> {
    let physical = match column.kind {
        ColumnKind::Count => PhysicalType::INT64,
        ColumnKind::Double => PhysicalType::DOUBLE,
        ColumnKind::Float => PhysicalType::FLOAT,
        ColumnKind::Flag => PhysicalType::BOOLEAN,
        ColumnKind::Text => PhysicalType::BYTE_ARRAY,
    };
    let repetition = if column.optional {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(repetition)
        .with_logical_type((column.kind == ColumnKind::Text).then_some(LogicalType::String));
    Ok(Arc::new(field.build()?))
}

/// The rows of a column that are not in the file yet.
struct PendingColumn {
    values: PendingValues,
    /// 1 for each row with a value, 0 for each without; `None` if no value may be missing.
    present: Option<Vec<i16>>,
}

enum PendingValues {
    Count(Vec<i64>),
    Double(Vec<f64>),
    Float(Vec<f32>),
    Flag(Vec<bool>),
    Text(Vec<ByteArray>),
}

impl PendingColumn {
    fn new(column: &TableColumn) -> Self {
        Self {
            values: match column.kind {
                ColumnKind::Count => PendingValues::Count(Vec::new()),
                ColumnKind::Double => PendingValues::Double(Vec::new()),
                ColumnKind::Float => PendingValues::Float(Vec::new()),
                ColumnKind::Flag => PendingValues::Flag(Vec::new()),
                ColumnKind::Text => PendingValues::Text(Vec::new()),
            },
            present: column.optional.then(Vec::new),
        }
    }

    fn push(&mut self, value: TableValue) {
        if let Some(present) = &mut self.present {
            present.push((value != TableValue::Missing).into());
        }
        match (&mut self.values, value) {
            (_, TableValue::Missing) => {}
            (PendingValues::Count(values), TableValue::Count(count)) => values.push(count as i64),
            (PendingValues::Double(values), TableValue::Double(number)) => values.push(number),
            (PendingValues::Float(values), TableValue::Float(number)) => values.push(number),
            (PendingValues::Flag(values), TableValue::Flag(flag)) => values.push(flag),
            (PendingValues::Text(values), TableValue::Text(text)) => values.push(text.into()),
            _ => panic!("a value of another kind than its column"),
        }
    }

    /// Writes the rows and forgets them.
    fn write(&mut self, writer: &mut SerializedColumnWriter) -> Result<(), ParquetError> {
        let present = self.present.as_deref();
        match &mut self.values {
            PendingValues::Count(values) => write_batch::<Int64Type>(writer, values, present),
            PendingValues::Double(values) => write_batch::<DoubleType>(writer, values, present),
            PendingValues::Float(values) => write_batch::<FloatType>(writer, values, present),
            PendingValues::Flag(values) => write_batch::<BoolType>(writer, values, present),
            PendingValues::Text(values) => write_batch::<ByteArrayType>(writer, values, present),
        }?;
        if let Some(present) = &mut self.present {
            present.clear();
        }
        Ok(())
    }
}

fn write_batch<T: DataType>(
    writer: &mut SerializedColumnWriter,
    values: &mut Vec<T::T>,
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    writer.typed::<T>().write_batch(values, present, None)?;
    values.clear();
    Ok(())
}
