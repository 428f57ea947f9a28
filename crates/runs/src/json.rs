//! Floats in JSON files that are read back. JSON has no number for infinity and NaN, and
//! `serde_json` writes `null` for them, which is no number when it is read. Fields that may hold
//! one are marked with `#[serde(with = "evenkeel_runs::json::float")]`, or `float_pair`; such a
//! number is then a word: `"inf"`, `"-inf"` or `"NaN"`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A float that is written as a number if it is finite, and else as a word.
#[derive(Clone, Copy)]
struct Float(f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.collect_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a number, \"inf\", \"-inf\" or \"NaN\""
        )]
        enum Written {
            Number(f64),
            Word(String),
            /// What earlier versions wrote for all three.
            Null(()),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Word(word) => match word.as_str() {
                "inf" => Ok(Self(f64::INFINITY)),
                "-inf" => Ok(Self(f64::NEG_INFINITY)),
                "NaN" => Ok(Self(f64::NAN)),
                _ => Err(D::Error::custom(format!("'{word}' is no number"))),
            },
            Written::Null(()) => Ok(Self(f64::NAN)),
        }
    }
}

/// For fields of type `f64`.
pub mod float {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Float;

    /// Writes the number, or a word for one that is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Float(*value).serialize(serializer)
    }

    /// Reads what [`serialize`] writes.
    ///
    /// # Errors
    /// If the value is neither a number nor one of the words.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Float::deserialize(deserializer).map(|float| float.0)
    }
}

/// For fields of type `Option<(f64, f64)>`.
pub mod float_pair {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Float;

    /// Writes both numbers, or words for those that are not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        value: &Option<(f64, f64)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|(first, second)| (Float(first), Float(second)))
            .serialize(serializer)
    }

    /// Reads what [`serialize`] writes.
    ///
    /// # Errors
    /// If a value is neither a number nor one of the words.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(f64, f64)>, D::Error> {
        let pair = Option::<(Float, Float)>::deserialize(deserializer)?;
        Ok(pair.map(|(first, second)| (first.0, second.0)))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Numbers {
        #[serde(with = "super::float")]
        one: f64,
        #[serde(with = "super::float_pair")]
        two: Option<(f64, f64)>,
    }

    fn check(one: f64, two: Option<(f64, f64)>, expected: &str) {
        let text = serde_json::to_string(&Numbers { one, two }).unwrap();
        assert_eq!(text, expected);
        let read: Numbers = serde_json::from_str(&text).unwrap();
        let bits = |two: Option<(f64, f64)>| two.map(|(a, b)| [a.to_bits(), b.to_bits()]);
        assert_eq!(
            (read.one.to_bits(), bits(read.two)),
            (one.to_bits(), bits(two))
        );
    }

    #[test]
    fn every_float_is_read_back() {
        check(1.5, None, r#"{"one":1.5,"two":null}"#);
        check(0.1, Some((1.0, -0.0)), r#"{"one":0.1,"two":[1.0,-0.0]}"#);
        check(
            f64::INFINITY,
            Some((f64::NEG_INFINITY, f64::NAN)),
            r#"{"one":"inf","two":["-inf","NaN"]}"#,
        );
    }

    #[test]
    fn null_is_read_and_other_words_are_not() {
        let read: Numbers = serde_json::from_str(r#"{"one":null,"two":null}"#).unwrap();
        assert!(read.one.is_nan() && read.two.is_none());
        for wrong in [r#""infinite""#, "[]", "true"] {
            let text = format!(r#"{{"one":{wrong},"two":null}}"#);
            assert!(serde_json::from_str::<Numbers>(&text).is_err(), "{wrong}");
        }
    }
}
