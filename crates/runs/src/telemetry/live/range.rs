//! What is kept of the values of one quantity within one bin.

/// Values, told by how many there were, their mean, the least and the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueRange {
    count: u32,
    sum: f64,
    least: f64,
    greatest: f64,
}

impl ValueRange {
    /// Takes a value; what is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.merge(&Self {
                count: 1,
                sum: value,
                least: value,
                greatest: value,
            });
        }
    }

    /// Takes the values of another.
    pub fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            self.count += other.count;
            self.sum += other.sum;
            self.least = self.least.min(other.least);
            self.greatest = self.greatest.max(other.greatest);
        }
    }

    /// The mean, the least and the greatest value; nothing without values.
    pub fn mean_min_max(&self) -> Option<[f64; 3]> {
        let mean = self.sum / f64::from(self.count.max(1));
        (self.count > 0).then_some([mean, self.least, self.greatest])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_is_as_if_all_had_been_added() {
        let values = [3.0, -1.0, f64::NAN, 10.0, 0.0, f64::INFINITY];
        let of = |values: &[f64]| {
            let mut range = ValueRange::default();
            for &value in values {
                range.add(value);
            }
            range
        };
        for cut in 0..=values.len() {
            let mut left = of(&values[..cut]);
            left.merge(&of(&values[cut..]));
            assert_eq!(left.mean_min_max(), Some([3.0, -1.0, 10.0]));
        }
        assert_eq!(of(&[f64::NAN]).mean_min_max(), None);
    }
}
