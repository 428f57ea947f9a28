//! What lies between an action and what the robot does: a delay, and wheels that slip.

use std::collections::VecDeque;

use super::drive::{Action, Twist};
use crate::scenario::{ActuationParameters, EpisodeKey};
use crate::seed::{Purpose, Rng, normal};

/// The delay and the slip of one robot in one episode.
#[derive(Clone, Debug, Default)]
pub(super) struct Actuator {
    /// Actions on their way, the oldest first.
    queue: VecDeque<Option<Action>>,
    slip: f32,
    slip_std: f32,
    /// Absent where the slip does not change from step to step.
    rng: Option<Box<Rng>>,
    slips: bool,
}

impl Actuator {
    /// Begins an episode.
    pub(super) fn reset(&mut self, numbers: &ActuationParameters, key: EpisodeKey, dt_secs: f32) {
        let delay = (numbers.delay_secs / dt_secs).round() as usize;
        self.queue.clear();
        self.queue.resize(delay, None);
        self.slip = numbers.slip;
        self.slip_std = numbers.slip_std;
        self.rng = (numbers.slip_std > 0.0).then(|| Box::new(key.stream(Purpose::Slip)));
        self.slips = numbers.slip != 0.0 || numbers.slip_std > 0.0;
    }

    /// Takes an action, and gives the one that takes effect now: none before the first does.
    #[inline]
    pub(super) fn delay(&mut self, action: Action) -> Option<Action> {
        if self.queue.is_empty() {
            return Some(action);
        }
        self.queue.push_back(Some(action));
        self.queue.pop_front().flatten()
    }

    /// What the robot does when its wheels do this.
    #[inline]
    pub(super) fn apply_slip(&mut self, wheels: Twist) -> Twist {
        if !self.slips {
            return wheels;
        }
        let mut noise = [0.0; 3];
        if let Some(rng) = &mut self.rng {
            noise = [(); 3].map(|()| normal(rng) * self.slip_std);
        }
        let grip = noise.map(|noise| 1.0 - (self.slip + noise).clamp(-1.0, 1.0));
        Twist {
            speed: wheels.speed * grip[0],
            side_speed: wheels.side_speed * grip[1],
            turn_rate: wheels.turn_rate * grip[2],
        }
    }
}
