//! Margins in words.

use super::{Margin, MarginEnd};
use evenkeel_runs::telemetry::format::{ABSENT, number};

impl Margin {
    /// The usable range, as in `÷ 16 [11, 23] … × 5.7 [4, 8]`; the brackets hold the 95 % interval,
    /// and `≥` says that nothing fails up to there.
    pub fn range_text(&self) -> String {
        match (self.low, self.high) {
            (_, None) => "nothing works".into(),
            (None, Some(high)) => match high.value {
                Some(value) if high.censored => format!("up to ≥ {}", number(value)),
                Some(value) => format!("up to {}", number(value)),
                None => ABSENT.into(),
            },
            (Some(low), Some(high)) => format!("{} … {}", low.factor_text(), high.factor_text()),
        }
    }

    /// The width of the usable range, as in `2.3 decades` or `≥ 4.1 decades`; for an axis that starts
    /// at 0 only whether an end was found.
    pub fn width_text(&self) -> String {
        match self.decades() {
            None => ABSENT.into(),
            Some(_) if self.from_zero => ABSENT.into(),
            Some((decades, censored)) => {
                let at_least = if censored { "≥ " } else { "" };
                format!("{at_least}{decades:.1} decades")
            }
        }
    }
}

impl MarginEnd {
    /// The factor with its interval: `× 5.7 [4, 8]`, `÷ 16 [11, 23]`, `÷ ≥ 1024`.
    pub fn factor_text(&self) -> String {
        let sign = if self.octaves < 0.0 { '÷' } else { '×' };
        let factor = |octaves: f64| {
            let towards = if self.octaves < 0.0 {
                -octaves
            } else {
                octaves
            };
            number(towards.exp2())
        };
        if self.censored {
            return format!("{sign} ≥ {}", factor(self.octaves));
        }
        let mut ends = [self.lowest, self.highest];
        if self.octaves < 0.0 {
            ends.reverse();
        }
        let [near, far] = ends.map(factor);
        format!("{sign} {} [{near}, {far}]", factor(self.octaves))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(octaves: f64, censored: bool) -> MarginEnd {
        MarginEnd {
            octaves,
            lowest: octaves - 0.5,
            highest: octaves + 0.5,
            censored,
            value: Some(0.001 * octaves.exp2()),
        }
    }

    #[test]
    fn ranges_are_factors_with_intervals() {
        let mut margin = Margin {
            arm: "raw".into(),
            axis: "learning_rate".into(),
            from_zero: false,
            low: Some(end(-4.0, false)),
            high: Some(end(10.0, true)),
            probes: Vec::new(),
        };
        assert_eq!(margin.range_text(), "÷ 16.0 [11.3, 22.6] … × ≥ 1024");
        assert_eq!(margin.width_text(), "≥ 4.2 decades");
        (margin.low, margin.from_zero) = (None, true);
        margin.high = Some(end(3.0, false));
        assert_eq!(margin.range_text(), "up to 0.00800");
        assert_eq!(margin.width_text(), "–");
        margin.high = None;
        assert_eq!(margin.range_text(), "nothing works");
    }
}
