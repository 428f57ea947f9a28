//! A recorded episode, as a picture that can stand at any of its control steps. What is drawn are
//! the recorded frames; only the room, which never changes, is placed again.

use crate::view::EpisodeView;
use evenkeel_runs::recording::RecordedEpisode;
use evenkeel_runs::recording::messages::RobotStep;
use evenkeel_sim::env::{NavEnv, Outcome};
use evenkeel_sim::sim::WorldSnapshot;

/// A recorded episode that can be wound.
pub(super) struct Playback {
    picture: EpisodeView,
    /// `[1 + steps]`.
    snapshots: Vec<WorldSnapshot>,
    /// `[1 + steps, robots]`: undiscounted sum of each robot's rewards so far.
    returns: Vec<Vec<f64>>,
    /// `[robots]`: the control steps of each one's part.
    parts: Vec<Vec<RobotStep>>,
    ending: Option<Outcome>,
    /// Whether this build places the episode as the one that recorded it did.
    same_room: bool,
}

impl Playback {
    /// An episode of `env`, which is begun again there; `policy` is who drove.
    pub(super) fn new(
        mut episode: RecordedEpisode,
        env: &mut NavEnv,
        policy: &str,
        seed: u64,
    ) -> Self {
        env.reset(episode.begin.episode);
        let same_room = env.state_hash() == episode.begin.state_hash;
        let dt_secs = env.scenario().spec.task.control_step_secs;
        let snapshots = (0..).map_while(|step| episode.snapshot(step, dt_secs));
        let mut snapshots: Vec<WorldSnapshot> = snapshots.collect();
        if snapshots.is_empty() {
            // Cut off before anything was seen.
            snapshots.push(WorldSnapshot::default());
            env.snapshot(&mut snapshots[0]);
        }
        episode
            .steps
            .truncate((snapshots.len() - 1) * episode.robots);
        episode.scans.clear();
        let mut sums = vec![0.0; episode.robots];
        let mut returns = vec![sums.clone()];
        for index in 0..episode.length() {
            for (sum, step) in sums.iter_mut().zip(episode.step(index)) {
                *sum += f64::from(step.reward);
            }
            returns.push(sums.clone());
        }
        let part = |robot| episode.active_steps(robot).cloned().collect();
        let parts = (0..episode.robots).map(part).collect();
        let mut picture = EpisodeView::of_env(env, policy, seed);
        picture.rewind(&snapshots[0], &returns[0]);
        // Time goes as far as the recording does.
        picture.time_limit_secs = (snapshots.len() - 1) as f32 * picture.control_step_secs;
        Self {
            picture,
            snapshots,
            returns,
            parts,
            ending: episode.episode_outcome(),
            same_room,
        }
    }

    /// Control steps.
    pub(super) fn length(&self) -> usize {
        self.snapshots.len() - 1
    }

    /// The control steps of a robot's part in it.
    pub(super) fn steps(&self, robot: usize) -> &[RobotStep] {
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
    pub(super) fn same_layout(&self) -> bool {
        self.same_room
    }

    /// The picture after the control step that it was last wound to.
    pub(super) fn picture(&self) -> &EpisodeView {
        &self.picture
    }

    /// Winds to a control step; beyond the end, there.
    pub(super) fn seek(&mut self, step: usize) {
        let step = step.min(self.length());
        let mut at = self.picture.snapshot().step as usize;
        if step < at {
            self.picture.rewind(&self.snapshots[0], &self.returns[0]);
            at = 0;
        }
        for next in at + 1..=step {
            let ended = self.ending.filter(|_| next == self.length());
            self.picture
                .advance(&self.snapshots[next], &self.returns[next], ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use evenkeel_runs::recording::messages::{BuildInfo, PolicyIdentity, RecordingHeader};
    use evenkeel_runs::recording::{
        RecordOptions, RecordingReader, RecordingWriter, record_episodes,
    };
    use evenkeel_sim::planners;

    /// The episodes of a small recording, and their environment.
    fn recorded(path: &Path) -> (Vec<RecordedEpisode>, NavEnv) {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("movers", &[]).unwrap());
        let mut controller = planners::by_name("straight", &scenario, 3).unwrap();
        let about = RecordingHeader::of(
            &scenario,
            PolicyIdentity::default(),
            3,
            BuildInfo::default(),
        );
        let mut writer = RecordingWriter::create(path, &about).unwrap();
        let options = RecordOptions {
            episodes: 2,
            seed: 3,
        };
        let mut go_on = |_: &_| true;
        record_episodes(
            &scenario,
            controller.as_mut(),
            &options,
            &mut writer,
            &mut go_on,
        )
        .unwrap();
        writer.finish().unwrap();
        let mut reader = RecordingReader::open(path).unwrap();
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
            let mut reel = Playback::new(episode, &mut env, "somebody", 3);
            assert!(reel.same_layout());
            let (mut live, mut frame) = (
                EpisodeView::of_env(&env, "somebody", 3),
                WorldSnapshot::default(),
            );
            for step in reel.steps(0).to_vec() {
                let taken = env.step(&step.action);
                env.snapshot(&mut frame);
                live.advance(&frame, &env.returns(), taken.outcome);
                // Back and forth, and there.
                for place in [0, reel.length(), step.step as usize] {
                    reel.seek(place);
                }
                let seen = reel.picture();
                assert_eq!(seen.episode, number);
                assert_eq!(seen.snapshots, live.snapshots);
                assert_eq!(seen.trails, live.trails);
                assert_eq!(seen.last_contact_secs, live.last_contact_secs);
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
        let mut reel = Playback::new(episode.clone(), &mut env, "somebody", 3);
        assert_eq!((reel.length(), reel.outcome()), (4, None));
        reel.seek(100);
        assert_eq!(reel.picture().snapshot().step, 4);

        episode.begin.state_hash ^= 1;
        episode.scans.clear();
        let reel = Playback::new(episode, &mut env, "somebody", 3);
        assert_eq!(reel.length(), 0);
        assert!(!reel.same_layout());
    }
}
