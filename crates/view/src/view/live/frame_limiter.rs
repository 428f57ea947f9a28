//! How often a window may be drawn so that whoever trains beside it hardly notices.

use std::time::Duration;

/// Share of the processors that drawing may take. Training loses more than that: it waits for the
/// slowest of its threads.
const CPU_SHARE: f64 = 0.02;
/// Nobody waits longer than this for the window to answer, however much was spent, seconds.
const MAX_DEBT_SECS: f64 = 2.0;
/// Times between two frames to choose from. Few, because Bevy draws once more whenever the time
/// changes.
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
/// One frame a second, where what draws on the processor begins.
const ONE_SECOND_INDEX: usize = 5;
/// Frames that may be drawn at once, for a key or a click, after some time of calm.
const BURST: f64 = 4.0;
/// How much of a newly measured cost is believed.
const COST_SMOOTHING: f64 = 0.2;

/// Decides how often to draw.
#[derive(Debug)]
pub(super) struct FrameLimiter {
    /// Processor seconds that drawing may take in a second.
    budget: f64,
    /// Processor seconds of a frame, as of late.
    cost: Option<f64>,
    /// Processor seconds that are saved up; negative where too many were spent.
    credit: f64,
    wait: usize,
}

impl FrameLimiter {
    /// On so many processors. What draws on the processor begins slowly.
    pub(super) fn new(processors: usize, software: bool) -> Self {
        Self {
            budget: CPU_SHARE * processors as f64,
            cost: None,
            credit: 0.0,
            wait: if software { ONE_SECOND_INDEX } else { 0 },
        }
    }

    /// Learns what the frames of some time took: how many they were, the processor time, and how
    /// long that time was.
    pub(super) fn record_cost(&mut self, frames: u32, spent: Duration, within: Duration) {
        let cost = spent.as_secs_f64() / f64::from(frames.max(1));
        let cost = self
            .cost
            .map_or(cost, |old| old + COST_SMOOTHING * (cost - old));
        self.cost = Some(cost);
        let gained = self.budget * within.as_secs_f64() - spent.as_secs_f64();
        self.credit = (self.credit + gained).clamp(-MAX_DEBT_SECS * self.budget, BURST * cost);
        let fits = |wait: &Duration, share: f64| cost <= share * self.budget * wait.as_secs_f64();
        // Slower at once, faster only where that is safe.
        while self.wait + 1 < FRAME_INTERVALS.len() && !fits(&FRAME_INTERVALS[self.wait], 1.0) {
            self.wait += 1;
        }
        while self.wait > 0 && fits(&FRAME_INTERVALS[self.wait - 1], 0.7) {
            self.wait -= 1;
        }
    }

    /// Time between two frames while nobody touches the window.
    pub(super) fn frame_interval(&self) -> Duration {
        FRAME_INTERVALS[self.wait]
    }

    /// How long nothing at all may be drawn, whatever happens, so long after a frame began.
    pub(super) fn min_rest(&self, since: Duration) -> Duration {
        let rest = if self.credit < 0.0 {
            Duration::from_secs_f64(-self.credit / self.budget).min(self.frame_interval())
        } else {
            FRAME_INTERVALS[0]
        };
        rest.saturating_sub(since)
    }

    /// What there is to say about it, where it draws less often than it could.
    pub(super) fn status_text(&self) -> Option<String> {
        let wait = self.frame_interval().as_secs_f64();
        let rate = match self.wait {
            0 => return None,
            ONE_SECOND_INDEX => "1 frame a second".to_owned(),
            1..ONE_SECOND_INDEX => format!("{:.0} frames a second", 1.0 / wait),
            _ => format!("a frame every {wait:.0} seconds"),
        };
        Some(format!(
            "drawing {rate}, so that training keeps 98 % of the cores"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws as often as it is let, each frame at this cost, with somebody who moves the pointer
    /// all the time or nobody; the share of two processors that it took in the last half minute.
    fn drawn(cost: Duration, touched: bool) -> (f64, FrameLimiter) {
        let mut governor = FrameLimiter::new(2, true);
        let (mut clock, mut frames) = (0.0, 0);
        while clock < 60.0 {
            let rest = governor.min_rest(cost / 2) + cost / 2;
            let pause = if touched {
                rest
            } else {
                rest.max(governor.frame_interval())
            };
            governor.record_cost(1, cost, pause);
            clock += pause.as_secs_f64();
            frames += u32::from(clock > 30.0);
        }
        let share = f64::from(frames) * cost.as_secs_f64() / (clock - 30.0) / 2.0;
        (share, governor)
    }

    #[test]
    fn drawing_keeps_to_its_share_whatever_is_done_to_the_window() {
        for millis in [1, 4, 15, 75] {
            for touched in [false, true] {
                let (share, governor) = drawn(Duration::from_millis(millis), touched);
                assert!(
                    share <= CPU_SHARE * 1.05,
                    "{share} at {millis} ms, touched {touched}: {governor:?}"
                );
            }
        }
    }

    #[test]
    fn the_dearer_a_frame_the_fewer_there_are() {
        let (_, cheap) = drawn(Duration::from_micros(450), false);
        assert_eq!(
            (cheap.frame_interval(), cheap.status_text()),
            (FRAME_INTERVALS[0], None)
        );
        for (millis, said) in [
            (6, "drawing 4 frames a second, so that"),
            (35, "drawing 1 frame a second, so that"),
            (150, "drawing a frame every 5 seconds, so that"),
        ] {
            let (_, dear) = drawn(Duration::from_millis(millis), false);
            let says = dear.status_text().unwrap();
            assert!(says.starts_with(said), "{says}");
        }
    }

    #[test]
    fn a_calm_window_answers_a_key_at_once() {
        let (_, calm) = drawn(Duration::from_millis(20), false);
        assert!(
            calm.min_rest(Duration::ZERO) <= FRAME_INTERVALS[0],
            "{calm:?}"
        );
        let (_, stormy) = drawn(Duration::from_millis(20), true);
        assert!(
            stormy.min_rest(Duration::ZERO) > FRAME_INTERVALS[3],
            "{stormy:?}"
        );
    }
}
