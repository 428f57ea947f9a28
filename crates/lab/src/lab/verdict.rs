//! A scorecard in words: which arm did better, by how much, with which certainty, and which reasons
//! the logs suggest. Arm names are in backticks, so that a renderer can format them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ArmDifference, ArmScore, Proportion, RunScore, Scorecard, SettingDifference};
use evenkeel_runs::stats::{DifferenceFinding, MIN_SEEDS};
use evenkeel_runs::telemetry::Symptom;
use evenkeel_runs::telemetry::format::{ABSENT, number, percent, plural, points, steps};

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
            vec![
                "A comparison requires these to be equal. The values are shown side by side, and \
                 nothing is claimed."
                    .into(),
            ]
        } else if card.differences.is_empty() {
            card.arms.iter().filter_map(single_arm).collect()
        } else {
            card.differences
                .iter()
                .map(|difference| comparison_sentence(card, difference))
                .collect()
        };
        findings.extend(excluded_runs(card));
        let reasons_of = |arm| {
            let reasons = instabilities(arm).into_iter().chain(symptoms(arm));
            reasons.chain(clipping(arm)).chain(gradient_tail(arm))
        };
        // Arms with divergences or collapses first.
        let mut arms: Vec<&ArmScore> = card.arms.iter().collect();
        arms.sort_by_key(|arm| arm.diverged.count + arm.collapsed.count == 0);
        let mut reasons: Vec<String> = arms.into_iter().flat_map(reasons_of).collect();
        reasons.extend(card.differences.iter().filter_map(learning_speed));
        reasons.extend(settings(card));
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
        // Its success is 0 by definition.
        [only] if only.diverged.count == only.diverged.total => stability,
        _ => format!("{stability} {success}"),
    }
}

/// Which arm did better.
fn success_sentence(card: &Scorecard) -> String {
    let Some(first) = card.arms.first() else {
        return "No runs to compare.".into();
    };
    if card.differences.is_empty() {
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
    if !card.mismatches.is_empty() {
        let what = card.mismatches.join("; ");
        return format!("These runs cannot be compared because they differ in {what}.");
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
    let counts = |what: &str, of: fn(&ArmScore) -> Proportion| {
        let (mut unstable, stable): (Vec<&ArmScore>, Vec<&ArmScore>) =
            card.arms.iter().partition(|arm| of(arm).count > 0);
        unstable.sort_by(|a, b| of(b).estimate.value.total_cmp(&of(a).estimate.value));
        let unstable = unstable.iter().map(|arm| {
            let Proportion { count, total, .. } = of(arm);
            match total {
                1 => format!("`{}` {what} in its one run", arm.arm),
                _ => format!("`{}` {what} in {count} of {total} runs", arm.arm),
            }
        });
        let unstable = list_or_count(unstable.collect(), &format!("arms {what} in some run"))?;
        let stable = stable.iter().map(|arm| format!("`{}`", arm.arm)).collect();
        Some(match list_or_count(stable, "arms") {
            Some(stable) => format!("{unstable}, {stable} in none"),
            None => unstable,
        })
    };
    let counts = [
        counts("diverged", |arm| arm.diverged),
        counts("collapsed", |arm| arm.collapsed),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() {
        "No run diverged or collapsed.".into()
    } else {
        format!("{}.", counts.join("; "))
    }
}

/// The excluded runs and those kept instead.
fn excluded_runs(card: &Scorecard) -> Option<String> {
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
fn single_arm(arm: &ArmScore) -> Option<String> {
    let success = arm.success?;
    let seeds = arm.runs.iter().filter(|run| run.success.is_some()).count();
    Some(match success.interval() {
        Some(interval) => {
            let [low, high] = interval.map(percent);
            format!("95 % interval over {seeds} seeds: {low} to {high}.")
        }
        None => format!(
            "{seeds} seed{} cannot predict the result of another seed.",
            plural(seeds)
        ),
    })
}

/// The difference in success between two arms.
fn comparison_sentence(card: &Scorecard, difference: &ArmDifference) -> String {
    let (a, b) = (&difference.arm, &difference.other);
    let Some(paired) = difference.success else {
        let not_evaluated: Vec<String> = card
            .arms
            .iter()
            .filter(|arm| arm.runs.iter().all(|run| run.success.is_none()))
            .map(|arm| format!("`{}`", arm.arm))
            .collect();
        let not_evaluated = join_list(not_evaluated)
            .map_or(String::new(), |arms| format!("; {arms} is not evaluated"));
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
    let by = points(paired.difference.value);
    let probability = percent(paired.probability_greater.value);
    match paired.finding {
        DifferenceFinding::TooFewSeeds => format!(
            "With {seeds} seed{} nothing is claimed (at least {MIN_SEEDS} are needed); so far {rates} \
             ({by} points).",
            plural(seeds)
        ),
        DifferenceFinding::NoDifference => format!(
            "No difference found with {seeds} seeds: {rates}; the difference is {by} points, with \
             a 95 % interval from {interval} that contains 0."
        ),
        DifferenceFinding::Higher | DifferenceFinding::Lower => format!(
            "{}: a difference of {by} points (95 % interval {interval}, {seeds} paired \
             seeds). A run of `{a}` beats one of `{b}` with a probability of {probability}.",
            capitalised(&rates),
        ),
    }
}

/// The divergences and collapses of an arm's runs.
fn instabilities(arm: &ArmScore) -> Vec<String> {
    let mut sentences = Vec::new();
    let name = &arm.arm;
    let first = arm
        .runs
        .iter()
        .filter_map(|run| run.diverged)
        .min_by_key(|d| d.global_step);
    if let Some(first) = first {
        sentences.push(format!(
            "`{name}`: {} of {} run{} diverged, the first after {} environment steps ({}). A \
                 diverged run counts as 0 % success and with the return of random actions.",
            arm.diverged.count,
            arm.diverged.total,
            plural(arm.diverged.total as usize),
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
            "`{name}`: {} of {} run{} collapsed, the first after {} environment steps (from \
                 {} to {} success).",
            arm.collapsed.count,
            arm.collapsed.total,
            plural(arm.collapsed.total as usize),
            steps(first.global_step as f64),
            percent(first.best),
            percent(first.lowest),
        ));
    }
    sentences
}

/// The symptoms in an arm's runs, if there are any.
fn symptoms(arm: &ArmScore) -> Option<String> {
    let mut symptoms: BTreeMap<Symptom, (usize, u64)> = BTreeMap::new();
    for event in arm.runs.iter().flat_map(|run| &run.symptoms) {
        let (runs, first) = symptoms.entry(event.symptom).or_insert((0, u64::MAX));
        *runs += 1;
        *first = event.optimiser_step.min(*first);
    }
    let (of, s) = (arm.runs.len(), plural(arm.runs.len()));
    let symptoms = symptoms.into_iter().map(|(symptom, (runs, first))| {
        format!("{symptom} in {runs} of {of} run{s} (first at optimiser step {first})")
    });
    let symptoms = join_list(symptoms.collect())?;
    let survived = if arm.diverged.count == 0 && arm.runs.iter().any(RunScore::had_spike) {
        " None of these runs diverged."
    } else {
        ""
    };
    Some(format!(
        "`{}`: the detectors saw {symptoms}.{survived}",
        arm.arm
    ))
}

/// Which of two arms learned faster, if there is a difference.
fn learning_speed(difference: &ArmDifference) -> Option<String> {
    let paired = difference.area_under_curve?;
    let (a, b) = (&difference.arm, &difference.other);
    let value = paired.difference.value;
    let [low, high] = paired.difference.interval()?;
    let (faster, slower, by) = match paired.finding {
        DifferenceFinding::Higher => (a, b, [value, low, high]),
        DifferenceFinding::Lower => (b, a, [-value, -high, -low]),
        DifferenceFinding::NoDifference | DifferenceFinding::TooFewSeeds => return None,
    };
    let [by, low, high] = by.map(|share| points(share).trim_start_matches('+').to_owned());
    Some(format!(
        "`{faster}` learned faster than `{slower}`: averaged over all of training, its evaluation \
         success is {by} points higher (95 % interval {low} to {high}).",
    ))
}

/// How often the clip of an arm acted.
fn clipping(arm: &ArmScore) -> Option<String> {
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
    Some(if share > 0.9 {
        format!(
            "`{name}`: the clip{at} acted in {} of the optimiser steps ({norms}). It acts \
             so often that it sets the step size rather than guards against outliers.",
            percent(share)
        )
    } else if share < 0.01 {
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
fn gradient_tail(arm: &ArmScore) -> Option<String> {
    const HEAVY_TAIL_RATIO: f64 = 20.0;
    let norm = arm.grad_norm.filter(|_| arm.clip_share.is_none())?;
    let ratio = norm.max / norm.p50;
    let name = &arm.arm;
    let spiked = arm.runs.iter().filter(|run| run.had_spike()).count();
    let nonfinite = match norm.nonfinite_steps {
        0 => String::new(),
        1 => "; one step had entries that were not finite".into(),
        steps => format!("; {steps} steps had entries that were not finite"),
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
        format!(
            "`{name}`: the gradient was not clipped. Its spikes stood out from the steps around them \
             rather than from the whole run: the largest norm ({}) was only {} times the median \
             ({}){nonfinite}.",
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
fn settings(card: &Scorecard) -> Option<String> {
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
