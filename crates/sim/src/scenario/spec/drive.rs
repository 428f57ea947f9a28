//! The robot's drive, with one struct per kind, and its actuation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::zero;
use crate::scenario::Quantity;

/// The kind of drive, which defines the meaning of the actions. Every action is a number in [-1, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DriveSpec {
    /// Two wheels on one axle. Two actions: forward speed, from `-max_reverse_mps` to
    /// `max_speed_mps`, and turn rate, from `-max_turn_rate_radps` to `max_turn_rate_radps`.
    Differential(DifferentialSpec),
    /// Wheels that roll in every direction. Three actions: speed ahead and speed to the left, each
    /// from `-max_speed_mps` to `max_speed_mps`, and turn rate. A velocity faster than
    /// `max_speed_mps` is scaled down to it and keeps its direction.
    Omni(OmniSpec),
    /// A car: the front wheels steer, and the robot's origin is the middle of the rear axle. Two
    /// actions: forward speed, from `-max_reverse_mps` to `max_speed_mps`, and steering angle,
    /// from `-max_steering_rad` (right) to `max_steering_rad` (left). With the steering angle δ the
    /// car drives a circle of radius wheelbase / tan δ.
    Ackermann(AckermannSpec),
}

impl DriveSpec {
    /// Names of the actions, in order.
    pub fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::Differential(_) => &["speed", "turn_rate"],
            Self::Omni(_) => &["speed", "side_speed", "turn_rate"],
            Self::Ackermann(_) => &["speed", "steering"],
        }
    }

    /// What each action commands: action -1 the lower bound, 1 the upper bound, and between them a
    /// linear map. An omnidirectional drive also scales a velocity that is faster than
    /// `max_speed_mps` down to it.
    ///
    /// # Errors
    /// The key of a bound that is drawn for each episode, so that it is no single number.
    pub fn commands(&self) -> Result<Vec<CommandRange>, String> {
        let bounds = match self {
            Self::Differential(drive) => vec![
                ("max_reverse_mps", &drive.max_reverse_mps, "m/s"),
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_turn_rate_radps", &drive.max_turn_rate_radps, "rad/s"),
                ("max_turn_rate_radps", &drive.max_turn_rate_radps, "rad/s"),
            ],
            Self::Omni(drive) => vec![
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_turn_rate_radps", &drive.max_turn_rate_radps, "rad/s"),
                ("max_turn_rate_radps", &drive.max_turn_rate_radps, "rad/s"),
            ],
            Self::Ackermann(drive) => vec![
                ("max_reverse_mps", &drive.max_reverse_mps, "m/s"),
                ("max_speed_mps", &drive.max_speed_mps, "m/s"),
                ("max_steering_rad", &drive.max_steering_rad, "rad"),
                ("max_steering_rad", &drive.max_steering_rad, "rad"),
            ],
        };
        let kind = match self {
            Self::Differential(_) => "differential",
            Self::Omni(_) => "omni",
            Self::Ackermann(_) => "ackermann",
        };
        let fixed = |(key, quantity, _): (&str, &Quantity, &str)| match quantity {
            Quantity::Fixed(bound) => Ok(*bound),
            Quantity::Range { .. } => Err(format!("robot.0.drive.{kind}.{key}")),
        };
        let pairs = self.actions().iter().zip(bounds.chunks_exact(2));
        let ranges = pairs.map(|(name, pair)| {
            Ok(CommandRange {
                name: (*name).to_owned(),
                unit: pair[1].2.to_owned(),
                low: 0.0 - fixed(pair[0])?,
                high: fixed(pair[1])?,
            })
        });
        ranges.collect()
    }
}

/// What an action commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRange {
    /// The action's name.
    pub name: String,
    /// The unit of the bounds.
    pub unit: String,
    /// The command of action -1.
    pub low: f64,
    /// The command of action 1.
    pub high: f64,
}

/// Limits of a differential drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferentialSpec {
    /// Largest forward speed, metres per second.
    pub max_speed_mps: Quantity,
    /// Largest backward speed, metres per second.
    #[serde(default = "zero")]
    pub max_reverse_mps: Quantity,
    /// Largest turn rate, radians per second.
    pub max_turn_rate_radps: Quantity,
    /// Largest change of speed, metres per second squared.
    pub max_accel_mps2: Quantity,
    /// Largest change of turn rate, radians per second squared.
    pub max_turn_accel_radps2: Quantity,
    /// Largest change of acceleration, metres per second cubed. No limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub max_jerk_mps3: Option<Quantity>,
    /// Largest change of turning acceleration, radians per second cubed. No limit by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub max_turn_jerk_radps3: Option<Quantity>,
}

/// Limits of an omnidirectional drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OmniSpec {
    /// Largest speed in any direction, metres per second.
    pub max_speed_mps: Quantity,
    /// Largest turn rate, radians per second.
    pub max_turn_rate_radps: Quantity,
    /// Largest change of velocity in any direction, metres per second squared.
    pub max_accel_mps2: Quantity,
    /// Largest change of turn rate, radians per second squared.
    pub max_turn_accel_radps2: Quantity,
    /// Largest change of acceleration, metres per second cubed. It is exceeded if the robot would
    /// otherwise get faster than `max_speed_mps`. No limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub max_jerk_mps3: Option<Quantity>,
    /// Largest change of turning acceleration, radians per second cubed. No limit by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub max_turn_jerk_radps3: Option<Quantity>,
}

/// Limits of a car's drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AckermannSpec {
    /// Distance from the rear axle to the front axle, metres.
    pub wheelbase_m: Quantity,
    /// Largest steering angle, radians, less than a right angle.
    pub max_steering_rad: Quantity,
    /// Largest change of the steering angle, radians per second.
    pub max_steering_rate_radps: Quantity,
    /// Largest forward speed, metres per second.
    pub max_speed_mps: Quantity,
    /// Largest backward speed, metres per second.
    #[serde(default = "zero")]
    pub max_reverse_mps: Quantity,
    /// Largest change of speed, metres per second squared.
    pub max_accel_mps2: Quantity,
    /// Largest change of acceleration, metres per second cubed. No limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub max_jerk_mps3: Option<Quantity>,
}

/// Delay and slip between an action and the motion of the robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActuationSpec {
    /// Time until an action takes effect, seconds, rounded to whole control steps. The robot stands
    /// still until the first action takes effect.
    pub delay_secs: Quantity,
    /// Share of the wheels' motion that is lost to slip, -0.9 to 0.9. The robot moves and turns by
    /// 1 − slip times the motion of its wheels (the longitudinal slip of Wong, Theory of Ground
    /// Vehicles, ch. 1). Odometry and the observed velocity are those of the wheels.
    pub slip: Quantity,
    /// Standard deviation of the slip, 0 to 0.5. It is drawn at each control step, independently for
    /// each direction of motion.
    pub slip_std: Quantity,
}

impl Default for ActuationSpec {
    fn default() -> Self {
        Self {
            delay_secs: zero(),
            slip: zero(),
            slip_std: zero(),
        }
    }
}
