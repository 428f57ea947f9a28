//! A recorded episode, as a picture that can stand at any of its control steps. What is drawn are
//! the recorded frames; only the room, which never changes, is placed again.

use crate::view::Picture;
use evenkeel_runs::record::Episode;
use evenkeel_runs::record::messages::Step;
use evenkeel_sim::env::{NavEnv, Outcome};
use evenkeel_sim::sim::Frame;

/// A recorded episode that can be wound.
pub(super) struct Reel {
    picture: Picture,
    /// `[1 + steps]`.
    frames: Vec<Frame>,
    /// `[1 + steps, robots]`: undiscounted sum of each robot's rewards so far.
    returns: Vec<Vec<f64>>,
    /// `[robots]`: the control steps of each one's part.
    parts: Vec<Vec<Step>>,
    ending: Option<Outcome>,
    /// Whether this build places the episode as the one that recorded it did.
    same_room: bool,
}

impl Reel {
    /// An episode of `env`, which is begun again there; `policy` is who drove.
    pub(super) fn new(mut episode: Episode, env: &mut NavEnv, policy: &str, seed: u64) -> Self {
        env.reset(episode.begin.episode);
        let same_room = env.state_hash() == episode.begin.state_hash;
        let dt_secs = env.scenario().spec.task.control_step_secs;
        let frames = (0..).map_while(|step| episode.frame(step, dt_secs));
        let mut frames: Vec<Frame> = frames.collect();
        if frames.is_empty() {
            // Cut off before anything was seen.
            frames.push(Frame::default());
            env.frame(&mut frames[0]);
        }
        episode.steps.truncate((frames.len() - 1) * episode.robots);
        episode.scans.clear();
        let mut sums = vec![0.0; episode.robots];
        let mut returns = vec![sums.clone()];
        for index in 0..episode.length() {
            for (sum, step) in sums.iter_mut().zip(episode.step(index)) {
                *sum += f64::from(step.reward);
            }
            returns.push(sums.clone());
        }
        let part = |robot| episode.part(robot).cloned().collect();
        let parts = (0..episode.robots).map(part).collect();
        let mut picture = Picture::begin(env, policy, seed);
        picture.rewind(&frames[0], &returns[0]);
        // Time goes as far as the recording does.
        picture.time_limit_secs = (frames.len() - 1) as f32 * picture.control_step_secs;
        Self {
            picture,
            frames,
            returns,
            parts,
            ending: episode.ending(),
            same_room,
        }
    }

    /// Control steps.
    pub(super) fn length(&self) -> usize {
        self.frames.len() - 1
    }

    /// The control steps of a robot's part in it.
    pub(super) fn steps(&self, robot: usize) -> &[Step] {
        self.parts.get(robot).map_or(&[], Vec::as_slice)
    }

    /// Seconds of a control step.
    pub(super) fn dt_secs(&self) -> f64 {
        self.picture.control_step_secs.into()
    }

    /// How it ended, if it did.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.ending
    }

    /// Whether the room is the recorded one.
    pub(super) fn same_room(&self) -> bool {
        self.same_room
    }

    /// The picture after the control step that it was last wound to.
    pub(super) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Winds to a control step; beyond the end, there.
    pub(super) fn seek(&mut self, step: usize) {
        let step = step.min(self.length());
        let mut at = self.picture.frame().step as usize;
        if step < at {
            self.picture.rewind(&self.frames[0], &self.returns[0]);
            at = 0;
        }
        for next in at + 1..=step {
            let ended = self.ending.filter(|_| next == self.length());
            self.picture
                .advance(&self.frames[next], &self.returns[next], ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use evenkeel_runs::record::messages::{Build, PolicyIdentity, Recording};
    use evenkeel_runs::record::{Reader, RecordOptions, Writer, record};
    use evenkeel_sim::drivers;

    /// The episodes of a small recording, and their environment.
    fn recorded(path: &Path) -> (Vec<Episode>, NavEnv) {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("movers", &[]).unwrap());
        let mut actor = drivers::by_name("straight", &scenario, 3).unwrap();
        let about = Recording::of(&scenario, PolicyIdentity::default(), 3, Build::default());
        let mut writer = Writer::create(path, &about).unwrap();
        let options = RecordOptions {
            episodes: 2,
            seed: 3,
        };
        let mut go_on = |_: &_| true;
        record(&scenario, actor.as_mut(), &options, &mut writer, &mut go_on).unwrap();
        writer.finish().unwrap();
        let mut reader = Reader::open(path).unwrap();
        let episodes = std::iter::from_fn(|| reader.next_episode().unwrap()).collect();
        let env = reader.environment().unwrap();
        (episodes, env)
    }

    #[test]
    fn whichever_way_one_comes_to_a_step_it_looks_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (episodes, mut env) = recorded(&folder.path().join("a.mcap"));
        for episode in episodes {
            let (number, sum) = (episode.begin.episode, episode.episodic_return());
            let mut reel = Reel::new(episode, &mut env, "somebody", 3);
            assert!(reel.same_room());
            let (mut live, mut frame) = (Picture::begin(&env, "somebody", 3), Frame::default());
            for step in reel.steps(0).to_vec() {
                let taken = env.step(&step.action);
                env.frame(&mut frame);
                live.advance(&frame, &env.returns(), taken.outcome);
                // Back and forth, and there.
                for place in [0, reel.length(), step.step as usize] {
                    reel.seek(place);
                }
                let seen = reel.picture();
                assert_eq!(seen.episode, number);
                assert_eq!(seen.frames, live.frames);
                assert_eq!(seen.trails, live.trails);
                assert_eq!(seen.touched_secs, live.touched_secs);
                assert_eq!(seen.outcome, live.outcome);
                assert_eq!(seen.layout, live.layout);
            }
            reel.seek(usize::MAX);
            assert!((reel.picture().returns[0] - sum).abs() < 1e-12);
            assert_eq!(reel.outcome(), live.outcome);
        }
    }

    #[test]
    fn an_episode_that_was_cut_off_ends_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (mut episodes, mut env) = recorded(&folder.path().join("a.mcap"));
        let mut episode = episodes.remove(0);
        episode.scans.truncate(5);
        let mut reel = Reel::new(episode.clone(), &mut env, "somebody", 3);
        assert_eq!((reel.length(), reel.outcome()), (4, None));
        reel.seek(100);
        assert_eq!(reel.picture().frame().step, 4);

        episode.begin.state_hash ^= 1;
        episode.scans.clear();
        let reel = Reel::new(episode, &mut env, "somebody", 3);
        assert_eq!(reel.length(), 0);
        assert!(!reel.same_room());
    }
}
