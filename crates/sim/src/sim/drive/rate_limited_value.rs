//! A number that follows a target. Bounds on its rate, and on the change of its rate, come with each
//! step.

/// A number, and its rate in the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RateLimitedValue {
    pub(super) value: f32,
    /// Per second. Used only if the change of the rate is bounded.
    pub(super) rate: f32,
}

impl RateLimitedValue {
    /// Moves the value towards `target` for `dt_secs` seconds. The value changes by at most
    /// `max_rate` per second, and the rate by at most `max_change` per second, where infinity is no
    /// bound.
    #[inline]
    pub(super) fn step_towards(
        &mut self,
        target: f32,
        max_rate: f32,
        max_change: f32,
        dt_secs: f32,
    ) {
        let max_step = max_rate * dt_secs;
        let difference = target - self.value;
        if max_change == f32::INFINITY {
            self.value += difference.clamp(-max_step, max_step);
            return;
        }
        let rate = (difference / dt_secs).abs().min(max_rate);
        let rate = rate.min(max_stoppable_rate(difference.abs(), max_change, dt_secs));
        let target_rate = rate.copysign(difference);
        let change = max_change * dt_secs;
        self.rate += (target_rate - self.rate).clamp(-change, change);
        self.value += self.rate * dt_secs;
    }

    /// Sets the value, and the rate to 0.
    pub(super) fn set(&mut self, value: f32) {
        *self = Self { value, rate: 0.0 };
    }
}

/// The highest rate at which a value does not overshoot a target at `distance` from it, if the rate
/// falls by `max_change` per second, in steps of `dt_secs`.
///
/// In units of one step's change of rate, a value with rate m travels m + (m − 1) + … down to the
/// last positive term. With k = ⌊m⌋ that is (k + 1)(m − k/2), which is inverted here.
pub(super) fn max_stoppable_rate(distance: f32, max_change: f32, dt_secs: f32) -> f32 {
    let unit = max_change * dt_secs;
    let distance = distance / (unit * dt_secs);
    let whole = (0.5 * ((1.0 + 8.0 * distance).sqrt() - 1.0)).floor();
    unit * (distance / (whole + 1.0) + 0.5 * whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_rate_reaches_the_target_without_overshooting() {
        for (target, max_rate, max_change, dt) in [
            (1.0, 1.0, 5.0, 0.1),
            (-0.73, 2.0, 1.3, 0.05),
            (3.0, 0.5, 40.0, 0.1),
        ] {
            let mut limited = RateLimitedValue::default();
            let mut rate = 0.0;
            for _ in 0..500 {
                limited.step_towards(target, max_rate, max_change, dt);
                assert!((limited.rate - rate).abs() <= max_change * dt * 1.0001);
                assert!(limited.rate.abs() <= max_rate * 1.0001);
                assert!(
                    limited.value.abs() <= target.abs() + 1e-5,
                    "{}",
                    limited.value
                );
                rate = limited.rate;
            }
            assert!((limited.value - target).abs() < 1e-5, "{}", limited.value);
        }
    }

    #[test]
    fn the_time_to_the_target_matches_the_closed_form() {
        // 0.5 s to reach a rate of 1/s at 2/s², 0.5 s at that rate and 0.5 s to slow down cover a
        // distance of 1: 1.5 s.
        let mut limited = RateLimitedValue::default();
        let dt = 0.001;
        let mut steps = 0;
        while limited.value < 1.0 - 1e-4 {
            limited.step_towards(1.0, 1.0, 2.0, dt);
            steps += 1;
            assert!(steps < 3_000, "{}", limited.value);
        }
        let secs = steps as f32 * dt;
        assert!((secs - 1.5).abs() < 0.02, "{secs} s");
    }
}
