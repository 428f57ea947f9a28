//! The replay window, controlled by mouse and keys.

use crate::display::{Display, Point, Window, drawing_lock, evenkeel, wait_for};

/// Positions in a window of 1280 × 720 pixels: the middle of the time line, and the rows of the list.
const TIME_LINE_Y: i32 = 600;
const PLOT_X: (f64, f64) = (171.0, 1259.0);
const FIRST_ROW_Y: i32 = 117;
const ROW: i32 = 23;
/// The arrows to the previous and next optimiser step, and the middle of the training time line.
#[cfg(feature = "learn")]
const EARLIER: Point = [193, 67];
#[cfg(feature = "learn")]
const LATER: Point = [213, 67];
#[cfg(feature = "learn")]
const TRAINING_Y: i32 = 610;

/// A replay window.
struct ReplayWindow<'a>(Window<'a>);

impl ReplayWindow<'_> {
    /// Episode, step and number of steps, from the window's title.
    fn position(&self) -> Option<(u64, u32, u32)> {
        let title = self.0.title();
        let words: Vec<&str> = title.split([' ', ',']).collect();
        let after = |word: &str| {
            let at = words.iter().rposition(|other| *other == word)?;
            words.get(at + 1)?.parse::<u32>().ok()
        };
        Some((after("episode")?.into(), after("step")?, after("of")?))
    }

    /// Waits until playback has passed a step.
    fn wait_past(&self, step: u32) {
        wait_for("playing", || {
            self.position().filter(|(_, on, _)| *on > step)
        });
    }

    /// Waits until a step of an episode is shown.
    fn wait_for_step(&self, episode: u64, step: u32) {
        let what = format!("step {step} of episode {episode}");
        wait_for(&what, || {
            let (at, on, _) = self.position()?;
            (at == episode && on == step).then_some(())
        });
    }

    /// The position once it no longer changes.
    fn settled_position(&self) -> (u64, u32, u32) {
        self.0.when_settled(|_| self.position())
    }

    fn press(&self, key: &str) {
        self.0.press(key);
    }

    /// Presses a key that does not change the title, and waits until the picture has changed. A click
    /// in the same frame as the key would still act on the old picture.
    fn toggle(&self, key: &str) {
        let before = self.0.screenshot();
        self.press(key);
        wait_for("another picture", || {
            (self.0.screenshot() != before).then_some(())
        });
        self.0.when_settled(|window| Some(window.screenshot()));
    }

    /// Clicks on a row of the list, the episodes' from 0.
    fn click_row(&self, row: i32) {
        self.0.click([80, FIRST_ROW_Y + ROW * row]);
    }

    /// Clicks on the time line until a step of episode 0 is shown: a display may lose a click.
    fn go_to(&self, share: f64, step: u32) {
        for _ in 0..4 {
            self.click_time_line(share);
            for _ in 0..100 {
                if self.position().is_some_and(|at| (at.0, at.1) == (0, step)) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
        self.wait_for_step(0, step);
    }

    /// Clicks on the time line.
    fn click_time_line(&self, share: f64) {
        self.0.click(on_time_line(share));
    }
}

fn on_time_line(share: f64) -> Point {
    let (left, right) = PLOT_X;
    [(left + share * (right - left)).round() as i32, TIME_LINE_Y]
}

#[test]
fn recording_is_controlled_by_mouse_and_keys() {
    let _lock = drawing_lock();
    let Some(display) = Display::open() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mcap");
    let path = path.to_str().expect("UTF-8");
    let recorded = evenkeel(&["record", "planner:straight", "--scenario", "movers"])
        .args(["--episodes", "3", "--out", path])
        .output()
        .expect("the program starts");
    assert!(recorded.status.success());

    let replay = ReplayWindow(display.show(&mut evenkeel(&["replay", "--window", path])));
    // Playback starts by itself and runs until it is paused.
    replay.wait_past(2);
    replay.press("space");
    let (episode, _, _) = replay.settled_position();
    assert_eq!(episode, 0);

    // The time line, by mouse.
    replay.click_time_line(0.5);
    let (_, half, length) = wait_for("half of it", || {
        let position = replay.position()?;
        (position.1.abs_diff(position.2 / 2) <= 1).then_some(position)
    });
    replay.go_to(0.0, 0);
    replay.go_to(1.0, length);
    replay.0.drag(on_time_line(0.9), on_time_line(0.5));
    replay.wait_for_step(0, half);

    // Single steps.
    replay.press("period");
    replay.wait_for_step(0, half + 1);
    replay.press("Right");
    replay.wait_for_step(0, half + 2);
    replay.press("Left");
    replay.wait_for_step(0, half + 1);
    assert_eq!(
        replay.settled_position(),
        (0, half + 1, length),
        "it is paused"
    );

    // Episodes, by key and from the list.
    replay.press("n");
    replay.wait_for_step(1, 0);
    replay.click_row(2);
    replay.wait_for_step(2, 0);
    replay.press("b");
    replay.wait_for_step(1, 0);

    // While the list is hidden, a click there selects no episode.
    replay.toggle("e");
    replay.click_row(0);
    assert_eq!(replay.settled_position().0, 1);
    replay.toggle("e");
    replay.click_row(0);
    replay.wait_for_step(0, 0);

    // While the time line is hidden, a click there does not change the step.
    replay.toggle("m");
    replay.click_time_line(0.5);
    assert_eq!(replay.settled_position().1, 0);
    replay.toggle("m");
    replay.click_time_line(0.5);
    replay.wait_for_step(0, half);

    // Playback continues, and the window closes.
    replay.press("space");
    replay.wait_past(half + 2);
    replay.press("Escape");
    assert!(replay.0.output().status.success());
}

#[cfg(feature = "learn")]
#[test]
fn incident_steps_can_be_selected() {
    let _lock = drawing_lock();
    let Some(display) = Display::open() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let trained = evenkeel(&["train", "exploder", "--arm=unclipped", "--seed=3", "--out"])
        .arg(&run)
        .args(["--steps=60k", "--episodes=0", "--progress=none"])
        .output()
        .expect("the program starts");
    assert!(trained.status.success());
    let incidents = std::fs::read_dir(run.join("incidents")).expect("it diverges");
    let incidents = incidents.map(|incident| incident.expect("a folder").path());
    let incident = incidents.max().expect("an incident");
    let last = incident.to_str().and_then(|path| path.rsplit('_').next());
    let last: u64 = last.and_then(|number| number.parse().ok()).expect("a step");

    let window = display.show(evenkeel(&["replay", "--window"]).arg(&incident));
    let wait_for_step = |step: u64| {
        let said = format!("behind optimiser step {step}:");
        wait_for(&said, || window.title().contains(&said).then_some(()));
    };
    wait_for_step(last);
    window.press("Prior");
    wait_for_step(last - 1);
    window.press("Prior");
    wait_for_step(last - 2);
    window.press("Next");
    wait_for_step(last - 1);
    // The arrows above the list.
    window.click(LATER);
    wait_for_step(last);
    window.click(EARLIER);
    wait_for_step(last - 1);
    // There is no step after the last.
    window.press("Next");
    window.press("Next");
    wait_for_step(last);
    window.click([PLOT_X.1 as i32 - 1, TRAINING_Y]);
    wait_for_step(last);
    window.press("Escape");
    assert!(window.output().status.success());
}
