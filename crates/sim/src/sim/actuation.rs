//! The actuation between an action and the motion of a robot: a delay, and wheel slip.

use std::collections::VecDeque;

use super::drive::{Action, Twist};
use crate::scenario::{ActuationParameters, EpisodeKey};
use crate::seed::{Purpose, Rng, normal};

/// The delay and the slip of one robot in one episode.
#[derive(Clone, Debug, Default)]
pub(super) struct Actuator {
    /// Actions that have not taken effect, the oldest first.
    queue: VecDeque<Option<Action>>,
    slip: f32,
    slip_std: f32,
    /// `None` if the slip is constant.
    rng: Option<Box<Rng>>,
    slips: bool,
}

impl Actuator {
    /// Starts an episode.
    pub(super) fn reset(
        &mut self,
        parameters: &ActuationParameters,
        key: EpisodeKey,
        dt_secs: f32,
    ) {
        let delay = (parameters.delay_secs / dt_secs).round() as usize;
        self.queue.clear();
        self.queue.resize(delay, None);
        self.slip = parameters.slip;
        self.slip_std = parameters.slip_std;
        self.rng = (parameters.slip_std > 0.0).then(|| Box::new(key.stream(Purpose::Slip)));
        self.slips = parameters.slip != 0.0 || parameters.slip_std > 0.0;
    }

    /// Queues an action, and returns the one that takes effect now: `None` at the start of an
    /// episode, until the delay has passed.
    #[inline]
    pub(super) fn delay(&mut self, action: Action) -> Option<Action> {
        if self.queue.is_empty() {
            return Some(action);
        }
        self.queue.push_back(Some(action));
        self.queue.pop_front().flatten()
    }

    /// The motion of the robot for a motion of its wheels.
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
