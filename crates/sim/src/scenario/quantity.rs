//! `Quantity`: a physical number that is either fixed or drawn for every episode.

use std::borrow::Cow;

use rand::RngExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::seed::Rng;

/// A physical number: `8.0`, or `{ uniform = [8.0, 12.0] }` to draw it for every episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// The same number in every episode.
    Fixed(f64),
    /// Drawn uniformly from `[low, high)` at each reset.
    Range {
        /// `[low, high]`, finite, `low <= high`.
        uniform: [f64; 2],
    },
}

impl Quantity {
    /// The smallest possible value.
    pub fn min(&self) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Range { uniform } => uniform[0],
        }
    }

    /// The largest possible value.
    pub fn max(&self) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Range { uniform } => uniform[1],
        }
    }

    /// Whether it is drawn for every episode.
    pub fn is_random(&self) -> bool {
        matches!(self, Self::Range { .. })
    }

    /// Draws the value for one episode. A fixed quantity draws nothing from the stream.
    pub fn sample(&self, rng: &mut Rng) -> f64 {
        match *self {
            Self::Fixed(value) => value,
            Self::Range {
                uniform: [low, high],
            } => low + (high - low) * rng.random::<f64>(),
        }
    }

    /// Draws the value for one episode of a quantity that is a count: a whole number of 0 or more. Both
    /// ends of a range are as likely as the numbers between them.
    pub fn sample_count(&self, rng: &mut Rng) -> u32 {
        match *self {
            Self::Fixed(value) => value.round() as u32,
            Self::Range {
                uniform: [low, high],
            } => {
                let (low, high) = (low.round() as u32, high.round() as u32);
                rng.random_range(low..=high.max(low))
            }
        }
    }
}

impl From<f64> for Quantity {
    fn from(value: f64) -> Self {
        Self::Fixed(value)
    }
}

/// Written by hand because serde's untagged enums lose the positions of their values.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;

        impl<'de> Visitor<'de> for QuantityVisitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or { uniform = [low, high] }")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Quantity, E> {
                if value.is_finite() {
                    Ok(Quantity::Fixed(value))
                } else {
                    Err(E::custom(format!("{value} is not a finite number")))
                }
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Quantity, E> {
                Ok(Quantity::Fixed(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity::Fixed(value as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantity, A::Error> {
                let Some(key) = map.next_key::<String>()? else {
                    return Err(A::Error::custom(
                        "an empty table; write { uniform = [low, high] }",
                    ));
                };
                if key != "uniform" {
                    return Err(A::Error::unknown_field(&key, &["uniform"]));
                }
                let [low, high]: [f64; 2] = map.next_value()?;
                if let Some(extra) = map.next_key::<String>()? {
                    return Err(A::Error::unknown_field(&extra, &["uniform"]));
                }
                if !(low.is_finite() && high.is_finite() && low <= high) {
                    return Err(A::Error::custom(format!(
                        "uniform = [{low}, {high}] is not a range; write the smaller number first"
                    )));
                }
                Ok(Quantity::Range {
                    uniform: [low, high],
                })
            }
        }

        deserializer.deserialize_any(QuantityVisitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or { uniform = [low, high] } to draw it for every episode.",
            "anyOf": [
                { "type": "number" },
                {
                    "type": "object",
                    "properties": {
                        "uniform": {
                            "type": "array",
                            "items": { "type": "number" },
                            "minItems": 2,
                            "maxItems": 2
                        }
                    },
                    "required": ["uniform"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
