//! The report: its statements, and that a browser shows it without console messages.

use std::path::Path;
use std::process::Command;

use evenkeel::lab::{Assessment, RunRecord, Scorecard, assess, sweeps};
use evenkeel::report;
use evenkeel::runs::{RunDir, RunStatus};

use crate::requirements::skip;
use crate::synthetic_runs::{self, Arm, CLIPPED, RANDOM_RETURN, RAW, UNCLIPPED};

fn verdict(arms: &[Arm], seeds: u64) -> String {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), arms, seeds);
    let verdict = assess_one(&runs).verdict;
    let mut text = verdict.headline;
    for line in verdict.findings.iter().chain(&verdict.reasons) {
        text += "\n- ";
        text += line;
    }
    text
}

/// Assesses runs of one scenario.
fn assess_one(runs: &[RunRecord]) -> Assessment {
    let mut all = assess(runs, &[]);
    assert_eq!(all.len(), 1, "one scenario");
    all.remove(0)
}

fn scorecard(runs: &[RunRecord]) -> Scorecard {
    assess_one(runs).scorecard
}

#[test]
fn verdict_of_three_arms() {
    insta::assert_snapshot!(verdict(&[CLIPPED, UNCLIPPED, RAW], 5));
}

#[test]
fn verdict_with_few_seeds() {
    insta::assert_snapshot!(verdict(&[CLIPPED, RAW], 3));
}

#[test]
fn verdict_of_one_arm() {
    insta::assert_snapshot!(verdict(&[CLIPPED], 1));
}

/// Five copies of a run count as one seed, whatever their names.
#[test]
fn copies_of_a_run_count_once() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 1);
    let mut copies: Vec<_> = vec![runs[0].clone(); 5];
    for (index, copy) in copies.iter_mut().enumerate() {
        copy.name = format!("copy-{index}");
        copy.info.started = format!("2026-01-01T00:0{index}:00.000Z");
    }
    copies[4].info.status = RunStatus::Stopped;
    copies.push(runs[1].clone());
    let Assessment {
        scorecard: card,
        verdict,
        ..
    } = assess_one(&copies);
    assert_eq!(card.arms[0].runs.len(), 1);
    assert_eq!(card.differences[0].success.unwrap().seeds, 1);
    let excluded_runs: Vec<&str> = card
        .excluded_runs
        .iter()
        .map(|excluded| excluded.run.as_str())
        .collect();
    assert_eq!(excluded_runs, ["copy-0", "copy-1", "copy-2", "copy-4"]);
    assert!(
        card.excluded_runs
            .iter()
            .all(|excluded| excluded.kept_run == "copy-3")
    );
    assert!(
        verdict.notices[0].contains("copy-0 (for copy-3)"),
        "{verdict:?}"
    );
}

/// Runs with different scenarios, training steps or evaluations give no verdict.
#[test]
fn verdict_of_incomparable_runs() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let changes: [fn(&mut RunRecord); 3] = [
        |run| {
            run.config.insert("version".into(), 2.into());
        },
        |run| run.info.total_steps *= 2,
        |run| run.evaluation.as_mut().unwrap().summary.episodes = 10,
    ];
    let texts = changes.map(|change| {
        let mut runs = runs.clone();
        runs[5..].iter_mut().for_each(change);
        let Assessment {
            scorecard, verdict, ..
        } = assess_one(&runs);
        assert_eq!(scorecard.differences[0].success, None);
        format!("{}\n{}", verdict.headline, verdict.findings.join("\n"))
    });
    insta::assert_snapshot!(texts.join("\n"));
}

/// Arms are compared within each scenario and never pooled over scenarios.
#[test]
fn scenarios_are_assessed_separately() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let mut elsewhere = synthetic_runs::runs(&root.path().join("more"), &[RAW, UNCLIPPED], 5);
    for run in &mut elsewhere {
        run.info.scenario = "movers".into();
    }
    let separate = [scorecard(&runs), scorecard(&elsewhere)];
    runs.extend(elsewhere);
    let together = assess(&runs, &[]);
    assert_eq!(together.len(), 2);
    for ((assessment, separate), name) in
        together.iter().zip(&separate).zip(["reference", "movers"])
    {
        assert_eq!(assessment.scenario, name);
        let [one, other] =
            [&assessment.scorecard, separate].map(|c| serde_json::to_value(c).unwrap());
        assert_eq!(one, other);
        assert!(assessment.scorecard.differences[0].success.is_some());
    }

    let page = report::render_report(&runs, &[], root.path());
    assert!(page.contains("in 2 scenarios</h1>"));
    for (part, [one, other]) in [["clipped", "raw"], ["raw", "unclipped"]]
        .iter()
        .enumerate()
    {
        // The scenario's card at the top comes before its section.
        let start = page.rfind(&format!("data-scenario=\"{part}\"")).unwrap();
        let part = &page[start..start + page[start..].find("</article>").unwrap()];
        let table = &part[part.find("<thead>").unwrap()..part.find("</thead>").unwrap()];
        let places = [one, other].map(|arm| table.find(&format!(">{arm}<")).unwrap());
        assert!(places[0] < places[1]);
        assert_eq!(table.matches("class=\"arm ").count(), 2, "{table}");
    }
    // An arm has the same colour everywhere.
    let colours: Vec<&str> = page
        .match_indices(">raw</span>")
        .map(|(at, _)| &page[at - 5..at])
        .collect();
    assert!(colours.windows(2).all(|pair| pair[0] == pair[1]));
}

/// The result of a diverged run is never the evaluation of its best checkpoint.
#[test]
fn diverged_run_counts_with_success_zero() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let card = scorecard(&runs);
    let raw = &card.arms[1];
    let best = runs[6].evaluation.as_ref().unwrap().summary.success.value;
    assert!(raw.runs[1].diverged.is_some() && best > 0.5);
    assert_eq!(raw.runs[1].success, Some(0.0));
    assert_eq!(raw.runs[1].episodic_return, Some(RANDOM_RETURN));
    assert_eq!(card.differences[0].episodic_return.unwrap().seeds, 5);
    let without: Vec<_> = runs
        .iter()
        .filter(|run| run.diverged.is_none())
        .cloned()
        .collect();
    let survivors = scorecard(&without).arms[1].spl.unwrap();
    assert!(raw.spl.unwrap().value < survivors.value);
    let page = report::render_report(&runs, &[], root.path());
    assert!(page.contains("best checkpoint; the run later diverged"));
    assert!(page.contains("which leaves at the end: raw 4 of 5 runs"));
}

/// A run directory of an older build has no evaluation of random actions, but can be read.
#[test]
fn diverged_run_without_random_evaluation_has_no_return() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let diverged = root.path().join(&runs[6].name);
    std::fs::remove_file(diverged.join("evaluation_random.json")).unwrap();
    runs[6] = RunRecord::read(&RunDir::open(&diverged).unwrap()).unwrap();
    let card = scorecard(&runs);
    assert_eq!(card.arms[1].runs[1].episodic_return, None);
    assert_eq!(card.differences[0].episodic_return.unwrap().seeds, 4);
    assert!(report::render_report(&runs, &[], root.path()).contains("<small>4 of 5 runs</small>"));
}

/// With fewer than five seeds no interval over seeds is drawn.
#[test]
fn few_seeds_are_shown_as_single_runs() {
    let root = tempfile::tempdir().unwrap();
    let intervals = |seeds: u64| {
        let runs = synthetic_runs::runs(
            &root.path().join(seeds.to_string()),
            &[CLIPPED, UNCLIPPED],
            seeds,
        );
        let page = report::render_report(&runs, &[], root.path());
        let bands = page.matches("\"low\":[null").count();
        (page.contains("<small>runs: "), bands)
    };
    let ((few, without), (many, with)) = (intervals(4), intervals(5));
    assert!(few && !many);
    assert!(
        without > with,
        "{without} curves without a band, {with} with five seeds"
    );
}

/// JSON has no intervals either when there are few seeds.
#[test]
fn few_seeds_have_no_interval_in_json() {
    let root = tempfile::tempdir().unwrap();
    let json = |seeds: u64| {
        let runs = synthetic_runs::runs(
            &root.path().join(seeds.to_string()),
            &[CLIPPED, UNCLIPPED],
            seeds,
        );
        serde_json::to_value(scorecard(&runs)).unwrap()
    };
    for (card, has_interval) in [(json(4), false), (json(5), true)] {
        let arms = card["arms"].as_array().unwrap();
        let of_arms = arms.iter().flat_map(|arm| {
            ["success", "episodic_return", "spl", "area_under_curve"].map(|name| &arm[name])
        });
        let difference = &card["differences"][0];
        let of_pairs = ["success", "episodic_return", "area_under_curve"].map(|name| {
            let paired = &difference[name];
            [&paired["difference"], &paired["probability_greater"]]
        });
        for figure in of_arms.chain(of_pairs.into_iter().flatten()) {
            assert!(figure["value"].is_number(), "{figure}");
            for end in ["low", "high"] {
                assert_eq!(figure[end].is_number(), has_interval, "{figure}");
                assert_eq!(figure[end].is_null(), !has_interval, "{figure}");
            }
        }
    }
}

/// The verdict's statement about gradients agrees with the detectors.
#[test]
fn gradients_with_spikes_are_not_called_tame() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[RAW, UNCLIPPED], 5);
    let reasons = |runs: &[RunRecord]| assess_one(runs).verdict.reasons.join("\n");
    let calm = |run: &mut RunRecord| {
        for step in &mut run.steps {
            step.grad_norm = step.grad_norm.map(|norm| norm.min(2.0));
        }
    };
    let mut tame = runs[5..].to_vec();
    tame.iter_mut().for_each(calm);
    assert!(reasons(&tame).contains("`unclipped`: gradients stayed tame"));
    for run in &mut tame {
        run.health = runs[0].health.clone();
    }
    assert!(!runs[0].health.is_empty());
    let reasons = reasons(&tame);
    assert!(reasons.contains("`unclipped`: the detectors saw gradient spike in 5 of 5 runs"));
    assert!(!reasons.contains("tame"), "{reasons}");
    assert!(
        reasons.contains("stood out from the steps around them"),
        "{reasons}"
    );
}

/// The swept setting is found in the runs' configurations, and copies of a run count once.
#[test]
fn sweep_is_found_in_the_configurations() {
    let root = tempfile::tempdir().unwrap();
    let base = synthetic_runs::runs(root.path(), &[CLIPPED], 2);
    let with = |clip: Option<f64>, rate: f64, success: f64| {
        base.iter().map(move |run| {
            let mut run = run.clone();
            let stages = clip.map_or(String::new(), |max| {
                format!("{{ global_norm = {{ max = {max:?} }} }}")
            });
            let text = format!(
                "arm = 'a{clip:?}{rate}'\n[train]\nlearning_rate = {rate:?}\n\
                 [stability]\nclip = [{stages}]\n"
            );
            run.config = text.parse().unwrap();
            run.evaluation.as_mut().unwrap().summary.success.value = success;
            run
        })
    };
    let grid: Vec<RunRecord> = with(Some(5.0), 0.1, 0.5)
        .chain(with(Some(0.5), 0.1, 0.9))
        .chain(with(None, 0.1, 0.25))
        .chain(with(Some(0.5), 0.3, 0.75))
        .chain(with(Some(0.5), 0.3, 0.75))
        .collect();
    let all: Vec<&RunRecord> = grid.iter().collect();
    let found = sweeps(&all);
    let paths: Vec<&str> = found.iter().map(|sweep| sweep.path.as_str()).collect();
    assert_eq!(
        paths,
        ["stability.clip.0.global_norm.max", "train.learning_rate"]
    );

    let [clips, rates] = [&found[0], &found[1]];
    assert_eq!(
        clips.values,
        [Some(0.5), Some(5.0), None],
        "no clip comes last"
    );
    assert_eq!(
        clips.series.len(),
        1,
        "at the other learning rate there is only one threshold"
    );
    let means: Vec<f64> = clips.series[0]
        .points
        .iter()
        .map(|point| point.as_ref().unwrap().success.unwrap().value)
        .collect();
    assert_eq!(means, [0.9, 0.5, 0.25]);

    assert_eq!(rates.values, [Some(0.1), Some(0.3)]);
    let last = rates.series[0].points[1].as_ref().unwrap();
    assert_eq!(
        (last.runs.len(), last.diverged.total),
        (2, 2),
        "copies are no further seeds"
    );

    // Two arms, one with a threshold and one without, are a comparison and not a sweep.
    let two: Vec<&RunRecord> = all[2..6].to_vec();
    assert!(sweeps(&two).is_empty());
    let page = report::render_report(&grid, &[], root.path());
    assert!(page.contains("<section id=\"sweep\""));
}

/// The report links a health event to its saved incident.
#[test]
fn health_events_link_to_incidents() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[RAW], 1);
    let step = runs[0].health[0].optimiser_step;
    let run = root.path().join(&runs[0].name);
    let folder = run.join(format!("incidents/step_{step:06}"));
    std::fs::create_dir_all(&folder).unwrap();
    let read = || vec![RunRecord::read(&RunDir::open(&run).unwrap()).unwrap()];
    // A folder that is still being written is not an incident yet.
    assert!(read()[0].incidents.is_empty());
    std::fs::write(folder.join("incident.json"), "{}").unwrap();
    let link = format!("{}/incidents/step_{step:06}/", runs[0].name);
    let page = report::render_report(&read(), &[], root.path());
    assert!(page.contains(&format!(
        "<a href=\"{link}\">the incident of step {step}</a>"
    )));
    assert!(page.contains("<code>evenkeel autopsy "));
    std::fs::write(folder.join("autopsy.html"), "").unwrap();
    let page = report::render_report(&read(), &[], root.path());
    assert!(page.contains(&format!(
        "<a href=\"{link}autopsy.html\">the autopsy of step {step}</a>"
    )));
}

#[test]
fn unfinished_runs_are_not_paired() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED], 5);
    runs[0].info.status = RunStatus::Stopped;
    let card = scorecard(&runs);
    assert_eq!(card.differences[0].success.unwrap().seeds, 4);
}

#[test]
fn page_is_complete_small_and_self_contained() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED, RAW], 5);
    let page = report::render_report(&runs, &[], root.path());
    assert!(page.len() < 1_500_000, "the page has {} bytes", page.len());
    for outside in ["src=\"http", "href=\"http", "@import", "url(http", "fetch("] {
        assert!(
            !page.contains(outside),
            "the page reaches outside: {outside}"
        );
    }
    for section in [
        "proof",
        "scorecard",
        "learning",
        "trajectories",
        "failures",
        "stability",
        "instabilities",
        "settings",
    ] {
        assert!(
            page.contains(&format!("<section id=\"{section}\"")),
            "no section {section}"
        );
    }
    assert!(page.contains("<code>stability.normalise.observation</code>"));
    assert!(
        !page.contains("<code>seed</code>"),
        "seeds differ within arms, not between them"
    );
}

/// Opens the page in headless Chromium and checks its console and the drawn figures.
#[test]
fn browser_shows_the_page_without_console_messages() {
    let Some(browser) = find_browser() else {
        skip("chromium", "chromium on the PATH");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED, RAW], 5);
    let page = root.path().join("report.html");
    std::fs::write(&page, report::render_report(&runs, &[], root.path())).unwrap();
    let (dom, console) = open_page(&browser, &page, root.path());
    assert!(console.is_empty(), "the console says: {console}");
    assert!(
        dom.matches("<polyline").count() >= 6,
        "no trajectories were drawn"
    );
    let figures: Vec<&str> = dom
        .match_indices("data-chart=\"")
        .map(|(start, _)| {
            let end = dom[start..].find("</figure>").expect("figures end");
            &dom[start..start + end]
        })
        .collect();
    assert!(figures.len() >= 14, "only {} figures", figures.len());
    for figure in &figures {
        let is_drawn = figure.contains("<path") || figure.contains("data:image/png");
        assert!(
            is_drawn,
            "nothing is drawn in {}",
            &figure[..200.min(figure.len())]
        );
    }
    // Events can be reached by keyboard and have a description.
    assert!(figures[0].contains("class=\"mark\"") && figures[0].contains("tabindex=\"0\""));
    assert!(figures[0].contains("What usually helps: clip the gradient"));
}

/// Writes a report to the path in `EVENKEEL_REPORT`, for work on its design.
#[test]
fn page_is_written_for_inspection() {
    let Some(path) = std::env::var_os("EVENKEEL_REPORT") else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED, RAW], 5);
    std::fs::write(path, report::render_report(&runs, &[], root.path())).unwrap();
}

#[test]
fn console_errors_are_detected() {
    let Some(browser) = find_browser() else {
        eprintln!("skipped: no chromium on the PATH");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let page = root.path().join("broken.html");
    std::fs::write(&page, "<!doctype html><script>null.oops</script>").unwrap();
    let (_, console) = open_page(&browser, &page, root.path());
    assert!(
        console.contains("TypeError"),
        "the check does not see errors: {console}"
    );
}

fn find_browser() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// Opens a page. Returns its DOM after its scripts have run, and the browser's console messages.
fn open_page(browser: &Path, page: &Path, home: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--v=0",
        ])
        .args([
            "--virtual-time-budget=4000",
            "--window-size=1280,900",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            home.join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    assert!(output.status.success(), "the browser failed: {output:?}");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let console = text(output.stderr)
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    (text(output.stdout), console)
}
