//! Held-out episodes played side by side: a fixed number of environments stepped together, one
//! episode each, until all are done. To the actor each robot in them is an environment.

use std::ops::Range;
use std::sync::Arc;

use super::episode::{Episode, Finished};
use super::{EvalError, EvalOptions};
use evenkeel_sim::env::{Actor, Crew, NavEnv, action_dim, obs_layout, part, thread_count};
use evenkeel_sim::scenario::Scenario;

/// Environments stepped together. A constant, so that figures depend on nothing but the episodes.
const TOGETHER: usize = 64;

/// Environments that one thread takes at a time.
const IN_A_PIECE: usize = 8;

/// Plays all episodes; they come in the order in which they ended.
pub(super) fn play(
    scenario: &Arc<Scenario>,
    actor: &mut dyn Actor,
    options: &EvalOptions,
) -> Result<Vec<Finished>, EvalError> {
    let dim = obs_layout(scenario).dim();
    let mut game = Game {
        crew: crew(scenario, options, dim),
        dim,
        action_dim: action_dim(scenario),
        robots: scenario.spec.robot_count(),
        numbers: options.first..options.first + options.episodes,
        finished: Vec::with_capacity(options.episodes as usize),
        acting: Vec::new(),
        observations: Vec::new(),
        actions: Vec::new(),
    };
    while game.take_stock(actor)? {
        game.act(actor);
        game.crew.run();
    }
    Ok(game.finished)
}

/// All places, between two rounds in which each takes its turn.
struct Game {
    crew: Crew<Piece>,
    /// Length of an observation.
    dim: usize,
    /// Length of an action.
    action_dim: usize,
    /// Robots in an episode.
    robots: usize,
    /// Episodes that have not begun.
    numbers: Range<u64>,
    finished: Vec<Finished>,
    /// Robots that await an action, counted over all places of all pieces.
    acting: Vec<usize>,
    /// `[acting, obs]`.
    observations: Vec<f32>,
    /// `[acting, act]`.
    actions: Vec<f32>,
}

impl Game {
    /// Takes what has come of the last round and begins what is next; false if nothing is left.
    fn take_stock(&mut self, actor: &mut dyn Actor) -> Result<bool, EvalError> {
        self.acting.clear();
        self.observations.clear();
        let mut slots = (0..).step_by(self.robots);
        let mut begins = false;
        let watches = actor.watches();
        for mut piece in self.crew.pieces() {
            let Piece { places, obs, .. } = &mut *piece;
            let seen = obs.chunks_exact(self.dim * self.robots);
            for ((place, seen), first) in places.iter_mut().zip(seen).zip(&mut slots) {
                match std::mem::replace(&mut place.turn, Turn::Rest) {
                    Turn::Act => {
                        let episode = place.episode.as_ref();
                        let episode = episode.expect("an episode has begun");
                        let seen = seen.chunks_exact(self.dim).enumerate();
                        for (robot, obs) in seen.filter(|(robot, _)| !episode.waits(*robot)) {
                            let slot = first + robot;
                            if watches {
                                actor.watch(slot, robot, episode.layout(), episode.frame());
                            }
                            self.acting.push(slot);
                            self.observations.extend_from_slice(obs);
                        }
                    }
                    Turn::Failed(error) => return Err(*error),
                    turn => {
                        if let Turn::Ended(ended) = turn {
                            self.finished.extend(ended);
                        }
                        if let Some(number) = self.numbers.next() {
                            for robot in 0..self.robots {
                                let part = part(number, robot, self.robots);
                                actor.begin_episode(first + robot, part);
                            }
                            place.turn = Turn::Begin(number);
                            begins = true;
                        }
                    }
                }
            }
        }
        Ok(begins || !self.acting.is_empty())
    }

    /// Asks for the actions that are awaited and hands them out.
    fn act(&mut self, actor: &mut dyn Actor) {
        if self.acting.is_empty() {
            return;
        }
        self.actions
            .resize(self.acting.len() * self.action_dim, 0.0);
        actor.act(&self.acting, &self.observations, &mut self.actions);
        let rows = self.actions.chunks_exact(self.action_dim);
        let mut turns = self.acting.iter().zip(rows).peekable();
        let mut slots = (0..).step_by(self.robots);
        for mut piece in self.crew.pieces() {
            for (place, first) in piece.places.iter_mut().zip(&mut slots) {
                let own = first..first + self.robots;
                while let Some((slot, action)) = turns.next_if(|(slot, _)| own.contains(slot)) {
                    let entry = (slot - first) * self.action_dim;
                    place.actions[entry..entry + self.action_dim].copy_from_slice(action);
                    place.turn = Turn::Step;
                }
            }
        }
    }
}

/// A few places that one thread works on.
struct Piece {
    scenario: Arc<Scenario>,
    options: Arc<EvalOptions>,
    places: Vec<Place>,
    /// `[places, robots, obs]`.
    obs: Vec<f32>,
}

/// Where one episode after another is played.
struct Place {
    /// Absent before the first.
    episode: Option<Episode>,
    turn: Turn,
    /// `[robots, act]`: what is asked for; of those that wait it is not looked at.
    actions: Vec<f32>,
}

/// What is to be done in a place, or what has come of it.
enum Turn {
    /// Nothing: there is no episode left.
    Rest,
    /// To begin this episode.
    Begin(u64),
    /// Actions are awaited.
    Act,
    /// To take them.
    Step,
    /// The episode has ended: one for each robot.
    Ended(Vec<Finished>),
    /// The episode could not begin.
    Failed(Box<EvalError>),
}

/// As many places as are played together.
fn crew(scenario: &Arc<Scenario>, options: &EvalOptions, dim: usize) -> Crew<Piece> {
    let options = Arc::new(options.clone());
    let together = TOGETHER.min(options.episodes as usize);
    let robots = scenario.spec.robot_count();
    let pieces = || {
        let piece = |first: usize| {
            let count = IN_A_PIECE.min(together - first);
            let place = || Place {
                episode: None,
                turn: Turn::Rest,
                actions: vec![0.0; robots * action_dim(scenario)],
            };
            Piece {
                scenario: scenario.clone(),
                options: options.clone(),
                places: std::iter::repeat_with(place).take(count).collect(),
                obs: vec![0.0; count * robots * dim],
            }
        };
        (0..together).step_by(IN_A_PIECE).map(piece).collect()
    };
    // Without helpers all is done on this thread, with the same figures.
    Crew::new(pieces(), thread_count(options.threads), Piece::work)
        .or_else(|_| Crew::new(pieces(), 1, Piece::work))
        .expect("a crew of one needs no thread")
}

impl Piece {
    /// Takes every place's turn.
    fn work(&mut self) {
        let width = self.obs.len() / self.places.len();
        for (place, obs) in self.places.iter_mut().zip(self.obs.chunks_exact_mut(width)) {
            place.turn = match std::mem::replace(&mut place.turn, Turn::Rest) {
                Turn::Begin(number) => match place.begin(&self.scenario, number, &self.options) {
                    Ok(()) => Turn::Act,
                    Err(error) => Turn::Failed(Box::new(error)),
                },
                Turn::Step => match place.step() {
                    Some(ended) => Turn::Ended(ended),
                    None => Turn::Act,
                },
                other => other,
            };
            if let (Turn::Act, Some(episode)) = (&place.turn, &place.episode) {
                episode.observe(obs);
            }
        }
    }
}

impl Place {
    fn begin(
        &mut self,
        scenario: &Arc<Scenario>,
        number: u64,
        options: &EvalOptions,
    ) -> Result<(), EvalError> {
        if let Some(episode) = &mut self.episode {
            return episode.again(number, options);
        }
        // Every place plays environment 0's episodes, so that an episode is the same whichever
        // place it falls to.
        let env = NavEnv::new(scenario.clone(), options.seed, options.split, 0)
            .map_err(|reason| EvalError::unplaceable(scenario, options, 0, reason))?;
        self.episode = Some(Episode::begin(env, number, options)?);
        Ok(())
    }

    fn step(&mut self) -> Option<Vec<Finished>> {
        let episode = self.episode.as_mut();
        episode.expect("an episode has begun").step(&self.actions)
    }
}
