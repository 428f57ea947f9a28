//! A recording as a table: one row for each robot and control step.

use std::io::Write;

use super::RecordError;
use super::messages::{RecordingHeader, RobotState, RobotStep};
use super::reader::RecordingReader;
use crate::table::{ColumnKind, TableColumn, TableFormat, TableValue, TableWriter};

/// The columns of a recording's table.
#[derive(Clone, Debug)]
pub struct StepColumns {
    /// In order.
    pub columns: Vec<TableColumn>,
    sources: Vec<ColumnSource>,
    control_step_secs: f64,
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

impl ColumnSource {
    /// The type of the values, and whether one may be missing.
    fn kind(self) -> (ColumnKind, bool) {
        match self {
            Self::Episode | Self::Robot | Self::Step => (ColumnKind::Count, false),
            Self::TimeSecs => (ColumnKind::Double, false),
            Self::Inactive | Self::Contact => (ColumnKind::Flag, false),
            Self::Outcome => (ColumnKind::Text, false),
            Self::State(_) | Self::Value | Self::Reward | Self::Entry(..) => {
                (ColumnKind::Float, true)
            }
        }
    }
}

impl StepColumns {
    /// The columns for a recording with this header.
    pub fn of(header: &RecordingHeader) -> Self {
        let mut columns = Vec::new();
        let mut sources = Vec::new();
        let mut add = |name: String, source: ColumnSource| {
            let (kind, optional) = source.kind();
            columns.push(TableColumn {
                name,
                kind,
                optional,
            });
            sources.push(source);
        };
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
            sources,
            control_step_secs: header.control_step_secs,
        }
    }

    /// The value of a step in a column.
    fn value<'a>(&self, source: ColumnSource, step: &'a RobotStep) -> TableValue<'a> {
        let state = step.state.as_ref();
        let float = |number: Option<f32>| number.map_or(TableValue::Missing, TableValue::Float);
        match source {
            ColumnSource::Episode => TableValue::Count(step.episode),
            ColumnSource::Robot => TableValue::Count(step.robot.into()),
            ColumnSource::Step => TableValue::Count(step.step.into()),
            ColumnSource::TimeSecs => {
                TableValue::Double(f64::from(step.step) * self.control_step_secs)
            }
            ColumnSource::State(number) => float(state.map(number)),
            ColumnSource::Inactive => TableValue::Flag(step.inactive),
            ColumnSource::Contact => TableValue::Flag(state.is_some_and(|state| state.contact)),
            ColumnSource::Value => float(Some(step.value).filter(|value| !value.is_nan())),
            ColumnSource::Reward => float(Some(step.reward)),
            ColumnSource::Outcome => TableValue::Text(&step.outcome),
            ColumnSource::Entry(entries, index) => float(entries(step).get(index).copied()),
        }
    }
}

/// Writes a recording as a table. Returns the number of rows.
///
/// # Errors
/// If the recording cannot be read, or `out` cannot be written.
pub fn write_table(
    reader: &mut RecordingReader,
    format: TableFormat,
    out: impl Write + Send,
) -> Result<u64, RecordError> {
    let steps = StepColumns::of(reader.header());
    let mut table = TableWriter::new(format, &steps.columns, out)?;
    while let Some(episode) = reader.next_episode()? {
        for step in &episode.steps {
            let sources = steps.sources.iter();
            table.row(sources.map(|source| steps.value(*source, step)))?;
        }
    }
    Ok(table.finish()?)
}
