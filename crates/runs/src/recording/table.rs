//! A recording as a table: one row for each robot and control step.

use std::io::Write;

use super::RecordError;
use super::messages::{RecordingHeader, RobotState, RobotStep};
use super::reader::RecordingReader;

#[cfg(feature = "parquet")]
mod parquet;

#[cfg(feature = "parquet")]
pub use parquet::write_parquet;

/// The columns of a recording's table.
#[derive(Clone, Debug)]
pub struct TableColumns {
    /// In order.
    pub columns: Vec<TableColumn>,
    control_step_secs: f64,
}

/// A column.
#[derive(Clone, Debug)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    source: ColumnSource,
}

/// Where a column's values come from.
#[derive(Clone, Copy, Debug)]
enum ColumnSource {
    Episode,
    Robot,
    Step,
    TimeSecs,
    Inactive,
    State(fn(&RobotState) -> f32),
    Contact,
    Value,
    Reward,
    Outcome,
    /// An entry of a vector.
    Entry(StepValues, usize),
}

/// A vector of a step.
type StepValues = fn(&RobotStep) -> &[f32];

/// The value in a row and a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TableValue<'a> {
    Count(u64),
    Double(f64),
    /// `None` if there is no such number.
    Float(Option<f32>),
    Flag(bool),
    Text(&'a str),
}

impl TableColumns {
    /// The columns for a recording with this header.
    pub fn of(header: &RecordingHeader) -> Self {
        let mut columns = Vec::new();
        let mut add =
            |name: String, source: ColumnSource| columns.push(TableColumn { name, source });
        for (name, source) in [
            ("episode", ColumnSource::Episode),
            ("robot", ColumnSource::Robot),
            ("step", ColumnSource::Step),
            ("time_secs", ColumnSource::TimeSecs),
            ("inactive", ColumnSource::Inactive),
            ("x_m", ColumnSource::State(|state| state.x_m)),
            ("y_m", ColumnSource::State(|state| state.y_m)),
            (
                "heading_rad",
                ColumnSource::State(|state| state.heading_rad),
            ),
            ("speed_mps", ColumnSource::State(|state| state.speed_mps)),
            (
                "side_speed_mps",
                ColumnSource::State(|state| state.side_speed_mps),
            ),
            (
                "turn_rate_radps",
                ColumnSource::State(|state| state.turn_rate_radps),
            ),
            (
                "clearance_m",
                ColumnSource::State(|state| state.clearance_m),
            ),
            ("contact", ColumnSource::Contact),
            ("reward", ColumnSource::Reward),
        ] {
            add(name.to_owned(), source);
        }
        for (index, term) in header.reward_terms.iter().enumerate() {
            add(
                format!("reward_{term}"),
                ColumnSource::Entry(|step| &step.reward_terms, index),
            );
        }
        add("outcome".to_owned(), ColumnSource::Outcome);
        add("value".to_owned(), ColumnSource::Value);
        let kinds: [(&str, StepValues); 3] = [
            ("action", |step| &step.action),
            ("action_mean", |step| &step.action_mean),
            ("action_std", |step| &step.action_std),
        ];
        for (kind, entries) in kinds {
            for (index, action) in header.actions.iter().enumerate() {
                add(
                    format!("{kind}_{action}"),
                    ColumnSource::Entry(entries, index),
                );
            }
        }
        for block in &header.observation {
            let name = block.name.replace('.', "_");
            for index in 0..block.length {
                let at = block.first.saturating_add(index) as usize;
                add(
                    format!("obs_{name}_{index}"),
                    ColumnSource::Entry(|step| &step.observation, at),
                );
            }
        }
        Self {
            columns,
            control_step_secs: header.control_step_secs,
        }
    }

    /// The value of a step in a column.
    fn value<'a>(&self, column: &TableColumn, step: &'a RobotStep) -> TableValue<'a> {
        let state = step.state.as_ref();
        match column.source {
            ColumnSource::Episode => TableValue::Count(step.episode),
            ColumnSource::Robot => TableValue::Count(step.robot.into()),
            ColumnSource::Step => TableValue::Count(step.step.into()),
            ColumnSource::TimeSecs => {
                TableValue::Double(f64::from(step.step) * self.control_step_secs)
            }
            ColumnSource::State(number) => TableValue::Float(state.map(number)),
            ColumnSource::Inactive => TableValue::Flag(step.inactive),
            ColumnSource::Contact => TableValue::Flag(state.is_some_and(|state| state.contact)),
            ColumnSource::Value => {
                TableValue::Float(Some(step.value).filter(|value| !value.is_nan()))
            }
            ColumnSource::Reward => TableValue::Float(Some(step.reward)),
            ColumnSource::Outcome => TableValue::Text(&step.outcome),
            ColumnSource::Entry(entries, index) => {
                TableValue::Float(entries(step).get(index).copied())
            }
        }
    }
}

/// Writes a recording as comma-separated values with a header line. Missing values are empty fields.
/// Returns the number of rows.
///
/// # Errors
/// If the recording cannot be read, or `out` cannot be written.
pub fn write_csv(reader: &mut RecordingReader, out: &mut impl Write) -> Result<u64, RecordError> {
    let table = TableColumns::of(reader.header());
    let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
    writeln!(out, "{}", names.join(","))?;
    let mut rows = 0;
    let mut line = String::new();
    while let Some(episode) = reader.next_episode()? {
        for step in &episode.steps {
            line.clear();
            for column in &table.columns {
                table.value(column, step).append(&mut line);
                line.push(',');
            }
            line.pop();
            writeln!(out, "{line}")?;
            rows += 1;
        }
    }
    Ok(rows)
}

impl TableValue<'_> {
    /// Appends the value to a line. Numbers have all digits that reading them back needs.
    fn append(self, line: &mut String) {
        use std::fmt::Write as _;
        let written = match self {
            Self::Count(count) => write!(line, "{count}"),
            Self::Double(number) => write!(line, "{number}"),
            Self::Float(Some(number)) => write!(line, "{number}"),
            Self::Float(None) => Ok(()),
            Self::Flag(flag) => write!(line, "{}", u8::from(flag)),
            // Outcomes need no quotes, but a damaged file may hold anything.
            Self::Text(text) => write!(line, "{}", text.replace(['"', ',', '\n', '\r'], " ")),
        };
        written.expect("writing to a string cannot fail");
    }
}
