//! The macro that declares a family of techniques as an enum with one variant for each technique,
//! and checks of settings.

pub(super) use evenkeel_sim::config::InvalidSetting;

/// Returns an error unless the condition `holds`.
pub(super) fn require(
    name: &str,
    value: impl std::fmt::Display,
    holds: bool,
    expected: &'static str,
) -> Result<(), InvalidSetting> {
    InvalidSetting::ensure(holds, name, value, expected)
}

/// Returns an error unless the value is finite and above 0.
pub(super) fn require_positive(name: &str, value: f64) -> Result<(), InvalidSetting> {
    let holds = value.is_finite() && value > 0.0;
    require(name, value, holds, "a finite number above 0")
}

/// Declares a family: an enum with one variant for each technique, `Variant(Settings) = "name"`.
/// The settings implement the family's trait. Names, dispatch and examples are generated from the
/// list of variants, so none can be forgotten.
macro_rules! family {
    (
        $(#[$enum_doc:meta])*
        pub enum $family:ident: $technique:ident {
            $($(#[$doc:meta])* $variant:ident($settings:ty) = $name:literal),+ $(,)?
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub enum $family {
            $($(#[$doc])* #[serde(rename = $name)] $variant($settings)),+
        }

        impl $family {
            /// One of each variant, with valid settings.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant(<$settings as $technique>::example())),+]
            }

            /// The name in a configuration.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name),+
                }
            }

            /// Checks each setting.
            ///
            /// # Errors
            /// The first setting that is invalid.
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
