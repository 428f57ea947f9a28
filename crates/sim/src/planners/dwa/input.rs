//! Reads an observation into the quantities that the dynamic window needs, in the robot's frame and
//! in metres.

use std::ops::Range;

use nalgebra::Vector2;

use crate::env::{GOAL_SCALE_M, LIDAR_HALF_M, ObsLayout, PATH_BEARING, obs_layout};
use crate::planners::error::PlannerError;
use crate::scenario::{Quantity, Scenario};
use crate::sim::Beams;

/// Points nearer than this to the last one are dropped, metres.
const MIN_SPACING_M: f32 = 0.05;

/// Readings above this share of the lidar's range hit nothing.
const FULL_RANGE: f32 = 0.995;

/// The blocks of a scenario's observation that the dynamic window reads.
#[derive(Clone, Debug)]
pub(super) struct ObservationReader {
    pub(super) obs_dim: usize,
    lidar: Range<usize>,
    /// First index of the block.
    goal: usize,
    /// First index of the block, if the observation has it.
    path: Option<usize>,
    /// First index of the block.
    velocity: usize,
    /// Unit vector of each reading: of a beam, or of the middle of a sector.
    directions: Vec<Vector2<f32>>,
    /// Position of the lidar.
    mount: Vector2<f32>,
    /// Metres.
    range: f32,
}

/// The input of the dynamic window, from one observation.
#[derive(Clone, Debug, Default)]
pub(super) struct DwaInput {
    /// Points that the lidar hits.
    pub(super) points: Vec<Vector2<f32>>,
    /// The goal; `None` if it is not shown.
    pub(super) goal: Option<Vector2<f32>>,
    /// A point of the path to the goal; `None` if the path is not shown.
    pub(super) path: Option<Vector2<f32>>,
    /// Metres per second.
    pub(super) speed: f32,
    /// Radians per second.
    pub(super) turn_rate: f32,
}

impl ObservationReader {
    /// # Errors
    /// If the observation lacks a block that `planner` needs.
    pub(super) fn of(scenario: &Scenario, planner: &'static str) -> Result<Self, PlannerError> {
        let layout: ObsLayout = obs_layout(scenario);
        let block = |block: &'static str| {
            layout
                .block(block)
                .ok_or_else(|| PlannerError::MissingBlock {
                    planner,
                    block,
                    scenario: scenario.name.clone(),
                })
        };
        let lidar = &scenario.spec.robot[0].lidar;
        let beams = Beams::of(lidar);
        let (first_rad, step_rad, _) = beams.spacing();
        let middle = |quantity: &Quantity| f64::midpoint(quantity.min(), quantity.max()) as f32;
        let (sin, cos) = libm::sincosf(middle(&lidar.yaw_rad));
        let readings = scenario
            .spec
            .observation
            .lidar_sectors
            .unwrap_or(lidar.beams);
        let beams_per_reading = (lidar.beams / readings) as usize;
        let direction = |reading: usize| {
            let first = reading * beams_per_reading;
            let half_span = step_rad * (beams_per_reading - 1) as f32 / 2.0;
            let beam = if half_span < 1.5 {
                let [first, last] = [first, first + beams_per_reading - 1]
                    .map(|beam| Vector2::from(beams.direction(beam)));
                (first + last).normalize()
            } else {
                // The sum of the outer directions points backwards, or nowhere.
                let (sin, cos) = libm::sincosf(first_rad + step_rad * first as f32 + half_span);
                Vector2::new(cos, sin)
            };
            Vector2::new(cos * beam.x - sin * beam.y, sin * beam.x + cos * beam.y)
        };
        Ok(Self {
            obs_dim: layout.dim(),
            lidar: block("lidar")?,
            goal: block("goal")?.start,
            path: layout.block("path").map(|path| path.start),
            velocity: block("velocity")?.start,
            directions: (0..readings as usize).map(direction).collect(),
            mount: Vector2::new(middle(&lidar.position_m[0]), middle(&lidar.position_m[1])),
            range: lidar.range_m.max() as f32,
        })
    }

    /// Reads an observation, `[obs]`. `bounds` are the largest speed and turn rate. Lidar points
    /// beyond `max_distance` metres are dropped.
    pub(super) fn read(
        &self,
        observation: &[f32],
        bounds: [f32; 2],
        max_distance: f32,
        input: &mut DwaInput,
    ) {
        let [max_speed, max_turn_rate] = bounds;
        input.speed = observation[self.velocity] * max_speed;
        input.turn_rate = observation[self.velocity + 1] * max_turn_rate;
        let [distance, cos, sin] = [0, 1, 2].map(|part| observation[self.goal + part]);
        let is_shown = distance > 0.0 || cos != 0.0 || sin != 0.0;
        input.goal = is_shown.then(|| Vector2::new(cos, sin) * (distance * GOAL_SCALE_M));
        input.path = self.path.filter(|_| is_shown).map(|path| {
            let (bearing, ahead) = PATH_BEARING;
            Vector2::new(observation[path + bearing], observation[path + bearing + 1]) * ahead
        });
        input.points.clear();
        let max_distance = max_distance.min(FULL_RANGE * self.range);
        let mut last = Vector2::repeat(f32::MAX.sqrt());
        for (direction, reading) in self.directions.iter().zip(&observation[self.lidar.clone()]) {
            // The observation has d / (d + half).
            let distance = LIDAR_HALF_M * reading / (1.0 - reading).max(1e-6);
            let point = self.mount + direction * distance;
            let is_apart = (point - last).norm_squared() >= MIN_SPACING_M * MIN_SPACING_M;
            if distance < max_distance && is_apart {
                input.points.push(point);
                last = point;
            }
        }
    }
}
