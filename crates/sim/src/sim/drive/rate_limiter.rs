//! A number that goes towards a target no faster than its bounds allow.

/// A number, and the rate at which it last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RateLimiter {
    pub(super) value: f32,
    /// Per second. Kept only where the change of the rate is bounded.
    pub(super) rate: f32,
}

impl RateLimiter {
    /// Goes towards `target` for `dt_secs`, changing by at most `max_rate` per second, and that
    /// rate by at most `max_change` per second: infinity is no bound.
    #[inline]
    pub(super) fn step_towards(
        &mut self,
        target: f32,
        max_rate: f32,
        max_change: f32,
        dt_secs: f32,
    ) {
        let most = max_rate * dt_secs;
        let ahead = target - self.value;
        if max_change == f32::INFINITY {
            self.value += ahead.clamp(-most, most);
            return;
        }
        let rate = (ahead / dt_secs).abs().min(max_rate);
        let rate = rate.min(max_stoppable_rate(ahead.abs(), max_change, dt_secs));
        let wanted = rate.copysign(ahead);
        let change = max_change * dt_secs;
        self.rate += (wanted - self.rate).clamp(-change, change);
        self.value += self.rate * dt_secs;
    }

    /// Takes over another value, whose rate is not known.
    pub(super) fn set(&mut self, value: f32) {
        *self = Self { value, rate: 0.0 };
    }
}

/// The highest rate from which a value does not pass a target `ahead` of it, where the rate falls
/// by `max_change` per second, a step of `dt_secs` at a time.
///
/// In units of one step's change of rate, a rate m carries on over m + (m − 1) + … down to the
/// last positive term: with k = ⌊m⌋, that is (k + 1)(m − k/2), which is inverted here.
pub(super) fn max_stoppable_rate(ahead: f32, max_change: f32, dt_secs: f32) -> f32 {
    let unit = max_change * dt_secs;
    let ahead = ahead / (unit * dt_secs);
    let whole = (0.5 * ((1.0 + 8.0 * ahead).sqrt() - 1.0)).floor();
    unit * (ahead / (whole + 1.0) + 0.5 * whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_rate_arrives_without_overshooting() {
        for (target, max_rate, max_change, dt) in [
            (1.0, 1.0, 5.0, 0.1),
            (-0.73, 2.0, 1.3, 0.05),
            (3.0, 0.5, 40.0, 0.1),
        ] {
            let mut rate_limiter = RateLimiter::default();
            let mut rate = 0.0;
            for _ in 0..500 {
                rate_limiter.step_towards(target, max_rate, max_change, dt);
                assert!((rate_limiter.rate - rate).abs() <= max_change * dt * 1.0001);
                assert!(rate_limiter.rate.abs() <= max_rate * 1.0001);
                assert!(
                    rate_limiter.value.abs() <= target.abs() + 1e-5,
                    "{}",
                    rate_limiter.value
                );
                rate = rate_limiter.rate;
            }
            assert!(
                (rate_limiter.value - target).abs() < 1e-5,
                "{}",
                rate_limiter.value
            );
        }
    }

    #[test]
    fn the_time_it_takes_is_that_of_the_closed_form() {
        // Up at 2/s² to a rate of 1/s takes 0.5 s, down again too, and 0.5 s at it between them
        // make 1 in all: 1.5 s.
        let mut rate_limiter = RateLimiter::default();
        let dt = 0.001;
        let mut steps = 0;
        while rate_limiter.value < 1.0 - 1e-4 {
            rate_limiter.step_towards(1.0, 1.0, 2.0, dt);
            steps += 1;
            assert!(steps < 3_000, "{}", rate_limiter.value);
        }
        let secs = steps as f32 * dt;
        assert!((secs - 1.5).abs() < 0.02, "{secs} s");
    }
}
