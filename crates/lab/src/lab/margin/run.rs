//! Measures margins: rounds of runs, each at the factors that the search asks for next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use super::axis::{AxisBase, MarginAxis, OCTAVE, Turn};
use super::outcome::{MarginEvidence, TARGET_SHARE, median_success, stop_rules};
use super::request::{FINAL_EPISODES, MarginError};
use super::search::{RangeEnd, RangeSearch, Verdicts};
use super::{
    MARGIN_FILE, Margin, MarginArm, MarginAxisInfo, MarginEnd, MarginProbe, MarginReport, MarginRun,
};
use crate::lab::{
    Arm, PlannedRun, ProgressListener, RunPlan, TrainRunsOptions, arms_toml, train_runs,
};
use evenkeel_runs::runs::{RunDir, StopRule, write_file, write_json};
use evenkeel_runs::stats::{Bootstrap, Outcomes};
use evenkeel_sim::config::{Diagnostic, Document};

/// Bootstrap samples of an interval.
const RESAMPLES: u32 = 1000;

/// A planned search; [`MarginRequest::prepare`](super::MarginRequest::prepare) makes it.
#[derive(Debug)]
pub struct MarginPlan {
    pub(super) scenario: String,
    pub(super) scenario_name: String,
    pub(super) steps: u64,
    pub(super) set: Vec<String>,
    pub(super) seeds: Vec<u64>,
    pub(super) exhaustive: bool,
    /// The arms of which the measured ones are made.
    pub(super) components: Vec<Arm>,
    pub(super) arms: Vec<ArmPlan>,
    pub(super) axes: Vec<MarginAxis>,
    /// Where and how the runs are trained.
    pub options: TrainRunsOptions,
}

/// The search of one arm.
#[derive(Debug)]
pub(super) struct ArmPlan {
    pub(super) name: String,
    /// One for each axis.
    pub(super) axes: Vec<AxisPlan>,
}

/// The search of one arm on one axis.
#[derive(Debug)]
pub(super) struct AxisPlan {
    pub(super) base: AxisBase,
    pub(super) search: RangeSearch,
}

/// Receives the progress of a search.
pub trait MarginListener {
    /// Called before each round with its number, from 1, and its runs; the result listens to them.
    fn round_started(&self, round: usize, plan: &RunPlan) -> Box<dyn ProgressListener + '_>;
}

/// Runs by name of arm and turn.
type Evidence = BTreeMap<ProbeKey, Vec<MarginEvidence>>;

/// Runs at one factor: arm, axis and turn. The runs at a factor of 1 belong to all axes, and have
/// no axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ProbeKey {
    arm: usize,
    axis: Option<usize>,
    turn: Turn,
}

impl ProbeKey {
    fn new(arm: usize, axis: usize, turn: Turn) -> Self {
        Self {
            arm,
            axis: (turn != 0).then_some(axis),
            turn,
        }
    }
}

impl MarginPlan {
    /// Trains the runs that the search needs and that do not exist yet, and writes the report to
    /// [`MARGIN_FILE`] in the folder after each round. After `stop` is set the runs save and end.
    ///
    /// # Errors
    /// The first run that fails, or a file that cannot be read or written.
    pub fn measure(
        &self,
        listener: &dyn MarginListener,
        stop: &AtomicBool,
    ) -> Result<MarginReport, MarginError> {
        let mut evidence = Evidence::new();
        let mut round = 1;
        let mut next: BTreeSet<ProbeKey> = (0..self.arms.len())
            .map(|arm| ProbeKey::new(arm, 0, 0))
            .collect();
        loop {
            self.train_round(&next, round, &mut evidence, listener, stop)?;
            let report = self.report(&evidence);
            write_json(&self.options.folder.join(MARGIN_FILE), &report)?;
            next = self.next_probes(&evidence);
            if next.is_empty() {
                return Ok(report);
            }
            round += 1;
        }
    }

    /// Trains the runs of one round.
    fn train_round(
        &self,
        probes: &BTreeSet<ProbeKey>,
        round: usize,
        evidence: &mut Evidence,
        listener: &dyn MarginListener,
        stop: &AtomicBool,
    ) -> Result<(), MarginError> {
        let mut runs = Vec::new();
        let mut keys = Vec::new();
        for &probe in probes {
            for &seed in &self.seeds {
                runs.push(self.planned_run(runs.len(), probe, seed, evidence));
                keys.push(probe);
            }
        }
        self.write_arms(probes)?;
        let plan = RunPlan {
            scenario: self.scenario.clone(),
            steps: None,
            episodes: FINAL_EPISODES,
            set: self.set.clone(),
            runs,
        };
        let listener = listener.round_started(round, &plan);
        train_runs(&plan, &self.options, &*listener, stop, &mut |_, _| Ok(()))?;
        for (run, key) in plan.runs.iter().zip(keys) {
            let run = RunDir::open(&run.folder_in(&self.options.folder))?;
            let runs = evidence.entry(key).or_default();
            runs.push(MarginEvidence::read(&run)?);
        }
        Ok(())
    }

    fn planned_run(
        &self,
        index: usize,
        probe: ProbeKey,
        seed: u64,
        evidence: &Evidence,
    ) -> PlannedRun {
        let (arm, set) = match probe.axis {
            None => (self.arms[probe.arm].name.clone(), Vec::new()),
            Some(axis) => {
                let arm = &self.arms[probe.arm];
                let base = &arm.axes[axis].base;
                let name = format!(
                    "{}+{}",
                    arm.name,
                    self.fragment(probe.arm, axis, probe.turn)
                );
                (name, base.overrides(probe.turn))
            }
        };
        PlannedRun {
            index,
            arm,
            seed,
            set,
            stop_below: self.stop_rules(probe.arm, evidence),
        }
    }

    /// The name of a turn, which names its runs together with the arm.
    fn fragment(&self, arm: usize, axis: usize, turn: Turn) -> String {
        let label = self.arms[arm].axes[axis].base.label(turn);
        format!("{}_{label}", self.axes[axis].name)
    }

    /// The rules by which runs of an arm are given up, once its runs at a factor of 1 are known.
    fn stop_rules(&self, arm: usize, evidence: &Evidence) -> Vec<StopRule> {
        let reference = evidence.get(&ProbeKey::new(arm, 0, 0));
        match reference.filter(|_| !self.exhaustive) {
            Some(runs) => stop_rules(runs, self.steps),
            None => Vec::new(),
        }
    }

    /// Writes the arms that the runs are named after. A turn is an arm without settings: the
    /// settings of a run's factor are its overrides.
    fn write_arms(&self, probes: &BTreeSet<ProbeKey>) -> Result<(), MarginError> {
        let mut arms = self.components.clone();
        for probe in probes {
            let Some(axis) = probe.axis else { continue };
            let name = self.fragment(probe.arm, axis, probe.turn);
            if arms.iter().all(|arm| arm.name != name) {
                let description = format!("{}, turned by a margin", self.axes[axis].description);
                arms.push(Arm {
                    layer: Document::parse(&name, "")?,
                    name,
                    description,
                });
            }
        }
        let text: Result<String, Diagnostic> = arms_toml(&arms);
        Ok(write_file(&self.options.arm_file, text?)?)
    }

    /// The probes that the searches of all arms and axes need next.
    fn next_probes(&self, evidence: &Evidence) -> BTreeSet<ProbeKey> {
        let targets = self.targets(evidence);
        let mut next = BTreeSet::new();
        for (arm, plan) in self.arms.iter().enumerate() {
            for (axis, AxisPlan { base, search }) in plan.axes.iter().enumerate() {
                let verdicts = verdicts(&self.probes(arm, axis, targets[arm], evidence));
                let same = |a: Turn, b: Turn| {
                    a == b || (a != 0 && b != 0 && base.overrides(a) == base.overrides(b))
                };
                let turns = search.next(&verdicts, &same);
                next.extend(turns.into_iter().map(|turn| ProbeKey::new(arm, axis, turn)));
            }
        }
        next
    }

    /// The success below which a run of each arm has failed: half of the arm's own at a factor of
    /// 1. For an arm that fails there, half of what the best arm reaches.
    fn targets(&self, evidence: &Evidence) -> Vec<f64> {
        let reference = |arm: usize| evidence.get(&ProbeKey::new(arm, 0, 0));
        let success = |arm: usize| reference(arm).map_or(0.0, |runs| median_success(runs));
        let best = (0..self.arms.len()).map(success).fold(0.0, f64::max);
        let target = |arm: usize| {
            let own = TARGET_SHARE * success(arm);
            let failed = reference(arm).map_or(0, |runs| {
                let outcomes = runs.iter().map(|run| run.outcome(own));
                outcomes.filter(|outcome| outcome.fails()).count()
            });
            if own > 0.0 && 2 * failed < self.seeds.len() {
                own
            } else {
                TARGET_SHARE * best
            }
        };
        (0..self.arms.len()).map(target).collect()
    }

    /// The probes of an arm on an axis, by turn.
    fn probes(
        &self,
        arm: usize,
        axis: usize,
        target: f64,
        evidence: &Evidence,
    ) -> BTreeMap<Turn, MarginProbe> {
        let base = &self.arms[arm].axes[axis].base;
        let own = evidence
            .iter()
            .filter(|(key, _)| key.arm == arm && key.axis.is_none_or(|turned| turned == axis));
        let probe = |(key, runs): (&ProbeKey, &Vec<MarginEvidence>)| {
            let runs = runs.iter().zip(&self.seeds).map(|(run, &seed)| MarginRun {
                seed,
                outcome: run.outcome(target),
                success: run.success,
            });
            let probe = MarginProbe {
                octaves: f64::from(key.turn) / f64::from(OCTAVE),
                set: base.overrides(key.turn),
                runs: runs.collect(),
            };
            (key.turn, probe)
        };
        own.map(probe).collect()
    }

    /// What the runs so far say.
    fn report(&self, evidence: &Evidence) -> MarginReport {
        let targets = self.targets(evidence);
        let arms = self.arms.iter().enumerate().map(|(index, arm)| {
            let runs = evidence.get(&ProbeKey::new(index, 0, 0));
            MarginArm {
                name: arm.name.clone(),
                success: runs.map_or(0.0, |runs| median_success(runs)),
                target: targets[index],
            }
        });
        let axes = self.axes.iter().map(|axis| MarginAxisInfo {
            name: axis.name.clone(),
            description: axis.description.clone(),
        });
        let pairs =
            (0..self.arms.len()).flat_map(|arm| (0..self.axes.len()).map(move |axis| (arm, axis)));
        let margins = pairs.map(|(arm, axis)| self.margin(arm, axis, targets[arm], evidence));
        MarginReport {
            scenario: self.scenario_name.clone(),
            steps: self.steps,
            seeds: self.seeds.clone(),
            arms: arms.collect(),
            axes: axes.collect(),
            margins: margins.collect(),
            runs: evidence.values().map(Vec::len).sum(),
            given_up: evidence
                .values()
                .flatten()
                .filter(|run| run.given_up)
                .count(),
        }
    }

    /// The usable range of an arm on an axis.
    fn margin(&self, arm: usize, axis: usize, target: f64, evidence: &Evidence) -> Margin {
        let AxisPlan { base, search } = &self.arms[arm].axes[axis];
        let probes = self.probes(arm, axis, target, evidence);
        let verdicts = verdicts(&probes);
        let from_zero = base.range()[0] == 0;
        let anchor = search.anchor(&verdicts);
        let end = |side: usize, end: RangeEnd| {
            let sign = if side == 0 { -1.0 } else { 1.0 };
            let anchor = anchor.unwrap_or(0);
            let outcomes = |seed: usize| -> Outcomes {
                let beyond = probes
                    .iter()
                    .filter(|&(&turn, _)| sign * f64::from(turn - anchor) >= 0.0);
                let points = beyond
                    .map(|(_, probe)| (sign * probe.octaves, probe.runs[seed].outcome.fails()));
                points.collect()
            };
            let seeds: Vec<Outcomes> = (0..self.seeds.len()).map(outcomes).collect();
            let bootstrap = Bootstrap {
                resamples: RESAMPLES,
                ..Bootstrap::default()
            };
            let octaves = |turn: Turn| f64::from(turn) / f64::from(OCTAVE);
            let works = octaves(end.works);
            let found = end.fails.and_then(|fails| {
                let found = bootstrap.failure_threshold(&seeds)?;
                let fails = octaves(fails);
                // The runs say no more than that the end lies between these two factors.
                let [low, high] = [found.low * sign, found.high * sign];
                Some(MarginEnd {
                    octaves: found.value * sign,
                    lowest: low.min(high).min(works).min(fails),
                    highest: low.max(high).max(works).max(fails),
                    censored: false,
                    value: base.value_at(found.value * sign * f64::from(OCTAVE)),
                })
            });
            found.unwrap_or(MarginEnd {
                octaves: works,
                lowest: works,
                highest: works,
                censored: true,
                value: base.value_at(works * f64::from(OCTAVE)),
            })
        };
        let range = search.range(&verdicts);
        let [low, high] = match range {
            None => [None, None],
            Some([low, high]) => [(!from_zero).then(|| end(0, low)), Some(end(1, high))],
        };
        Margin {
            arm: self.arms[arm].name.clone(),
            axis: self.axes[axis].name.clone(),
            from_zero,
            low,
            high,
            probes: probes.into_values().collect(),
        }
    }
}

/// Whether each probe fails.
fn verdicts(probes: &BTreeMap<Turn, MarginProbe>) -> Verdicts {
    let verdicts = probes.iter().map(|(&turn, probe)| (turn, probe.fails()));
    verdicts.collect()
}
