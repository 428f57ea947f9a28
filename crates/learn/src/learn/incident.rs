//! Incidents: the optimiser steps that led to a symptom, with all that they read, in one folder
//! that needs nothing else to run them again.
//!
//! ```text
//! incident.json          what was seen, what was logged, the settings of the run
//! config.toml            the scenario with every setting, as in the run's folder
//! tensors.safetensors    weights, optimiser, minibatches, rollouts, environments
//! ```

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::checkpoint::{SavedState, read, read_json};
use super::curriculum::Taught;
use super::learner::{Lesson, Place, Tried, outgrown};
use super::normaliser::Normaliser;
use super::recorder::{Catch, severity};
use super::resume::refuse_other_runs;
use super::tensors::{OpenTensors, TensorFile};
use super::update::{Sequences, waits_tensor};
use super::{CheckpointError, Columns, Experiment, LearnError, Objective, RunConfig, UpdateInput};
use crate::nn::{Policy, entries};
use crate::optim::{ClipState, Moment, OptimiserState};
use evenkeel_runs::health::{GuardState, Ruling};
use evenkeel_runs::runs::{RunInfo, recover_dir, replace_dir};
use evenkeel_runs::telemetry::{DivergenceReason, HealthEvent, Severity, StepReport};
use evenkeel_sim::env::{EnvState, LevelPlan, StepBuffers, VectorEnv, action_dim, obs_layout};

mod folder;

pub use folder::IncidentFolder;

/// The format that this build reads and writes.
const FORMAT: u32 = 1;

const ABOUT: &str = "incident.json";
const CONFIG: &str = "config.toml";
const TENSORS: &str = "tensors.safetensors";

/// The optimiser steps that led to a symptom.
#[derive(Debug)]
pub struct Incident {
    /// The run that it is from.
    pub run: RunInfo,
    /// What was seen in the last step.
    pub symptoms: Vec<HealthEvent>,
    /// The run's settings, seed and layouts; its counters are those of the end of the iteration.
    pub state: SavedState,
    /// The scenario with every setting, as TOML.
    pub config: String,
    /// In order; the symptoms were seen in the last.
    pub steps: Vec<Tried>,
    /// The rollouts that they are of, in order.
    pub(super) lessons: Vec<Lesson>,
}

/// `incident.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: u32,
    run: RunInfo,
    severity: Severity,
    symptoms: Vec<HealthEvent>,
    state: SavedState,
    steps: Vec<StepAbout>,
    lessons: Vec<LessonAbout>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepAbout {
    /// Its rollout, as an index.
    lesson: usize,
    place: Place,
    learning_rate: f64,
    /// Steps that the optimiser had taken.
    steps_taken: u64,
    clip: Vec<ClipState>,
    guard: GuardState,
    diverges: Option<DivergenceReason>,
    ruling: Ruling,
    /// What was logged.
    report: StepReport,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LessonAbout {
    iteration: u64,
    global_step: u64,
    explained: Option<f64>,
    /// Steps of a sequence and environments, for a policy with memory.
    sequences: Option<(usize, usize)>,
    /// Which levels the environments went on to play, under a curriculum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taught: Option<Taught>,
    /// Whether robots waited for others of their world.
    #[serde(default)]
    waits: bool,
}

impl Tried {
    /// Shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        let input = &self.input;
        Self {
            input: UpdateInput {
                parameters: input.parameters.shallow_clone(),
                statistics: input.statistics.shallow_clone(),
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
    /// Reads a folder that [`IncidentFolder::keep`] wrote.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        recover_dir(folder).map_err(|source| CheckpointError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join(ABOUT);
        let broken = |reason: String| CheckpointError::State {
            path: path.clone(),
            reason,
        };
        let about: About = read_json(folder, ABOUT, FORMAT)?;
        about.state.check().map_err(broken)?;
        if about.steps.is_empty() {
            return Err(broken("there is no step in it".into()));
        }
        let config = String::from_utf8(read(folder, CONFIG)?).map_err(|error| {
            let reason = error.to_string();
            CheckpointError::State {
                path: folder.join(CONFIG),
                reason,
            }
        })?;
        let bytes = read(folder, TENSORS)?;
        let file = OpenTensors::open(folder.join(TENSORS), &bytes)?;
        let policy = about.state.policy();
        let lessons = about.lessons.iter().enumerate();
        let lessons: Vec<Lesson> = lessons
            .map(|(index, about_it)| read_lesson(&file, index, about_it, &about.state, &policy))
            .collect::<Result<_, _>>()?;
        let steps = about.steps.into_iter().enumerate();
        let steps: Vec<Tried> = steps
            .map(|(index, step)| {
                let Some(lesson) = lessons.get(step.lesson) else {
                    let reason = format!("step {index} is of no rollout that is there");
                    return Err(broken(reason));
                };
                read_step(&file, index, step, lesson, &about.state, &policy)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            run: about.run,
            symptoms: about.symptoms,
            state: about.state,
            config,
            steps,
            lessons,
        })
    }

    /// The policy that the steps are of.
    pub fn policy(&self) -> Policy {
        self.state.policy()
    }

    /// Iterations before that of a step.
    pub fn iteration(&self, step: &Tried) -> u64 {
        self.lesson(step).iteration
    }

    /// Whether the weights are so large after a step that the run has diverged.
    pub fn outgrown(&self, report: &StepReport) -> bool {
        outgrown(report, self.state.initial_norm)
    }

    /// What a step reads where other settings of [`super::REMEDY_SETTINGS`] are in force: its
    /// objective and learning rate are theirs, and an optimiser of another kind begins anew.
    pub fn input(&self, step: &Tried, config: &RunConfig) -> UpdateInput {
        let mut input = step.shallow_clone().input;
        input.objective = Objective::from(&config.train);
        let iteration = self.lesson(step).iteration;
        let rate = config.scheduled_learning_rate(iteration);
        input.learning_rate = rate * step.guard.learning_rate_scale();
        let (ours, theirs) = (&self.state.config.train.optimiser, &config.train.optimiser);
        if ours.name() != theirs.name() {
            input.optimiser = OptimiserState::new(theirs, &input.parameters);
        }
        let ours = &self.state.config.stability.clip;
        let stages = config.stability.clip.iter().enumerate();
        input.clip = stages
            .map(
                |(index, stage)| match (ours.get(index), step.input.clip.get(index)) {
                    (Some(own), Some(state)) if own.name() == stage.name() => state.clone(),
                    _ => stage.begin(),
                },
            )
            .collect();
        input
    }

    /// Refuses an experiment that the incident is not of.
    pub fn check(&self, experiment: &Experiment) -> Result<(), LearnError> {
        let layout = obs_layout(&experiment.scenario);
        self.state
            .check_fits(&layout, action_dim(&experiment.scenario))?;
        refuse_other_runs(&self.state.config, &experiment.config)
    }

    /// Takes environments, made with the run's seed, through the rollout of a step again.
    ///
    /// # Errors
    /// If an observation comes out otherwise than it was recorded.
    pub fn replay<E: VectorEnv>(
        &self,
        step: &Tried,
        env: &mut E,
    ) -> Result<StepBuffers, LearnError> {
        let (envs, columns) = (env.num_envs(), step.input.columns);
        let lesson = self.lesson(step);
        let mut buffers = StepBuffers::new(envs, columns.obs);
        if let Some(taught) = &lesson.taught {
            env.follow(&taught.plan);
        }
        env.restore(&lesson.environments, &mut buffers)
            .map_err(LearnError::Restore)?;
        let kind = self.state.config.stability.normalise.observation;
        let normaliser = Normaliser::new(kind, lesson.observation.clone());
        let recorded = columns.observations(&lesson.rows).contiguous();
        let recorded = entries(&recorded.reshape([-1]));
        let actions = self.actions(step);
        let mut seen = vec![0.0; columns.obs];
        let steps = actions.chunks_exact(envs * columns.action);
        let recorded = recorded.chunks_exact(envs * columns.obs);
        for (index, (actions, recorded)) in steps.zip(recorded).enumerate() {
            let rows = buffers.obs.chunks_exact(columns.obs);
            for (env, (raw, recorded)) in rows.zip(recorded.chunks_exact(columns.obs)).enumerate() {
                normaliser.observation(raw, &mut seen);
                if seen != recorded {
                    return Err(LearnError::Replay {
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

    /// The rollout of one of the steps.
    pub(super) fn lesson(&self, step: &Tried) -> &Lesson {
        let of = |lesson: &&Lesson| lesson.global_step == step.input.global_step;
        self.lessons
            .iter()
            .find(of)
            .expect("each step is of a rollout that is there")
    }

    /// Which levels the environments of a step's rollout went on to play; nothing where each played
    /// its own episodes in turn.
    pub fn levels(&self, step: &Tried) -> Option<&LevelPlan> {
        self.lesson(step).taught.as_ref().map(|taught| &taught.plan)
    }

    /// What the environments of a step's rollout were doing when it began, world by world.
    pub fn environments(&self, step: &Tried) -> &[EnvState] {
        &self.lesson(step).environments
    }

    /// What the values of a step's rollout are normalised by.
    pub fn returns(&self, step: &Tried) -> Normaliser {
        let kind = self.state.config.stability.normalise.returns;
        Normaliser::new(kind, self.lesson(step).returns.clone())
    }

    /// The actions that were taken in the rollout of a step, `[T, N, act]`.
    pub fn actions(&self, step: &Tried) -> Vec<f32> {
        let lesson = self.lesson(step);
        let columns = step.input.columns;
        let draws = lesson
            .rows
            .narrow(1, columns.obs as i64, columns.action as i64);
        let squash = self.policy().gaussian().squash;
        entries(&draws.contiguous().reshape([-1]))
            .into_iter()
            .map(|draw| squash.apply(draw))
            .collect()
    }

    /// Numbers that are as large as the folder's largest file, in bytes.
    fn tensors(&self) -> TensorFile {
        let mut file = TensorFile::default();
        for (index, lesson) in self.lessons.iter().enumerate() {
            let name = |of: &str| format!("lesson.{index}.{of}");
            file.matrix(&name("rows"), &lesson.rows);
            if let Some(sequences) = &lesson.sequences {
                file.matrix(&name("sequences.hidden"), &sequences.hidden);
                file.vector(&name("sequences.starts"), &sequences.starts);
            }
            if !lesson.waits.is_empty() {
                let waits = lesson.waits.iter().map(|&waits| u64::from(waits));
                file.u64(&name("waits"), &waits.collect::<Vec<_>>());
            }
            file.moments(&name("normaliser.observation"), &lesson.observation);
            file.moments(&name("normaliser.return"), &lesson.returns);
            file.moments(&name("seen.observation"), &lesson.seen);
            file.moments(&name("seen.return"), &lesson.returned);
            file.environments(&name("environment"), &lesson.environments);
            file.f32(&name("hidden"), vec![lesson.hidden.len()], &lesson.hidden);
        }
        for (index, step) in self.steps.iter().enumerate() {
            let name = |of: &str| format!("step.{index}.{of}");
            file.vector(&name("parameters"), &step.input.parameters);
            file.vector(&name("statistics"), &step.input.statistics);
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

    /// Writes a folder; a crash leaves all of it or nothing.
    fn save(&self, folder: &Path, tensors: &TensorFile) -> std::io::Result<()> {
        let about = About {
            format: FORMAT,
            run: self.run.clone(),
            severity: self.severity(),
            symptoms: self.symptoms.clone(),
            state: self.state.clone(),
            steps: self.steps.iter().map(|step| self.about(step)).collect(),
            lessons: self.lessons.iter().map(LessonAbout::of).collect(),
        };
        let about = serde_json::to_vec_pretty(&about).map_err(std::io::Error::other)?;
        replace_dir(folder, |folder| {
            fs::write(folder.join(TENSORS), tensors.bytes()?)?;
            fs::write(folder.join(CONFIG), &self.config)?;
            fs::write(folder.join(ABOUT), &about)
        })
    }

    fn about(&self, step: &Tried) -> StepAbout {
        let of = |lesson: &Lesson| lesson.global_step == step.input.global_step;
        let lesson = self.lessons.iter().position(of);
        StepAbout {
            lesson: lesson.expect("each step is of a rollout that is there"),
            place: step.place,
            learning_rate: step.input.learning_rate,
            steps_taken: step.input.optimiser.steps,
            clip: step.input.clip.clone(),
            guard: step.guard,
            diverges: step.diverges,
            ruling: step.ruling,
            report: step.report.clone(),
        }
    }

    /// The incident that a catch of the recorder is.
    pub(super) fn of_catch(
        catch: Catch,
        lessons: &VecDeque<Lesson>,
        state: &SavedState,
        run: &RunInfo,
        config: &str,
    ) -> Self {
        let mut incident = Self {
            run: run.clone(),
            symptoms: catch.symptoms,
            state: state.clone(),
            config: config.to_owned(),
            lessons: lessons.iter().map(Lesson::shallow_clone).collect(),
            steps: catch.steps,
        };
        incident.forget_unused();
        incident
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        severity(self.last(), &self.symptoms).unwrap_or(Severity::Warning)
    }

    /// Leaves out the steps of all iterations but the last.
    fn shorten(&mut self) {
        let last = self.last().input.global_step;
        self.steps.retain(|step| step.input.global_step == last);
        self.forget_unused();
    }

    fn forget_unused(&mut self) {
        let steps = &self.steps;
        let used = |lesson: &Lesson| {
            let mut steps = steps.iter();
            steps.any(|step| step.input.global_step == lesson.global_step)
        };
        self.lessons.retain(used);
    }

    /// The step in which the symptoms were seen.
    ///
    /// # Panics
    /// Never: an incident has a step.
    pub fn last(&self) -> &Tried {
        self.steps.last().expect("an incident has a step")
    }
}

/// How bad the incident of a folder is, without reading all of it; nothing where that cannot be
/// told.
pub fn incident_severity(folder: &Path) -> Option<Severity> {
    glance(folder).map(|(severity, _)| severity)
}

/// Severity and number of steps.
fn glance(folder: &Path) -> Option<(Severity, usize)> {
    let about = fs::read(folder.join(ABOUT)).ok()?;
    let about: serde_json::Value = serde_json::from_slice(&about).ok()?;
    let severity = serde_json::from_value(about.get("severity")?.clone()).ok()?;
    Some((severity, about.get("steps")?.as_array()?.len()))
}

impl LessonAbout {
    fn of(lesson: &Lesson) -> Self {
        Self {
            iteration: lesson.iteration,
            global_step: lesson.global_step,
            explained: lesson.explained,
            sequences: lesson.sequences.as_ref().map(|all| (all.length, all.envs)),
            taught: lesson.taught.clone(),
            waits: !lesson.waits.is_empty(),
        }
    }
}

impl Lesson {
    /// Shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        Self {
            rows: self.rows.shallow_clone(),
            sequences: self.sequences.as_ref().map(Sequences::shallow_clone),
            waits: self.waits.clone(),
            observation: self.observation.clone(),
            returns: self.returns.clone(),
            seen: self.seen.clone(),
            returned: self.returned.clone(),
            environments: self.environments.clone(),
            taught: self.taught.clone(),
            hidden: self.hidden.clone(),
            ..*self
        }
    }
}

fn read_lesson(
    file: &OpenTensors,
    index: usize,
    about: &LessonAbout,
    state: &SavedState,
    policy: &Policy,
) -> Result<Lesson, CheckpointError> {
    let name = |of: &str| format!("lesson.{index}.{of}");
    let train = &state.config.train;
    let (envs, horizon) = (train.num_envs as usize, train.horizon as usize);
    let (obs, width) = (policy.obs_dim(), columns(policy).width());
    let matrix = |name: &str, rows: usize, columns: usize| {
        let numbers = file.f32(name, &[rows, columns])?;
        Ok::<_, CheckpointError>(Tensor::from_slice(&numbers).view([-1, columns as i64]))
    };
    let length = state.config.sequence_length() as usize;
    let remembers = policy.state_len() > 0;
    if about.sequences != remembers.then_some((length, envs)) {
        return Err(file.broken(format!(
            "the sequences of rollout {index} are not those of the settings"
        )));
    }
    let waits: Vec<bool> = if about.waits {
        let waits = file.u64(&name("waits"))?;
        waits.into_iter().map(|waits| waits != 0).collect()
    } else {
        Vec::new()
    };
    if about.waits && (waits.len() != horizon * envs || !waits.contains(&false)) {
        return Err(file.broken(format!(
            "it does not say of each transition of rollout {index} whether it is learnt from"
        )));
    }
    let sequences = remembers.then(|| {
        let count = horizon / length * envs;
        Ok::<_, CheckpointError>(Sequences {
            hidden: matrix(&name("sequences.hidden"), count, policy.state_len())?,
            starts: Tensor::from_slice(&file.f32(&name("sequences.starts"), &[horizon * envs])?),
            waits: about.waits.then(|| waits_tensor(&waits)),
            length,
            envs,
        })
    });
    let environments = file.environments(&name("environment"))?;
    // Several robots may share one.
    if environments.is_empty() || !envs.is_multiple_of(environments.len()) {
        return Err(file.broken(format!(
            "there are {} environments in it, not {envs}",
            environments.len()
        )));
    }
    Ok(Lesson {
        iteration: about.iteration,
        global_step: about.global_step,
        explained: about.explained,
        rows: matrix(&name("rows"), horizon * envs, width)?,
        sequences: sequences.transpose()?,
        waits,
        observation: file.moments(&name("normaliser.observation"), obs)?,
        returns: file.moments(&name("normaliser.return"), 1)?,
        seen: file.moments(&name("seen.observation"), obs)?,
        returned: file.moments(&name("seen.return"), 1)?,
        environments,
        taught: about.taught.clone(),
        hidden: file.f32(&name("hidden"), &[envs * policy.state_len()])?,
    })
}

fn read_step(
    file: &OpenTensors,
    index: usize,
    about: StepAbout,
    lesson: &Lesson,
    state: &SavedState,
    policy: &Policy,
) -> Result<Tried, CheckpointError> {
    let name = |of: &str| format!("step.{index}.{of}");
    let vector = |of: &str, length: usize| {
        let numbers = file.f32(&name(of), &[length])?;
        Ok::<_, CheckpointError>(Tensor::from_slice(&numbers))
    };
    let length = policy.layout().len();
    let kept = state.config.train.optimiser.moments().iter();
    let moments = kept.map(|moment| {
        Ok(Moment {
            name: moment,
            tensor: vector(&format!("optimiser.{moment}"), length)?,
        })
    });
    let moments = moments.collect::<Result<Vec<Moment>, CheckpointError>>()?;
    let rows = lesson.rows.size()[0] as u64;
    let choices = lesson
        .sequences
        .as_ref()
        .map_or(rows, |all| rows / all.length as u64);
    if about.steps_taken > about.report.optimiser_step || about.report.optimiser_step > 1 << 48 {
        return Err(file.broken(format!("the counters of step {index} cannot be")));
    }
    let indices = file.u64(&name("indices"))?;
    if indices.is_empty() || indices.iter().any(|&index| index >= choices) {
        return Err(file.broken(format!(
            "the minibatch of step {index} is not of its rollout"
        )));
    }
    let indices: Vec<i64> = indices.into_iter().map(|index| index as i64).collect();
    let statistics = policy.initial_statistics().len();
    Ok(Tried {
        input: UpdateInput {
            global_step: lesson.global_step,
            optimiser_step: about.report.optimiser_step,
            parameters: vector("parameters", length)?,
            statistics: vector("statistics", statistics)?,
            optimiser: OptimiserState {
                moments,
                steps: about.steps_taken,
            },
            clip: about.clip,
            rows: lesson.rows.shallow_clone(),
            sequences: lesson.sequences.as_ref().map(Sequences::shallow_clone),
            indices: Tensor::from_slice(&indices),
            columns: columns(policy),
            objective: Objective::from(&state.config.train),
            learning_rate: about.learning_rate,
        },
        place: about.place,
        report: about.report,
        diverges: about.diverges,
        guard: about.guard,
        ruling: about.ruling,
    })
}

fn columns(policy: &Policy) -> Columns {
    Columns {
        obs: policy.obs_dim(),
        action: policy.action_dim(),
    }
}
