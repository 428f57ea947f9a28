//! The report: what it says, and that a browser shows it without a word on its console.

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
    let verdict = assessed(&runs).verdict;
    let mut text = verdict.headline;
    for line in verdict.findings.iter().chain(&verdict.reasons) {
        text += "\n- ";
        text += line;
    }
    text
}

/// What is said of runs of one scenario.
fn assessed(runs: &[RunRecord]) -> Assessment {
    let mut all = assess(runs, &[]);
    assert_eq!(all.len(), 1, "one scenario");
    all.remove(0)
}

fn scorecard(runs: &[RunRecord]) -> Scorecard {
    assessed(runs).scorecard
}

#[test]
fn a_difference_is_told_with_its_size_certainty_and_reasons() {
    insta::assert_snapshot!(verdict(&[CLIPPED, UNCLIPPED, RAW], 5));
}

#[test]
fn nothing_is_claimed_with_few_seeds() {
    insta::assert_snapshot!(verdict(&[CLIPPED, RAW], 3));
}

#[test]
fn one_arm_alone_is_described() {
    insta::assert_snapshot!(verdict(&[CLIPPED], 1));
}

/// Five copies of one seed are one seed, however they are called.
#[test]
fn copies_of_a_run_are_no_further_seeds() {
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
    } = assessed(&copies);
    assert_eq!(card.arms[0].runs.len(), 1);
    assert_eq!(card.differences[0].success.unwrap().seeds, 1);
    let excluded_runs: Vec<&str> = card
        .excluded_runs
        .iter()
        .map(|left| left.run.as_str())
        .collect();
    assert_eq!(excluded_runs, ["copy-0", "copy-1", "copy-2", "copy-4"]);
    assert!(
        card.excluded_runs
            .iter()
            .all(|left| left.kept_run == "copy-3")
    );
    assert!(
        verdict
            .findings
            .iter()
            .any(|line| line.contains("copy-0 for copy-3")),
        "{verdict:?}"
    );
}

/// Other worlds, budgets and evaluations leave nothing to claim.
#[test]
fn runs_that_differ_in_more_than_the_arm_are_not_compared() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let changes: [fn(&mut RunRecord); 3] = [
        |run| {
            run.config.insert("version".into(), 2.into());
        },
        |run| run.info.total_steps *= 2,
        |run| run.evaluation.as_mut().unwrap().summary.episodes = 10,
    ];
    let told = changes.map(|change| {
        let mut runs = runs.clone();
        runs[5..].iter_mut().for_each(change);
        let Assessment {
            scorecard, verdict, ..
        } = assessed(&runs);
        assert_eq!(scorecard.differences[0].success, None);
        format!("{}\n{}", verdict.headline, verdict.findings.join("\n"))
    });
    insta::assert_snapshot!(told.join("\n"));
}

/// Arms are told apart in each scenario, and never pooled over them.
#[test]
fn each_scenario_is_assessed_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let mut elsewhere = synthetic_runs::runs(&root.path().join("more"), &[RAW, UNCLIPPED], 5);
    for run in &mut elsewhere {
        run.info.scenario = "movers".into();
    }
    let apart = [scorecard(&runs), scorecard(&elsewhere)];
    runs.extend(elsewhere);
    let together = assess(&runs, &[]);
    assert_eq!(together.len(), 2);
    for ((assessment, apart), name) in together.iter().zip(&apart).zip(["reference", "movers"]) {
        assert_eq!(assessment.scenario, name);
        let [one, other] = [&assessment.scorecard, apart].map(|c| serde_json::to_value(c).unwrap());
        assert_eq!(one, other);
        assert!(assessment.scorecard.differences[0].success.is_some());
    }

    let page = report::render_report(&runs, &[], root.path());
    assert!(page.contains("2 scenarios, each by itself"));
    for (part, [one, other]) in [["clipped", "raw"], ["raw", "unclipped"]]
        .iter()
        .enumerate()
    {
        let start = page.find(&format!("data-part=\"{part}\"")).unwrap();
        let part = &page[start..start + page[start..].find("</article>").unwrap()];
        let table = &part[part.find("<thead>").unwrap()..part.find("</thead>").unwrap()];
        let places = [one, other].map(|arm| table.find(&format!(">{arm}<")).unwrap());
        assert!(places[0] < places[1]);
        assert_eq!(table.matches("class=\"arm ").count(), 2, "{table}");
    }
    // An arm has its colour wherever it stands.
    let colours: Vec<&str> = page
        .match_indices(">raw</span>")
        .map(|(at, _)| &page[at - 5..at])
        .collect();
    assert!(colours.windows(2).all(|pair| pair[0] == pair[1]));
}

/// What the best checkpoint of a diverged run could do is nowhere the run's own result.
#[test]
fn a_diverged_run_counts_as_nothing_reached_and_its_way_says_so() {
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

/// A directory of an older build says nothing of random actions, and is read all the same.
#[test]
fn a_diverged_run_without_a_random_evaluation_has_no_return_and_the_row_says_so() {
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

/// Under five seeds nothing is drawn that could be taken for an interval over seeds.
#[test]
fn few_seeds_are_shown_themselves() {
    let root = tempfile::tempdir().unwrap();
    let shown = |seeds: u64| {
        let runs = synthetic_runs::runs(
            &root.path().join(seeds.to_string()),
            &[CLIPPED, UNCLIPPED],
            seeds,
        );
        let page = report::render_report(&runs, &[], root.path());
        let bands = page.matches("\"low\":[null").count();
        (page.contains("<small>runs: "), bands)
    };
    let ((few, without), (many, with)) = (shown(4), shown(5));
    assert!(few && !many);
    assert!(
        without > with,
        "{without} curves without a band, {with} with five seeds"
    );
}

/// A program is told no more than a person: no interval where there are few seeds.
#[test]
fn few_seeds_have_no_interval_in_json_either() {
    let root = tempfile::tempdir().unwrap();
    let json = |seeds: u64| {
        let runs = synthetic_runs::runs(
            &root.path().join(seeds.to_string()),
            &[CLIPPED, UNCLIPPED],
            seeds,
        );
        serde_json::to_value(scorecard(&runs)).unwrap()
    };
    for (card, sure) in [(json(4), false), (json(5), true)] {
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
                assert_eq!(figure[end].is_number(), sure, "{figure}");
                assert_eq!(figure[end].is_null(), !sure, "{figure}");
            }
        }
    }
}

/// What the detectors saw and what is said of the gradient agree.
#[test]
fn gradients_that_spiked_are_not_called_tame() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[RAW, UNCLIPPED], 5);
    let told = |runs: &[RunRecord]| assessed(runs).verdict.reasons.join("\n");
    let calm = |run: &mut RunRecord| {
        for step in &mut run.steps {
            step.grad_norm = step.grad_norm.map(|norm| norm.min(2.0));
        }
    };
    let mut tame = runs[5..].to_vec();
    tame.iter_mut().for_each(calm);
    assert!(told(&tame).contains("`unclipped`: gradients stayed tame"));
    for run in &mut tame {
        run.health = runs[0].health.clone();
    }
    assert!(!runs[0].health.is_empty());
    let told = told(&tame);
    assert!(told.contains("`unclipped`: the detectors saw gradient spike in 5 of 5 runs"));
    assert!(!told.contains("tame"), "{told}");
    assert!(
        told.contains("stood out from the steps around it"),
        "{told}"
    );
}

/// Which setting is swept over is read from the configurations, and a copy of a run counts once.
#[test]
fn a_sweep_is_found_in_the_runs_own_configurations() {
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
        "at the other rate there is one threshold only"
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

    // Arms with one threshold and none are a comparison, not a sweep.
    let two: Vec<&RunRecord> = all[2..6].to_vec();
    assert!(sweeps(&two).is_empty());
    let page = report::render_report(&grid, &[], root.path());
    assert!(page.contains("<section id=\"sweep\""));
}

/// An incident that a run keeps can be reached from the event that it is about.
#[test]
fn events_lead_to_the_incidents_that_were_kept() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[RAW], 1);
    let step = runs[0].health[0].optimiser_step;
    let run = root.path().join(&runs[0].name);
    let folder = run.join(format!("incidents/step_{step:06}"));
    std::fs::create_dir_all(&folder).unwrap();
    let read = || vec![RunRecord::read(&RunDir::open(&run).unwrap()).unwrap()];
    // A folder that is still being written is none.
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
fn an_unfinished_run_is_no_pair() {
    let root = tempfile::tempdir().unwrap();
    let mut runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED], 5);
    runs[0].info.status = RunStatus::Stopped;
    let card = scorecard(&runs);
    assert_eq!(card.differences[0].success.unwrap().seeds, 4);
}

#[test]
fn the_page_is_whole_small_and_fetches_nothing() {
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
        "accidents",
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

/// Opens the page in headless Chromium and reads its console, and what its script has drawn.
#[test]
fn a_browser_shows_the_page_without_complaint() {
    let Some(browser) = find_browser() else {
        skip("chromium", "chromium on the PATH");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED, RAW], 5);
    let page = root.path().join("report.html");
    std::fs::write(&page, report::render_report(&runs, &[], root.path())).unwrap();
    let (drawn, console) = open(&browser, &page, root.path());
    assert!(console.is_empty(), "the console says: {console}");
    assert!(
        drawn.matches("<polyline").count() >= 6,
        "no trajectories were drawn"
    );
    let figures: Vec<&str> = drawn
        .match_indices("data-chart=\"")
        .map(|(start, _)| {
            let end = drawn[start..].find("</figure>").expect("figures end");
            &drawn[start..start + end]
        })
        .collect();
    assert!(figures.len() >= 14, "only {} figures", figures.len());
    for figure in &figures {
        let drawn = figure.contains("<path") || figure.contains("data:image/png");
        assert!(
            drawn,
            "nothing is drawn in {}",
            &figure[..200.min(figure.len())]
        );
    }
    // Events can be reached without a pointer, and say what they are.
    assert!(figures[0].contains("class=\"mark\"") && figures[0].contains("tabindex=\"0\""));
    assert!(figures[0].contains("What usually helps: clip the gradient"));
}

/// Writes the page where `EVENKEEL_REPORT` says, to look at it while working on it.
#[test]
fn the_page_can_be_kept_to_look_at() {
    let Some(path) = std::env::var_os("EVENKEEL_REPORT") else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, UNCLIPPED, RAW], 5);
    std::fs::write(path, report::render_report(&runs, &[], root.path())).unwrap();
}

#[test]
fn a_console_error_would_be_seen() {
    let Some(browser) = find_browser() else {
        eprintln!("skipped: no chromium on the PATH");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let page = root.path().join("broken.html");
    std::fs::write(&page, "<!doctype html><script>null.oops</script>").unwrap();
    let (_, console) = open(&browser, &page, root.path());
    assert!(
        console.contains("TypeError"),
        "the check is blind: {console}"
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

/// The page as its script leaves it, and what the browser says on its log.
fn open(browser: &Path, page: &Path, home: &Path) -> (String, String) {
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
