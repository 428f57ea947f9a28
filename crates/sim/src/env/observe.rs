//! What the policy of one robot sees of a world: blocks of numbers by name, of one control step or of several.

use std::sync::Arc;

use super::ObsLayout;
use super::scan_map::{PATH_LEN, ScanMap, bearing};
use crate::scenario::Scenario;
use crate::scenario::spec::{ObservationBlock, ObservationSpec};
use crate::sim::{Action, Ego, MAX_ACTIONS};

/// Metres that count as 1 in the goal block.
pub const GOAL_SCALE_M: f32 = 10.0;

/// Reading that counts as one half in the lidar block, metres. A linear scale would spend most of
/// its span on walls that are far away, where a robot among obstacles needs centimetres.
pub const LIDAR_HALF_M: f32 = 0.5;

/// Sees a world as one robot has it, and remembers what is seen of several control steps at once.
#[derive(Debug)]
pub(super) struct ObservationBuilder {
    scenario: Arc<Scenario>,
    /// Control steps at the start whose observation shows the goal.
    goal_shown: u32,
    previous_action: Action,
    /// What was seen before, where the way that it leaves open is shown.
    map: Option<ScanMap>,
    /// Length of what is seen of one control step.
    width: usize,
    /// `[stack, width]`, the newest in row `newest`, the one before in the row after, and so on
    /// around; empty where one control step is seen alone.
    history: Vec<f32>,
    newest: usize,
}

impl ObservationBuilder {
    pub(super) fn new(scenario: &Arc<Scenario>) -> Self {
        let spec = &scenario.spec.observation;
        let dt_secs = scenario.spec.task.control_step_secs;
        let shown = |secs: f64| ((secs / dt_secs).round() as u32).max(1);
        let width = spec
            .blocks
            .iter()
            .map(|block| block_len(*block, scenario))
            .sum();
        let stack = if spec.stack > 1 { spec.stack } else { 0 };
        Self {
            scenario: Arc::clone(scenario),
            goal_shown: spec.goal_shown_secs.map_or(u32::MAX, shown),
            previous_action: [0.0; MAX_ACTIONS],
            map: (spec.blocks.contains(&ObservationBlock::Path)).then(|| ScanMap::new(scenario)),
            width,
            history: vec![0.0; stack as usize * width],
            newest: 0,
        }
    }

    fn spec(&self) -> &ObservationSpec {
        &self.scenario.spec.observation
    }

    /// Begins an episode: its first control step stands in for those before it.
    pub(super) fn reset(&mut self, world: Ego) {
        self.previous_action = [0.0; MAX_ACTIONS];
        self.newest = 0;
        if let Some(map) = &mut self.map {
            map.reset(world);
        }
        if self.history.is_empty() {
            return;
        }
        self.push_history(world);
        for row in 1..self.history.len() / self.width {
            self.history.copy_within(..self.width, row * self.width);
        }
    }

    /// Takes the control step that was just made.
    pub(super) fn step(&mut self, world: Ego, action: Action) {
        self.previous_action = action.map(|a| if a.is_nan() { 0.0 } else { a.clamp(-1.0, 1.0) });
        if let Some(map) = &mut self.map {
            map.step(world);
        }
        if self.history.is_empty() {
            return;
        }
        let stack = self.history.len() / self.width;
        self.newest = (self.newest + stack - 1) % stack;
        self.push_history(world);
    }

    fn push_history(&mut self, world: Ego) {
        let mut history = std::mem::take(&mut self.history);
        let row = self.newest * self.width;
        self.write_current(world, &mut history[row..row + self.width]);
        self.history = history;
    }

    /// Writes the observation, `[obs]`.
    pub(super) fn observe(&self, world: Ego, out: &mut [f32]) {
        if self.history.is_empty() {
            return self.write_current(world, out);
        }
        let (older, newer) = self.history.split_at(self.newest * self.width);
        out[..newer.len()].copy_from_slice(newer);
        out[newer.len()..].copy_from_slice(older);
    }

    /// Writes what is to be seen now, `[width]`.
    fn write_current(&self, world: Ego, out: &mut [f32]) {
        let mut rest = out;
        for &block in &self.spec().blocks {
            let (here, after) = rest.split_at_mut(block_len(block, &self.scenario));
            self.block(block, world, here);
            rest = after;
        }
    }

    fn block(&self, block: ObservationBlock, world: Ego, out: &mut [f32]) {
        match block {
            ObservationBlock::Lidar => {
                let ranges = world.ranges();
                if ranges.len() == out.len() {
                    for (out, range) in out.iter_mut().zip(ranges) {
                        *out = range / (range + LIDAR_HALF_M);
                    }
                    return;
                }
                let beams = ranges.len() / out.len();
                for (out, sector) in out.iter_mut().zip(ranges.chunks_exact(beams)) {
                    let range = sector.iter().copied().fold(f32::INFINITY, f32::min);
                    *out = range / (range + LIDAR_HALF_M);
                }
            }
            ObservationBlock::Velocity => world.observe_velocity(out),
            ObservationBlock::Goal | ObservationBlock::Path if world.steps() >= self.goal_shown => {
                out.fill(0.0);
            }
            ObservationBlock::Path => match &self.map {
                Some(map) => map.observe(world.estimated_pose(), out),
                None => out.fill(0.0),
            },
            ObservationBlock::Goal => {
                let pose = world.estimated_pose();
                let goal = world.placement().goal;
                let offset = goal - nalgebra::Point2::new(pose.x, pose.y);
                out[0] = offset.norm() / GOAL_SCALE_M;
                bearing(pose, offset, &mut out[1..]);
            }
            ObservationBlock::PreviousAction => {
                for (out, entry) in out.iter_mut().zip(self.previous_action) {
                    *out = entry;
                }
            }
        }
    }
}

fn block_len(block: ObservationBlock, scenario: &Scenario) -> usize {
    match block {
        ObservationBlock::Lidar => {
            let sectors = scenario.spec.observation.lidar_sectors;
            sectors.unwrap_or(scenario.spec.robot[0].lidar.beams) as usize
        }
        ObservationBlock::Velocity | ObservationBlock::PreviousAction => action_dim(scenario),
        ObservationBlock::Goal => 3,
        ObservationBlock::Path => PATH_LEN,
    }
}

/// Length of an action of a scenario's robot.
pub fn action_dim(scenario: &Scenario) -> usize {
    scenario.spec.robot[0].drive.actions().len()
}

/// Where each block of a scenario's observation lies. Where several control steps are seen at
/// once, the blocks of the newest have their plain names, and those of the step `n` before it the
/// names `lidar.n` and so on.
pub fn obs_layout(scenario: &Scenario) -> ObsLayout {
    let spec = &scenario.spec.observation;
    let mut first = 0;
    let mut blocks = Vec::new();
    for age in 0..spec.stack {
        for &block in &spec.blocks {
            let name = match block {
                ObservationBlock::Lidar => "lidar",
                ObservationBlock::Velocity => "velocity",
                ObservationBlock::Goal => "goal",
                ObservationBlock::Path => "path",
                ObservationBlock::PreviousAction => "previous_action",
            };
            let name = match age {
                0 => name.to_owned(),
                age => format!("{name}.{age}"),
            };
            let length = block_len(block, scenario);
            blocks.push((name, first, length));
            first += length;
        }
    }
    ObsLayout { blocks }
}
