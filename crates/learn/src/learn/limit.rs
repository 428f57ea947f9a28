//! A limit that can be switched off by name. An absent key would not do: an arm or `--set` overrides
//! the scenario's settings key by key, and could then not remove a limit.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A limit: a number such as `0.2`, or `"off"`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Limit {
    /// No limit.
    #[default]
    Off,
    /// This limit.
    At(f64),
}

impl Limit {
    /// The limit, if there is one.
    pub fn get(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::At(limit) => Some(limit),
        }
    }
}

const OFF: &str = "off";

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str(OFF),
            Self::At(limit) => serializer.serialize_f64(*limit),
        }
    }
}

/// Written by hand: serde's untagged enums lose the line numbers of errors.
impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl Visitor<'_> for LimitVisitor {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or \"off\"")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Limit, E> {
                Ok(Limit::At(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Limit, E> {
                Ok(Limit::At(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Limit, E> {
                Ok(Limit::At(value as f64))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Limit, E> {
                if value == OFF {
                    Ok(Limit::Off)
                } else {
                    Err(E::invalid_value(Unexpected::Str(value), &self))
                }
            }
        }

        deserializer.deserialize_any(LimitVisitor)
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or \"off\".",
            "anyOf": [{ "type": "number" }, { "const": OFF }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::config::{Document, Override, merge_layers};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        clip: Limit,
    }

    #[test]
    fn a_limit_is_a_number_or_off_and_survives_toml_and_json() {
        for (text, limit) in [
            ("clip = 0.2\n", Limit::At(0.2)),
            ("clip = 1.0\n", Limit::At(1.0)),
            ("clip = \"off\"\n", Limit::Off),
        ] {
            let settings = Settings { clip: limit };
            assert_eq!(toml::from_str::<Settings>(text).unwrap(), settings);
            assert_eq!(toml::to_string(&settings).unwrap(), text);
            let json = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        }
        assert_eq!(Limit::At(0.2).get(), Some(0.2));
        assert_eq!(Limit::Off.get(), None);
    }

    #[test]
    fn a_layer_can_remove_a_limit_and_set_one_again() {
        let read = |file: &str, flag: &str| {
            let defaults = Settings {
                clip: Limit::At(0.2),
            };
            let layers = [Document::parse("arm", file).unwrap()];
            let flags = [Override::parse(flag).unwrap()];
            merge_layers(&defaults, &layers, &flags).map(|settings| settings.clip)
        };
        assert_eq!(read("", "clip=off").unwrap(), Limit::Off);
        assert_eq!(read("clip = 'off'", "clip=1").unwrap(), Limit::At(1.0));
        let error = read("", "clip=of").unwrap_err().to_string();
        assert!(error.contains("a number or \"off\""), "{error}");
        assert!(error.contains("clip"), "{error}");
    }
}
