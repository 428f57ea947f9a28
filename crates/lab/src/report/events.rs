//! What the detectors saw: marks on a chart's axis, and a list with what usually helps and the way
//! to each incident.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use super::ArmRuns;
use super::charts::{EventLane, EventMark, StepBins};
use super::html::{arm, escape, join_units};
use super::layer_names::layer_name;
use crate::lab::{RunRecord, SavedIncident};
use evenkeel_runs::telemetry::format::{number, plural, steps};
use evenkeel_runs::telemetry::{GuardAction, HealthEvent, Severity, Symptom, SymptomLocation};

/// Events of one kind and arm that are listed one by one, at most.
const LISTED: usize = 12;

/// An event, and whose it is.
#[derive(Clone, Copy)]
struct ArmEvent<'a> {
    arm: usize,
    name: &'a str,
    run: &'a RunRecord,
    event: &'a HealthEvent,
}

/// The events of training over optimiser steps: a lane for each symptom.
pub(super) fn step_lanes(arms: &[ArmRuns], time: &StepBins, folder: &Path) -> Vec<EventLane> {
    let lane = |symptom: Symptom| {
        let seen = all_events(arms).filter(move |seen| seen.event.symptom == symptom);
        let place = |seen: &ArmEvent| {
            let step = seen.event.optimiser_step;
            (time.bin(step) as u64, step as f64)
        };
        EventLane {
            name: symptom.name().into(),
            advice: Some(symptom.advice().into()),
            marks: marks(seen, place, arms, folder),
        }
    };
    let of_training = |symptom: &Symptom| !of_robot(*symptom);
    let lanes = Symptom::ALL.into_iter().filter(of_training).map(lane);
    std::iter::once(diverged(arms, folder))
        .chain(lanes)
        .chain([guard(arms, time)])
        .filter(|lane| !lane.marks.is_empty())
        .collect()
}

/// Where runs diverged.
fn diverged(arms: &[ArmRuns], folder: &Path) -> EventLane {
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
            href: incident(run, step).map(|incident| href(incident, folder)),
        })
    };
    EventLane {
        name: "diverged".into(),
        advice: None,
        marks: runs.filter_map(mark).collect(),
    }
}

/// What the guard did, each mark the first of its place.
fn guard(arms: &[ArmRuns], time: &StepBins) -> EventLane {
    let mut places = BTreeMap::new();
    for one in arms {
        for run in &one.runs {
            // One that ends the run is told as its divergence.
            let ruled = run
                .guard
                .iter()
                .filter(|ruled| ruled.action != GuardAction::Halt);
            for ruled in ruled {
                let place = (time.bin(ruled.optimiser_step), one.index);
                places.entry(place).or_insert_with(|| EventMark {
                    arm: one.index,
                    x: ruled.optimiser_step as f64,
                    critical: ruled.action != GuardAction::Proceed,
                    text: format!("{} seed {}, {ruled}", one.name, run.info.seed),
                    href: None,
                });
            }
        }
    }
    EventLane {
        name: "guard".into(),
        advice: None,
        marks: places.into_values().collect(),
    }
}

/// The events over environment steps, those of training in one lane and those of the robot in
/// another.
pub(super) fn robot_lanes(arms: &[ArmRuns], folder: &Path) -> Vec<EventLane> {
    const PLACES: f64 = 120.0;
    let budgets = arms.iter().flat_map(|arm| &arm.runs);
    let budget = budgets.map(|run| run.budget()).max().unwrap_or(1).max(1);
    let place = |seen: &ArmEvent| {
        let step = seen.event.global_step as f64;
        ((step / budget as f64 * PLACES) as u64, step)
    };
    let lane = |name: &str, robot: bool| EventLane {
        name: name.into(),
        advice: None,
        marks: marks(
            all_events(arms).filter(|seen| of_robot(seen.event.symptom) == robot),
            place,
            arms,
            folder,
        ),
    };
    let lanes = [lane("training", false), lane("robot", true)];
    let lanes = lanes.into_iter().filter(|lane| !lane.marks.is_empty());
    lanes.collect()
}

fn of_robot(symptom: Symptom) -> bool {
    let robot = [Symptom::Spinning, Symptom::Freezing, Symptom::Jerk];
    robot.contains(&symptom)
}

fn all_events<'a>(arms: &'a [ArmRuns<'a>]) -> impl Iterator<Item = ArmEvent<'a>> {
    arms.iter().flat_map(|arm| {
        let runs = arm.runs.iter();
        runs.flat_map(move |run| {
            run.health.iter().map(move |event| ArmEvent {
                arm: arm.index,
                name: arm.name,
                run,
                event,
            })
        })
    })
}

/// One mark for each arm and place; `place` gives a place and where it is on the axis.
fn marks<'a>(
    seen: impl Iterator<Item = ArmEvent<'a>>,
    place: impl Fn(&ArmEvent) -> (u64, f64),
    arms: &[ArmRuns],
    folder: &Path,
) -> Vec<EventMark> {
    let mut places: BTreeMap<(u64, usize), Vec<ArmEvent>> = BTreeMap::new();
    for one in seen {
        places
            .entry((place(&one).0, one.arm))
            .or_default()
            .push(one);
    }
    let mark = |group: Vec<ArmEvent>| {
        // The worst of them speaks for all.
        let first = *group
            .iter()
            .min_by_key(|seen| {
                (
                    std::cmp::Reverse(seen.event.severity),
                    seen.event.optimiser_step,
                )
            })
            .expect("a place has an event");
        let more = match group.len() - 1 {
            0 => String::new(),
            more => format!("; {more} more here"),
        };
        let incident = group
            .iter()
            .find_map(|seen| incident(seen.run, seen.event.optimiser_step));
        EventMark {
            arm: first.arm,
            x: place(&first).1,
            critical: first.event.severity == Severity::Critical,
            text: format!(
                "{} seed {}, optimiser step {}: {}{more}",
                first.name,
                first.run.info.seed,
                first.event.optimiser_step,
                event_text(&first, arms)
            ),
            href: incident.map(|incident| href(incident, folder)),
        }
    };
    places.into_values().map(mark).collect()
}

/// What was seen, where, and against which threshold.
fn event_text(seen: &ArmEvent, arms: &[ArmRuns]) -> String {
    let event = seen.event;
    let location = match &event.location {
        SymptomLocation::Layer(name) => layer_name(name, seen.run, arms),
        SymptomLocation::Robot => String::new(),
        place => place.to_string(),
    };
    let place = match location.as_str() {
        "" => String::new(),
        place => format!(" ({place})"),
    };
    let symptom = event.symptom;
    let Some(value) = event.value.map(number) else {
        return format!("{symptom}{place}");
    };
    let bound = event.threshold.map_or(String::new(), |threshold| {
        format!(", threshold {}", number(threshold))
    });
    format!("{symptom}{place}, {} {value}{bound}", symptom.quantity())
}

/// The incident that an event is in: one that was kept at its optimiser step, or so shortly before
/// that the recorder took the event for more of the same.
fn incident(run: &RunRecord, at: u64) -> Option<&SavedIncident> {
    let section =
        |table: &toml::Table, key| -> Option<toml::Table> { table.get(key)?.as_table().cloned() };
    let recorder = section(&run.config, "stability").and_then(|t| section(&t, "recorder"));
    let steps = recorder.and_then(|recorder| recorder.get("steps")?.as_integer());
    let window = steps
        .and_then(|steps| u64::try_from(steps).ok())
        .unwrap_or(1);
    let kept = run.incidents.iter().rev();
    kept.into_iter()
        .find(|incident| incident.optimiser_step <= at)
        .filter(|incident| at - incident.optimiser_step < window.max(1))
}

/// The autopsy of an incident, or its folder where none was made, as a link from `folder`.
fn href(incident: &SavedIncident, folder: &Path) -> String {
    let mut link = relative(folder, &incident.folder);
    link += if incident.has_autopsy {
        "/autopsy.html"
    } else {
        "/"
    };
    link
}

/// The events by arm and symptom, each with what usually helps. Nothing where nothing was seen.
pub(super) fn event_list(arms: &[ArmRuns], names: &[&str], folder: &Path) -> String {
    let mut html = String::new();
    let mut count = 0;
    for one in arms {
        let lost = one.runs.iter().filter_map(|run| {
            let diverged = run.diverged.as_ref()?;
            let (seed, step) = (run.info.seed, diverged.optimiser_step);
            let reason = diverged.reason.description();
            let told = format!("seed {seed}, optimiser step {step}: {reason}");
            Some(format!(
                "<li>{}</li>",
                with_incident_link(&told, run, step, folder)
            ))
        });
        let lost: Vec<String> = lost.collect();
        if !lost.is_empty() {
            let _ = write!(
                html,
                "<dt>{} diverged, in {} of {} run{}</dt><dd><ul>{}</ul></dd>",
                arm(one.name, names),
                lost.len(),
                one.runs.len(),
                plural(one.runs.len()),
                lost.concat()
            );
        }
        for symptom in Symptom::ALL {
            let seen: Vec<ArmEvent> = all_events(std::slice::from_ref(one))
                .filter(|seen| seen.event.symptom == symptom)
                .collect();
            if seen.is_empty() {
                continue;
            }
            count += seen.len();
            let mut seeds: Vec<u64> = seen.iter().map(|seen| seen.run.info.seed).collect();
            seeds.dedup();
            let _ = write!(
                html,
                "<dt>{} {symptom}, in {} of {} run{}</dt><dd>What usually helps: {}.<ul>",
                arm(one.name, names),
                seeds.len(),
                one.runs.len(),
                plural(one.runs.len()),
                code(symptom.advice()),
            );
            for seen in seen.iter().take(LISTED) {
                let _ = write!(html, "<li>{}</li>", item(seen, arms, folder));
            }
            if seen.len() > LISTED {
                let more = seen.len() - LISTED;
                let _ = write!(html, "<li>{more} more in the runs' logs</li>");
            }
            html += "</ul></dd>";
        }
    }
    if html.is_empty() {
        return "<p class=\"empty\">The detectors saw nothing unusual in any run.</p>".into();
    }
    format!(
        "<details class=\"events\"><summary>What the detectors saw: {count} event{}, with what \
         usually helps</summary><dl>{html}</dl></details>",
        plural(count)
    )
}

fn item(seen: &ArmEvent, arms: &[ArmRuns], folder: &Path) -> String {
    let event = seen.event;
    let told = format!(
        "seed {}, optimiser step {} (after {} environment steps): {}",
        seen.run.info.seed,
        event.optimiser_step,
        steps(event.global_step as f64),
        event_text(seen, arms)
    );
    with_incident_link(&told, seen.run, event.optimiser_step, folder)
}

/// What is told of a step, with the way to the incident that it is in, if one was kept.
fn with_incident_link(told: &str, run: &RunRecord, at: u64, folder: &Path) -> String {
    let told = join_units(&escape(told));
    let Some(incident) = incident(run, at) else {
        return told;
    };
    let link = escape(&href(incident, folder));
    let step = incident.optimiser_step;
    if incident.has_autopsy {
        return format!("{told} · <a href=\"{link}\">the autopsy of step {step}</a>");
    }
    let path = escape(&incident.folder.display().to_string());
    format!(
        "{told} · <a href=\"{link}\">the incident of step {step}</a>; run it again under other \
         remedies: <code>evenkeel autopsy {path}</code>"
    )
}

/// Text whose settings stand in backticks.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |html, (index, part)| match index % 2 {
        0 => html + &escape(part),
        _ => format!("{html}<code>{}</code>", escape(part)),
    })
}

/// A link from a folder to another place. Both paths are taken from the working directory where
/// they are relative.
fn relative(from: &Path, to: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (from, to) = (absolute(from), absolute(to));
    let plain = |path: &Path| -> Vec<String> {
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
    let (from, to) = (plain(&from), plain(&to));
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

/// A part of a path as a part of a link.
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
    use crate::report::test::{arms, diverge, health, run};

    #[test]
    fn a_divergence_leads_to_the_incident_just_before_it() {
        let mut runs = [run("unclipped", 3, 100)];
        diverge(&mut runs[0], 9);
        runs[0].config = "[stability.recorder]\nsteps = 4".parse().unwrap();
        for (kept, leads) in [(9, true), (6, true), (5, false), (10, false)] {
            runs[0].incidents = vec![Incident {
                optimiser_step: kept,
                folder: "/r/run/incidents/kept".into(),
                autopsy: false,
            }];
            let arms = arms(&runs);
            let lanes = lanes(&arms, &StepBins::new(&arms), Path::new("/r"));
            assert_eq!(lanes[0].name, "diverged");
            assert_eq!(lanes[0].marks[0].href.is_some(), leads, "kept at {kept}");
            let list = list(&arms, &["unclipped"], Path::new("/r"));
            assert_eq!(list.contains("href=\"run/incidents/kept/\""), leads);
        }
    }

    #[test]
    fn links_go_from_the_report_to_the_incident() {
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
    fn events_too_near_to_be_told_apart_share_a_mark_and_the_worst_speaks() {
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
        let lanes = lanes(&arms, &StepBins::new(&arms), Path::new("/r"));
        assert_eq!(lanes.len(), 1, "the robot's have a chart of their own");
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
    fn an_event_leads_to_its_incident_and_to_its_autopsy() {
        let mut runs = [run("clipped", 1, 100)];
        runs[0].health = [7, 9, 11]
            .map(|step| health(step, Symptom::UpdateSpike, Severity::Warning))
            .to_vec();
        let kept = |optimiser_step: u64, autopsy| Incident {
            optimiser_step,
            folder: format!("/r/run/incidents/step_{optimiser_step:06}").into(),
            autopsy,
        };
        runs[0].incidents = vec![kept(7, false), kept(9, true)];
        runs[0].config = "[stability.recorder]\nsteps = 2".parse().unwrap();
        let list = list(&arms(&runs), &["clipped"], Path::new("/r"));
        assert!(list.contains("href=\"run/incidents/step_000007/\""));
        assert!(list.contains("<code>evenkeel autopsy /r/run/incidents/step_000007</code>"));
        assert!(list.contains("href=\"run/incidents/step_000009/autopsy.html\""));
        assert!(!list.contains("step_000011"));
        assert_eq!(list.matches("step 7</a>").count(), 1);
    }
}
