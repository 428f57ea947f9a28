//! Limits how often the window is drawn, so that training is hardly slowed down.

use std::time::Duration;

/// Share of the CPU time of all cores that drawing may use. Training loses more than that, because it
/// waits for the slowest of its threads.
const CPU_SHARE: f64 = 0.02;
/// Longest time that the window does not react to input, seconds.
const MAX_DEBT_SECS: f64 = 2.0;
/// The times between two frames to choose from. There are few, because Bevy draws an extra frame
/// whenever the time changes.
const FRAME_INTERVALS: [Duration; 9] = [
    Duration::from_millis(33),
    Duration::from_millis(66),
    Duration::from_millis(125),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// Index of one frame per second, with which a software driver starts.
const ONE_SECOND_INDEX: usize = 5;
/// Frames that may be drawn in quick succession on input, after a time without frames.
const BURST: f64 = 4.0;
/// Weight of a new measurement in the moving average of the cost.
const COST_SMOOTHING: f64 = 0.2;

/// Decides how often to draw.
#[derive(Debug)]
pub(super) struct FrameLimiter {
    /// CPU time that drawing may use per second, seconds.
    budget: f64,
    /// Moving average of the CPU time of a frame, seconds.
    cost: Option<f64>,
    /// Unused CPU time, seconds; negative if too much was used.
    credit: f64,
    /// Index into [`FRAME_INTERVALS`].
    interval: usize,
}

impl FrameLimiter {
    /// A limiter for this number of cores. `software` is whether the CPU draws.
    pub(super) fn new(cores: usize, software: bool) -> Self {
        Self {
            budget: CPU_SHARE * cores as f64,
            cost: None,
            credit: 0.0,
            interval: if software { ONE_SECOND_INDEX } else { 0 },
        }
    }

    /// Records the CPU time of a number of frames that were drawn within some elapsed time.
    pub(super) fn record_cost(&mut self, frames: u32, cpu_time: Duration, elapsed: Duration) {
        let cost = cpu_time.as_secs_f64() / f64::from(frames.max(1));
        let cost = self
            .cost
            .map_or(cost, |old| old + COST_SMOOTHING * (cost - old));
        self.cost = Some(cost);
        let gained = self.budget * elapsed.as_secs_f64() - cpu_time.as_secs_f64();
        self.credit = (self.credit + gained).clamp(-MAX_DEBT_SECS * self.budget, BURST * cost);
        let fits = |index: usize, share: f64| {
            cost <= share * self.budget * FRAME_INTERVALS[index].as_secs_f64()
        };
        // Slow down as soon as the cost exceeds the budget; speed up only if it is well within.
        while self.interval + 1 < FRAME_INTERVALS.len() && !fits(self.interval, 1.0) {
            self.interval += 1;
        }
        while self.interval > 0 && fits(self.interval - 1, 0.7) {
            self.interval -= 1;
        }
    }

    /// Time between two frames without input.
    pub(super) fn frame_interval(&self) -> Duration {
        FRAME_INTERVALS[self.interval]
    }

    /// Time to wait before the next frame, even on input. `since` is the time since the last frame
    /// started.
    pub(super) fn min_rest(&self, since: Duration) -> Duration {
        let rest = if self.credit < 0.0 {
            Duration::from_secs_f64(-self.credit / self.budget).min(self.frame_interval())
        } else {
            FRAME_INTERVALS[0]
        };
        rest.saturating_sub(since)
    }

    /// A text that says how slowly the window is drawn; `None` at the highest rate.
    pub(super) fn status_text(&self) -> Option<String> {
        let secs = self.frame_interval().as_secs_f64();
        let rate = match self.interval {
            0 => return None,
            ONE_SECOND_INDEX => "1 frame per second".to_owned(),
            1..ONE_SECOND_INDEX => format!("{:.0} frames per second", 1.0 / secs),
            _ => format!("1 frame every {secs:.0} seconds"),
        };
        Some(format!(
            "drawing {rate} to leave 98 % of the CPU to training"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates a minute in which frames of this cost are drawn as often as allowed, without input
    /// or with input all the time. Returns the share of two cores used in the last 30 s.
    fn simulate(cost: Duration, input: bool) -> (f64, FrameLimiter) {
        let mut limiter = FrameLimiter::new(2, true);
        let (mut clock, mut frames) = (0.0, 0);
        while clock < 60.0 {
            let rest = limiter.min_rest(cost / 2) + cost / 2;
            let pause = if input {
                rest
            } else {
                rest.max(limiter.frame_interval())
            };
            limiter.record_cost(1, cost, pause);
            clock += pause.as_secs_f64();
            frames += u32::from(clock > 30.0);
        }
        let share = f64::from(frames) * cost.as_secs_f64() / (clock - 30.0) / 2.0;
        (share, limiter)
    }

    #[test]
    fn drawing_stays_within_its_share_with_and_without_input() {
        for millis in [1, 4, 15, 75] {
            for input in [false, true] {
                let (share, limiter) = simulate(Duration::from_millis(millis), input);
                assert!(
                    share <= CPU_SHARE * 1.05,
                    "{share} at {millis} ms, input {input}: {limiter:?}"
                );
            }
        }
    }

    #[test]
    fn expensive_frames_are_drawn_less_often() {
        let (_, cheap) = simulate(Duration::from_micros(450), false);
        assert_eq!(
            (cheap.frame_interval(), cheap.status_text()),
            (FRAME_INTERVALS[0], None)
        );
        for (millis, expected) in [
            (6, "drawing 4 frames per second to"),
            (35, "drawing 1 frame per second to"),
            (150, "drawing 1 frame every 5 seconds to"),
        ] {
            let (_, limiter) = simulate(Duration::from_millis(millis), false);
            let text = limiter.status_text().unwrap();
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn input_after_a_time_without_input_is_handled_at_once() {
        let (_, idle) = simulate(Duration::from_millis(20), false);
        assert!(
            idle.min_rest(Duration::ZERO) <= FRAME_INTERVALS[0],
            "{idle:?}"
        );
        let (_, busy) = simulate(Duration::from_millis(20), true);
        assert!(
            busy.min_rest(Duration::ZERO) > FRAME_INTERVALS[3],
            "{busy:?}"
        );
    }
}
