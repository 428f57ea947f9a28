//! Checks of a scenario that its types cannot express: bounds, valid shapes, and whether everything
//! fits into the room. Every error names its line.

mod generators;
mod movers;
mod obstacles;
mod reward;
mod robot;

use nalgebra::Vector2;

use super::Quantity;
use super::physics_steps::MAX_PHYSICS_STEPS;
use super::spec::{
    ArrangementSpec, MapSpec, MovingAiSpec, ObservationBlock, PositionSpec, ScenarioSpec, VERSION,
};
use crate::config::{Diagnostic, Document};

type CheckResult = Result<(), Diagnostic>;

/// The largest coordinate, size and speed. Up to it, single precision resolves 0.1 mm.
const MAX_MAGNITUDE: f64 = 1_000.0;
/// The largest number of obstacles or movers of one kind. More are taken for a typing error.
const MAX_COUNT: u32 = 10_000;
/// The largest number of control steps in an episode.
const MAX_EPISODE_STEPS: f64 = 1_000_000.0;

/// The smallest width of a shape, metres. The physics engine calculates in single precision.
const MIN_WIDTH: f64 = 0.001;

/// The largest number of stacked observations.
const MAX_STACK: u32 = 32;

/// Checks every value of a scenario.
///
/// # Errors
/// The first mistake.
pub(super) fn check(spec: &ScenarioSpec, document: &Document) -> CheckResult {
    Checker { spec, document }.all()
}

/// Checks the settings of a map before its file is read.
pub(super) fn map(spec: &MapSpec, document: &Document) -> CheckResult {
    match spec {
        MapSpec::MovingAi(grid) if !MovingAiSpec::CELL_M.contains(&grid.cell_m) => {
            let message = format!("cell_m is {}", grid.cell_m);
            let help = "write 0.001 to 100 metres".to_owned();
            Err(document.diagnostic("arena.map.moving_ai.cell_m", &message, Some(help)))
        }
        MapSpec::Sdf(world) => {
            let [low, high] = world.height_m;
            if low < high {
                return Ok(());
            }
            let message = format!("height_m is [{low}, {high}]");
            let help = "write the lower height first".to_owned();
            Err(document.diagnostic("arena.map.sdf.height_m", &message, Some(help)))
        }
        _ => Ok(()),
    }
}

struct Checker<'a> {
    spec: &'a ScenarioSpec,
    document: &'a Document,
}

/// The range that a number must be in.
#[derive(Clone, Copy)]
enum Bound {
    Positive,
    NotNegative,
    /// From the first number to the second, inclusive.
    Within(f64, f64),
    Any,
}

impl Checker<'_> {
    fn all(&self) -> CheckResult {
        self.header()?;
        self.arena()?;
        for (index, obstacle) in self.spec.obstacles.iter().enumerate() {
            self.obstacle(index, obstacle)?;
        }
        for (index, mover) in self.spec.movers.iter().enumerate() {
            self.mover(index, mover)?;
        }
        self.robots()?;
        // After the robot, because passages must be wide enough for it.
        for (index, generator) in self.spec.generate.iter().enumerate() {
            self.generator(index, generator)?;
        }
        self.task()?;
        self.reward()?;
        self.observation()
    }

    /// Returns the error about the value at a path.
    fn reject(&self, path: &str, message: &str, help: &str) -> CheckResult {
        let help = (!help.is_empty()).then(|| help.to_owned());
        Err(self.document.diagnostic(path, message, help))
    }

    fn number(&self, path: &str, value: f64, bound: Bound) -> CheckResult {
        let key = last_key(path);
        if !value.is_finite() {
            return self.reject(path, &format!("{key} is {value}"), "write a finite number");
        }
        let wrong = match bound {
            Bound::Positive if value <= 0.0 => "must be more than 0".to_owned(),
            Bound::NotNegative if value < 0.0 => "must be 0 or more".to_owned(),
            Bound::Within(low, high) if !(low..=high).contains(&value) => {
                format!("must be from {low} to {high}")
            }
            _ if value.abs() > MAX_MAGNITUDE => "must be at most 1000".to_owned(),
            _ => return Ok(()),
        };
        self.reject(path, &format!("{key} is {value}, but {wrong}"), "")
    }

    /// Checks both ends of a quantity.
    fn quantity(&self, path: &str, quantity: Quantity, bound: Bound) -> CheckResult {
        if !quantity.is_random() {
            return self.number(path, quantity.min(), bound);
        }
        let path = format!("{path}.uniform");
        self.number(&format!("{path}.0"), quantity.min(), bound)?;
        self.number(&format!("{path}.1"), quantity.max(), bound)
    }

    fn pair(&self, path: &str, pair: &[Quantity; 2], bound: Bound) -> CheckResult {
        self.quantity(&format!("{path}.0"), pair[0], bound)?;
        self.quantity(&format!("{path}.1"), pair[1], bound)
    }

    fn header(&self) -> CheckResult {
        let found = self.spec.version;
        if found != VERSION {
            let message = format!("version is {found}, but this build reads {VERSION}");
            return self.reject("version", &message, "");
        }
        if self.spec.title.trim().is_empty() {
            return self.reject(
                "title",
                "the title is empty",
                "name the scenario in one line",
            );
        }
        for (path, text) in [
            ("title", &self.spec.title),
            ("description", &self.spec.description),
        ] {
            if text.contains(char::is_control) {
                let message = format!("the {path} has line breaks or control characters");
                return self.reject(path, &message, "write it in one line");
            }
        }
        Ok(())
    }

    fn arena(&self) -> CheckResult {
        let arena = &self.spec.arena;
        let Some(size_m) = &arena.size_m else {
            let help = "write size_m = [width, height], or a map that has its own";
            return self.reject("arena", "missing key 'size_m' in arena", help);
        };
        self.pair("arena.size_m", size_m, Bound::Positive)?;
        self.pair("arena.origin_m", &arena.origin(), Bound::Any)?;
        match &arena.map {
            Some(MapSpec::Shapes(shapes)) => self.shapes(shapes),
            _ => Ok(()),
        }
    }

    /// Checks that a rectangle can overlap the room for some of the values that may be drawn.
    fn in_room(&self, path: &str, what: &str, min: Vector2<f64>, max: Vector2<f64>) -> CheckResult {
        let (room_min, room_max) = self.widest_room();
        let outside = (0..2).any(|axis| max[axis] < room_min[axis] || min[axis] > room_max[axis]);
        if !outside {
            return Ok(());
        }
        let help = format!(
            "the room reaches from ({}, {}) to ({}, {})",
            room_min.x, room_min.y, room_max.x, room_max.y
        );
        self.reject(path, &format!("{what} is outside the room"), &help)
    }

    /// The union of all rooms that may be drawn: lower left and upper right corner, metres.
    fn widest_room(&self) -> (Vector2<f64>, Vector2<f64>) {
        let arena = &self.spec.arena;
        let axis = |i: usize| {
            (
                arena.origin()[i].min(),
                arena.origin()[i].max() + arena.size()[i].max(),
            )
        };
        let ((x0, x1), (y0, y1)) = (axis(0), axis(1));
        (Vector2::new(x0, y0), Vector2::new(x1, y1))
    }

    fn count(&self, path: &str, count: u32) -> CheckResult {
        if (1..=MAX_COUNT).contains(&count) {
            return Ok(());
        }
        let help = format!("write 1 to {MAX_COUNT}");
        self.reject(path, &format!("count is {count}"), &help)
    }

    /// Checks that a disc fits into the smallest room that may be drawn.
    fn fits(&self, path: &str, what: &str, radius: Quantity) -> CheckResult {
        let [width, height] = self.spec.arena.size().map(|side| side.min());
        let widest = 2.0 * radius.max();
        let shown = round_to_millimetre(widest);
        if widest < width.min(height) {
            return Ok(());
        }
        let message =
            format!("a {what} {shown} m wide does not fit into a room of {width} × {height} m");
        self.reject(path, &message, "")
    }

    fn task(&self) -> CheckResult {
        let task = &self.spec.task;
        self.quantity("task.goal_radius_m", task.goal_radius_m, Bound::Positive)?;
        let distance = task.min_start_goal_distance_m;
        self.number(
            "task.min_start_goal_distance_m",
            distance,
            Bound::NotNegative,
        )?;
        self.start_goal_distance(distance)?;
        if !(task.time_limit_secs > 0.0 && task.time_limit_secs.is_finite()) {
            let message = format!("time_limit_secs is {}", task.time_limit_secs);
            return self.reject(
                "task.time_limit_secs",
                &message,
                "write more than 0 seconds",
            );
        }
        let step = task.control_step_secs;
        if !(0.001..=10.0).contains(&step) {
            let message = format!("control_step_secs is {step}");
            return self.reject(
                "task.control_step_secs",
                &message,
                "write 0.001 to 10 seconds",
            );
        }
        let steps = task.time_limit_secs / step;
        if !(1.0 - 1e-9..=MAX_EPISODE_STEPS).contains(&steps) {
            let message = format!(
                "{} s of {step} s each are {steps:.1} control steps",
                task.time_limit_secs
            );
            let help = format!("an episode has 1 to {MAX_EPISODE_STEPS} steps");
            return self.reject("task.time_limit_secs", &message, &help);
        }
        if !(1..=MAX_PHYSICS_STEPS).contains(&task.physics_steps) {
            let message = format!("physics_steps is {}", task.physics_steps);
            return self.reject("task.physics_steps", &message, "write 1 to 1000");
        }
        self.step_length()?;
        let hold = task.hold_secs;
        if !(0.0..task.time_limit_secs).contains(&hold) {
            let message = format!("hold_secs is {hold}");
            let help = format!(
                "write 0 or more, and less than the {} s of the episode",
                task.time_limit_secs
            );
            return self.reject("task.hold_secs", &message, &help);
        }
        Ok(())
    }

    /// Checks that no body moves so far in a physics step that it could pass through another.
    fn step_length(&self) -> CheckResult {
        let needed = self.spec.needed_physics_steps();
        let step = self.spec.task.control_step_secs;
        let most = f64::from(MAX_PHYSICS_STEPS);
        if needed > most {
            let message = format!(
                "in control steps of {step} s the movers and robots pass through each other: \
                 {needed} physics steps would be needed in each, and {MAX_PHYSICS_STEPS} are the \
                 most"
            );
            let help = format!(
                "write control_step_secs = {} or less, or lower the speeds",
                round_down(step * most / needed)
            );
            return self.reject("task.control_step_secs", &message, &help);
        }
        let Some(needed) = self.spec.steps_to_examine() else {
            return Ok(());
        };
        let message = format!(
            "the robot moves more than 10,000 times its half width in a physics step of {} s",
            step / f64::from(self.spec.physics_steps())
        );
        let help = if needed <= most {
            format!("write physics_steps = {needed}")
        } else {
            format!(
                "write physics_steps = {MAX_PHYSICS_STEPS} and control_step_secs = {} or less",
                round_down(step * most / needed)
            )
        };
        self.reject("task.physics_steps", &message, &help)
    }

    /// Checks that start and goal can be as far apart as the task requires.
    fn start_goal_distance(&self, required: f64) -> CheckResult {
        let robot = &self.spec.robot[0];
        let margin = Vector2::repeat(robot.footprint.radius().min());
        let (room_min, room_max) = self.widest_room();
        let rectangle = |position: &PositionSpec| match position {
            PositionSpec::Region(region) => (
                Vector2::from(region.min_m).sup(&(room_min + margin)),
                Vector2::from(region.max_m).inf(&(room_max - margin)),
            ),
            PositionSpec::At(point) => range_corners(&point.position_m),
            PositionSpec::Anywhere | PositionSpec::OneOf(_) => {
                (room_min + margin, room_max - margin)
            }
        };
        let max_distance = |start: &PositionSpec, goal: &PositionSpec| {
            let (start, goal) = (rectangle(start), rectangle(goal));
            (start.1 - goal.0)
                .abs()
                .sup(&(goal.1 - start.0).abs())
                .norm()
        };
        // Every alternative goal must be far enough from some start.
        let farthest = robot.goal.alternatives().iter().map(|goal| {
            let starts = robot.start.alternatives().iter();
            starts
                .map(|start| max_distance(start, goal))
                .fold(0.0, f64::max)
        });
        let farthest = match &robot.arrangement {
            Some(ArrangementSpec::CircleSwap(circle)) => 2.0 * circle.radius_m.min(),
            None => farthest.fold(f64::INFINITY, f64::min),
        };
        if required <= farthest {
            return Ok(());
        }
        let message = format!(
            "min_start_goal_distance_m is {required}, but start and goal can be {farthest:.2} m apart at most"
        );
        self.reject("task.min_start_goal_distance_m", &message, "")
    }

    fn observation(&self) -> CheckResult {
        let blocks = &self.spec.observation.blocks;
        if blocks.is_empty() {
            let help = "leave the key out for the default blocks";
            return self.reject("observation.blocks", "the observation is empty", help);
        }
        for (index, block) in blocks.iter().enumerate() {
            if blocks[..index].contains(block) {
                let path = format!("observation.blocks.{index}");
                return self.reject(&path, "this block is listed twice", "leave one out");
            }
        }
        self.block_settings()?;
        self.goal_shown()
    }

    /// Checks settings that need certain blocks.
    fn block_settings(&self) -> CheckResult {
        let (observation, robot) = (&self.spec.observation, &self.spec.robot[0]);
        let has = |block| observation.blocks.contains(&block);
        if !(1..=MAX_STACK).contains(&observation.stack) {
            let message = format!("stack is {}", observation.stack);
            let help = format!("write 1 to {MAX_STACK}");
            return self.reject("observation.stack", &message, &help);
        }
        if robot.odometry.is_some() && !has(ObservationBlock::Goal) {
            let message = "odometry affects the block 'goal' only, which is not among the blocks";
            return self.reject(
                "robot.0.odometry",
                message,
                "add \"goal\" to observation.blocks",
            );
        }
        let Some(sectors) = observation.lidar_sectors else {
            return Ok(());
        };
        let (path, beams) = ("observation.lidar_sectors", robot.lidar.beams);
        if sectors == 0 || !beams.is_multiple_of(sectors) {
            let message = format!("{beams} beams do not make {sectors} sectors of equal size");
            let help = format!("write a divisor of {beams}");
            return self.reject(path, &message, &help);
        }
        if !has(ObservationBlock::Lidar) {
            let message = "lidar_sectors is given, but the lidar is not among the blocks";
            return self.reject(path, message, "add \"lidar\" to observation.blocks");
        }
        Ok(())
    }

    fn goal_shown(&self) -> CheckResult {
        let observation = &self.spec.observation;
        let Some(shown) = observation.goal_shown_secs else {
            return Ok(());
        };
        let path = "observation.goal_shown_secs";
        if !(shown > 0.0 && shown.is_finite()) {
            let message = format!("goal_shown_secs is {shown}");
            let help = "write more than 0 seconds; to hide the goal, leave the block 'goal' out";
            return self.reject(path, &message, help);
        }
        if !observation.blocks.contains(&ObservationBlock::Goal) {
            let message = "goal_shown_secs is given, but the goal is not among the blocks";
            return self.reject(path, message, "add \"goal\" to observation.blocks");
        }
        Ok(())
    }
}

/// Rounds a length for a message, metres.
fn round_to_millimetre(length: f64) -> f64 {
    (length * 1000.0).round() / 1000.0
}

/// Rounds a positive number down to three digits for a message.
fn round_down(value: f64) -> f64 {
    let unit = libm::pow(10.0, libm::floor(libm::log10(value)) - 2.0);
    (libm::floor(value / unit) * unit * 1e9).round() / 1e9
}

/// The last key of a path, without array indices.
fn last_key(path: &str) -> &str {
    path.rsplit('.')
        .find(|segment| segment.parse::<usize>().is_err() && *segment != "uniform")
        .unwrap_or(path)
}

/// The lowest and the highest point that a pair of quantities may be.
fn range_corners(pair: &[Quantity; 2]) -> (Vector2<f64>, Vector2<f64>) {
    (
        Vector2::new(pair[0].min(), pair[1].min()),
        Vector2::new(pair[0].max(), pair[1].max()),
    )
}
