//! Checks of a grid, before any run starts.

use super::{ExperimentGrid, MAX_SEEDS};
use crate::lab::{ArmError, component_arms, resolve_arms, with_built_in_arms};
use evenkeel_sim::config::Diagnostic;
use evenkeel_sim::scenario::{ARM_SECTIONS, resolve};

impl ExperimentGrid {
    /// Checks scenarios, seeds, budgets and common settings.
    pub(super) fn check_run_settings(&self) -> Result<(), Diagnostic> {
        if self.scenarios.is_empty() {
            let message = "a grid needs at least one scenario";
            return Err(self.diagnostic("scenarios", message, "for example [\"reference\"]"));
        }
        for (name, value) in [
            ("seeds", Some(self.seeds)),
            ("steps", self.steps),
            ("episodes", self.episodes),
        ] {
            if value == Some(0) {
                return Err(self.diagnostic(
                    name,
                    &format!("`{name}` is 0"),
                    "it must be at least 1",
                ));
            }
        }
        if self.seeds > MAX_SEEDS || self.seed.checked_add(self.seeds).is_none() {
            let message = format!("`seeds` is {}", self.seeds);
            let help = format!("it must be at most {MAX_SEEDS}");
            return Err(self.diagnostic("seeds", &message, &help));
        }
        let overrides = self.overrides()?;
        let mut names = Vec::new();
        for (index, text) in self.scenarios.iter().enumerate() {
            let path = format!("scenarios.{index}");
            let scenario = resolve(text, &overrides)
                .map_err(|error| self.document.diagnostic(&path, &error.to_string(), None))?;
            if names.contains(&scenario.name) {
                let message = format!("scenario '{}' is listed twice", scenario.name);
                return Err(self.document.diagnostic(&path, &message, None));
            }
            names.push(scenario.name);
        }
        Ok(())
    }

    pub(super) fn check_arms(&self, path: &str, names: &[String]) -> Result<(), Diagnostic> {
        let known = with_built_in_arms(self.defined_arms.clone())?;
        for (index, name) in names.iter().enumerate() {
            if let Err(error) = component_arms(std::slice::from_ref(name), &known) {
                let (message, help) = match error {
                    ArmError::Unknown { name, hint } => (format!("no arm '{name}'"), hint),
                    ArmError::Invalid(diagnostic) => return Err(diagnostic),
                };
                return Err(self.diagnostic(&format!("{path}.arms.{index}"), &message, &help));
            }
        }
        Ok(())
    }

    pub(super) fn check_setting(&self, path: &str, setting: &str) -> Result<(), Diagnostic> {
        let keys: Vec<&str> = setting.split('.').collect();
        let is_key = |key: &&str| !key.is_empty() && key.parse::<usize>().is_err();
        let path = format!("{path}.setting");
        if !ARM_SECTIONS.contains(&keys[0]) || keys.len() < 2 {
            let message = format!("cells cannot differ in '{setting}'");
            let help = format!(
                "all cells share one world; they can differ in settings below: {}",
                ARM_SECTIONS.join(", ")
            );
            return Err(self.diagnostic(&path, &message, &help));
        }
        if !keys.iter().all(is_key) {
            let message = format!("'{setting}' names an entry of a list");
            let help = "name the list, and give each value as a whole list";
            return Err(self.diagnostic(&path, &message, help));
        }
        Ok(())
    }

    /// Checks the settings of every cell in every scenario, before any run starts.
    #[cfg(feature = "learn")]
    pub(super) fn check_cells(&self) -> Result<(), Diagnostic> {
        use evenkeel_learn::learn::RunDefinition;
        let overrides = self.overrides()?;
        let known = with_built_in_arms(self.defined_arms.clone())?;
        let arms = resolve_arms(&self.arm_order(), &known).map_err(|error| match error {
            ArmError::Invalid(diagnostic) => diagnostic,
            unknown @ ArmError::Unknown { .. } => {
                self.document.diagnostic("axis", &unknown.to_string(), None)
            }
        })?;
        for text in &self.scenarios {
            let scenario = resolve(text, &overrides).map_err(|error| {
                self.document
                    .diagnostic("scenarios", &error.to_string(), None)
            })?;
            let scenario = std::sync::Arc::new(scenario);
            for arm in &arms {
                RunDefinition::new(scenario.clone(), &arm.layer, &overrides, self.seed)?;
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "learn"))]
    pub(super) fn check_cells(&self) -> Result<(), Diagnostic> {
        let known = with_built_in_arms(self.defined_arms.clone())?;
        resolve_arms(&self.arm_order(), &known)
            .map(drop)
            .map_err(|error| self.document.diagnostic("axis", &error.to_string(), None))
    }
}
