//! The columns that flat rows need together.

use std::collections::HashMap;

use serde_json::Value;

use super::flatten::FlatRow;
use crate::table::{ColumnKind, TableColumn, TableValue};

/// Columns in the order in which rows first have them.
#[derive(Default)]
pub(super) struct ColumnSet {
    pub(super) columns: Vec<TableColumn>,
    /// Whether a value of each column was seen; until then its kind is a guess.
    is_known: Vec<bool>,
    index: HashMap<String, usize>,
}

impl ColumnSet {
    /// Adds the columns that a row needs.
    pub(super) fn observe(&mut self, row: &FlatRow) {
        for (name, value) in row {
            let index = match self.index.get(name) {
                Some(index) => *index,
                None => self.add(name),
            };
            let Some(kind) = kind(value) else { continue };
            let column = &mut self.columns[index];
            let is_wider = (column.kind, kind) == (ColumnKind::Count, ColumnKind::Double);
            if !self.is_known[index] || is_wider {
                column.kind = kind;
            }
            self.is_known[index] = true;
        }
    }

    fn add(&mut self, name: &str) -> usize {
        let index = self.columns.len();
        self.index.insert(name.to_owned(), index);
        self.columns.push(TableColumn {
            name: name.to_owned(),
            kind: ColumnKind::Double,
            optional: true,
        });
        self.is_known.push(false);
        index
    }

    /// The row's value in each column.
    pub(super) fn values<'a>(&self, row: &'a FlatRow) -> impl Iterator<Item = TableValue<'a>> {
        let mut values = vec![TableValue::Missing; self.columns.len()];
        for (name, value) in row {
            let index = self.index[name];
            values[index] = convert(self.columns[index].kind, value);
        }
        values.into_iter()
    }
}

/// The type of a value; `None` for null.
fn kind(value: &Value) -> Option<ColumnKind> {
    match value {
        Value::Number(number) if number.is_u64() => Some(ColumnKind::Count),
        Value::Number(_) => Some(ColumnKind::Double),
        Value::Bool(_) => Some(ColumnKind::Flag),
        Value::String(_) => Some(ColumnKind::Text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn convert(kind: ColumnKind, value: &Value) -> TableValue<'_> {
    let converted = match kind {
        ColumnKind::Count => value.as_u64().map(TableValue::Count),
        ColumnKind::Double => value.as_f64().map(TableValue::Double),
        ColumnKind::Float => value
            .as_f64()
            .map(|number| TableValue::Float(number as f32)),
        ColumnKind::Flag => value.as_bool().map(TableValue::Flag),
        ColumnKind::Text => value.as_str().map(TableValue::Text),
    };
    converted.unwrap_or(TableValue::Missing)
}
