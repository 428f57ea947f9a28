//! The window on a recording, wound by mouse and keys.

use crate::display::{Display, Place, Window, alone, evenkeel, until};

/// Where things are on a screen of 1280 × 720: the middle of the time line, and the rows of the list.
const TIME_LINE_Y: i32 = 600;
const PLOT_X: (f64, f64) = (168.0, 1262.0);
const FIRST_ROW_Y: i32 = 117;
const ROW: i32 = 23;
/// The ways to the other steps of an incident, and the middle of the time line of its training.
#[cfg(feature = "learn")]
const EARLIER: Place = [193, 67];
#[cfg(feature = "learn")]
const LATER: Place = [213, 67];
#[cfg(feature = "learn")]
const TRAINING_Y: i32 = 610;

/// A window on a recording.
struct Hands<'a>(Window<'a>);

impl Hands<'_> {
    /// Episode, step, and how many there are, as the title tells.
    fn place(&self) -> Option<(u64, u32, u32)> {
        let title = self.0.title();
        let words: Vec<&str> = title.split([' ', ',']).collect();
        let after = |word: &str| {
            let at = words.iter().rposition(|other| *other == word)?;
            words.get(at + 1)?.parse::<u32>().ok()
        };
        Some((after("episode")?.into(), after("step")?, after("of")?))
    }

    /// Waits until it is beyond a step.
    fn passes(&self, step: u32) {
        until("playing", || self.place().filter(|(_, on, _)| *on > step));
    }

    /// Waits until it is there.
    fn comes_to(&self, episode: u64, step: u32) {
        let what = format!("step {step} of episode {episode}");
        until(&what, || {
            let (at, on, _) = self.place()?;
            (at == episode && on == step).then_some(())
        });
    }

    /// Where it is once that has not changed for a while.
    fn rests(&self) -> (u64, u32, u32) {
        self.0.at_rest(|_| self.place())
    }

    fn press(&self, key: &str) {
        self.0.press(key);
    }

    /// Strikes a key whose effect no title tells, and waits until it is seen: a click that comes with
    /// it in one frame would meet what was there before.
    fn switch(&self, key: &str) {
        let before = self.0.screenshot();
        self.press(key);
        until("another picture", || {
            (self.0.screenshot() != before).then_some(())
        });
        self.0.at_rest(|window| Some(window.screenshot()));
    }

    /// Clicks on a row of the list, the episodes' from 0.
    fn click_row(&self, row: i32) {
        self.0.click([80, FIRST_ROW_Y + ROW * row]);
    }

    /// Clicks on the time line.
    fn click_share(&self, share: f64) {
        self.0.click(on_time_line(share));
    }
}

fn on_time_line(share: f64) -> Place {
    let (left, right) = PLOT_X;
    [(left + share * (right - left)).round() as i32, TIME_LINE_Y]
}

#[test]
fn a_recording_is_wound_by_mouse_and_keys() {
    let _alone = alone();
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

    let hands = Hands(display.show(&mut evenkeel(&["replay", "--window", path])));
    // It plays by itself, until it is paused.
    hands.passes(2);
    hands.press("space");
    let (episode, _, _) = hands.rests();
    assert_eq!(episode, 0);

    // The time line, by mouse.
    hands.click_share(0.5);
    let (_, half, length) = until("half of it", || {
        let place = hands.place()?;
        (place.1.abs_diff(place.2 / 2) <= 1).then_some(place)
    });
    hands.click_share(0.0);
    hands.comes_to(0, 0);
    hands.click_share(1.0);
    hands.comes_to(0, length);
    hands.0.drag(on_time_line(0.9), on_time_line(0.5));
    hands.comes_to(0, half);

    // Single steps.
    hands.press("period");
    hands.comes_to(0, half + 1);
    hands.press("Right");
    hands.comes_to(0, half + 2);
    hands.press("Left");
    hands.comes_to(0, half + 1);
    assert_eq!(hands.rests(), (0, half + 1, length), "it is paused");

    // Episodes, by key and from the list.
    hands.press("n");
    hands.comes_to(1, 0);
    hands.click_row(2);
    hands.comes_to(2, 0);
    hands.press("b");
    hands.comes_to(1, 0);

    // Without the list, a click there is none on an episode.
    hands.switch("e");
    hands.click_row(0);
    assert_eq!(hands.rests().0, 1);
    hands.switch("e");
    hands.click_row(0);
    hands.comes_to(0, 0);

    // And without the time line, one there goes nowhere.
    hands.switch("m");
    hands.click_share(0.5);
    assert_eq!(hands.rests().1, 0);
    hands.switch("m");
    hands.click_share(0.5);
    hands.comes_to(0, half);

    // It goes on, and is closed.
    hands.press("space");
    hands.passes(half + 2);
    hands.press("Escape");
    assert!(hands.0.output().status.success());
}

#[cfg(feature = "learn")]
#[test]
fn an_incident_is_gone_through_step_by_step() {
    let _alone = alone();
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
    let comes_to = |step: u64| {
        let said = format!("behind optimiser step {step}:");
        until(&said, || window.title().contains(&said).then_some(()));
    };
    comes_to(last);
    window.press("Prior");
    comes_to(last - 1);
    window.press("Prior");
    comes_to(last - 2);
    window.press("Next");
    comes_to(last - 1);
    // The arrows above the list.
    window.click(LATER);
    comes_to(last);
    window.click(EARLIER);
    comes_to(last - 1);
    // There is none after the last.
    window.press("Next");
    window.press("Next");
    comes_to(last);
    window.click([PLOT_X.1 as i32 - 1, TRAINING_Y]);
    comes_to(last);
    window.press("Escape");
    assert!(window.output().status.success());
}
