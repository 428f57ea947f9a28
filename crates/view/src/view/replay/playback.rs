//! A recorded episode as an [`EpisodeView`] that can seek to any control step. It shows the recorded
//! snapshots; only the layout, which is not in the recording, is sampled again.

use crate::view::episode_view::EpisodeView;
use evenkeel_runs::recording::RecordedEpisode;
use evenkeel_runs::recording::messages::RobotStep;
use evenkeel_sim::env::{NavEnv, Outcome};
use evenkeel_sim::sim::WorldSnapshot;

/// A recorded episode with seeking.
pub(super) struct Playback {
    view: EpisodeView,
    /// `[1 + steps]`.
    snapshots: Vec<WorldSnapshot>,
    /// `[1 + steps, robots]`: undiscounted sum of each robot's rewards so far.
    returns: Vec<Vec<f64>>,
    /// `[robots]`: the control steps of each while it was active.
    active_steps: Vec<Vec<RobotStep>>,
    outcome: Option<Outcome>,
    /// Whether this build samples the layout that was recorded.
    same_layout: bool,
}

impl Playback {
    /// A playback of an episode of `env`, which is reset to it. `policy` is the name to show.
    pub(super) fn new(
        mut episode: RecordedEpisode,
        env: &mut NavEnv,
        policy: &str,
        seed: u64,
    ) -> Self {
        env.reset(episode.begin.episode);
        let same_layout = env.state_hash() == episode.begin.state_hash;
        let dt_secs = env.scenario().spec.task.control_step_secs;
        let snapshots = (0..).map_while(|step| episode.snapshot(step, dt_secs));
        let mut snapshots: Vec<WorldSnapshot> = snapshots.collect();
        if snapshots.is_empty() {
            // The recording was cut off before the first snapshot was complete.
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
        let of_robot = |robot| episode.active_steps(robot).cloned().collect();
        let active_steps = (0..episode.robots).map(of_robot).collect();
        let mut view = EpisodeView::of_env(env, policy, seed);
        view.rewind(&snapshots[0], &returns[0]);
        // The time axis ends with the recording.
        view.time_limit_secs = (snapshots.len() - 1) as f32 * view.control_step_secs;
        Self {
            view,
            snapshots,
            returns,
            active_steps,
            outcome: episode.episode_outcome(),
            same_layout,
        }
    }

    /// Number of control steps.
    pub(super) fn length(&self) -> usize {
        self.snapshots.len() - 1
    }

    /// The control steps of a robot while it was active.
    pub(super) fn steps(&self, robot: usize) -> &[RobotStep] {
        self.active_steps.get(robot).map_or(&[], Vec::as_slice)
    }

    /// Length of a control step, seconds.
    pub(super) fn dt_secs(&self) -> f64 {
        self.view.control_step_secs.into()
    }

    /// How the episode ended, if it did.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the layout is the recorded one.
    pub(super) fn same_layout(&self) -> bool {
        self.same_layout
    }

    /// The view after the control step of the last [`Self::seek`].
    pub(super) fn view(&self) -> &EpisodeView {
        &self.view
    }

    /// Seeks to a control step, at most to the last.
    pub(super) fn seek(&mut self, step: usize) {
        let step = step.min(self.length());
        let mut current = self.view.snapshot().step as usize;
        if step < current {
            self.view.rewind(&self.snapshots[0], &self.returns[0]);
            current = 0;
        }
        for next in current + 1..=step {
            let outcome = self.outcome.filter(|_| next == self.length());
            self.view
                .advance(&self.snapshots[next], &self.returns[next], outcome);
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
        HeldOutEpisodes, RecordingReader, RecordingWriter, record_episodes,
    };
    use evenkeel_sim::planners;

    /// The episodes of a small recording, and their environment.
    fn recorded(path: &Path) -> (Vec<RecordedEpisode>, NavEnv) {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("movers", &[]).unwrap());
        let mut controller = planners::by_name("straight", &scenario, 3).unwrap();
        let header = RecordingHeader::of(
            &scenario,
            PolicyIdentity::default(),
            3,
            BuildInfo::default(),
        );
        let mut writer = RecordingWriter::create(path, &header).unwrap();
        let options = HeldOutEpisodes {
            episodes: 2,
            seed: 3,
        };
        let mut always = |_: &_| true;
        record_episodes(
            &scenario,
            controller.as_mut(),
            &options,
            &mut writer,
            &mut always,
        )
        .unwrap();
        writer.finish().unwrap();
        let mut reader = RecordingReader::open(path).unwrap();
        let episodes = std::iter::from_fn(|| reader.next_episode().unwrap()).collect();
        let env = reader.environment().unwrap();
        (episodes, env)
    }

    #[test]
    fn seeking_shows_what_playing_to_the_step_shows() {
        let folder = tempfile::tempdir().unwrap();
        let (episodes, mut env) = recorded(&folder.path().join("a.mcap"));
        for episode in episodes {
            let (number, sum) = (episode.begin.episode, episode.episodic_return());
            let mut playback = Playback::new(episode, &mut env, "policy", 3);
            assert!(playback.same_layout());
            let (mut live, mut frame) = (
                EpisodeView::of_env(&env, "policy", 3),
                WorldSnapshot::default(),
            );
            for step in playback.steps(0).to_vec() {
                let taken = env.step(&step.action);
                env.snapshot(&mut frame);
                live.advance(&frame, &env.returns(), taken.outcome);
                // To the beginning, to the end, and to the step.
                for target in [0, playback.length(), step.step as usize] {
                    playback.seek(target);
                }
                let view = playback.view();
                assert_eq!(view.episode, number);
                assert_eq!(view.snapshots, live.snapshots);
                assert_eq!(view.trails, live.trails);
                assert_eq!(view.last_contact_secs, live.last_contact_secs);
                assert_eq!(view.outcome, live.outcome);
                assert_eq!(view.layout, live.layout);
            }
            playback.seek(usize::MAX);
            assert!((playback.view().returns[0] - sum).abs() < 1e-12);
            assert_eq!(playback.outcome(), live.outcome);
        }
    }

    #[test]
    fn a_truncated_episode_ends_with_its_last_scan() {
        let folder = tempfile::tempdir().unwrap();
        let (mut episodes, mut env) = recorded(&folder.path().join("a.mcap"));
        let mut episode = episodes.remove(0);
        episode.scans.truncate(5);
        let mut playback = Playback::new(episode.clone(), &mut env, "policy", 3);
        assert_eq!((playback.length(), playback.outcome()), (4, None));
        playback.seek(100);
        assert_eq!(playback.view().snapshot().step, 4);

        episode.begin.state_hash ^= 1;
        episode.scans.clear();
        let playback = Playback::new(episode, &mut env, "policy", 3);
        assert_eq!(playback.length(), 0);
        assert!(!playback.same_layout());
    }
}
