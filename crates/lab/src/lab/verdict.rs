//! A scorecard in words: which arm did better, by how much, with which certainty, and which reasons
//! the logs suggest. Arm names are in backticks, so that a renderer can format them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ArmDifference, ArmScore, Proportion, RunScore, Scorecard, SettingDifference};
use evenkeel_runs::stats::{DifferenceFinding, MIN_SEEDS};
use evenkeel_runs::telemetry::Symptom;
use evenkeel_runs::telemetry::format::{ABSENT, counted, number, percent, points, steps};

/// A scorecard in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
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
        let mut findings: Vec<String> = if !card.mismatches.is_empty() {
            vec!["The values are shown side by side, and nothing is claimed.".into()]
        } else if card.arms.len() < 2 {
            card.arms.iter().filter_map(single_arm_sentence).collect()
        } else {
            card.differences
                .iter()
                .map(|difference| comparison_sentence(card, difference))
                .collect()
        };
        findings.extend(excluded_runs_sentence(card));
        let reasons_of = |arm| {
            let mut reasons = instability_sentences(arm);
            reasons.extend(symptom_sentence(arm));
            reasons.extend(clipping_sentence(arm));
            reasons.extend(gradient_tail_sentence(arm));
            reasons
        };
        // Arms with divergences or collapses first.
        let mut arms: Vec<&ArmScore> = card.arms.iter().collect();
        arms.sort_by_key(|arm| arm.diverged.count + arm.collapsed.count == 0);
        let mut reasons: Vec<String> = arms.into_iter().flat_map(reasons_of).collect();
        reasons.extend(card.differences.iter().filter_map(learning_speed_sentence));
        reasons.extend(settings_sentence(card));
        Self {
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
                let rate = percent(success.value);
                format!(
                    "`{}` reaches the goal in {rate} of held-out episodes.",
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

/// How many runs of each arm diverged or collapsed.
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
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    if clauses.is_empty() {
        "No run diverged or collapsed.".into()
    } else {
        format!("{}.", clauses.join("; "))
    }
}

/// The excluded runs and those kept instead.
fn excluded_runs_sentence(card: &Scorecard) -> Option<String> {
    const MAX_NAMED: usize = 4;
    let names = card.excluded_runs.iter().take(MAX_NAMED);
    let mut names: Vec<String> = names
        .map(|excluded| format!("{} for {}", excluded.run, excluded.kept_run))
        .collect();
    if card.excluded_runs.len() > MAX_NAMED {
        names.push(format!("{} more", card.excluded_runs.len() - MAX_NAMED));
    }
    let names = join_list(names)?;
    Some(format!(
        "A seed counts once. Excluded, each for the newer or finished run with the same arm and seed: \
         {names}."
    ))
}

/// The certainty of the success of a single arm.
fn single_arm_sentence(arm: &ArmScore) -> Option<String> {
    let success = arm.success?;
    let seeds = arm.runs.iter().filter(|run| run.success.is_some()).count();
    Some(match success.interval() {
        Some(interval) => {
            let [low, high] = interval.map(percent);
            format!("95 % interval over {seeds} seeds: {low} to {high}.")
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
    let rates = format!(
        "on average {} of held-out episodes reach the goal with `{a}`, {} with `{b}`",
        percent(paired.mean),
        percent(paired.other_mean),
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
             a 95 % interval from {interval} that contains 0."
        ),
        DifferenceFinding::Higher | DifferenceFinding::Lower => format!(
            "{}: a difference of {difference} points (95 % interval {interval}, {seeds} paired \
             seeds). A run of `{a}` beats one of `{b}` with a probability of {probability}.",
            capitalised(&rates),
        ),
    }
}

/// The divergences and collapses of an arm's runs.
fn instability_sentences(arm: &ArmScore) -> Vec<String> {
    let mut sentences = Vec::new();
    let name = &arm.arm;
    let first = arm
        .runs
        .iter()
        .filter_map(|run| run.diverged)
        .min_by_key(|d| d.global_step);
    if let Some(first) = first {
        sentences.push(format!(
            "`{name}`: {} of {} diverged, the first after {} environment steps ({}). A \
                 diverged run counts as 0 % success and with the return of random actions.",
            arm.diverged.count,
            counted(arm.diverged.total, "run"),
            steps(first.global_step as f64),
            first.reason.description(),
        ));
    }
    let first = arm
        .runs
        .iter()
        .filter_map(|run| run.collapsed)
        .min_by_key(|c| c.global_step);
    if let Some(first) = first {
        sentences.push(format!(
            "`{name}`: {} of {} collapsed, the first after {} environment steps (from \
                 {} to {} success).",
            arm.collapsed.count,
            counted(arm.collapsed.total, "run"),
            steps(first.global_step as f64),
            percent(first.best),
            percent(first.lowest),
        ));
    }
    sentences
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
        "`{faster}` learned faster than `{slower}`: averaged over all of training, its evaluation \
         success is {value} points higher (95 % interval {low} to {high}).",
    ))
}

/// How often the clip of an arm acted.
fn clipping_sentence(arm: &ArmScore) -> Option<String> {
    /// Above this share the clip acts almost always, below `RARE_SHARE` almost never.
    const FREQUENT_SHARE: f64 = 0.9;
    const RARE_SHARE: f64 = 0.01;
    let share = arm.clip_share?;
    let norm = arm.grad_norm?;
    let name = &arm.arm;
    let at = arm
        .clip_threshold
        .map_or(String::new(), |max| format!(" at {}", rounded(max)));
    let norms = format!(
        "the norm's median was {}, its largest value {}",
        number(norm.p50),
        number(norm.max)
    );
    Some(if share > FREQUENT_SHARE {
        format!(
            "`{name}`: the clip{at} acted in {} of the optimiser steps ({norms}). It acts \
             so often that it sets the step size rather than guards against outliers.",
            percent(share)
        )
    } else if share < RARE_SHARE {
        format!(
            "`{name}`: the clip{at} acted in only {} of the optimiser steps ({norms}), so it had \
             little effect.",
            percent(share)
        )
    } else {
        format!(
            "`{name}`: the clip{at} acted in {} of the optimiser steps; {norms}.",
            percent(share)
        )
    })
}

/// Rounds a threshold to three digits. Adaptive thresholds have more.
fn rounded(threshold: f64) -> f64 {
    format!("{threshold:.2e}").parse().unwrap_or(threshold)
}

/// The largest gradient norm of an arm without a clip, relative to the median. It calls gradients
/// tame only if there was neither a spike nor a divergence.
fn gradient_tail_sentence(arm: &ArmScore) -> Option<String> {
    const HEAVY_TAIL_RATIO: f64 = 20.0;
    let norm = arm.grad_norm.filter(|_| arm.clip_share.is_none())?;
    let ratio = norm.max / norm.p50;
    let name = &arm.arm;
    let spiked = arm.runs.iter().filter(|run| run.had_spike()).count();
    let nonfinite = match norm.nonfinite_steps {
        0 => String::new(),
        1 => "; one step had entries that were not finite".into(),
        several => format!("; {several} steps had entries that were not finite"),
    };
    Some(if ratio > HEAVY_TAIL_RATIO {
        format!(
            "`{name}`: the gradient was not clipped, and its largest norm ({}) was {} times the \
             median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    } else if spiked > 0 || arm.diverged.count > 0 {
        let spikes = if spiked > 0 {
            " Its spikes stood out from the steps around them rather than from the whole run."
        } else {
            ""
        };
        format!(
            "`{name}`: the gradient was not clipped.{spikes} The largest norm ({}) was only {} times \
             the median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    } else {
        format!(
            "`{name}`: gradients stayed tame without a clip: the largest norm ({}) was only {} times \
             the median ({}){nonfinite}.",
            number(norm.max),
            number(ratio),
            number(norm.p50),
        )
    })
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
        [] => "The arms' settings are the same in every key.".into(),
        [one] => format!("The arms differ in one setting only: {}.", one.path),
        several => format!(
            "The arms differ in {} settings ({}); a comparison of arms that differ in several settings \
             cannot show which of them matters.",
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
