//! Which levels a policy is trained in: a curriculum.
//!
//! A *level* is an episode before anybody has played it: its layout, its movers, whatever else it
//! draws. Left alone, every training episode is a new one. A curriculum has levels played again
//! that a policy learns more from: those it is ready for, or those that it sometimes passes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LearnError, PolicyController};
use evenkeel_runs::eval::{EvalOptions, success_rates};
use evenkeel_runs::telemetry::CurriculumReport;
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::env::{EpisodeStats, LEVEL_ENV, LevelPlan};
use evenkeel_sim::scenario::{EpisodeKey, Layout, LayoutSampler, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// Which levels the policy is trained in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Curriculum {
    /// A new level in each episode, as the scenario draws them.
    #[default]
    Uniform,
    /// Easy levels first: levels of a pool that is sorted by difficulty (the figure that `scenario
    /// show` tells), more of it after each promotion; a new level in each episode after the last
    /// (Bengio et al. 2009, <https://doi.org/10.1145/1553374.1553380>).
    Difficulty(DifficultyCurriculum),
    /// Levels that are sometimes passed: sampling for learnability (Rutherford et al. 2024, "No
    /// Regrets", <https://arxiv.org/abs/2408.15099>). Every so often the policy as it is plays new
    /// levels several times; those with the highest p(1 − p), where p is its success rate in a
    /// level, are played again until the next time, mixed with new ones.
    Learnability(LearnabilityCurriculum),
}

/// Easy levels first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DifficultyCurriculum {
    /// Levels in the pool.
    pub levels: u32,
    /// Stages: in the first of n, the easiest n-th of the pool is played, in the second the easiest
    /// two, and so on; a promotion from the last leads to new levels of any difficulty.
    pub stages: u32,
    /// Success rate in training from which a stage is passed.
    pub promote_at: f64,
    /// Episodes over which it is taken, one such span after the other.
    pub window: u32,
}

impl Default for DifficultyCurriculum {
    fn default() -> Self {
        Self {
            levels: 1000,
            stages: 4,
            promote_at: 0.8,
            window: 1000,
        }
    }
}

/// Levels that are sometimes passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnabilityCurriculum {
    /// New levels that are appraised each time.
    pub candidates: u32,
    /// How many of them are played again.
    pub keep: u32,
    /// Rollouts in each, with actions drawn, that its success rate is taken from.
    pub rollouts: u32,
    /// Iterations between two appraisals. Their steps are not counted in `total_steps`;
    /// `curriculum/level_scoring_steps` tells how many there were.
    pub refresh_every: u32,
    /// Share of the training episodes that play a kept level; the others play new ones.
    pub share: f64,
}

impl Default for LearnabilityCurriculum {
    fn default() -> Self {
        Self {
            candidates: 500,
            keep: 100,
            rollouts: 8,
            refresh_every: 30,
            share: 0.5,
        }
    }
}

impl Curriculum {
    /// Refuses settings that cannot work.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let counts = |under: &str, counts: &[(&str, u32, u32, u32)]| {
            counts.iter().try_for_each(|&(name, value, min, max)| {
                let expected = format!("a whole number from {min} to {max}");
                let holds = (min..=max).contains(&value);
                InvalidSetting::ensure(holds, format!("{under}.{name}"), value, expected)
            })
        };
        let share = |name: &str, value: f64| {
            let holds = value > 0.0 && value <= 1.0;
            InvalidSetting::ensure(holds, name, value, "above 0 and at most 1")
        };
        match self {
            Self::Uniform => Ok(()),
            Self::Difficulty(by) => {
                let DifficultyCurriculum {
                    levels,
                    stages,
                    window,
                    ..
                } = *by;
                counts(
                    "difficulty",
                    &[
                        ("levels", levels, 1, 1_000_000),
                        ("stages", stages, 1, levels.min(1000)),
                        ("window", window, 1, 1_000_000_000),
                    ],
                )?;
                share("difficulty.promote_at", by.promote_at)
            }
            Self::Learnability(by) => {
                let LearnabilityCurriculum {
                    candidates,
                    keep,
                    rollouts,
                    refresh_every,
                    ..
                } = *by;
                counts(
                    "learnability",
                    &[
                        ("candidates", candidates, 1, 1_000_000),
                        ("keep", keep, 1, candidates),
                        ("rollouts", rollouts, 2, 10_000),
                        ("refresh_every", refresh_every, 1, u32::MAX),
                    ],
                )?;
                share("learnability.share", by.share)
            }
        }
    }
}

/// How far a curriculum has come: all that decides which levels are next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurriculumState {
    /// Levels that are played again, and have to be kept.
    kept: Vec<u64>,
    /// Promotions so far.
    stage: u32,
    /// Episodes of the span that has begun, and those of them that reached the goal.
    episodes: u64,
    successes: u64,
    /// Appraisals so far.
    appraisals: u64,
    /// Environment steps in them.
    level_scoring_steps: u64,
    /// Mean p(1 − p) of the kept levels, and success rate of all candidates.
    learnability: Option<f64>,
    candidate_success_rate: Option<f64>,
}

/// What a rollout was told to play, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurriculumPlan {
    pub(super) plan: LevelPlan,
    /// How far the curriculum had come.
    pub(super) state: CurriculumState,
}

/// Chooses the levels of a run.
pub(super) struct CurriculumScheduler {
    curriculum: Curriculum,
    seed: RootSeed,
    threads: usize,
    scenario: Arc<Scenario>,
    /// Sorted by difficulty, each with it.
    pool: Vec<(f32, u64)>,
    state: CurriculumState,
}

impl CurriculumScheduler {
    /// A teacher that goes on from `state`; nothing where every level is new.
    ///
    /// # Errors
    /// If the environments have no levels.
    pub(super) fn new(
        curriculum: Curriculum,
        state: CurriculumState,
        scenario: Option<&Arc<Scenario>>,
        seed: RootSeed,
        threads: usize,
    ) -> Result<Option<Self>, LearnError> {
        if curriculum == Curriculum::Uniform {
            return Ok(None);
        }
        let scenario = Arc::clone(scenario.ok_or(LearnError::NoLevels)?);
        let pool = match curriculum {
            Curriculum::Difficulty(by) => by_difficulty(&scenario, seed, by.levels),
            _ => Vec::new(),
        };
        Ok(Some(Self {
            curriculum,
            seed,
            threads,
            scenario,
            pool,
            state,
        }))
    }

    pub(super) fn state(&self) -> &CurriculumState {
        &self.state
    }

    /// Gets ready for an iteration, counted from 0: appraises new levels, where it is time to.
    /// `controller` is the policy as it is.
    pub(super) fn prepare(
        &mut self,
        iteration: u64,
        controller: impl FnOnce() -> PolicyController,
    ) -> Result<(), LearnError> {
        let Curriculum::Learnability(by) = self.curriculum else {
            return Ok(());
        };
        if !iteration.is_multiple_of(by.refresh_every.into()) {
            return Ok(());
        }
        let state = &mut self.state;
        let count = u64::from(by.candidates);
        let options = EvalOptions {
            first: state.appraisals * count,
            seed: self.seed,
            split: Split::Train,
            threads: self.threads,
            ..EvalOptions::for_selection(count)
        };
        let mut controller = controller().stochastic(self.seed, Split::Train);
        let rollouts = 0..by.rollouts.into();
        let played = success_rates(&self.scenario, &mut controller, &options, rollouts)
            .map_err(|error| LearnError::Evaluate(error.into()))?;
        let mut levels: Vec<(f64, u64)> = played
            .rates
            .iter()
            .map(|p| p * (1.0 - p))
            .zip(options.first..)
            .collect();
        // Of equals, the first: an order that no machine changes.
        levels.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        levels.truncate(by.keep as usize);
        let mean = |sum: f64, count: usize| Some(sum / count as f64);
        state.learnability = mean(levels.iter().map(|(l, _)| l).sum(), levels.len());
        state.candidate_success_rate = mean(played.rates.iter().sum(), played.rates.len());
        state.kept = levels.into_iter().map(|(_, level)| level).collect();
        state.appraisals += 1;
        state.level_scoring_steps += played.steps;
        Ok(())
    }

    /// What is played in an iteration, counted from 0.
    pub(super) fn plan_iteration(&self, iteration: u64) -> CurriculumPlan {
        CurriculumPlan {
            // Round 0 is what the environments begin with, before the first.
            plan: self.plan_of_round(iteration + 1),
            state: self.state.clone(),
        }
    }

    /// What the environments begin with.
    pub(super) fn first_plan(&self) -> LevelPlan {
        self.plan_of_round(0)
    }

    fn plan_of_round(&self, round: u64) -> LevelPlan {
        let (replayed, share) = match self.curriculum {
            Curriculum::Uniform => (Vec::new(), 0.0),
            Curriculum::Difficulty(_) => (
                self.unlocked_levels().iter().map(|&(_, l)| l).collect(),
                1.0,
            ),
            Curriculum::Learnability(by) => (self.state.kept.clone(), by.share),
        };
        LevelPlan {
            seed: self.seed,
            round,
            replayed,
            share,
        }
    }

    /// The part of the pool that this stage plays; nothing after the last.
    fn unlocked_levels(&self) -> &[(f32, u64)] {
        let Curriculum::Difficulty(by) = self.curriculum else {
            return &[];
        };
        let stage = self.state.stage as usize;
        if stage < by.stages as usize {
            &self.pool[..(self.pool.len() * (stage + 1)).div_ceil(by.stages as usize)]
        } else {
            &[]
        }
    }

    /// Hears how the episodes of an iteration ended.
    pub(super) fn observe(&mut self, stats: &EpisodeStats) {
        let Curriculum::Difficulty(by) = self.curriculum else {
            return;
        };
        let state = &mut self.state;
        state.episodes += stats.episodes;
        state.successes += stats.outcomes[0];
        if state.stage < by.stages && state.episodes >= u64::from(by.window) {
            let rate = state.successes as f64 / state.episodes as f64;
            state.stage += u32::from(rate >= by.promote_at);
            (state.episodes, state.successes) = (0, 0);
        }
    }

    /// What is told of it.
    pub(super) fn report(&self) -> CurriculumReport {
        let state = &self.state;
        let by_difficulty = matches!(self.curriculum, Curriculum::Difficulty(_));
        let max_difficulty = self
            .unlocked_levels()
            .last()
            .map(|&(difficulty, _)| f64::from(difficulty));
        CurriculumReport {
            stage: by_difficulty.then_some(state.stage),
            max_difficulty: max_difficulty.filter(|difficulty| difficulty.is_finite()),
            learnability: state.learnability,
            candidate_success_rate: state.candidate_success_rate,
            level_scoring_steps: (state.appraisals > 0).then_some(state.level_scoring_steps),
        }
    }
}

/// The first levels of a run, the easiest first. One that has no difficulty comes last, one that
/// cannot be placed not at all.
fn by_difficulty(scenario: &Scenario, root: RootSeed, count: u32) -> Vec<(f32, u64)> {
    let mut sampler = LayoutSampler::default();
    let mut layout = Layout::default();
    let mut pool = Vec::with_capacity(count as usize);
    for level in 0..u64::from(count) {
        let key = EpisodeKey {
            root,
            split: Split::Train,
            env: LEVEL_ENV,
            episode: level,
        };
        if sampler.sample(scenario, key, &mut layout).is_ok() {
            let difficulty = sampler.difficulty(&layout);
            pool.push((difficulty.unwrap_or(f32::INFINITY), level));
        }
    }
    pool.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    pool
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::env::Outcome;

    fn scheduler(curriculum: Curriculum) -> CurriculumScheduler {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("reference", &[]).unwrap());
        let state = CurriculumState::default();
        CurriculumScheduler::new(curriculum, state, Some(&scenario), 5, 1)
            .unwrap()
            .expect("there is something to teach")
    }

    fn ended(successes: u64, failures: u64) -> EpisodeStats {
        let mut stats = EpisodeStats::default();
        (0..successes).for_each(|_| stats.record(Outcome::Goal, 1.0, 10));
        (0..failures).for_each(|_| stats.record(Outcome::CollisionStatic, 0.0, 10));
        stats
    }

    #[test]
    fn easy_levels_come_first_and_harder_ones_are_earned() {
        let by = DifficultyCurriculum {
            levels: 40,
            stages: 4,
            promote_at: 0.75,
            window: 20,
        };
        let mut scheduler = scheduler(Curriculum::Difficulty(by));
        assert_eq!(scheduler.plan_iteration(0).plan.replayed.len(), 10);
        let max_difficulty =
            |scheduler: &CurriculumScheduler| scheduler.report().max_difficulty.unwrap();
        let first = max_difficulty(&scheduler);
        // Too few episodes, then too few of them passed: no promotion.
        scheduler.observe(&ended(12, 0));
        scheduler.observe(&ended(0, 8));
        assert_eq!(scheduler.report().stage, Some(0));
        scheduler.observe(&ended(15, 5));
        assert_eq!(scheduler.report().stage, Some(1));
        assert_eq!(scheduler.plan_iteration(1).plan.replayed.len(), 20);
        assert!(max_difficulty(&scheduler) > first);
        for _ in 0..3 {
            scheduler.observe(&ended(20, 0));
        }
        assert_eq!(scheduler.report().stage, Some(4));
        assert!(
            scheduler.plan_iteration(9).plan.replayed.is_empty(),
            "all is new in the end"
        );
        scheduler.observe(&ended(20, 0));
        assert_eq!(scheduler.report().stage, Some(4));
    }

    #[test]
    fn a_pool_is_sorted_by_what_the_sampler_says() {
        let by = DifficultyCurriculum {
            levels: 30,
            ..DifficultyCurriculum::default()
        };
        let scheduler = scheduler(Curriculum::Difficulty(by));
        assert_eq!(scheduler.pool.len(), 30);
        assert!(
            scheduler
                .pool
                .is_sorted_by_key(|&(difficulty, _)| difficulty)
        );
        let (easiest, hardest) = (scheduler.pool[0].0, scheduler.pool[29].0);
        assert!(hardest > easiest + 0.1, "{easiest} to {hardest}");
    }

    #[test]
    fn environments_without_levels_are_refused() {
        let curriculum = Curriculum::Learnability(LearnabilityCurriculum::default());
        let refused = CurriculumScheduler::new(curriculum, CurriculumState::default(), None, 0, 1);
        assert!(matches!(refused, Err(LearnError::NoLevels)));
        let uniform =
            CurriculumScheduler::new(Curriculum::Uniform, CurriculumState::default(), None, 0, 1);
        assert!(uniform.unwrap().is_none());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |curriculum: Curriculum| curriculum.check().unwrap_err().path;
        let by = LearnabilityCurriculum::default();
        let keep = LearnabilityCurriculum { keep: 501, ..by };
        assert_eq!(refused(Curriculum::Learnability(keep)), "learnability.keep");
        let share = LearnabilityCurriculum { share: 0.0, ..by };
        assert_eq!(
            refused(Curriculum::Learnability(share)),
            "learnability.share"
        );
        let stages = DifficultyCurriculum {
            levels: 3,
            ..DifficultyCurriculum::default()
        };
        assert_eq!(refused(Curriculum::Difficulty(stages)), "difficulty.stages");
        for good in [
            Curriculum::Uniform,
            Curriculum::Learnability(by),
            Curriculum::Difficulty(DifficultyCurriculum::default()),
        ] {
            assert!(good.check().is_ok());
        }
    }
}
