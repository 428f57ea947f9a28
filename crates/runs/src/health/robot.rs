//! The detectors of the robot's symptoms. They read how the robot drove in some episodes.

use serde::{Deserialize, Serialize};

use super::baseline::Alarm;
use super::detection::Detection;
use super::{DrivingMetrics, RobotConfig};
use crate::stats::{MovingMoments, wilson};
use crate::telemetry::{HealthEvent, Symptom, SymptomLocation};

/// State of the detectors of the robot's symptoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrivingState {
    spinning: FailureTracker,
    stuck: FailureTracker,
    jerk: MovingMoments,
    jerk_alarm: Alarm,
}

/// Tracks a kind of failure that is also normal for an untrained robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct FailureTracker {
    /// Whether the robot has driven well without this failure before.
    was_healthy: bool,
    alarm: Alarm,
}

impl FailureTracker {
    /// Processes `failed` out of `episodes` episodes. Returns their share if it is to be reported.
    fn observe(
        &mut self,
        failed: u64,
        episodes: u64,
        max_share: f64,
        patience: u32,
    ) -> Option<f64> {
        let share = wilson(failed, episodes);
        self.was_healthy |= episodes > 0 && share.value < 0.5 * max_share;
        let hold_calls = if self.was_healthy { 1 } else { patience };
        self.alarm
            .update(share.low > max_share, hold_calls, patience)
            .then_some(share.value)
    }
}

impl DrivingState {
    /// Processes how the robot drove in some episodes. Returns the symptoms that begin with them.
    /// Calls must be in order of time.
    pub(super) fn observe(
        &mut self,
        config: &RobotConfig,
        metrics: &DrivingMetrics,
    ) -> Vec<HealthEvent> {
        let patience = config.patience;
        let detect = |tracker: &mut FailureTracker, failed: Option<u64>, max_share, symptom| {
            let share = tracker.observe(failed?, metrics.episodes, max_share, patience)?;
            let location = SymptomLocation::Robot;
            Some(Detection::warning(symptom, location, share, max_share))
        };
        let detections = [
            detect(
                &mut self.spinning,
                metrics.spinning,
                config.spinning_share,
                Symptom::Spinning,
            ),
            detect(
                &mut self.stuck,
                metrics.stuck,
                config.stuck_share,
                Symptom::Freezing,
            ),
            self.observe_jerk(config, metrics.jerk_mps3),
        ];
        detections
            .into_iter()
            .flatten()
            .map(|detection| detection.into_event(metrics.global_step, metrics.optimiser_step))
            .collect()
    }

    fn observe_jerk(&mut self, config: &RobotConfig, jerk: Option<f64>) -> Option<Detection> {
        let patience = config.patience;
        let jerk = jerk.filter(|jerk| jerk.is_finite())?;
        let threshold = config.jerk_factor * self.jerk.mean();
        let warmed_up = self.jerk.count() >= u64::from(patience);
        self.jerk.push(jerk, 1.0 - 1.0 / f64::from(patience));
        let is_present = warmed_up && jerk > threshold;
        self.jerk_alarm
            .update(is_present, 1, patience)
            .then(|| Detection::warning(Symptom::Jerk, SymptomLocation::Robot, jerk, threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RobotConfig = RobotConfig {
        spinning_share: 0.1,
        stuck_share: 0.1,
        jerk_factor: 2.5,
        patience: 4,
    };

    fn metrics(spinning: u64, stuck: u64, jerk: f64) -> DrivingMetrics {
        DrivingMetrics {
            episodes: 100,
            spinning: Some(spinning),
            stuck: Some(stuck),
            jerk_mps3: Some(jerk),
            ..DrivingMetrics::default()
        }
    }

    fn symptoms(state: &mut DrivingState, metrics: DrivingMetrics) -> Vec<Symptom> {
        let events = state.observe(&CONFIG, &metrics);
        assert!(
            events
                .iter()
                .all(|event| event.location == SymptomLocation::Robot)
        );
        events.into_iter().map(|event| event.symptom).collect()
    }

    #[test]
    fn an_untrained_robot_may_freeze_for_a_while() {
        let mut state = DrivingState::default();
        for _ in 0..CONFIG.patience - 1 {
            assert!(symptoms(&mut state, metrics(0, 90, 1.0)).is_empty());
        }
        assert_eq!(
            symptoms(&mut state, metrics(0, 90, 1.0)),
            [Symptom::Freezing]
        );
        assert!(
            symptoms(&mut state, metrics(0, 90, 1.0)).is_empty(),
            "it is reported once"
        );
    }

    #[test]
    fn spinning_after_healthy_driving_is_reported_at_once() {
        let mut state = DrivingState::default();
        assert!(symptoms(&mut state, metrics(60, 0, 1.0)).is_empty());
        assert!(symptoms(&mut state, metrics(2, 0, 1.0)).is_empty());
        // The Wilson interval of a share of 0.15 includes 0.1.
        assert!(symptoms(&mut state, metrics(15, 0, 1.0)).is_empty());
        let events = state.observe(&CONFIG, &metrics(30, 0, 1.0));
        assert_eq!(events[0].symptom, Symptom::Spinning);
        assert_eq!(
            (events[0].value, events[0].threshold),
            (Some(0.3), Some(0.1))
        );
    }

    #[test]
    fn jerk_is_compared_with_its_recent_mean() {
        let mut state = DrivingState::default();
        for jerk in [4.0, 6.0, 5.0, 5.0, 11.0] {
            assert!(symptoms(&mut state, metrics(0, 0, jerk)).is_empty());
        }
        assert_eq!(symptoms(&mut state, metrics(0, 0, 20.0)), [Symptom::Jerk]);
    }

    #[test]
    fn missing_measurements_are_ignored() {
        let mut state = DrivingState::default();
        for _ in 0..20 {
            let events = state.observe(&CONFIG, &DrivingMetrics::default());
            assert!(events.is_empty());
        }
    }
}
