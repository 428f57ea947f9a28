//! Derivatives of the logarithm of the gamma function, for the beta distribution.

/// Above this, the asymptotic series are accurate to about 1e-12.
const ASYMPTOTIC: f64 = 8.0;

/// The digamma function ψ(x) = d/dx ln Γ(x), for x > 0 (Abramowitz & Stegun 1964, 6.3.5 and
/// 6.3.18).
pub(super) fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < ASYMPTOTIC {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 1.0 / 132.0;
    let series = 1.0 / 240.0 - square * series;
    let series = 1.0 / 252.0 - square * series;
    let series = 1.0 / 120.0 - square * series;
    let series = 1.0 / 12.0 - square * series;
    sum + x.ln() - 0.5 / x - square * series
}

/// The trigamma function ψ′(x) = d²/dx² ln Γ(x), for x > 0 (Abramowitz & Stegun 1964, 6.4.6 and
/// 6.4.12).
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < ASYMPTOTIC {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 5.0 / 66.0;
    let series = 1.0 / 30.0 - square * series;
    let series = 1.0 / 42.0 - square * series;
    let series = 1.0 / 30.0 - square * series;
    let series = 1.0 / 6.0 - square * series;
    sum + 1.0 / x + 0.5 * square + square / x * series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Euler's constant γ.
    const EULER: f64 = 0.577_215_664_901_532_9;

    #[test]
    fn digamma_has_its_known_values() {
        // ψ(1) = −γ, ψ(1/2) = −γ − 2 ln 2, ψ(n) = −γ + Σ 1/k for k < n.
        for (x, expected) in [
            (1.0, -EULER),
            (0.5, -EULER - 2.0 * std::f64::consts::LN_2),
            (4.0, -EULER + 1.0 + 0.5 + 1.0 / 3.0),
            (11.0, -EULER + 7381.0 / 2520.0),
        ] {
            assert!((digamma(x) - expected).abs() < 1e-11, "{x}: {}", digamma(x));
        }
    }

    #[test]
    fn trigamma_has_its_known_values() {
        // ψ′(1) = π²/6, ψ′(1/2) = π²/2, ψ′(3) = π²/6 − 1 − 1/4.
        let square = std::f64::consts::PI.powi(2);
        for (x, expected) in [
            (1.0, square / 6.0),
            (0.5, square / 2.0),
            (3.0, square / 6.0 - 1.25),
        ] {
            assert!(
                (trigamma(x) - expected).abs() < 1e-11,
                "{x}: {}",
                trigamma(x)
            );
        }
    }

    #[test]
    fn both_are_the_slopes_of_the_function_before() {
        for x in [1.0, 1.7, 5.0, 7.99, 8.01, 60.0, 1e4] {
            let step = 1e-4 * x;
            let slope = |f: &dyn Fn(f64) -> f64| (f(x + step) - f(x - step)) / (2.0 * step);
            let of_log_gamma = slope(&libm::lgamma);
            assert!((digamma(x) - of_log_gamma).abs() < 1e-6, "{x}");
            assert!((trigamma(x) - slope(&digamma)).abs() < 1e-6, "{x}");
        }
    }
}
