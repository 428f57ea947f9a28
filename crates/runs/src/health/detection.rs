//! The finding of one detector. Detectors create it before the alarm decides whether to report it.

use crate::telemetry::{HealthEvent, Severity, Symptom, SymptomLocation};

/// A symptom that holds now, whether or not it was reported before.
pub(super) struct Detection {
    pub(super) symptom: Symptom,
    pub(super) severity: Severity,
    pub(super) location: SymptomLocation,
    /// Measured value of [`Symptom::quantity`].
    pub(super) value: Option<f64>,
    /// The threshold that the value crossed.
    pub(super) threshold: Option<f64>,
}

impl Detection {
    /// A symptom of severity [`Severity::Warning`].
    pub(super) fn warning(
        symptom: Symptom,
        location: SymptomLocation,
        value: f64,
        threshold: f64,
    ) -> Self {
        Self {
            symptom,
            severity: Severity::Warning,
            location,
            value: Some(value),
            threshold: Some(threshold),
        }
    }

    /// The event to report.
    pub(super) fn into_event(self, global_step: u64, optimiser_step: u64) -> HealthEvent {
        HealthEvent {
            global_step,
            optimiser_step,
            symptom: self.symptom,
            severity: self.severity,
            location: self.location,
            value: finite(self.value),
            threshold: self.threshold,
            advice: self.symptom.advice().into(),
        }
    }
}

/// Drops a non-finite number.
pub(super) fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}
