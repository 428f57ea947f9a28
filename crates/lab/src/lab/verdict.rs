//! A scorecard in words: which arm did better, by how much, with which certainty, and which reasons
//! the logs suggest. Arm names are in backticks, so that a renderer can format them.

mod gradients;
mod instability;

use std::collections::BTreeMap;

use serde::Serialize;

use gradients::{clipping_sentence, gradient_tail_sentence};
use instability::instability_sentences;

use super::{
    ArmDifference, ArmScore, PairedDifference, Proportion, RunScore, Scorecard, SettingDifference,
};
use evenkeel_runs::stats::{DifferenceFinding, MIN_SEEDS};
use evenkeel_runs::telemetry::Symptom;
use evenkeel_runs::telemetry::format::{ABSENT, counted, percent, points};

/// A scorecard in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What must be known first: runs that are left out.
    pub notices: Vec<String>,
    /// Which arm did better, in one sentence.
    pub headline: String,
    /// By how much and with which certainty: one sentence for each other arm.
    pub findings: Vec<String>,
    /// Reasons that the logs suggest.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Describes a scorecard.
    pub fn new(card: &Scorecard) -> Self {
        let findings: Vec<String> = if !card.mismatches.is_empty() {
            vec!["The values are shown side by side, and nothing is claimed.".into()]
        } else if card.arms.len() < 2 {
            card.arms.iter().filter_map(single_arm_sentence).collect()
        } else {
            let sentences = card.differences.iter().flat_map(|difference| {
                let comparison = comparison_sentence(card, difference);
                std::iter::once(comparison).chain(last_checkpoint_sentence(difference))
            });
            sentences.collect()
        };
        let reasons_of = |arm| {
            let mut reasons = instability_sentences(arm);
            reasons.extend(symptom_sentence(arm));
            reasons.extend(clipping_sentence(arm));
            reasons.extend(gradient_tail_sentence(arm));
            reasons
        };
        // Arms with divergences, collapses or falls first.
        let mut arms: Vec<&ArmScore> = card.arms.iter().collect();
        arms.sort_by_key(|arm| arm.diverged.count + arm.collapsed.count + arm.fell.count == 0);
        let mut reasons: Vec<String> = arms.into_iter().flat_map(reasons_of).collect();
        reasons.extend(card.differences.iter().filter_map(learning_speed_sentence));
        reasons.extend(settings_sentence(card));
        Self {
            notices: excluded_runs_sentence(card).into_iter().collect(),
            headline: headline(card),
            findings,
            reasons,
        }
    }
}

/// Which arms were stable, and which did better.
fn headline(card: &Scorecard) -> String {
    let success = success_sentence(card);
    if card.arms.is_empty() || !card.mismatches.is_empty() {
        return success;
    }
    let stability = stability_sentence(card);
    match card.arms.as_slice() {
        // All runs of the only arm diverged, so its success is 0 by definition.
        [only] if only.diverged.count == only.diverged.total => stability,
        _ => format!("{stability} {success}"),
    }
}

/// Which arm did better.
fn success_sentence(card: &Scorecard) -> String {
    let Some(first) = card.arms.first() else {
        return "No runs to compare.".into();
    };
    if !card.mismatches.is_empty() {
        let what = card.mismatches.join("; ");
        return format!("These runs cannot be compared because they differ in {what}.");
    }
    if card.arms.len() < 2 {
        return match first.success {
            Some(success) => {
                let best = percent(success.value);
                let last = first.last_success.map_or(String::new(), |last| {
                    format!(", in {} with the last", percent(last.value))
                });
                format!(
                    "`{}` reaches the goal in {best} of held-out episodes with the best \
                     checkpoint{last}.",
                    first.arm
                )
            }
            None => format!("`{}` has not been evaluated yet.", first.arm),
        };
    }
    let others = |wanted: Option<DifferenceFinding>| {
        let names = card
            .differences
            .iter()
            .filter(|difference| difference.success.map(|success| success.finding) == wanted);
        list_or_count(
            names
                .map(|difference| format!("`{}`", difference.other))
                .collect(),
            "other arms",
        )
    };
    // A finding is about the first arm: `Higher` means that the first arm's success is higher.
    let a = &first.arm;
    let parts = [
        others(Some(DifferenceFinding::Higher)).map(|b| format!("`{a}` did better than {b}")),
        others(Some(DifferenceFinding::Lower)).map(|b| format!("{b} did better than `{a}`")),
        others(Some(DifferenceFinding::NoDifference))
            .map(|b| format!("no difference in success was found between `{a}` and {b}")),
        others(Some(DifferenceFinding::TooFewSeeds)).map(|b| {
            format!("too few seeds to claim a difference in success between `{a}` and {b}")
        }),
        others(None)
            .map(|b| format!("`{a}` and {b} have no finished and evaluated seed in common yet")),
    ];
    let sentence = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    format!("{}.", capitalised(&sentence))
}

/// How many runs of each arm diverged, collapsed, or ended far below their best.
fn stability_sentence(card: &Scorecard) -> String {
    let clause = |verb: &str, of: fn(&ArmScore) -> Proportion| {
        let (mut unstable, stable): (Vec<&ArmScore>, Vec<&ArmScore>) =
            card.arms.iter().partition(|arm| of(arm).count > 0);
        unstable.sort_by(|a, b| of(b).estimate.value.total_cmp(&of(a).estimate.value));
        let counts = unstable.iter().map(|arm| {
            let Proportion { count, total, .. } = of(arm);
            match total {
                1 => format!("`{}` {verb} in its one run", arm.arm),
                _ => format!(
                    "`{}` {verb} in {count} of {}",
                    arm.arm,
                    counted(total, "run")
                ),
            }
        });
        let counts = list_or_count(counts.collect(), &format!("arms {verb} in some run"))?;
        let stable_names = stable.iter().map(|arm| format!("`{}`", arm.arm)).collect();
        Some(match list_or_count(stable_names, "arms") {
            Some(stable_names) => format!("{counts}, {stable_names} in none"),
            None => counts,
        })
    };
    let clauses = [
        clause("diverged", |arm| arm.diverged),
        clause("collapsed", |arm| arm.collapsed),
        clause("ended far below its best", fell_without_collapse),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    if clauses.is_empty() {
        "No run diverged, collapsed or ended far below its best.".into()
    } else {
        format!("{}.", clauses.join("; "))
    }
}

/// Runs that ended far below their best, without those that collapsed.
fn fell_without_collapse(arm: &ArmScore) -> Proportion {
    let fell = |run: &&RunScore| run.fall.is_some() && run.collapsed.is_none();
    Proportion::new(arm.runs.iter().filter(fell).count(), arm.runs.len())
}

/// The excluded runs and those kept instead.
fn excluded_runs_sentence(card: &Scorecard) -> Option<String> {
    const MAX_NAMED: usize = 4;
    let names = card.excluded_runs.iter().take(MAX_NAMED);
    let mut names: Vec<String> = names
        .map(|excluded| format!("{} (for {})", excluded.run, excluded.kept_run))
        .collect();
    let excluded = card.excluded_runs.len();
    if excluded > MAX_NAMED {
        names.push(format!("{} more", excluded - MAX_NAMED));
    }
    let names = join_list(names)?;
    let kept: usize = card.arms.iter().map(|arm| arm.runs.len()).sum();
    let verb = if excluded == 1 { "is" } else { "are" };
    Some(format!(
        "{excluded} of {} {verb} left out, for another run with the same settings and seed: {names}. \
         A seed counts once; the finished or newer run is kept.",
        counted(kept + excluded, "run"),
    ))
}

/// The certainty of the success of a single arm.
fn single_arm_sentence(arm: &ArmScore) -> Option<String> {
    let success = arm.success?;
    let seeds = arm.runs.iter().filter(|run| run.success.is_some()).count();
    Some(match success.interval() {
        Some(interval) => {
            let [low, high] = interval.map(percent);
            format!(
                "95 % confidence interval of the best checkpoints over {seeds} seeds: {low} to {high}."
            )
        }
        None => format!(
            "The result of another seed cannot be predicted from {}.",
            counted(seeds, "seed")
        ),
    })
}

/// The difference in success between two arms.
fn comparison_sentence(card: &Scorecard, difference: &ArmDifference) -> String {
    let (a, b) = (&difference.arm, &difference.other);
    let Some(paired) = difference.success else {
        let not_evaluated = card
            .arms
            .iter()
            .filter(|arm| [a, b].contains(&&arm.arm))
            .filter(|arm| arm.runs.iter().all(|run| run.success.is_none()));
        let not_evaluated: Vec<String> =
            not_evaluated.map(|arm| format!("`{}`", arm.arm)).collect();
        let verb = if not_evaluated.len() == 1 {
            "is"
        } else {
            "are"
        };
        let not_evaluated = join_list(not_evaluated).map_or(String::new(), |arms| {
            format!("; {arms} {verb} not evaluated")
        });
        return format!(
            "`{a}` and `{b}` have no finished and evaluated seed in common yet{not_evaluated}."
        );
    };
    let seeds = paired.seeds;
    let last = |mean: fn(&PairedDifference) -> f64| {
        let last = difference.last_success.as_ref();
        last.map_or(String::new(), |last| {
            format!(" (last checkpoint {})", percent(mean(last)))
        })
    };
    let rates = format!(
        "on average {}{} of held-out episodes reach the goal with `{a}`, {}{} with `{b}`",
        percent(paired.mean),
        last(|last| last.mean),
        percent(paired.other_mean),
        last(|last| last.other_mean),
    );
    let interval = paired.difference.interval().map_or(ABSENT.into(), |ends| {
        let [low, high] = ends.map(points);
        format!("{low} to {high}")
    });
    let difference = points(paired.difference.value);
    let probability = percent(paired.probability_greater.value);
    match paired.finding {
        DifferenceFinding::TooFewSeeds => format!(
            "With {} nothing is claimed (at least {MIN_SEEDS} are needed); so far {rates} \
             ({difference} points).",
            counted(seeds, "seed")
        ),
        DifferenceFinding::NoDifference => format!(
            "No difference found with {seeds} seeds: {rates}; the difference is {difference} points, with \
             a 95 % confidence interval from {interval} that contains 0."
        ),
        DifferenceFinding::Higher | DifferenceFinding::Lower => format!(
            "{}: a difference of {difference} points (95 % confidence interval {interval}, {seeds} paired \
             seeds). The probability that a run of `{a}` beats one of `{b}` is {probability}.",
            capitalised(&rates),
        ),
    }
}

/// The difference in success between the last checkpoints of two arms, where it is another finding
/// than that of the best ones.
fn last_checkpoint_sentence(difference: &ArmDifference) -> Option<String> {
    let last = difference.last_success?;
    if Some(last.finding) == difference.success.map(|best| best.finding) {
        return None;
    }
    let (a, b) = (&difference.arm, &difference.other);
    let result = match last.finding {
        DifferenceFinding::Higher => format!("`{a}` did better than `{b}`"),
        DifferenceFinding::Lower => format!("`{b}` did better than `{a}`"),
        DifferenceFinding::NoDifference => {
            format!("no difference between `{a}` and `{b}` was found")
        }
        DifferenceFinding::TooFewSeeds => return None,
    };
    let [low, high] = last.difference.interval()?.map(points);
    Some(format!(
        "With the last checkpoints {result}: {} points (95 % confidence interval {low} to {high}, {} \
         paired seeds).",
        points(last.difference.value),
        last.seeds
    ))
}

/// The symptoms in an arm's runs, if there are any.
fn symptom_sentence(arm: &ArmScore) -> Option<String> {
    let mut symptoms: BTreeMap<Symptom, (usize, u64)> = BTreeMap::new();
    for event in arm.runs.iter().flat_map(|run| &run.symptoms) {
        let (runs, first) = symptoms.entry(event.symptom).or_insert((0, u64::MAX));
        *runs += 1;
        *first = event.optimiser_step.min(*first);
    }
    let all = counted(arm.runs.len(), "run");
    let symptoms = symptoms.into_iter().map(|(symptom, (runs, first))| {
        format!("{symptom} in {runs} of {all} (first at optimiser step {first})")
    });
    let symptoms = join_list(symptoms.collect())?;
    let none_diverged = if arm.diverged.count == 0 && arm.runs.iter().any(RunScore::had_spike) {
        " None of these runs diverged."
    } else {
        ""
    };
    Some(format!(
        "`{}`: the detectors saw {symptoms}.{none_diverged}",
        arm.arm
    ))
}

/// Which of two arms learned faster, if there is a difference.
fn learning_speed_sentence(difference: &ArmDifference) -> Option<String> {
    let paired = difference.area_under_curve?;
    let (a, b) = (&difference.arm, &difference.other);
    let value = paired.difference.value;
    let [low, high] = paired.difference.interval()?;
    // The difference of the faster arm from the slower one is positive.
    let (faster, slower, [value, low, high]) = match paired.finding {
        DifferenceFinding::Higher => (a, b, [value, low, high]),
        DifferenceFinding::Lower => (b, a, [-value, -high, -low]),
        DifferenceFinding::NoDifference | DifferenceFinding::TooFewSeeds => return None,
    };
    let without_plus = |share| points(share).trim_start_matches('+').to_owned();
    let [value, low, high] = [value, low, high].map(without_plus);
    Some(format!(
        "`{faster}` learned faster than `{slower}`: its mean success during training is {value} \
         points higher (95 % confidence interval {low} to {high}).",
    ))
}

/// The settings in which the arms differ.
fn settings_sentence(card: &Scorecard) -> Option<String> {
    if card.arms.len() < 2 {
        return None;
    }
    let paths = |settings: &[SettingDifference]| {
        join_list(
            settings
                .iter()
                .map(|setting| setting.path.clone())
                .collect(),
        )
    };
    Some(match card.settings.as_slice() {
        [] => "No setting that can change a result differs.".into(),
        [one] => format!("One setting differs: {}.", one.path),
        several => format!(
            "{} settings differ ({}); a comparison cannot show which of several settings matters.",
            several.len(),
            paths(several)?,
        ),
    })
}

/// A list of up to five items, or the number of items of this kind.
fn list_or_count(items: Vec<String>, what: &str) -> Option<String> {
    const MAX_LISTED: usize = 5;
    match items.len() {
        count if count > MAX_LISTED => Some(format!("{count} {what}")),
        _ => join_list(items),
    }
}

/// `a`, `a and b`, `a, b and c`; nothing for an empty list.
fn join_list(mut items: Vec<String>) -> Option<String> {
    let last = items.pop()?;
    Some(if items.is_empty() {
        last
    } else {
        format!("{} and {last}", items.join(", "))
    })
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::RunRecord;
    use crate::lab::test_runs::{evaluated, run};

    /// Five runs of an arm, whose best and last checkpoints have these successes.
    fn runs(arm: &str, best: f64, last: f64) -> Vec<RunRecord> {
        let run = |seed: u64| {
            let mut run = run("reference", arm, seed);
            let luck = 0.002 * seed as f64;
            run.evaluation = Some(evaluated("best", 500, best + luck));
            run.last_evaluation = Some(evaluated("last", 1000, last - luck));
            run
        };
        (1..=5).map(run).collect()
    }

    #[test]
    fn a_fall_and_what_it_changes_are_findings() {
        let all = [runs("steady", 0.9, 0.88), runs("fragile", 0.9, 0.6)].concat();
        let all: Vec<&RunRecord> = all.iter().collect();
        let verdict = Verdict::new(&Scorecard::new(&all, &[]));
        assert!(verdict.notices.is_empty());
        assert!(
            verdict.headline.starts_with(
                "`fragile` ended far below its best in 5 of 5 runs, `steady` in none."
            ),
            "{}",
            verdict.headline
        );
        let expect = "With the last checkpoints `steady` did better than `fragile`: +28.0 points";
        assert!(
            verdict.findings[1].starts_with(expect),
            "{:?}",
            verdict.findings
        );
        let expect = "`fragile`: in 5 of 5 runs the last checkpoint is far below the best; the deepest \
                      fall is from 91.0 % at step 500 to 59.0 % at step 1000.";
        assert!(
            verdict.reasons[0].starts_with(expect),
            "{:?}",
            verdict.reasons
        );
    }

    #[test]
    fn runs_that_are_left_out_come_first() {
        let mut all = runs("clipped", 0.9, 0.9);
        all.push(all[0].clone());
        all[5].name = "copy".into();
        let all: Vec<&RunRecord> = all.iter().collect();
        let verdict = Verdict::new(&Scorecard::new(&all, &[]));
        assert!(verdict.notices[0].starts_with("1 of 6 runs is left out"));
    }
}
