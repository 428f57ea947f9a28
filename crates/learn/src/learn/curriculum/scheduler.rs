//! Chooses the levels of a run, as a [`Curriculum`] says.

use std::sync::Arc;

use super::{Curriculum, CurriculumPlan, CurriculumState};
use crate::learn::{LearnError, PolicyController};
use evenkeel_runs::eval::{EvalOptions, success_rates};
use evenkeel_runs::telemetry::CurriculumReport;
use evenkeel_sim::env::{EpisodeStats, LEVEL_ENV, LevelPlan};
use evenkeel_sim::scenario::{EpisodeKey, Layout, LayoutSampler, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// Chooses the levels of a run.
pub(in crate::learn) struct CurriculumScheduler {
    curriculum: Curriculum,
    seed: RootSeed,
    threads: usize,
    scenario: Arc<Scenario>,
    /// Difficulties and levels, sorted by difficulty.
    pool: Vec<(f32, u64)>,
}

impl CurriculumScheduler {
    /// `None` where every level is new.
    ///
    /// # Errors
    /// If the environments have no levels.
    pub(in crate::learn) fn new(
        curriculum: Curriculum,
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
        }))
    }

    /// Whether new levels are scored before an iteration, counted from 0.
    pub(in crate::learn) fn scores_levels(&self, iteration: u64) -> bool {
        match self.curriculum {
            Curriculum::Learnability(by) => iteration.is_multiple_of(by.refresh_every.into()),
            Curriculum::Uniform | Curriculum::Difficulty(_) => false,
        }
    }

    /// Lets the current policy play new levels, and keeps those that it learns most from.
    pub(in crate::learn) fn score_levels(
        &self,
        state: &mut CurriculumState,
        controller: PolicyController,
    ) -> Result<(), LearnError> {
        let Curriculum::Learnability(by) = self.curriculum else {
            return Ok(());
        };
        let count = u64::from(by.candidates);
        let options = EvalOptions {
            first: state.scorings * count,
            seed: self.seed,
            split: Split::Train,
            threads: self.threads,
            ..EvalOptions::for_selection(count)
        };
        let mut controller = controller.stochastic(self.seed, Split::Train);
        let rollouts = 0..by.rollouts.into();
        let played = success_rates(&self.scenario, &mut controller, &options, rollouts)
            .map_err(|error| LearnError::Evaluate(error.into()))?;
        let mut levels: Vec<(f64, u64)> = played
            .rates
            .iter()
            .map(|p| p * (1.0 - p))
            .zip(options.first..)
            .collect();
        // The sort is stable: of equal levels the first is kept, on any machine.
        levels.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        levels.truncate(by.keep as usize);
        let mean = |sum: f64, count: usize| Some(sum / count as f64);
        state.learnability = mean(levels.iter().map(|(l, _)| l).sum(), levels.len());
        state.candidate_success_rate = mean(played.rates.iter().sum(), played.rates.len());
        state.replayed = levels.into_iter().map(|(_, level)| level).collect();
        state.scorings += 1;
        state.level_scoring_steps += played.steps;
        Ok(())
    }

    /// The levels of an iteration, counted from 0.
    pub(in crate::learn) fn plan_iteration(
        &self,
        state: &CurriculumState,
        iteration: u64,
    ) -> CurriculumPlan {
        CurriculumPlan {
            // Round 0 is for the first episodes, before the first iteration.
            plan: self.plan_of_round(state, iteration + 1),
            state: state.clone(),
        }
    }

    /// The levels that the environments start with.
    pub(in crate::learn) fn first_plan(&self, state: &CurriculumState) -> LevelPlan {
        self.plan_of_round(state, 0)
    }

    fn plan_of_round(&self, state: &CurriculumState, round: u64) -> LevelPlan {
        let (replayed, share) = match self.curriculum {
            Curriculum::Uniform => (Vec::new(), 0.0),
            Curriculum::Difficulty(_) => {
                let unlocked = self.unlocked_levels(state).iter();
                (unlocked.map(|&(_, level)| level).collect(), 1.0)
            }
            Curriculum::Learnability(by) => (state.replayed.clone(), by.share),
        };
        LevelPlan {
            seed: self.seed,
            round,
            replayed,
            share,
        }
    }

    /// The part of the pool that this stage plays; empty after the last stage.
    fn unlocked_levels(&self, state: &CurriculumState) -> &[(f32, u64)] {
        let Curriculum::Difficulty(by) = self.curriculum else {
            return &[];
        };
        let stage = state.stage as usize;
        if stage < by.stages as usize {
            &self.pool[..(self.pool.len() * (stage + 1)).div_ceil(by.stages as usize)]
        } else {
            &[]
        }
    }

    /// Counts the episodes that ended in an iteration, and promotes where enough succeeded.
    pub(in crate::learn) fn observe(&self, state: &mut CurriculumState, stats: &EpisodeStats) {
        let Curriculum::Difficulty(by) = self.curriculum else {
            return;
        };
        state.episodes += stats.episodes;
        state.successes += stats.outcomes[0];
        if state.stage < by.stages && state.episodes >= u64::from(by.window) {
            let rate = state.successes as f64 / state.episodes as f64;
            state.stage += u32::from(rate >= by.promote_at);
            (state.episodes, state.successes) = (0, 0);
        }
    }

    /// The curriculum's part of an iteration's report.
    pub(in crate::learn) fn report(&self, state: &CurriculumState) -> CurriculumReport {
        let by_difficulty = matches!(self.curriculum, Curriculum::Difficulty(_));
        let max_difficulty = self
            .unlocked_levels(state)
            .last()
            .map(|&(difficulty, _)| f64::from(difficulty));
        CurriculumReport {
            stage: by_difficulty.then_some(state.stage),
            max_difficulty: max_difficulty.filter(|difficulty| difficulty.is_finite()),
            learnability: state.learnability,
            candidate_success_rate: state.candidate_success_rate,
            level_scoring_steps: (state.scorings > 0).then_some(state.level_scoring_steps),
        }
    }
}

/// The first `count` levels of a run, sorted by difficulty. A level without a difficulty comes
/// last, and one that cannot be placed is left out.
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
    use crate::learn::{DifficultyCurriculum, LearnabilityCurriculum};
    use evenkeel_sim::env::Outcome;

    fn scheduler(curriculum: Curriculum) -> CurriculumScheduler {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("reference", &[]).unwrap());
        CurriculumScheduler::new(curriculum, Some(&scenario), 5, 1)
            .unwrap()
            .expect("this curriculum has levels")
    }

    fn ended(successes: u64, failures: u64) -> EpisodeStats {
        let mut stats = EpisodeStats::default();
        (0..successes).for_each(|_| stats.record(Outcome::Goal, 1.0, 10));
        (0..failures).for_each(|_| stats.record(Outcome::CollisionStatic, 0.0, 10));
        stats
    }

    #[test]
    fn success_unlocks_harder_levels() {
        let by = DifficultyCurriculum {
            levels: 40,
            stages: 4,
            promote_at: 0.75,
            window: 20,
        };
        let scheduler = scheduler(Curriculum::Difficulty(by));
        let mut state = CurriculumState::default();
        let levels = |state: &CurriculumState| scheduler.plan_iteration(state, 0).plan.replayed;
        let stage = |state: &CurriculumState| scheduler.report(state).stage;
        let max_difficulty =
            |state: &CurriculumState| scheduler.report(state).max_difficulty.unwrap();
        assert_eq!(levels(&state).len(), 10);
        let first = max_difficulty(&state);
        // Too few episodes, then too few successes: no promotion.
        scheduler.observe(&mut state, &ended(12, 0));
        scheduler.observe(&mut state, &ended(0, 8));
        assert_eq!(stage(&state), Some(0));
        scheduler.observe(&mut state, &ended(15, 5));
        assert_eq!(stage(&state), Some(1));
        assert_eq!(levels(&state).len(), 20);
        assert!(max_difficulty(&state) > first);
        for _ in 0..3 {
            scheduler.observe(&mut state, &ended(20, 0));
        }
        assert_eq!(stage(&state), Some(4));
        assert!(levels(&state).is_empty(), "every level is new in the end");
        scheduler.observe(&mut state, &ended(20, 0));
        assert_eq!(stage(&state), Some(4));
    }

    #[test]
    fn a_pool_is_sorted_by_difficulty() {
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
        let refused = CurriculumScheduler::new(curriculum, None, 0, 1);
        assert!(matches!(refused, Err(LearnError::NoLevels)));
        let uniform = CurriculumScheduler::new(Curriculum::Uniform, None, 0, 1);
        assert!(uniform.unwrap().is_none());
    }
}
