//! The scenario file, version 1, as plain data. What each key means is said here and nowhere
//! else: the JSON Schema and `docs/scenario-format.md` are generated from these comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantity;

/// The format version that this build writes and reads.
pub const VERSION: u32 = 1;

/// A navigation scenario: where the robot is, what stands and moves around it, what it senses,
/// what it is asked to do, and how a policy for it is best trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Format version; this build reads 1.
    pub version: u32,
    /// A name for people, one line.
    pub title: String,
    /// What the scenario teaches, one line, for `evenkeel scenario list`.
    #[serde(default)]
    pub description: String,
    /// The walled room.
    pub arena: ArenaSpec,
    /// Obstacles that the file places. A range in place of a number moves them at each episode.
    #[serde(default)]
    pub obstacles: Vec<ObstacleSpec>,
    /// Obstacles that are scattered anew for every episode.
    #[serde(default)]
    pub generate: Vec<GeneratorSpec>,
    /// Things that move by themselves, solid to the robot and seen by its lidar.
    #[serde(default)]
    pub movers: Vec<MoverSpec>,
    /// The robots. This version drives exactly one.
    pub robot: Vec<RobotSpec>,
    /// What the robot is asked to do, and for how long.
    #[serde(default)]
    pub task: TaskSpec,
    /// Named reward terms with their scales.
    #[serde(default)]
    pub reward: RewardSpec,
    /// What the policy sees.
    #[serde(default)]
    pub observation: ObservationSpec,
    /// Training settings that suit this scenario; they stand in for the built-in defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
    /// Policy settings that suit this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub policy: toml::Table,
    /// Stability settings that suit this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub stability: toml::Table,
}

impl ScenarioSpec {
    /// How many things stand in the room, scattered ones included.
    pub fn obstacle_count(&self) -> usize {
        let scattered = self.generate.iter().map(|generator| match generator {
            GeneratorSpec::Discs(discs) => discs.count as usize,
            GeneratorSpec::Boxes(boxes) => boxes.count as usize,
        });
        self.obstacles.len() + scattered.sum::<usize>()
    }

    /// How many things move by themselves.
    pub fn mover_count(&self) -> u32 {
        self.movers
            .iter()
            .map(|MoverSpec::Bouncing(discs)| discs.count)
            .sum()
    }
}

/// A rectangle closed by four walls. Coordinates are metres, x to the right and y up, angles in
/// radians counter-clockwise from +x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArenaSpec {
    /// Width and height inside the walls, metres.
    pub size_m: [Quantity; 2],
    /// The lower left inner corner, metres.
    #[serde(default = "zero_point")]
    pub origin_m: [Quantity; 2],
}

fn zero_point() -> [Quantity; 2] {
    [Quantity::Fixed(0.0); 2]
}

/// One obstacle at a place of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ObstacleSpec {
    /// A filled circle.
    Disc(DiscSpec),
    /// A filled rectangle.
    Box(BoxSpec),
    /// A filled convex polygon.
    Polygon(PolygonSpec),
    /// A wall without thickness.
    Segment(SegmentSpec),
}

/// A filled circle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscSpec {
    /// Centre, metres.
    pub center_m: [Quantity; 2],
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// A filled rectangle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxSpec {
    /// Centre, metres.
    pub center_m: [Quantity; 2],
    /// Half the width and half the height, metres.
    pub half_extents_m: [Quantity; 2],
    /// Rotation, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
}

/// A filled convex polygon; a concave one is written as several convex ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonSpec {
    /// At least three corners, metres, in either direction of turning.
    pub vertices_m: Vec<[f64; 2]>,
    /// Moves all corners, metres.
    #[serde(default = "zero_point")]
    pub offset_m: [Quantity; 2],
    /// Rotation about the mean of the corners, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
}

/// A wall without thickness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// One end, metres.
    pub from_m: [Quantity; 2],
    /// The other end, metres.
    pub to_m: [Quantity; 2],
}

fn zero() -> Quantity {
    Quantity::Fixed(0.0)
}

/// Obstacles scattered uniformly over the arena at every reset. They may overlap one another,
/// but never a start or a goal, and a path for the robot always exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GeneratorSpec {
    /// Scattered discs.
    Discs(ScatterDiscsSpec),
    /// Scattered boxes.
    Boxes(ScatterBoxesSpec),
}

/// Scattered discs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterDiscsSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// Scattered boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterBoxesSpec {
    /// How many.
    pub count: u32,
    /// Half the width and half the height, metres.
    pub half_extents_m: [Quantity; 2],
    /// Rotation, radians; any by default.
    #[serde(default = "any_yaw")]
    pub yaw_rad: Quantity,
}

fn any_yaw() -> Quantity {
    Quantity::Range {
        uniform: [0.0, std::f64::consts::TAU],
    }
}

/// Something that moves by itself. Movers are not stopped by the robot; they start anew with
/// every episode, clear of the robot's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MoverSpec {
    /// Discs that travel straight on and bounce off walls and obstacles (not off one another).
    Bouncing(BouncingSpec),
}

/// Discs that travel straight on and bounce off walls and obstacles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BouncingSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
}

/// One robot: body, drive, sensor, start and goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RobotSpec {
    /// Its outline.
    pub footprint: FootprintSpec,
    /// Mass, kilograms. It matters where the robot pushes and slides along things.
    #[serde(default = "default_mass")]
    pub mass_kg: Quantity,
    /// How it moves.
    pub drive: DriveSpec,
    /// Its range finder.
    pub lidar: LidarSpec,
    /// Where it starts.
    #[serde(default)]
    pub start: PlaceSpec,
    /// The direction in which it starts, radians; any by default.
    #[serde(default = "any_yaw")]
    pub start_heading_rad: Quantity,
    /// Where it is to go.
    #[serde(default)]
    pub goal: PlaceSpec,
}

fn default_mass() -> Quantity {
    Quantity::Fixed(10.0)
}

/// The outline of a robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FootprintSpec {
    /// A circle.
    Disc(DiscFootprintSpec),
}

/// A round robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscFootprintSpec {
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// How a robot moves, and what its actions mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DriveSpec {
    /// Two wheels on one axle. Two actions in [-1, 1]: forward speed, from `-max_reverse_mps`
    /// to `max_speed_mps`, and turn rate, from `-max_turn_rate_radps` to `max_turn_rate_radps`.
    Differential(DifferentialSpec),
}

/// Bounds of a differential drive.
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
}

/// A planar lidar at the robot's centre. Beam 0 points along the first edge of the field of
/// view; a full circle starts straight ahead and turns counter-clockwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LidarSpec {
    /// Number of beams, 1 to 4096.
    pub beams: u32,
    /// Largest distance measured, metres; beams that hit nothing report it.
    pub range_m: Quantity,
    /// Angle covered, degrees, centred on the heading; 360 by default.
    #[serde(default = "full_circle")]
    pub field_of_view_deg: f64,
}

fn full_circle() -> f64 {
    360.0
}

/// A place that is drawn for every episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PlaceSpec {
    /// Anywhere in the arena.
    #[default]
    Anywhere,
    /// Uniformly within an axis-aligned rectangle.
    Region(RegionSpec),
    /// Exactly here.
    At(PointSpec),
    /// One of these, each as likely as the others. Where a goal is one of several, all of them are
    /// drawn, kept free and known to be reachable before one is chosen, so that the room does not
    /// tell which it is.
    OneOf(Vec<PlaceSpec>),
}

impl PlaceSpec {
    /// The places that this is one of.
    pub fn alternatives(&self) -> &[Self] {
        match self {
            Self::OneOf(places) => places,
            one => std::slice::from_ref(one),
        }
    }
}

/// An axis-aligned rectangle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionSpec {
    /// Lower left corner, metres.
    pub min_m: [f64; 2],
    /// Upper right corner, metres.
    pub max_m: [f64; 2],
}

/// A point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointSpec {
    /// Position, metres.
    pub position_m: [Quantity; 2],
}

/// What the robot is asked to do, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// The goal is reached when the robot's centre is within this distance of it, metres.
    pub goal_radius_m: Quantity,
    /// Start and goal are at least this far apart, metres.
    pub min_start_goal_distance_m: f64,
    /// The episode is truncated after this time, seconds.
    pub time_limit_secs: f64,
    /// For this long from its start the robot stands with its brakes on, whatever the actions,
    /// seconds. What is shown meanwhile (see `observation.goal_shown_secs`) can then be remembered
    /// by the policy alone, and not by where the robot has turned.
    pub hold_secs: f64,
    /// Whether touching anything ends the episode; otherwise the robot is stopped by what it
    /// touches and may slide along it.
    pub contact_ends_episode: bool,
    /// Time between two actions, seconds.
    pub control_step_secs: f64,
    /// Physics steps in each control step.
    pub physics_steps: u32,
}

impl Default for TaskSpec {
    fn default() -> Self {
        Self {
            goal_radius_m: Quantity::Fixed(0.3),
            min_start_goal_distance_m: 1.0,
            time_limit_secs: 50.0,
            hold_secs: 0.0,
            contact_ends_episode: true,
            control_step_secs: 0.1,
            physics_steps: 1,
        }
    }
}

/// Named reward terms. Each is logged by its name; a scale of 0 switches it off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSpec {
    /// Per metre by which the straight-line distance to the goal shrank.
    pub progress: f64,
    /// Once, when the goal is reached.
    pub goal: f64,
    /// Once, when a contact ends the episode; each control step in contact where it does not.
    pub collision: f64,
    /// Every control step.
    pub time: f64,
    /// Every control step, times how far the clearance is below its margin, as a share of it.
    pub clearance: ClearanceRewardSpec,
}

impl Default for RewardSpec {
    fn default() -> Self {
        Self {
            progress: 1.0,
            goal: 10.0,
            collision: -10.0,
            time: -0.01,
            clearance: ClearanceRewardSpec::default(),
        }
    }
}

/// The clearance term: `scale · max(0, 1 − clearance / margin_m)`, where the clearance is the
/// shortest lidar reading less the robot's radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClearanceRewardSpec {
    /// Reward at contact; negative to keep away from things. 0 is off.
    pub scale: f64,
    /// The clearance below which it acts, metres.
    pub margin_m: f64,
}

impl Default for ClearanceRewardSpec {
    fn default() -> Self {
        Self {
            scale: 0.0,
            margin_m: 0.3,
        }
    }
}

/// What the policy sees: blocks of numbers, one after the other in the order written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObservationSpec {
    /// The blocks.
    pub blocks: Vec<ObservationBlock>,
    /// The goal is shown for this long from the episode's start, seconds; afterwards its block
    /// reads three zeros, as no goal ever does. Left out, it is shown throughout. With a goal that
    /// is one of several this is the cue of a memory task, as the sign at the entrance of a T-maze
    /// is (Bakker, Reinforcement Learning with Long Short-Term Memory, NIPS 2001); such a task
    /// leaves the block `previous_action` out, which would remember in the policy's stead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub goal_shown_secs: Option<f64>,
}

impl Default for ObservationSpec {
    fn default() -> Self {
        use ObservationBlock::{Goal, Lidar, PreviousAction, Velocity};
        Self {
            blocks: vec![Lidar, Goal, Velocity, PreviousAction],
            goal_shown_secs: None,
        }
    }
}

/// A block of the observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservationBlock {
    /// One number a beam: d / (d + 0.5) for a reading of d metres, so that what is near is told
    /// apart finely; 0 at the sensor, 1/2 at half a metre.
    Lidar,
    /// Forward speed and turn rate, each over its bound, -1 to 1.
    Velocity,
    /// The goal in polar form: distance in metres / 10, then cosine and sine of its bearing
    /// relative to the heading; zeros once it is no longer shown.
    Goal,
    /// The action of the step before, -1 to 1; zeros at the start.
    PreviousAction,
}
