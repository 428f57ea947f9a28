//! What the dynamic window reads from an observation, in the robot's own frame and in metres.

use std::ops::Range;

use nalgebra::Vector2;

use crate::env::{GOAL_SCALE_M, LIDAR_HALF_M, ObsLayout, PATH_BEARING, obs_layout};
use crate::planners::PlannerError;
use crate::scenario::{Quantity, Scenario};
use crate::sim::Beams;

/// Where one reading is this near to the last that was kept it tells nothing new, metres.
const SPACING_M: f32 = 0.05;

/// Readings this near to the lidar's range are of nothing, as a share of it.
const FULL_RANGE: f32 = 0.995;

/// Where the blocks of an observation are that the dynamic window needs.
#[derive(Clone, Debug)]
pub(super) struct ObservationReader {
    pub(super) obs_dim: usize,
    lidar: Range<usize>,
    goal: usize,
    /// Where the observation has it.
    path: Option<usize>,
    velocity: usize,
    /// Unit vector of each reading: of a beam, or of the middle of a sector.
    beams: Vec<Vector2<f32>>,
    /// Where the lidar is mounted.
    mount: Vector2<f32>,
    range: f32,
}

/// One observation.
#[derive(Clone, Debug, Default)]
pub(super) struct DwaInput {
    /// What the lidar sees, nearer than was asked for.
    pub(super) points: Vec<Vector2<f32>>,
    /// The goal; absent while it is not shown.
    pub(super) goal: Option<Vector2<f32>>,
    /// A point of the way to it, where that is shown.
    pub(super) path: Option<Vector2<f32>>,
    /// Metres per second.
    pub(super) speed: f32,
    /// Radians per second.
    pub(super) turn_rate: f32,
}

impl ObservationReader {
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
        let beams = Beams::new(
            lidar.beams as usize,
            lidar.field_of_view_deg.to_radians() as f32,
        );
        let middle = |quantity: &Quantity| f64::midpoint(quantity.min(), quantity.max()) as f32;
        let (sin, cos) = libm::sincosf(middle(&lidar.yaw_rad));
        let readings = scenario
            .spec
            .observation
            .lidar_sectors
            .unwrap_or(lidar.beams);
        let group = (lidar.beams / readings) as usize;
        let direction = |reading: usize| {
            let [first, last] = [reading * group, (reading + 1) * group - 1]
                .map(|beam| Vector2::from(beams.direction(beam)));
            let beam = (first + last).normalize();
            Vector2::new(cos * beam.x - sin * beam.y, sin * beam.x + cos * beam.y)
        };
        Ok(Self {
            obs_dim: layout.dim(),
            lidar: block("lidar")?,
            goal: block("goal")?.start,
            path: layout.block("path").map(|path| path.start),
            velocity: block("velocity")?.start,
            beams: (0..readings as usize).map(direction).collect(),
            mount: Vector2::new(middle(&lidar.position_m[0]), middle(&lidar.position_m[1])),
            range: lidar.range_m.max() as f32,
        })
    }

    /// Looks at an observation: at what is no farther than `near` metres.
    pub(super) fn read(
        &self,
        observation: &[f32],
        bounds: [f32; 2],
        near: f32,
        input: &mut DwaInput,
    ) {
        let [speed, turn_rate] = bounds;
        input.speed = observation[self.velocity] * speed;
        input.turn_rate = observation[self.velocity + 1] * turn_rate;
        let [distance, cos, sin] = [0, 1, 2].map(|part| observation[self.goal + part]);
        let shown = distance > 0.0 || cos != 0.0 || sin != 0.0;
        input.goal = shown.then(|| Vector2::new(cos, sin) * (distance * GOAL_SCALE_M));
        input.path = self.path.filter(|_| shown).map(|path| {
            let (bearing, ahead) = PATH_BEARING;
            Vector2::new(observation[path + bearing], observation[path + bearing + 1]) * ahead
        });
        input.points.clear();
        let near = near.min(FULL_RANGE * self.range);
        let mut last = Vector2::repeat(f32::MAX.sqrt());
        for (beam, seen) in self.beams.iter().zip(&observation[self.lidar.clone()]) {
            // The observation has d / (d + half); all beams beyond `near` are skipped.
            let reading = LIDAR_HALF_M * seen / (1.0 - seen).max(1e-6);
            let point = self.mount + beam * reading;
            let apart = (point - last).norm_squared() >= SPACING_M * SPACING_M;
            if reading < near && apart {
                input.points.push(point);
                last = point;
            }
        }
    }
}
