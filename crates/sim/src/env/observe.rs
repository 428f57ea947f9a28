//! The observation of one robot: named blocks of numbers, of one control step or of several
//! stacked.

use nalgebra::Point2;

use super::ObsLayout;
use super::scan_map::{GOAL_SCALE_M, PATH_LEN, ScanMap, bearing};
use crate::scenario::Scenario;
use crate::scenario::spec::ObservationBlock;
use crate::sim::{Action, Ego, MAX_ACTIONS};

/// Lidar reading that becomes 1/2 in the lidar block, metres. A linear scale would spend most of
/// its span on distant walls, where a robot among obstacles needs centimetres.
pub const LIDAR_HALF_M: f32 = 0.5;

/// Builds the observation of one robot, and keeps what it needs of earlier control steps.
#[derive(Debug)]
pub(super) struct ObservationBuilder {
    /// The blocks of one control step, with their lengths.
    blocks: Vec<(ObservationBlock, usize)>,
    /// Control steps at the start of an episode in which the goal is shown.
    goal_shown: u32,
    previous_action: Action,
    /// For the block `path`.
    map: Option<ScanMap>,
    /// Sum of the lengths of `blocks`.
    width: usize,
    /// `[stack, width]`, a ring: the newest control step is in row `newest`, the step before it in
    /// the next row. Empty without stacking.
    history: Vec<f32>,
    newest: usize,
}

impl ObservationBuilder {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let spec = &scenario.spec.observation;
        let dt_secs = scenario.spec.task.control_step_secs;
        let shown = |secs: f64| ((secs / dt_secs).round() as u32).max(1);
        let with_len = |block: &ObservationBlock| (*block, block_len(*block, scenario));
        let blocks: Vec<_> = spec.blocks.iter().map(with_len).collect();
        let width = blocks.iter().map(|(_, len)| len).sum();
        let stack = if spec.stack > 1 { spec.stack } else { 0 };
        Self {
            blocks,
            goal_shown: spec.goal_shown_secs.map_or(u32::MAX, shown),
            previous_action: [0.0; MAX_ACTIONS],
            map: (spec.blocks.contains(&ObservationBlock::Path)).then(|| ScanMap::new(scenario)),
            width,
            history: vec![0.0; stack as usize * width],
            newest: 0,
        }
    }

    /// Starts an episode. Its first control step fills the whole stack.
    pub(super) fn reset(&mut self, ego: Ego) {
        self.previous_action = [0.0; MAX_ACTIONS];
        self.newest = 0;
        if let Some(map) = &mut self.map {
            map.reset(ego);
        }
        if self.history.is_empty() {
            return;
        }
        self.push_history(ego);
        for row in 1..self.history.len() / self.width {
            self.history.copy_within(..self.width, row * self.width);
        }
    }

    /// Takes the control step that the world has just made with an action whose entries are in [-1, 1].
    pub(super) fn step(&mut self, ego: Ego, action: Action) {
        self.previous_action = action;
        if let Some(map) = &mut self.map {
            map.step(ego);
        }
        if self.history.is_empty() {
            return;
        }
        let stack = self.history.len() / self.width;
        self.newest = (self.newest + stack - 1) % stack;
        self.push_history(ego);
    }

    fn push_history(&mut self, ego: Ego) {
        let mut history = std::mem::take(&mut self.history);
        let row = self.newest * self.width;
        self.write_current(ego, &mut history[row..row + self.width]);
        self.history = history;
    }

    /// Writes the observation, `[obs]`.
    pub(super) fn observe(&self, ego: Ego, out: &mut [f32]) {
        if self.history.is_empty() {
            return self.write_current(ego, out);
        }
        let (older, newer) = self.history.split_at(self.newest * self.width);
        out[..newer.len()].copy_from_slice(newer);
        out[newer.len()..].copy_from_slice(older);
    }

    /// Writes the blocks of the current control step, `[width]`.
    fn write_current(&self, ego: Ego, out: &mut [f32]) {
        let is_goal_shown = ego.steps() < self.goal_shown;
        let mut rest = out;
        for &(block, len) in &self.blocks {
            let (out, after) = rest.split_at_mut(len);
            rest = after;
            match block {
                ObservationBlock::Lidar => write_lidar(ego.ranges(), out),
                ObservationBlock::Velocity => ego.observe_velocity(out),
                ObservationBlock::PreviousAction => {
                    for (out, entry) in out.iter_mut().zip(self.previous_action) {
                        *out = entry;
                    }
                }
                ObservationBlock::Goal | ObservationBlock::Path if !is_goal_shown => out.fill(0.0),
                ObservationBlock::Goal => {
                    let pose = ego.estimated_pose();
                    let offset = ego.parameters().goal - Point2::new(pose.x, pose.y);
                    out[0] = offset.norm() / GOAL_SCALE_M;
                    bearing(pose, offset, &mut out[1..]);
                }
                ObservationBlock::Path => match &self.map {
                    Some(map) => map.observe(ego.estimated_pose(), out),
                    None => out.fill(0.0),
                },
            }
        }
    }
}

/// Writes lidar readings, `[beams]` in metres, to a lidar block, `[beams]` or `[sectors]`.
fn write_lidar(ranges: &[f32], out: &mut [f32]) {
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

/// Length of an action of a scenario's robots.
pub fn action_dim(scenario: &Scenario) -> usize {
    scenario.spec.robot[0].drive.actions().len()
}

/// Layout of a scenario's observation. Where several control steps are stacked, the blocks of the
/// newest have their plain names, and the blocks of the step `n` steps earlier are named `lidar.n`
/// and so on.
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
