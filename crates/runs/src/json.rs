//! Floats in JSON files that are read back. JSON has no number for infinity and NaN, and
//! `serde_json` writes `null` for them, which is no number when it is read.
//!
//! Fields of saved states that may hold one are marked with
//! `#[serde(with = "evenkeel_runs::json::float")]`, or `float_pair`; such a number is then a word:
//! `"inf"`, `"-inf"` or `"NaN"`. Logs and results, which other programs read, keep `null`
//! (`docs/metrics.md`); their fields are marked with `nullable`, `nullable_terms` or
//! `nullable_rows`, and `null` is read as NaN.

use std::path::Path;

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

/// For fields of type `f64` in logs and results.
pub mod nullable {
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes the number; `serde_json` writes `null` for one that is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(*value)
    }

    /// Reads a number, or `null` as NaN.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Option::<f64>::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
    }
}

/// For fields of type `Vec<(String, f64)>` in logs and results.
pub mod nullable_terms {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    /// Writes names and numbers; `serde_json` writes `null` for one that is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        terms: &[(String, f64)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        terms.serialize(serializer)
    }

    /// Reads names and numbers, with `null` as NaN.
    ///
    /// # Errors
    /// If the value is no list of them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        let terms = Vec::<(String, Option<f64>)>::deserialize(deserializer)?;
        let number = |number: Option<f64>| number.unwrap_or(f64::NAN);
        Ok(terms
            .into_iter()
            .map(|(name, term)| (name, number(term)))
            .collect())
    }
}

/// For fields of type `Vec<[f32; 3]>` in logs and results.
pub mod nullable_rows {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    /// Writes the numbers; `serde_json` writes `null` for one that is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(rows: &[[f32; 3]], serializer: S) -> Result<S::Ok, S::Error> {
        rows.serialize(serializer)
    }

    /// Reads the numbers, with `null` as NaN.
    ///
    /// # Errors
    /// If the value is no list of three numbers each.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<[f32; 3]>, D::Error> {
        let rows = Vec::<[Option<f32>; 3]>::deserialize(deserializer)?;
        let number = |number: Option<f32>| number.unwrap_or(f32::NAN);
        Ok(rows.into_iter().map(|row| row.map(number)).collect())
    }
}

/// Writes a path of which a part may not be UTF-8: JSON is. Such bytes become U+FFFD.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
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

    #[derive(Serialize, Deserialize)]
    struct Logged {
        #[serde(with = "super::nullable")]
        one: f64,
        #[serde(with = "super::nullable_terms")]
        terms: Vec<(String, f64)>,
        #[serde(with = "super::nullable_rows")]
        rows: Vec<[f32; 3]>,
    }

    #[test]
    fn logs_have_null_and_read_it_as_nan() {
        let logged = Logged {
            one: f64::INFINITY,
            terms: vec![("goal".into(), f64::NAN), ("time".into(), -0.5)],
            rows: vec![[1.0, f32::NEG_INFINITY, 2.0]],
        };
        let text = serde_json::to_string(&logged).unwrap();
        let expected =
            r#"{"one":null,"terms":[["goal",null],["time",-0.5]],"rows":[[1.0,null,2.0]]}"#;
        assert_eq!(text, expected);
        let read: Logged = serde_json::from_str(&text).unwrap();
        assert!(read.one.is_nan() && read.terms[0].1.is_nan() && read.rows[0][1].is_nan());
        assert_eq!(serde_json::to_string(&read).unwrap(), expected);
        for wrong in ["\"inf\"", "[]"] {
            let text = format!(r#"{{"one":{wrong},"terms":[],"rows":[]}}"#);
            assert!(serde_json::from_str::<Logged>(&text).is_err(), "{wrong}");
        }
    }
}
