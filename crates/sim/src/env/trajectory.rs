//! What one environment did in an iteration of training, and its replay. An episode is determined
//! by its actions, so a trajectory holds no states: a replay simulates them again, bit for bit.

use std::sync::Arc;

use super::{EnvState, EpisodeRunner, EpisodeSequence, LevelPlan, NavEnv, PolicyPrediction};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{RootSeed, Split};

/// T control steps of one environment, in one episode or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// Index of the environment (the world, where several robots share one).
    pub env: u64,
    /// The iteration, counted from 1.
    pub iteration: u64,
    /// Environment steps that the policy had learned from.
    pub global_step: u64,
    /// State of the environment before the first step.
    pub initial_state: EnvState,
    /// The levels that it plays next; `None` if it plays its own episodes in turn.
    pub levels: Option<LevelPlan>,
    /// `[T, robots, act]`: the actions.
    pub actions: Vec<f32>,
    /// `[T, robots]`: what the policy predicted before each step.
    pub predictions: Vec<PolicyPrediction>,
}

impl Trajectory {
    /// The episodes that follow that of the initial state.
    pub fn sequence(&self) -> EpisodeSequence {
        let plan = self.levels.clone().map(Arc::new);
        EpisodeSequence::new(self.env as usize, plan)
    }

    /// The environment that the trajectory is from, for a training under the seed `root`.
    ///
    /// # Errors
    /// If its first episode cannot be placed.
    pub fn environment(
        &self,
        scenario: &Arc<Scenario>,
        root: RootSeed,
    ) -> Result<NavEnv, PlacementError> {
        let population = self.sequence().population();
        NavEnv::new(Arc::clone(scenario), root, Split::Train, population)
    }
}

/// Plays a trajectory again, from the beginning of its first episode on: the steps before the
/// initial state come first.
///
/// ```text
/// while replay.prepare() {        // starts an episode where the last one has ended
///     replay.step();              // then look at replay.runner()
/// }
/// ```
pub struct TrajectoryReplay<'a> {
    runner: EpisodeRunner,
    trajectory: &'a Trajectory,
    sequence: EpisodeSequence,
    /// Numbers of one step: robots × act.
    width: usize,
    /// Control steps played, those before the initial state included.
    played: usize,
}

impl<'a> TrajectoryReplay<'a> {
    /// A replay in `env`, which is that of [`Trajectory::environment`].
    pub fn new(env: NavEnv, trajectory: &'a Trajectory) -> Self {
        let width = env.robot_count() * env.action_dim();
        let mut runner = EpisodeRunner::new(env);
        runner.reset(trajectory.initial_state.episode);
        Self {
            runner,
            trajectory,
            sequence: trajectory.sequence(),
            width,
            played: 0,
        }
    }

    /// Starts the next episode if the last one has ended. Returns whether a step is left to play.
    pub fn prepare(&mut self) -> bool {
        if self.next_actions().is_none() {
            return false;
        }
        if self.runner.env().is_over() {
            let next = self.sequence.after(self.runner.env().episode());
            self.runner.reset(next);
        }
        true
    }

    /// Plays the next step. Returns `[robots]`: what the policy predicted before it; empty for the
    /// steps before the initial state, and if the trajectory has no predictions.
    ///
    /// # Panics
    /// Without a [`Self::prepare`] that returned true.
    pub fn step(&mut self) -> &'a [PolicyPrediction] {
        let actions = self.next_actions().expect("a step is left to play");
        let robots = self.runner.env().robot_count();
        let index = self.next_step().map(|step| step * robots);
        let predictions =
            index.and_then(|first| self.trajectory.predictions.get(first..first + robots));
        self.runner.observe();
        self.runner.step(actions);
        self.played += 1;
        predictions.unwrap_or_default()
    }

    /// Index of the next step in the trajectory, from 0; `None` for steps before its initial state.
    pub fn next_step(&self) -> Option<usize> {
        self.played.checked_sub(self.earlier_steps())
    }

    /// `[robots, act]`: the actions of the next step, if one is left.
    pub fn next_actions(&self) -> Option<&'a [f32]> {
        let (actions, step) = match self.next_step() {
            Some(step) => (&self.trajectory.actions, step),
            None => (&self.trajectory.initial_state.actions, self.played),
        };
        actions.chunks_exact(self.width).nth(step)
    }

    /// The environment as the last step left it.
    pub fn runner(&self) -> &EpisodeRunner {
        &self.runner
    }

    /// Control steps between the beginning of the first episode and the initial state.
    fn earlier_steps(&self) -> usize {
        self.trajectory.initial_state.actions.len() / self.width
    }
}

#[cfg(test)]
mod tests {
    use super::super::{StepBuffers, VecEnv, VectorEnv as _};
    use super::*;

    /// Plays environment 1 of two, and replays it.
    fn check_replay(scenario: &str, plan: Option<LevelPlan>) {
        let scenario = Arc::new(crate::scenario::resolve(scenario, &[]).unwrap());
        let robots = scenario.spec.robot_count();
        let mut vec = VecEnv::new(&scenario, 4, Split::Train, 2 * robots, 1).unwrap();
        let mut buffers = StepBuffers::new(2 * robots, vec.obs_layout().dim());
        if let Some(plan) = &plan {
            vec.set_level_plan(&LevelPlan {
                round: plan.round + 1,
                ..plan.clone()
            });
        }
        vec.reset(&mut buffers);
        let act = vec.action_dim();
        let mut actions = vec![0.0; 2 * robots * act];
        let mut step = |vec: &mut VecEnv, index: usize| {
            for (entry, action) in actions.iter_mut().enumerate() {
                *action = if entry % act == 0 {
                    0.9
                } else {
                    ((index + entry) as f32 * 0.07).sin()
                };
            }
            vec.step(&actions, &mut buffers);
            actions[robots * act..].to_vec()
        };
        (0..40).for_each(|index| drop(step(&mut vec, index)));
        if let Some(plan) = &plan {
            vec.set_level_plan(plan);
        }
        let initial_state = vec.state().remove(1);
        let taken: Vec<Vec<f32>> = (40..1200).map(|index| step(&mut vec, index)).collect();
        let trajectory = Trajectory {
            env: 1,
            initial_state,
            levels: plan,
            actions: taken.concat(),
            ..Trajectory::default()
        };
        let env = trajectory.environment(&scenario, 4).unwrap();
        let mut replay = TrajectoryReplay::new(env, &trajectory);
        let mut episodes = 0;
        while replay.prepare() {
            episodes += u32::from(replay.runner().env().steps() == 0);
            assert!(
                replay.step().is_empty(),
                "the trajectory has no predictions"
            );
        }
        assert!(episodes > 2, "{episodes} episodes");
        assert_eq!(replay.next_step(), Some(taken.len()));
        // The vector starts the next episode at once, a replay only for another step.
        let mut last = replay.runner().env().state();
        if replay.runner().env().is_over() {
            last.episode = vec.state()[1].episode;
            last.actions.clear();
        }
        assert_eq!(last, vec.state()[1]);
    }

    #[test]
    fn a_replay_goes_through_the_same_episodes() {
        check_replay("movers", None);
        check_replay("swap", None);
        let plan = LevelPlan {
            seed: 4,
            replayed: vec![3, 8],
            share: 0.5,
            ..LevelPlan::default()
        };
        check_replay("movers", Some(plan));
    }
}
