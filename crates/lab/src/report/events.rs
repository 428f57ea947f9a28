//! Events of the detectors and the guard: marks below the charts, and a list with advice and links
//! to incidents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use super::arm_runs::ArmRuns;
use super::charts::{EventLane, EventMark, StepBins};
use super::html::{arm, escape, join_units};
use super::layer_names::layer_name;
use crate::lab::{RunRecord, SavedIncident};
use evenkeel_runs::telemetry::format::{counted, number, shell_path, steps};
use evenkeel_runs::telemetry::{GuardAction, HealthEvent, Severity, Symptom, SymptomLocation};

/// Maximum number of listed events of one symptom and arm.
const MAX_LISTED: usize = 12;

/// An event with its run and arm.
#[derive(Clone, Copy)]
struct ArmEvent<'a> {
    /// Index of the arm.
    arm: usize,
    /// Name of the arm.
    name: &'a str,
    run: &'a RunRecord,
    health: &'a HealthEvent,
}

/// The events of training over optimiser steps, one lane for each kind.
pub(super) fn step_lanes(arms: &[ArmRuns], bins: &StepBins, folder: &Path) -> Vec<EventLane> {
    let lane = |symptom: Symptom| {
        let events = all_events(arms).filter(move |event| event.health.symptom == symptom);
        let position = |event: &ArmEvent| {
            let step = event.health.optimiser_step;
            (bins.bin(step) as u64, step as f64)
        };
        EventLane {
            name: symptom.name().into(),
            advice: Some(symptom.advice().into()),
            marks: marks(events, position, arms, folder),
        }
    };
    let of_training = |symptom: &Symptom| !is_of_robot(*symptom);
    let lanes = Symptom::ALL.into_iter().filter(of_training).map(lane);
    std::iter::once(divergence_lane(arms, folder))
        .chain(lanes)
        .chain([guard_lane(arms, bins)])
        .filter(|lane| !lane.marks.is_empty())
        .collect()
}

/// The divergences of all runs.
fn divergence_lane(arms: &[ArmRuns], folder: &Path) -> EventLane {
    let runs = arms
        .iter()
        .flat_map(|arm| arm.runs.iter().map(move |run| (arm, *run)));
    let mark = |(arm, run): (&ArmRuns, &RunRecord)| {
        let diverged = run.diverged.as_ref()?;
        let (seed, step) = (run.info.seed, diverged.optimiser_step);
        Some(EventMark {
            arm: arm.index,
            x: step as f64,
            critical: true,
            text: format!(
                "{} seed {seed} diverged at optimiser step {step}: {}",
                arm.name,
                diverged.reason.description()
            ),
            href: incident_at(run, step).map(|incident| href(incident, folder)),
        })
    };
    EventLane {
        name: "diverged".into(),
        advice: None,
        marks: runs.filter_map(mark).collect(),
    }
}

/// The decisions of the guard, the first for each arm and bin.
fn guard_lane(arms: &[ArmRuns], bins: &StepBins) -> EventLane {
    let mut marks = BTreeMap::new();
    for arm in arms {
        for run in &arm.runs {
            // A decision that ends the run is shown as its divergence.
            let decisions = run
                .guard
                .iter()
                .filter(|decision| decision.action != GuardAction::Halt);
            for decision in decisions {
                let key = (bins.bin(decision.optimiser_step), arm.index);
                marks.entry(key).or_insert_with(|| EventMark {
                    arm: arm.index,
                    x: decision.optimiser_step as f64,
                    critical: decision.action != GuardAction::Proceed,
                    text: format!("{} seed {}, {decision}", arm.name, run.info.seed),
                    href: None,
                });
            }
        }
    }
    EventLane {
        name: "guard".into(),
        advice: None,
        marks: marks.into_values().collect(),
    }
}

/// The events over environment steps: a lane for training and a lane for the robot.
pub(super) fn robot_lanes(arms: &[ArmRuns], folder: &Path) -> Vec<EventLane> {
    const BINS: f64 = 120.0;
    let runs = arms.iter().flat_map(|arm| &arm.runs);
    let budget = runs.map(|run| run.budget()).max().unwrap_or(1).max(1);
    let position = |event: &ArmEvent| {
        let step = event.health.global_step as f64;
        ((step / budget as f64 * BINS) as u64, step)
    };
    let lane = |name: &str, robot: bool| EventLane {
        name: name.into(),
        advice: None,
        marks: marks(
            all_events(arms).filter(|event| is_of_robot(event.health.symptom) == robot),
            position,
            arms,
            folder,
        ),
    };
    let lanes = [lane("training", false), lane("robot", true)];
    let lanes = lanes.into_iter().filter(|lane| !lane.marks.is_empty());
    lanes.collect()
}

fn is_of_robot(symptom: Symptom) -> bool {
    matches!(
        symptom,
        Symptom::Spinning | Symptom::Freezing | Symptom::Jerk
    )
}

fn all_events<'a>(arms: &'a [ArmRuns<'a>]) -> impl Iterator<Item = ArmEvent<'a>> {
    arms.iter().flat_map(|arm| {
        let runs = arm.runs.iter();
        runs.flat_map(move |run| {
            run.health.iter().map(move |health| ArmEvent {
                arm: arm.index,
                name: arm.name,
                run,
                health,
            })
        })
    })
}

/// One mark for each arm and bin. `position` returns the bin of an event and its step on the axis.
fn marks<'a>(
    events: impl Iterator<Item = ArmEvent<'a>>,
    position: impl Fn(&ArmEvent) -> (u64, f64),
    arms: &[ArmRuns],
    folder: &Path,
) -> Vec<EventMark> {
    let mut groups: BTreeMap<(u64, usize), Vec<ArmEvent>> = BTreeMap::new();
    for event in events {
        groups
            .entry((position(&event).0, event.arm))
            .or_default()
            .push(event);
    }
    let mark = |group: Vec<ArmEvent>| {
        // Describe the most severe event, and of these the first.
        let first = *group
            .iter()
            .min_by_key(|event| {
                (
                    std::cmp::Reverse(event.health.severity),
                    event.health.optimiser_step,
                )
            })
            .expect("a group has an event");
        let more = match group.len() - 1 {
            0 => String::new(),
            more => format!("; {more} more here"),
        };
        let incident = group
            .iter()
            .find_map(|event| incident_at(event.run, event.health.optimiser_step));
        EventMark {
            arm: first.arm,
            x: position(&first).1,
            critical: first.health.severity == Severity::Critical,
            text: format!(
                "{} seed {}, optimiser step {}: {}{more}",
                first.name,
                first.run.info.seed,
                first.health.optimiser_step,
                event_text(&first, arms)
            ),
            href: incident.map(|incident| href(incident, folder)),
        }
    };
    groups.into_values().map(mark).collect()
}

/// Symptom, location, value and threshold of an event.
fn event_text(event: &ArmEvent, arms: &[ArmRuns]) -> String {
    let health = event.health;
    let location = match &health.location {
        SymptomLocation::Layer(name) => layer_name(name, event.run, arms),
        SymptomLocation::Robot => String::new(),
        other => other.to_string(),
    };
    let location = match location.as_str() {
        "" => String::new(),
        location => format!(" ({location})"),
    };
    let symptom = health.symptom;
    let Some(value) = health.value.map(number) else {
        return format!("{symptom}{location}");
    };
    let threshold = health.threshold.map_or(String::new(), |threshold| {
        format!(", threshold {}", number(threshold))
    });
    format!(
        "{symptom}{location}, {} {value}{threshold}",
        symptom.quantity()
    )
}

/// The incident that contains the optimiser step `at`: one saved at that step, or less than
/// `stability.recorder.steps` before it, because the recorder then saves no second one.
fn incident_at(run: &RunRecord, at: u64) -> Option<&SavedIncident> {
    let section =
        |table: &toml::Table, key| -> Option<toml::Table> { table.get(key)?.as_table().cloned() };
    let recorder = section(&run.config, "stability").and_then(|t| section(&t, "recorder"));
    let steps = recorder.and_then(|recorder| recorder.get("steps")?.as_integer());
    let window = steps
        .and_then(|steps| u64::try_from(steps).ok())
        .unwrap_or(1);
    run.incidents
        .iter()
        .rev()
        .find(|incident| incident.optimiser_step <= at)
        .filter(|incident| at - incident.optimiser_step < window.max(1))
}

/// A link from `folder` to the autopsy of an incident, or to its folder if there is no autopsy.
fn href(incident: &SavedIncident, folder: &Path) -> String {
    let mut link = relative(folder, &incident.folder);
    link += if incident.has_autopsy {
        "/autopsy.html"
    } else {
        "/"
    };
    link
}

/// The events by arm and symptom, each with advice; a sentence if there are none.
pub(super) fn event_list(arms: &[ArmRuns], names: &[&str], folder: &Path) -> String {
    let mut html = String::new();
    let mut count = 0;
    for one in arms {
        let diverged = one.runs.iter().filter_map(|run| {
            let diverged = run.diverged.as_ref()?;
            let (seed, step) = (run.info.seed, diverged.optimiser_step);
            let reason = diverged.reason.description();
            let text = format!("seed {seed}, optimiser step {step}: {reason}");
            Some(format!(
                "<li>{}</li>",
                with_incident_link(&text, run, step, folder)
            ))
        });
        let diverged: Vec<String> = diverged.collect();
        if !diverged.is_empty() {
            let _ = write!(
                html,
                "<dt>{} diverged, in {} of {}</dt><dd><ul>{}</ul></dd>",
                arm(one.name, names),
                diverged.len(),
                counted(one.runs.len(), "run"),
                diverged.concat()
            );
        }
        for symptom in Symptom::ALL {
            let events: Vec<ArmEvent> = all_events(std::slice::from_ref(one))
                .filter(|event| event.health.symptom == symptom)
                .collect();
            if events.is_empty() {
                continue;
            }
            count += events.len();
            let mut seeds: Vec<u64> = events.iter().map(|event| event.run.info.seed).collect();
            seeds.dedup();
            let _ = write!(
                html,
                "<dt>{} {symptom}, in {} of {}</dt><dd>What usually helps: {}.<ul>",
                arm(one.name, names),
                seeds.len(),
                counted(one.runs.len(), "run"),
                code(symptom.advice()),
            );
            for event in events.iter().take(MAX_LISTED) {
                let _ = write!(html, "<li>{}</li>", item(event, arms, folder));
            }
            if events.len() > MAX_LISTED {
                let more = events.len() - MAX_LISTED;
                let _ = write!(html, "<li>{more} more in the runs' logs</li>");
            }
            html += "</ul></dd>";
        }
    }
    if html.is_empty() {
        return "<p class=\"empty\">The detectors saw nothing unusual in any run.</p>".into();
    }
    format!(
        "<details class=\"events\"><summary>What the detectors saw: {}, with what \
         usually helps</summary><dl>{html}</dl></details>",
        counted(count, "event")
    )
}

fn item(event: &ArmEvent, arms: &[ArmRuns], folder: &Path) -> String {
    let health = event.health;
    let text = format!(
        "seed {}, optimiser step {} (after {} environment steps): {}",
        event.run.info.seed,
        health.optimiser_step,
        steps(health.global_step as f64),
        event_text(event, arms)
    );
    with_incident_link(&text, event.run, health.optimiser_step, folder)
}

/// The text on the optimiser step `at`, with a link to the incident that contains it, if there is
/// one.
fn with_incident_link(text: &str, run: &RunRecord, at: u64, folder: &Path) -> String {
    let text = join_units(&escape(text));
    let Some(incident) = incident_at(run, at) else {
        return text;
    };
    let link = escape(&href(incident, folder));
    let step = incident.optimiser_step;
    if incident.has_autopsy {
        return format!("{text} · <a href=\"{link}\">the autopsy of step {step}</a>");
    }
    let path = escape(&shell_path(&incident.folder));
    format!(
        "{text} · <a href=\"{link}\">the incident of step {step}</a>; run it again under other \
         stabilising techniques: <code>evenkeel autopsy {path}</code>"
    )
}

/// Text with settings in backticks, as HTML.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |html, (index, part)| match index % 2 {
        0 => html + &escape(part),
        _ => format!("{html}<code>{}</code>", escape(part)),
    })
}

/// A relative link from the folder `from` to `to`. Relative paths start at the working directory.
fn relative(from: &Path, to: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (from, to) = (absolute(from), absolute(to));
    let normalised = |path: &Path| -> Vec<String> {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let mut found: Vec<String> = Vec::new();
        for part in parts {
            if part == ".." {
                found.pop();
            } else {
                found.push(part);
            }
        }
        found
    };
    let (from, to) = (normalised(&from), normalised(&to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let down = to[shared..].iter().map(|part| percent_encoded(part));
    let link: Vec<String> = up.chain(down).collect();
    if link.is_empty() {
        ".".into()
    } else {
        link.join("/")
    }
}

/// Percent-encodes one component of a path.
fn percent_encoded(part: &str) -> String {
    let mut link = String::new();
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            link.push(char::from(byte));
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs::{arms, diverge, health, run};

    #[test]
    fn a_divergence_links_to_the_incident_just_before_it() {
        let mut runs = [run("unclipped", 3, 100)];
        diverge(&mut runs[0], 9);
        runs[0].config = "[stability.recorder]\nsteps = 4".parse().unwrap();
        for (saved_at, linked) in [(9, true), (6, true), (5, false), (10, false)] {
            runs[0].incidents = vec![SavedIncident {
                optimiser_step: saved_at,
                folder: "/r/run/incidents/step".into(),
                has_autopsy: false,
            }];
            let arms = arms(&runs);
            let lanes = step_lanes(&arms, &StepBins::new(&arms), Path::new("/r"));
            assert_eq!(lanes[0].name, "diverged");
            assert_eq!(lanes[0].marks[0].href.is_some(), linked, "{saved_at}");
            let list = event_list(&arms, &["unclipped"], Path::new("/r"));
            assert_eq!(list.contains("href=\"run/incidents/step/\""), linked);
        }
    }

    #[test]
    fn links_are_relative_to_the_report() {
        let cases = [
            (
                "/runs/cmp",
                "/runs/cmp/a__s1/incidents/step_000007",
                "a__s1/incidents/step_000007",
            ),
            (
                "/home/me",
                "/data/a b#/incidents",
                "../../data/a%20b%23/incidents",
            ),
            ("runs/./x", "runs/y/../z", "../z"),
            ("/a", "/a", "."),
        ];
        for (from, to, link) in cases {
            assert_eq!(relative(Path::new(from), Path::new(to)), link);
        }
    }

    #[test]
    fn close_events_share_a_mark_that_describes_the_most_severe() {
        let mut runs = [run("clipped", 1, 4800), run("clipped", 2, 4800)];
        runs[0].health = vec![
            health(100, Symptom::GradientSpike, Severity::Warning),
            health(4000, Symptom::GradientSpike, Severity::Warning),
        ];
        runs[1].health = vec![
            health(101, Symptom::GradientSpike, Severity::Critical),
            health(101, Symptom::Spinning, Severity::Warning),
        ];
        let arms = arms(&runs);
        let lanes = step_lanes(&arms, &StepBins::new(&arms), Path::new("/r"));
        assert_eq!(lanes.len(), 1, "events of the robot are not in these lanes");
        let marks = &lanes[0].marks;
        assert_eq!(marks.len(), 2);
        assert!(marks[0].critical && marks[0].text.contains("seed 2, optimiser step 101"));
        assert!(
            marks[0].text.ends_with("; 1 more here"),
            "{}",
            marks[0].text
        );
        assert!(!marks[1].critical && marks[1].href.is_none());
        let robot = robot_lanes(&arms, Path::new("/r"));
        assert_eq!(robot[1].marks.len(), 1);
    }

    #[test]
    fn an_event_links_to_its_incident_or_its_autopsy() {
        let mut runs = [run("clipped", 1, 100)];
        runs[0].health = [7, 9, 11]
            .map(|step| health(step, Symptom::UpdateSpike, Severity::Warning))
            .to_vec();
        let saved = |optimiser_step: u64, has_autopsy| SavedIncident {
            optimiser_step,
            folder: format!("/r/run/incidents/step_{optimiser_step:06}").into(),
            has_autopsy,
        };
        runs[0].incidents = vec![saved(7, false), saved(9, true)];
        runs[0].config = "[stability.recorder]\nsteps = 2".parse().unwrap();
        let list = event_list(&arms(&runs), &["clipped"], Path::new("/r"));
        assert!(list.contains("href=\"run/incidents/step_000007/\""));
        assert!(list.contains("<code>evenkeel autopsy /r/run/incidents/step_000007</code>"));
        assert!(list.contains("href=\"run/incidents/step_000009/autopsy.html\""));
        assert!(!list.contains("step_000011"));
        assert_eq!(list.matches("step 7</a>").count(), 1);
    }
}
