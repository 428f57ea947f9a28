//! Which levels a policy is trained in: a curriculum.
//!
//! A *level* is everything that defines an episode before it is played: its layout, its movers and
//! all other random draws. Without a curriculum, every training episode is a new level. A
//! curriculum replays levels that a policy learns more from: those of a suitable difficulty, or
//! those in which it succeeds sometimes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::env::LevelPlan;

pub(super) mod scheduler;

/// Which levels the policy is trained in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Curriculum {
    /// A new level in each episode, drawn by the scenario.
    #[default]
    Uniform,
    /// Easy levels first (Bengio et al. 2009, <https://doi.org/10.1145/1553374.1553380>). Episodes
    /// play the easiest part of a pool that is sorted by difficulty (the number that `scenario show`
    /// prints), a larger part after each promotion, and new levels after the last one.
    Difficulty(DifficultyCurriculum),
    /// Levels in which the policy succeeds sometimes: sampling for learnability (Rutherford et al.
    /// 2024, "No Regrets", <https://arxiv.org/abs/2408.15099>). At regular intervals the current
    /// policy plays new levels several times. Those with the highest p(1 − p), where p is its
    /// success rate in a level, are replayed until the next time, mixed with new ones.
    Learnability(LearnabilityCurriculum),
}

/// Settings of [`Curriculum::Difficulty`]: easy levels first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DifficultyCurriculum {
    /// Levels in the pool.
    pub levels: u32,
    /// Number of stages, n. Stage k plays the easiest k n-ths of the pool; after the last stage,
    /// every level is new and of any difficulty.
    pub stages: u32,
    /// Success rate in training that promotes to the next stage.
    pub promote_at: f64,
    /// Episodes over which the success rate is taken, one window after the other.
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

/// Settings of [`Curriculum::Learnability`]: levels in which the policy succeeds sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnabilityCurriculum {
    /// New levels that are scored each time.
    pub candidates: u32,
    /// How many of them are replayed.
    pub keep: u32,
    /// Episodes in each level, with sampled actions, that its success rate is taken from.
    pub rollouts: u32,
    /// Iterations between two scorings. Their steps are not counted in `total_steps`, but in
    /// `curriculum/level_scoring_steps`.
    pub refresh_every: u32,
    /// Share of the training episodes that replay a level; the others play new ones.
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
    /// Refuses invalid settings.
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

/// Progress of a curriculum: everything that decides which levels are next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurriculumState {
    /// Levels that are replayed.
    replayed: Vec<u64>,
    /// Promotions so far.
    stage: u32,
    /// Episodes of the current window, and those of them that reached the goal.
    episodes: u64,
    successes: u64,
    /// Scorings so far.
    scorings: u64,
    /// Environment steps of these scorings.
    level_scoring_steps: u64,
    /// Mean p(1 − p) of the replayed levels, and success rate in all candidates.
    learnability: Option<f64>,
    candidate_success_rate: Option<f64>,
}

/// The levels of a rollout, and the curriculum state that chose them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurriculumPlan {
    pub(super) plan: LevelPlan,
    /// Progress of the curriculum at that time.
    pub(super) state: CurriculumState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_refused() {
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
