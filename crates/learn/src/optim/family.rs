//! What the families of techniques have in common: an enum of variants, one a technique, and what
//! follows from the list of them alone.

pub(super) use evenkeel_sim::config::InvalidSetting;

/// Refuses a setting unless the condition holds.
pub(super) fn require(
    name: &str,
    value: impl std::fmt::Display,
    holds: bool,
    expected: &'static str,
) -> Result<(), InvalidSetting> {
    InvalidSetting::ensure(holds, name, value, expected)
}

/// Refuses what is not a finite number above 0.
pub(super) fn require_positive(name: &str, value: f64) -> Result<(), InvalidSetting> {
    let holds = value.is_finite() && value > 0.0;
    require(name, value, holds, "a finite number above 0")
}

/// Declares a family: an enum with one variant for each technique, `Variant(Settings) = "name"`,
/// whose settings implement the family's trait. The list of variants is written once; names,
/// dispatch and examples are made from it, so that none can be forgotten.
macro_rules! family {
    (
        $(#[$about:meta])*
        pub enum $family:ident: $technique:ident {
            $($(#[$doc:meta])* $variant:ident($settings:ty) = $name:literal),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub enum $family {
            $($(#[$doc])* #[serde(rename = $name)] $variant($settings)),+
        }

        impl $family {
            /// One of each kind, with settings that work.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant(<$settings as $technique>::example())),+]
            }

            /// Its name, as in the configuration.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name),+
                }
            }

            /// Refuses settings that cannot work.
            pub fn check(&self) -> Result<(), InvalidSetting> {
                self.technique().check().map_err(|bad| bad.under_path(self.name()))
            }

            fn technique(&self) -> &dyn $technique {
                match self {
                    $(Self::$variant(settings) => settings),+
                }
            }
        }
    };
}

pub(super) use family;
