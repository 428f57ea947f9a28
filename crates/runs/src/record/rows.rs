//! A recording as a table: one row for each robot and control step.

use std::io::Write;

use super::RecordError;
use super::messages::{Recording, State, Step};
use super::reader::Reader;

#[cfg(feature = "parquet")]
mod parquet;

#[cfg(feature = "parquet")]
pub use parquet::write_parquet;

/// The columns that a recording's table has.
#[derive(Clone, Debug)]
pub struct Table {
    /// In their order.
    pub columns: Vec<Column>,
    control_step_secs: f64,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    source: Source,
}

/// Where a column's values come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Episode,
    Robot,
    Step,
    TimeSecs,
    Waits,
    State(fn(&State) -> f32),
    Contact,
    Value,
    Reward,
    Outcome,
    /// An entry of a row of numbers.
    Entry(Entries, usize),
}

/// A row of numbers of a step.
type Entries = fn(&Step) -> &[f32];

/// What stands in a row and a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell<'a> {
    Count(u64),
    Double(f64),
    /// Nothing where the policy has none.
    Float(Option<f32>),
    Flag(bool),
    Text(&'a str),
}

impl Table {
    /// The columns of this recording.
    pub fn of(about: &Recording) -> Self {
        let mut columns = Vec::new();
        let mut add = |name: String, source: Source| columns.push(Column { name, source });
        for (name, source) in [
            ("episode", Source::Episode),
            ("robot", Source::Robot),
            ("step", Source::Step),
            ("time_secs", Source::TimeSecs),
            ("waits", Source::Waits),
            ("x_m", Source::State(|state| state.x_m)),
            ("y_m", Source::State(|state| state.y_m)),
            ("heading_rad", Source::State(|state| state.heading_rad)),
            ("speed_mps", Source::State(|state| state.speed_mps)),
            (
                "side_speed_mps",
                Source::State(|state| state.side_speed_mps),
            ),
            (
                "turn_rate_radps",
                Source::State(|state| state.turn_rate_radps),
            ),
            ("clearance_m", Source::State(|state| state.clearance_m)),
            ("contact", Source::Contact),
            ("reward", Source::Reward),
        ] {
            add(name.to_owned(), source);
        }
        for (index, term) in about.reward_terms.iter().enumerate() {
            add(
                format!("reward_{term}"),
                Source::Entry(|step| &step.reward_terms, index),
            );
        }
        add("outcome".to_owned(), Source::Outcome);
        add("value".to_owned(), Source::Value);
        let kinds: [(&str, Entries); 3] = [
            ("action", |step| &step.action),
            ("action_mean", |step| &step.action_mean),
            ("action_std", |step| &step.action_std),
        ];
        for (kind, entries) in kinds {
            for (index, action) in about.actions.iter().enumerate() {
                add(format!("{kind}_{action}"), Source::Entry(entries, index));
            }
        }
        for block in &about.observation {
            let name = block.name.replace('.', "_");
            for index in 0..block.length {
                let at = block.first.saturating_add(index) as usize;
                add(
                    format!("obs_{name}_{index}"),
                    Source::Entry(|step| &step.observation, at),
                );
            }
        }
        Self {
            columns,
            control_step_secs: about.control_step_secs,
        }
    }

    /// What a step has in a column.
    fn cell<'a>(&self, column: &Column, step: &'a Step) -> Cell<'a> {
        let state = step.state.as_ref();
        match column.source {
            Source::Episode => Cell::Count(step.episode),
            Source::Robot => Cell::Count(step.robot.into()),
            Source::Step => Cell::Count(step.step.into()),
            Source::TimeSecs => Cell::Double(f64::from(step.step) * self.control_step_secs),
            Source::State(number) => Cell::Float(state.map(number)),
            Source::Waits => Cell::Flag(step.waits),
            Source::Contact => Cell::Flag(state.is_some_and(|state| state.contact)),
            Source::Value => Cell::Float(Some(step.value).filter(|value| !value.is_nan())),
            Source::Reward => Cell::Float(Some(step.reward)),
            Source::Outcome => Cell::Text(&step.outcome),
            Source::Entry(entries, index) => Cell::Float(entries(step).get(index).copied()),
        }
    }
}

/// Writes a recording as comma-separated values under a line of names; an empty field is nothing.
/// Returns how many rows there are.
///
/// # Errors
/// If the recording cannot be read, or `out` takes no more.
pub fn write_csv(reader: &mut Reader, out: &mut impl Write) -> Result<u64, RecordError> {
    let table = Table::of(reader.about());
    let names: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
    writeln!(out, "{}", names.join(","))?;
    let mut rows = 0;
    let mut line = String::new();
    while let Some(episode) = reader.next_episode()? {
        for step in &episode.steps {
            line.clear();
            for column in &table.columns {
                table.cell(column, step).append(&mut line);
                line.push(',');
            }
            line.pop();
            writeln!(out, "{line}")?;
            rows += 1;
        }
    }
    Ok(rows)
}

impl Cell<'_> {
    /// Appends it as it stands in a line; numbers so that they read back as themselves.
    fn append(self, line: &mut String) {
        use std::fmt::Write as _;
        let written = match self {
            Self::Count(count) => write!(line, "{count}"),
            Self::Double(number) => write!(line, "{number}"),
            Self::Float(Some(number)) => write!(line, "{number}"),
            Self::Float(None) => Ok(()),
            Self::Flag(flag) => write!(line, "{}", u8::from(flag)),
            // Names of outcomes: nothing that would need quotes, whatever the file says.
            Self::Text(text) => write!(line, "{}", text.replace(['"', ',', '\n', '\r'], " ")),
        };
        written.expect("a string takes all");
    }
}
