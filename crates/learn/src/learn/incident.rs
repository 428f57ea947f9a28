//! Incidents: the optimiser steps that led to a symptom, with all their inputs, in one folder from
//! which they can be run again without the run.
//!
//! ```text
//! incident.json          symptoms, logged reports, settings of the run
//! config.toml            the scenario with all settings, as in the run's folder
//! tensors.safetensors    weights, optimiser state, minibatches, rollouts, environments
//! ```

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::attempt::{IterationProgress, UpdateAttempt, exceeds_norm_limit};
use super::batch::RolloutBatch;
use super::checkpoint::{INITIAL, read, read_json};
use super::curriculum::CurriculumPlan;
use super::flight_recorder::{Capture, severity};
use super::normaliser::Normaliser;
use super::sequences::{Sequences, inactive_mask};
use super::tensors::{TensorReader, TensorWriter};
use super::{
    KlPenaltyState, LearnError, Objective, ReturnNormaliser, RowLayout, RunConfig, SavedStateError,
    TrainStateHeader, UpdateInput,
};
use crate::nn::{Policy, entries};
use crate::optim::{ClipState, OptimiserMoment, OptimiserState};
use evenkeel_runs::health::{GuardDecision, GuardState};
use evenkeel_runs::runs::{RunInfo, recover_dir, replace_dir};
use evenkeel_runs::telemetry::{DivergenceReason, HealthEvent, Severity, UpdateReport};
use evenkeel_sim::env::{PolicyPrediction, StepBuffers, Trajectory, VectorEnv};

pub(super) mod folder;

/// The format that this build reads and writes.
const FORMAT: u32 = 1;

const MANIFEST: &str = "incident.json";
const CONFIG: &str = "config.toml";
const TENSORS: &str = "tensors.safetensors";

/// The optimiser steps that led to a symptom.
#[derive(Debug)]
pub struct Incident {
    /// The run that it is from.
    pub run: RunInfo,
    /// The symptoms, detected in the last step.
    pub symptoms: Vec<HealthEvent>,
    /// The run's settings, seed and layouts; counters are those at the end of the iteration.
    pub state: TrainStateHeader,
    /// The scenario with all settings, as TOML.
    pub config: String,
    /// The steps, in order; the symptoms are of the last.
    pub steps: Vec<UpdateAttempt>,
    /// The rollouts of the steps, in order.
    pub(super) batches: Vec<RolloutBatch>,
}

/// `incident.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncidentManifest {
    format: u32,
    run: RunInfo,
    severity: Severity,
    symptoms: Vec<HealthEvent>,
    state: TrainStateHeader,
    steps: Vec<StepManifest>,
    batches: Vec<BatchManifest>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepManifest {
    /// Index of its rollout.
    batch: usize,
    #[serde(rename = "position")]
    progress: IterationProgress,
    learning_rate: f64,
    /// Steps that the optimiser had applied.
    steps_taken: u64,
    clip: Vec<ClipState>,
    #[serde(default)]
    kl_penalty: KlPenaltyState,
    guard: GuardState,
    divergence: Option<DivergenceReason>,
    decision: GuardDecision,
    /// The logged report.
    report: UpdateReport,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchManifest {
    iteration: u64,
    global_step: u64,
    explained_variance: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action_std: Option<f64>,
    /// For a policy with memory: steps of a sequence, and environments.
    sequences: Option<(usize, usize)>,
    /// Under a curriculum: the levels that the environments played next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    curriculum_plan: Option<CurriculumPlan>,
    /// Whether some robots were inactive while others of their world were active.
    #[serde(default)]
    inactive: bool,
}

impl UpdateAttempt {
    /// A copy that shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        let input = &self.input;
        Self {
            input: UpdateInput {
                parameters: input.parameters.shallow_clone(),
                initial_parameters: input.initial_parameters.shallow_clone(),
                buffers: input.buffers.shallow_clone(),
                optimiser: input.optimiser.clone(),
                clip: input.clip.clone(),
                rows: input.rows.shallow_clone(),
                sequences: input.sequences.as_ref().map(Sequences::shallow_clone),
                indices: input.indices.shallow_clone(),
                ..*input
            },
            report: self.report.clone(),
            ..*self
        }
    }
}

impl Incident {
    /// Reads a folder that [`super::IncidentFolder::store`] wrote.
    ///
    /// # Errors
    /// If the folder cannot be read, or is damaged.
    pub fn load(folder: &Path) -> Result<Self, SavedStateError> {
        recover_dir(folder).map_err(|source| SavedStateError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join(MANIFEST);
        let broken = |reason: String| SavedStateError::State {
            path: path.clone(),
            reason,
        };
        let manifest: IncidentManifest = read_json(folder, MANIFEST, FORMAT)?;
        manifest.state.check().map_err(broken)?;
        if manifest.steps.is_empty() {
            return Err(broken("it has no step".into()));
        }
        let config = String::from_utf8(read(folder, CONFIG)?).map_err(|error| {
            let reason = error.to_string();
            SavedStateError::State {
                path: folder.join(CONFIG),
                reason,
            }
        })?;
        let bytes = read(folder, TENSORS)?;
        let file = TensorReader::open(folder.join(TENSORS), &bytes)?;
        let policy = manifest.state.policy();
        let initial = if manifest.state.starts_from_policy {
            file.f32(INITIAL, &[policy.layout().len()])?
        } else {
            policy.initial_parameters(manifest.state.seed)
        };
        let initial = Tensor::from_slice(&initial);
        let batches = manifest.batches.iter().enumerate();
        let batches: Vec<RolloutBatch> = batches
            .map(|(index, batch_manifest)| {
                read_batch(&file, index, batch_manifest, &manifest.state, &policy)
            })
            .collect::<Result<_, _>>()?;
        let steps = manifest.steps.into_iter().enumerate();
        let steps: Vec<UpdateAttempt> = steps
            .map(|(index, step)| {
                let Some(batch) = batches.get(step.batch) else {
                    let reason = format!("step {index} has no rollout");
                    return Err(broken(reason));
                };
                let (state, initial) = (&manifest.state, initial.shallow_clone());
                read_step(&file, index, step, batch, state, &policy, initial)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            run: manifest.run,
            symptoms: manifest.symptoms,
            state: manifest.state,
            config,
            steps,
            batches,
        })
    }

    /// The policy of the steps.
    pub fn policy(&self) -> Policy {
        self.state.policy()
    }

    /// Iterations before that of a step.
    pub fn iteration(&self, step: &UpdateAttempt) -> u64 {
        self.batch_of(step).iteration
    }

    /// Whether the weights after a step are so large that the run counts as diverged.
    pub fn exceeds_norm_limit(&self, report: &UpdateReport) -> bool {
        exceeds_norm_limit(report, self.state.initial_norm)
    }

    /// The input of a step under other [`super::REMEDY_SETTINGS`]: the objective and the learning rate
    /// are those of `config`; an optimiser or clip stage of another kind starts from its initial state,
    /// and so does an adaptive schedule with other settings or another rate at the start.
    pub fn input(&self, step: &UpdateAttempt, config: &RunConfig) -> UpdateInput {
        let mut input = step.shallow_clone().input;
        input.objective = Objective::new(config, step.kl_penalty);
        let iteration = self.batch_of(step).iteration;
        let (own_train, train) = (&self.state.config.train, &config.train);
        let same_start = own_train.learning_rate.to_bits() == train.learning_rate.to_bits();
        let same_schedule = own_train.schedule == train.schedule;
        if !(train.schedule.is_adaptive() && same_schedule && same_start) {
            let rate = config.scheduled_learning_rate(iteration);
            input.learning_rate = rate * step.guard.learning_rate_scale();
        }
        let (own, other) = (&self.state.config.train.optimiser, &config.train.optimiser);
        if own.name() != other.name() {
            input.optimiser = OptimiserState::new(other, &input.parameters);
        }
        let own_stages = &self.state.config.stability.clip;
        let stages = config.stability.clip.iter().enumerate();
        input.clip = stages
            .map(
                |(index, stage)| match (own_stages.get(index), step.input.clip.get(index)) {
                    (Some(own), Some(state)) if own.name() == stage.name() => state.clone(),
                    _ => stage.initial_state(),
                },
            )
            .collect();
        input
    }

    /// Replays the rollout of a step in environments that were made with the run's seed. Returns the
    /// buffers after its last step.
    ///
    /// This steps all environments of the training together through [`VectorEnv`], as training did,
    /// because it compares every observation of the rollout. For one environment see
    /// [`Self::trajectory`].
    ///
    /// # Errors
    /// If an observation differs from the recorded one.
    pub fn replay<E: VectorEnv>(
        &self,
        step: &UpdateAttempt,
        env: &mut E,
    ) -> Result<StepBuffers, LearnError> {
        let (envs, row_layout) = (env.num_envs(), step.input.row_layout);
        let batch = self.batch_of(step);
        let mut buffers = StepBuffers::new(envs, row_layout.obs);
        if let Some(curriculum_plan) = &batch.curriculum_plan {
            env.set_level_plan(&curriculum_plan.plan);
        }
        env.restore(&batch.environments, &mut buffers)
            .map_err(LearnError::Restore)?;
        let kind = self.state.config.stability.normalise.observation;
        let normaliser = Normaliser::new(kind, batch.observation.clone());
        let recorded = row_layout.observations(&batch.rows).contiguous();
        let recorded = entries(&recorded.reshape([-1]));
        let actions = self.actions(step);
        let mut normalised = vec![0.0; row_layout.obs];
        let steps = actions.chunks_exact(envs * row_layout.action);
        let recorded = recorded.chunks_exact(envs * row_layout.obs);
        for (index, (actions, recorded)) in steps.zip(recorded).enumerate() {
            let rows = buffers.obs.chunks_exact(row_layout.obs);
            for (env, (raw, recorded)) in
                rows.zip(recorded.chunks_exact(row_layout.obs)).enumerate()
            {
                normaliser.normalise_observation(raw, &mut normalised);
                if normalised != recorded {
                    return Err(LearnError::ReplayMismatch {
                        optimiser_step: step.input.optimiser_step,
                        env,
                        step: index,
                    });
                }
            }
            env.step(actions, &mut buffers);
        }
        Ok(buffers)
    }

    /// The rollout of a step.
    pub(super) fn batch_of(&self, step: &UpdateAttempt) -> &RolloutBatch {
        let of = |batch: &&RolloutBatch| batch.global_step == step.input.global_step;
        self.batches
            .iter()
            .find(of)
            .expect("the rollout of each step is kept")
    }

    /// What environment `env` (a world, where several robots share one) did in the rollout of a
    /// step. Of the policy's predictions only the values are known.
    ///
    /// # Panics
    /// If there is no such environment.
    pub fn trajectory(&self, step: &UpdateAttempt, env: usize) -> Trajectory {
        let batch = self.batch_of(step);
        let config = &self.state.config;
        let row_layout = step.input.row_layout;
        let envs = config.train.num_envs as usize;
        let robots = envs / batch.environments.len();
        let shape = [-1, envs as i64, row_layout.width() as i64];
        let rows = batch.rows.reshape(shape);
        let rows = rows.narrow(1, (env * robots) as i64, robots as i64);
        let rows = entries(&rows.contiguous().reshape([-1]));
        let rows = || rows.chunks_exact(row_layout.width());
        let draws = rows().flat_map(|row| &row[row_layout.obs..][..row_layout.action]);
        let head = self.state.config.policy.head;
        let kind = config.stability.normalise.returns;
        let returns = ReturnNormaliser::new(kind, batch.returns.clone());
        let prediction = |row: &[f32]| PolicyPrediction {
            value: returns.denormalise(row[row_layout.value()]),
            ..PolicyPrediction::default()
        };
        Trajectory {
            env: env as u64,
            iteration: batch.iteration + 1,
            global_step: batch.global_step - config.steps_per_iteration(),
            initial_state: batch.environments[env].clone(),
            levels: batch.curriculum_plan.as_ref().map(|plan| plan.plan.clone()),
            actions: draws.map(|&draw| head.action(draw)).collect(),
            predictions: rows().map(prediction).collect(),
        }
    }

    /// `[T, N, act]`: the actions of the rollout of a step.
    fn actions(&self, step: &UpdateAttempt) -> Vec<f32> {
        let batch = self.batch_of(step);
        let row_layout = step.input.row_layout;
        let draws = batch
            .rows
            .narrow(1, row_layout.obs as i64, row_layout.action as i64);
        let head = self.state.config.policy.head;
        entries(&draws.contiguous().reshape([-1]))
            .into_iter()
            .map(|draw| head.action(draw))
            .collect()
    }

    /// The contents of `tensors.safetensors`.
    fn tensors(&self) -> TensorWriter {
        let mut file = TensorWriter::default();
        if self.state.starts_from_policy {
            file.vector(INITIAL, &self.last().input.initial_parameters);
        }
        for (index, batch) in self.batches.iter().enumerate() {
            let name = |of: &str| format!("batch.{index}.{of}");
            file.matrix(&name("rows"), &batch.rows);
            if let Some(sequences) = &batch.sequences {
                file.matrix(&name("sequences.hidden"), &sequences.hidden);
                file.vector(&name("sequences.starts"), &sequences.episode_starts);
            }
            if !batch.inactive.is_empty() {
                let inactive = batch.inactive.iter().map(|&inactive| u64::from(inactive));
                file.u64(&name("inactive"), &inactive.collect::<Vec<_>>());
            }
            file.moments(&name("normaliser.observation"), &batch.observation);
            file.return_moments(&name("normaliser.return"), &batch.returns);
            file.moments(
                &name("rollout_moments.observation"),
                &batch.observation_moments,
            );
            file.return_moments(&name("rollout_moments.return"), &batch.return_moments);
            file.environments(&name("environment"), &batch.environments);
            file.f32(&name("hidden"), vec![batch.hidden.len()], &batch.hidden);
        }
        for (index, step) in self.steps.iter().enumerate() {
            let name = |of: &str| format!("step.{index}.{of}");
            file.vector(&name("parameters"), &step.input.parameters);
            file.vector(&name("buffers"), &step.input.buffers);
            for moment in &step.input.optimiser.moments {
                file.vector(&name(&format!("optimiser.{}", moment.name)), &moment.tensor);
            }
            let indices = Vec::<i64>::try_from(&step.input.indices.reshape([-1]))
                .expect("indices are 64-bit integers");
            let indices: Vec<u64> = indices.into_iter().map(|index| index as u64).collect();
            file.u64(&name("indices"), &indices);
        }
        file
    }

    /// Writes the folder. After a crash it is either complete or not there.
    fn save(&self, folder: &Path, tensors: &TensorWriter) -> std::io::Result<()> {
        let manifest = IncidentManifest {
            format: FORMAT,
            run: self.run.clone(),
            severity: self.severity(),
            symptoms: self.symptoms.clone(),
            state: self.state.clone(),
            steps: self
                .steps
                .iter()
                .map(|step| self.step_manifest(step))
                .collect(),
            batches: self.batches.iter().map(BatchManifest::of).collect(),
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?;
        replace_dir(folder, |folder| {
            fs::write(folder.join(TENSORS), tensors.bytes()?)?;
            fs::write(folder.join(CONFIG), &self.config)?;
            fs::write(folder.join(MANIFEST), &manifest)
        })
        .map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
        })
    }

    fn step_manifest(&self, step: &UpdateAttempt) -> StepManifest {
        let of = |batch: &RolloutBatch| batch.global_step == step.input.global_step;
        let batch = self.batches.iter().position(of);
        StepManifest {
            batch: batch.expect("the rollout of each step is kept"),
            progress: step.progress,
            learning_rate: step.input.learning_rate,
            steps_taken: step.input.optimiser.steps,
            clip: step.input.clip.clone(),
            kl_penalty: step.kl_penalty,
            guard: step.guard,
            divergence: step.divergence,
            decision: step.decision,
            report: step.report.clone(),
        }
    }

    /// An incident from what the flight recorder captured.
    pub(super) fn from_capture(
        capture: Capture,
        batches: &VecDeque<RolloutBatch>,
        state: &TrainStateHeader,
        run: &RunInfo,
        config: &str,
    ) -> Self {
        let mut incident = Self {
            run: run.clone(),
            symptoms: capture.symptoms,
            state: state.clone(),
            config: config.to_owned(),
            batches: batches.iter().map(RolloutBatch::shallow_clone).collect(),
            steps: capture.steps,
        };
        incident.drop_unused_batches();
        incident
    }

    /// Its severity.
    pub fn severity(&self) -> Severity {
        severity(self.last(), &self.symptoms).unwrap_or(Severity::Warning)
    }

    /// Drops the steps of all iterations but the last.
    fn keep_last_iteration(&mut self) {
        let last = self.last().input.global_step;
        self.steps.retain(|step| step.input.global_step == last);
        self.drop_unused_batches();
    }

    fn drop_unused_batches(&mut self) {
        let steps = &self.steps;
        let used = |batch: &RolloutBatch| {
            let mut steps = steps.iter();
            steps.any(|step| step.input.global_step == batch.global_step)
        };
        self.batches.retain(used);
    }

    /// The step in which the symptoms were detected.
    ///
    /// # Panics
    /// Never: an incident has a step.
    pub fn last(&self) -> &UpdateAttempt {
        self.steps.last().expect("an incident has a step")
    }
}

/// The severity of the incident in a folder, without reading all of it; `None` if it cannot be read.
pub fn incident_severity(folder: &Path) -> Option<Severity> {
    read_severity(folder).map(|(severity, _)| severity)
}

/// Severity, and number of steps.
fn read_severity(folder: &Path) -> Option<(Severity, usize)> {
    let manifest = fs::read(folder.join(MANIFEST)).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    let severity = serde_json::from_value(manifest.get("severity")?.clone()).ok()?;
    Some((severity, manifest.get("steps")?.as_array()?.len()))
}

impl BatchManifest {
    fn of(batch: &RolloutBatch) -> Self {
        Self {
            iteration: batch.iteration,
            global_step: batch.global_step,
            explained_variance: batch.explained_variance,
            value_max: batch.value_max,
            action_std: batch.action_std,
            sequences: batch.sequences.as_ref().map(|all| (all.length, all.envs)),
            curriculum_plan: batch.curriculum_plan.clone(),
            inactive: !batch.inactive.is_empty(),
        }
    }
}

impl RolloutBatch {
    /// A copy that shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        Self {
            rows: self.rows.shallow_clone(),
            sequences: self.sequences.as_ref().map(Sequences::shallow_clone),
            inactive: self.inactive.clone(),
            observation: self.observation.clone(),
            returns: self.returns.clone(),
            observation_moments: self.observation_moments.clone(),
            return_moments: self.return_moments.clone(),
            environments: self.environments.clone(),
            curriculum_plan: self.curriculum_plan.clone(),
            hidden: self.hidden.clone(),
            ..*self
        }
    }
}

fn read_batch(
    file: &TensorReader,
    index: usize,
    manifest: &BatchManifest,
    state: &TrainStateHeader,
    policy: &Policy,
) -> Result<RolloutBatch, SavedStateError> {
    let name = |of: &str| format!("batch.{index}.{of}");
    let train = &state.config.train;
    let (envs, horizon) = (train.num_envs as usize, train.horizon as usize);
    let (obs, width) = (policy.obs_dim(), RowLayout::of(policy).width());
    let matrix = |name: &str, rows: usize, columns: usize| {
        let numbers = file.f32(name, &[rows, columns])?;
        Ok::<_, SavedStateError>(Tensor::from_slice(&numbers).view([-1, columns as i64]))
    };
    let length = state.config.sequence_length() as usize;
    let remembers = policy.state_len() > 0;
    if manifest.sequences != remembers.then_some((length, envs)) {
        return Err(file.broken(format!(
            "the sequences of rollout {index} are not those of the settings"
        )));
    }
    let inactive: Vec<bool> = if manifest.inactive {
        let inactive = file.u64(&name("inactive"))?;
        inactive.into_iter().map(|inactive| inactive != 0).collect()
    } else {
        Vec::new()
    };
    if manifest.inactive && (inactive.len() != horizon * envs || !inactive.contains(&false)) {
        return Err(file.broken(format!(
            "the inactive mask of rollout {index} has the wrong length or masks everything"
        )));
    }
    let sequences = remembers.then(|| {
        let count = horizon / length * envs;
        Ok::<_, SavedStateError>(Sequences {
            hidden: matrix(&name("sequences.hidden"), count, policy.state_len())?,
            episode_starts: Tensor::from_slice(
                &file.f32(&name("sequences.starts"), &[horizon * envs])?,
            ),
            inactive: manifest.inactive.then(|| inactive_mask(&inactive)),
            length,
            envs,
        })
    });
    let kind = state.config.stability.normalise.returns;
    let environments = file.environments(&name("environment"))?;
    // Several robots may share an environment.
    if environments.is_empty() || !envs.is_multiple_of(environments.len()) {
        return Err(file.broken(format!(
            "it has {} environments, not {envs}",
            environments.len()
        )));
    }
    Ok(RolloutBatch {
        iteration: manifest.iteration,
        global_step: manifest.global_step,
        explained_variance: manifest.explained_variance,
        value_max: manifest.value_max,
        action_std: manifest.action_std,
        rows: matrix(&name("rows"), horizon * envs, width)?,
        sequences: sequences.transpose()?,
        inactive,
        observation: file.moments(&name("normaliser.observation"), obs)?,
        returns: file.return_moments(&name("normaliser.return"), kind)?,
        observation_moments: file.moments(&name("rollout_moments.observation"), obs)?,
        return_moments: file.return_moments(&name("rollout_moments.return"), kind)?,
        environments,
        curriculum_plan: manifest.curriculum_plan.clone(),
        hidden: file.f32(&name("hidden"), &[envs * policy.state_len()])?,
    })
}

fn read_step(
    file: &TensorReader,
    index: usize,
    manifest: StepManifest,
    batch: &RolloutBatch,
    state: &TrainStateHeader,
    policy: &Policy,
    initial_parameters: Tensor,
) -> Result<UpdateAttempt, SavedStateError> {
    let name = |of: &str| format!("step.{index}.{of}");
    let vector = |of: &str, length: usize| {
        let numbers = file.f32(&name(of), &[length])?;
        Ok::<_, SavedStateError>(Tensor::from_slice(&numbers))
    };
    let length = policy.layout().len();
    let kept = state.config.train.optimiser.moments().iter();
    let moments = kept.map(|moment| {
        Ok(OptimiserMoment {
            name: moment,
            tensor: vector(&format!("optimiser.{moment}"), length)?,
        })
    });
    let moments = moments.collect::<Result<Vec<OptimiserMoment>, SavedStateError>>()?;
    let rows = batch.rows.size()[0] as u64;
    let choices = batch
        .sequences
        .as_ref()
        .map_or(rows, |all| rows / all.length as u64);
    if manifest.steps_taken > manifest.report.optimiser_step
        || manifest.report.optimiser_step > 1 << 48
    {
        return Err(file.broken(format!("the counters of step {index} are impossible")));
    }
    let indices = file.u64(&name("indices"))?;
    if indices.is_empty() || indices.iter().any(|&index| index >= choices) {
        return Err(file.broken(format!(
            "the minibatch of step {index} is not from its rollout"
        )));
    }
    let indices: Vec<i64> = indices.into_iter().map(|index| index as i64).collect();
    let buffers = policy.initial_buffers().len();
    Ok(UpdateAttempt {
        input: UpdateInput {
            global_step: batch.global_step,
            optimiser_step: manifest.report.optimiser_step,
            parameters: vector("parameters", length)?,
            initial_parameters,
            buffers: vector("buffers", buffers)?,
            optimiser: OptimiserState {
                moments,
                steps: manifest.steps_taken,
            },
            clip: manifest.clip,
            rows: batch.rows.shallow_clone(),
            sequences: batch.sequences.as_ref().map(Sequences::shallow_clone),
            indices: Tensor::from_slice(&indices),
            row_layout: RowLayout::of(policy),
            objective: Objective::new(&state.config, manifest.kl_penalty),
            learning_rate: manifest.learning_rate,
        },
        kl_penalty: manifest.kl_penalty,
        progress: manifest.progress,
        report: manifest.report,
        divergence: manifest.divergence,
        guard: manifest.guard,
        decision: manifest.decision,
    })
}
