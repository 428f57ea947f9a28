//! The detectors of the robot's symptoms: how it drove in some episodes in, events out.

use serde::{Deserialize, Serialize};

use super::baseline::Alarm;
use super::monitor::Detection;
use super::{DrivingMetrics, Monitor};
use crate::stats::{MovingMoments, wilson};
use crate::telemetry::{HealthEvent, Symptom, SymptomLocation};

/// What a monitor remembers of how the robot drove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrivingState {
    spinning: FailureTracker,
    stuck: FailureTracker,
    jerk: MovingMoments,
    jerk_alarm: Alarm,
}

/// A failing that an untrained robot may have too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct FailureTracker {
    /// Whether the robot was once well without it.
    was_healthy: bool,
    alarm: Alarm,
}

impl FailureTracker {
    /// Takes `failed` episodes out of `episodes`. Gives their share if it is to be told of.
    fn observe(&mut self, failed: u64, episodes: u64, most: f64, patience: u32) -> Option<f64> {
        let share = wilson(failed, episodes);
        self.was_healthy |= episodes > 0 && share.value < 0.5 * most;
        let hold = if self.was_healthy { 1 } else { patience };
        self.alarm
            .should_report(share.low > most, hold, patience)
            .then_some(share.value)
    }
}

impl Monitor {
    /// Takes how the robot drove in some episodes, in order, and tells what has begun with them.
    pub fn observe_robot(&mut self, metrics: &DrivingMetrics) -> Vec<HealthEvent> {
        let rule = self.config.robot;
        let state = &mut self.state.robot;
        let judge = |tracker: &mut FailureTracker, failed: Option<u64>, most, symptom| {
            let share = tracker.observe(failed?, metrics.episodes, most, rule.patience)?;
            Some(Detection::warning(
                symptom,
                SymptomLocation::Robot,
                share,
                most,
            ))
        };
        let (spinning, most) = (&mut state.spinning, rule.spinning_share);
        let spinning = judge(spinning, metrics.spinning, most, Symptom::Spinning);
        let (stuck, most) = (&mut state.stuck, rule.stuck_share);
        let stuck = judge(stuck, metrics.stuck, most, Symptom::Freezing);
        let found = [spinning, stuck, self.jerk(metrics.jerk_mps3)];
        let at = |detection: Detection| {
            detection.into_event(metrics.global_step, metrics.optimiser_step)
        };
        found.into_iter().flatten().map(at).collect()
    }

    fn jerk(&mut self, jerk: Option<f64>) -> Option<Detection> {
        let rule = self.config.robot;
        let jerk = jerk.filter(|jerk| jerk.is_finite())?;
        let state = &mut self.state.robot;
        let most = rule.jerk_factor * state.jerk.mean();
        let settled = state.jerk.count() >= u64::from(rule.patience);
        state.jerk.push(jerk, 1.0 - 1.0 / f64::from(rule.patience));
        let holds = settled && jerk > most;
        let tell = state.jerk_alarm.should_report(holds, 1, rule.patience);
        tell.then(|| Detection::warning(Symptom::Jerk, SymptomLocation::Robot, jerk, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{HealthConfig, NetworkLayout};

    const PATIENCE: u32 = 4;

    fn monitor() -> Monitor {
        let mut config = HealthConfig::default();
        config.robot.patience = PATIENCE;
        Monitor::new(config, NetworkLayout::default())
    }

    fn report(spinning: u64, stuck: u64, jerk: f64) -> DrivingMetrics {
        DrivingMetrics {
            episodes: 100,
            spinning: Some(spinning),
            stuck: Some(stuck),
            jerk_mps3: Some(jerk),
            ..DrivingMetrics::default()
        }
    }

    fn told(monitor: &mut Monitor, report: DrivingMetrics) -> Vec<Symptom> {
        let events = monitor.observe_robot(&report);
        assert!(
            events
                .iter()
                .all(|event| event.location == SymptomLocation::Robot)
        );
        events.into_iter().map(|event| event.symptom).collect()
    }

    #[test]
    fn an_untrained_robot_may_freeze_for_a_while() {
        let mut monitor = monitor();
        for _ in 0..PATIENCE - 1 {
            assert!(told(&mut monitor, report(0, 90, 1.0)).is_empty());
        }
        assert_eq!(told(&mut monitor, report(0, 90, 1.0)), [Symptom::Freezing]);
        assert!(told(&mut monitor, report(0, 90, 1.0)).is_empty(), "once");
    }

    #[test]
    fn a_robot_that_drove_well_may_not_begin_to_spin() {
        let mut monitor = monitor();
        assert!(told(&mut monitor, report(60, 0, 1.0)).is_empty());
        assert!(told(&mut monitor, report(2, 0, 1.0)).is_empty());
        // A share of 0.15 might be one of 0.1.
        assert!(told(&mut monitor, report(15, 0, 1.0)).is_empty());
        let events = monitor.observe_robot(&report(30, 0, 1.0));
        assert_eq!(events[0].symptom, Symptom::Spinning);
        assert_eq!(
            (events[0].value, events[0].threshold),
            (Some(0.3), Some(0.1))
        );
    }

    #[test]
    fn jerk_is_held_against_its_recent_level() {
        let mut monitor = monitor();
        for jerk in [4.0, 6.0, 5.0, 5.0, 11.0] {
            assert!(told(&mut monitor, report(0, 0, jerk)).is_empty());
        }
        assert_eq!(told(&mut monitor, report(0, 0, 20.0)), [Symptom::Jerk]);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let mut monitor = monitor();
        for _ in 0..20 {
            assert!(monitor.observe_robot(&DrivingMetrics::default()).is_empty());
        }
    }
}
