//! Mean and range of one quantity within one bin.

/// Count, mean, minimum and maximum of finite values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueRange {
    count: u32,
    sum: f64,
    min: f64,
    max: f64,
}

impl ValueRange {
    /// Adds a value. Ignores a non-finite one.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.merge(&Self {
                count: 1,
                sum: value,
                min: value,
                max: value,
            });
        }
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
        } else if other.count > 0 {
            self.count += other.count;
            self.sum += other.sum;
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
        }
    }

    /// Mean, minimum and maximum; `None` without values.
    pub fn mean_min_max(&self) -> Option<[f64; 3]> {
        let mean = self.sum / f64::from(self.count.max(1));
        (self.count > 0).then_some([mean, self.min, self.max])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_two_ranges_equals_adding_all_values() {
        let values = [3.0, -1.0, f64::NAN, 10.0, 0.0, f64::INFINITY];
        let range_of = |values: &[f64]| {
            let mut range = ValueRange::default();
            for &value in values {
                range.add(value);
            }
            range
        };
        for cut in 0..=values.len() {
            let mut left = range_of(&values[..cut]);
            left.merge(&range_of(&values[cut..]));
            assert_eq!(left.mean_min_max(), Some([3.0, -1.0, 10.0]));
        }
        assert_eq!(range_of(&[f64::NAN]).mean_min_max(), None);
    }
}
