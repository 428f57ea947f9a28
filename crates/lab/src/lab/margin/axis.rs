//! Axes of stability margins: what is turned up and down, and by how much.

use std::fmt::Write as _;

use evenkeel_sim::config::suggest;

/// Sixteenths of an octave, a factor of 2^(1/16): the grid on which factors lie. 0 is a factor of 1.
pub(super) type Turn = i32;

/// [`Turn`]s of one octave, a factor of 2.
pub(super) const OCTAVE: Turn = 16;

/// How far an axis is turned at most, in each direction: a factor of 1024.
const MAX_TURN: Turn = 10 * OCTAVE;

/// An axis: one setting, or several that are turned together.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginAxis {
    /// The name of a built-in axis, or the path of a setting.
    pub name: String,
    /// What it turns, in one sentence.
    pub description: String,
    built_in: Option<&'static BuiltIn>,
}

/// A built-in axis.
#[derive(Debug, PartialEq)]
struct BuiltIn {
    name: &'static str,
    description: &'static str,
    /// Paths of the settings start with this,
    prefix: &'static str,
    /// end with one of these,
    suffixes: &'static [&'static str],
    /// and contain none of these.
    excluded: &'static [&'static str],
    /// The first value above 0 of a setting that is 0; absent where 0 stays 0.
    unit: Option<f64>,
}

/// The built-in axes.
const BUILT_IN: [BuiltIn; 8] = [
    BuiltIn {
        name: "learning_rate",
        description: "the learning rate",
        prefix: "train.learning_rate",
        suffixes: &[""],
        excluded: &[],
        unit: None,
    },
    BuiltIn {
        name: "reward_scale",
        description: "all rewards",
        prefix: "reward.",
        suffixes: &[""],
        excluded: &["margin_m"],
        unit: None,
    },
    BuiltIn {
        name: "epochs",
        description: "passes over each rollout",
        prefix: "train.epochs",
        suffixes: &[""],
        excluded: &[],
        unit: None,
    },
    BuiltIn {
        name: "init_gain",
        description: "the initial weights of all layers",
        prefix: "policy.init.",
        suffixes: &["gain", "std"],
        excluded: &[],
        unit: None,
    },
    BuiltIn {
        name: "recurrent_gain",
        description: "the initial weights from one hidden state to the next",
        prefix: "policy.memory.",
        suffixes: &["gain"],
        excluded: &[],
        unit: None,
    },
    BuiltIn {
        name: "horizon",
        description: "control steps of a rollout; with a memory, also of back-propagation through time",
        prefix: "train.horizon",
        suffixes: &[""],
        excluded: &[],
        unit: None,
    },
    BuiltIn {
        name: "outliers",
        description: "the share of lidar readings that are lost and read the full range",
        prefix: "robot.",
        suffixes: &["lidar.dropout"],
        excluded: &[],
        unit: Some(0.001),
    },
    BuiltIn {
        name: "sensor_noise",
        description: "the standard deviation of lidar readings, metres",
        prefix: "robot.",
        suffixes: &["lidar.range_noise_m"],
        excluded: &[],
        unit: Some(0.005),
    },
];

/// Why an axis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AxisError {
    /// No such axis.
    #[error(
        "no axis '{name}'; {hint}; the path of a numeric setting, such as train.entropy_coef, is an \
         axis too"
    )]
    Unknown {
        /// The name.
        name: String,
        /// The closest axis, or all of them.
        hint: String,
    },
    /// The settings of an arm have nothing to turn.
    #[error("axis '{axis}': arm '{arm}' has no such number{hint}")]
    Absent {
        /// Name of the axis.
        axis: String,
        /// Name of the arm.
        arm: String,
        /// What would help.
        hint: String,
    },
}

impl MarginAxis {
    /// The built-in axes.
    pub fn built_in() -> Vec<Self> {
        BUILT_IN.iter().map(Self::from_built_in).collect()
    }

    /// The axis with this name: a built-in one, or the path of a numeric setting.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, AxisError> {
        if let Some(axis) = BUILT_IN.iter().find(|axis| axis.name == name) {
            return Ok(Self::from_built_in(axis));
        }
        if name.contains('.') {
            return Ok(Self {
                name: name.to_owned(),
                description: format!("the setting {name}"),
                built_in: None,
            });
        }
        let names = BUILT_IN.map(|axis| axis.name);
        Err(AxisError::Unknown {
            name: name.to_owned(),
            hint: suggest(name, &names).unwrap_or_default(),
        })
    }

    fn from_built_in(axis: &'static BuiltIn) -> Self {
        Self {
            name: axis.name.to_owned(),
            description: axis.description.to_owned(),
            built_in: Some(axis),
        }
    }

    /// Whether the axis turns the setting at this path.
    fn turns(&self, path: &str) -> bool {
        match self.built_in {
            None => path == self.name,
            Some(axis) => {
                path.starts_with(axis.prefix)
                    && axis.suffixes.iter().any(|suffix| path.ends_with(suffix))
                    && !axis.excluded.iter().any(|part| path.contains(part))
            }
        }
    }

    /// The settings that the axis turns in a resolved configuration, and their values there.
    ///
    /// # Errors
    /// If there is none that can be turned.
    pub(super) fn base(&self, arm: &str, config: &toml::Table) -> Result<AxisBase, AxisError> {
        let mut settings = Vec::new();
        visit("", config, &mut |path, value| {
            if self.turns(path) {
                settings.extend(BaseSetting::new(path, value));
            }
        });
        let unit = self.built_in.and_then(|axis| axis.unit);
        let is_zero = settings.iter().all(|setting| setting.value == 0.0);
        if settings.is_empty() || (is_zero && unit.is_none()) {
            let hint = match self.name.as_str() {
                "recurrent_gain" => "; it needs a policy with memory, as that of the arm `gru`",
                _ if settings.is_empty() => "",
                _ => ": it is 0, and stays 0 whatever it is multiplied by",
            };
            return Err(AxisError::Absent {
                axis: self.name.clone(),
                arm: arm.to_owned(),
                hint: hint.to_owned(),
            });
        }
        Ok(AxisBase {
            unit: unit.filter(|_| is_zero),
            settings,
        })
    }
}

/// The settings of an axis at a factor of 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AxisBase {
    /// The first value above 0 where all settings are 0: they are then turned up only, from this
    /// value on.
    unit: Option<f64>,
    settings: Vec<BaseSetting>,
}

#[derive(Clone, Debug, PartialEq)]
struct BaseSetting {
    path: String,
    value: f64,
    is_whole: bool,
}

impl BaseSetting {
    fn new(path: &str, value: &toml::Value) -> Option<Self> {
        let (value, is_whole) = match value {
            toml::Value::Integer(value) => (*value as f64, true),
            toml::Value::Float(value) => (*value, false),
            _ => return None,
        };
        Some(Self {
            path: path.to_owned(),
            value,
            is_whole,
        })
    }
}

impl AxisBase {
    /// How far the axis may be turned down and up.
    pub(super) fn range(&self) -> [Turn; 2] {
        [if self.unit.is_some() { 0 } else { -MAX_TURN }, MAX_TURN]
    }

    /// The settings at a turn as overrides, each `path=value`. Empty at 0.
    pub(super) fn overrides(&self, turn: Turn) -> Vec<String> {
        if turn == 0 {
            return Vec::new();
        }
        let settings = self.settings.iter().map(|setting| {
            let value = self.value(setting, turn);
            let mut text = setting.path.clone();
            let written = if setting.is_whole {
                write!(text, "={}", value.round().max(1.0))
            } else {
                write!(text, "={}", rounded(value))
            };
            written.map_or(String::new(), |()| text)
        });
        settings.collect()
    }

    fn value(&self, setting: &BaseSetting, turn: Turn) -> f64 {
        match self.unit {
            None => setting.value * factor(turn),
            Some(unit) => unit * factor(turn - OCTAVE),
        }
    }

    /// The name of a turn: `x4` for a factor, `0.02` where the base is 0.
    pub(super) fn label(&self, turn: Turn) -> String {
        match self.unit {
            None => format!("x{}", short(factor(turn))),
            Some(unit) => short(unit * factor(turn - OCTAVE)),
        }
    }

    /// The value of the axis at a fractional turn, where it is that of one setting or has a unit.
    pub(super) fn value_at(&self, turn: f64) -> Option<f64> {
        let octaves = turn / f64::from(OCTAVE);
        match (self.unit, self.settings.as_slice()) {
            (Some(unit), _) => Some(unit * (octaves - 1.0).exp2()),
            (None, [setting]) => Some(setting.value * octaves.exp2()),
            _ => None,
        }
    }
}

/// The factor of a turn.
pub(super) fn factor(turn: Turn) -> f64 {
    (f64::from(turn) / f64::from(OCTAVE)).exp2()
}

/// Four significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Three significant digits, without an exponent.
fn short(value: f64) -> String {
    let text: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    text.to_string()
}

/// Visits all values below a table that are no tables or lists, with their dotted paths.
fn visit(path: &str, table: &toml::Table, see: &mut impl FnMut(&str, &toml::Value)) {
    fn visit_value(path: &str, value: &toml::Value, see: &mut impl FnMut(&str, &toml::Value)) {
        match value {
            toml::Value::Table(table) => visit(path, table, see),
            toml::Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    visit_value(&format!("{path}.{index}"), value, see);
                }
            }
            value => see(path, value),
        }
    }
    let dot = if path.is_empty() { "" } else { "." };
    for (key, value) in table {
        visit_value(&format!("{path}{dot}{key}"), value, see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> toml::Table {
        "[[robot]]\n[robot.lidar]\nrange_noise_m = 0.0\ndropout = 0.02\nbeams = 64\n\
         [reward]\nprogress = 1.0\ngoal = 10.0\ntime = -0.01\nprogress_along = 'line'\n\
         clearance = { scale = 0.0, margin_m = 0.3 }\n\
         [train]\nlearning_rate = 1e-3\nepochs = 5\n"
            .parse()
            .unwrap()
    }

    fn overrides(axis: &str, turn: Turn) -> Vec<String> {
        let axis = MarginAxis::named(axis).unwrap();
        axis.base("clipped", &config()).unwrap().overrides(turn)
    }

    #[test]
    fn an_axis_multiplies_its_settings() {
        assert_eq!(
            overrides("learning_rate", 2 * OCTAVE),
            ["train.learning_rate=0.004"]
        );
        assert_eq!(
            overrides("learning_rate", -8),
            ["train.learning_rate=0.0007071"]
        );
        assert_eq!(
            overrides("reward_scale", OCTAVE),
            [
                "reward.progress=2",
                "reward.goal=20",
                "reward.time=-0.02",
                "reward.clearance.scale=0"
            ]
        );
        assert_eq!(overrides("train.epochs", OCTAVE), ["train.epochs=10"]);
        assert_eq!(overrides("epochs", -5 * OCTAVE), ["train.epochs=1"]);
        assert!(overrides("epochs", 0).is_empty());
    }

    #[test]
    fn a_setting_of_zero_is_turned_up_from_a_unit() {
        let axis = MarginAxis::named("sensor_noise").unwrap();
        let base = axis.base("clipped", &config()).unwrap();
        assert_eq!(base.range(), [0, MAX_TURN]);
        let written = base.overrides(OCTAVE);
        assert_eq!(written, ["robot.0.lidar.range_noise_m=0.005"]);
        assert_eq!(base.label(3 * OCTAVE), "0.02");
        // A setting that is not 0 is multiplied.
        assert_eq!(
            overrides("outliers", OCTAVE),
            ["robot.0.lidar.dropout=0.04"]
        );
    }

    #[test]
    fn an_axis_without_numbers_is_refused() {
        let error = |name: &str| {
            let base = MarginAxis::named(name).and_then(|axis| axis.base("raw", &config()));
            base.unwrap_err().to_string()
        };
        assert!(error("learning_rat").contains("did you mean 'learning_rate'?"));
        assert!(error("recurrent_gain").contains("needs a policy with memory"));
        assert!(error("train.gamm").contains("arm 'raw' has no such number"));
        assert!(error("reward.clearance.scale").contains("stays 0"));
    }

    #[test]
    fn factors_have_short_names() {
        let axis = MarginAxis::named("learning_rate").unwrap();
        let base = axis.base("clipped", &config()).unwrap();
        let labels = [-OCTAVE, 8, 10 * OCTAVE].map(|turn| base.label(turn));
        assert_eq!(labels, ["x0.5", "x1.41", "x1020"]);
    }
}
