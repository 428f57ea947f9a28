//! The window on a recording, under the hands of `xdotool` on a screen of its own.
//!
//! It needs Xvfb, xdotool and a Vulkan driver; without them it is skipped, unless `EVENKEEL_REQUIRE`
//! asks for `xdotool`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel::view::{Studio, ViewError};

/// How long anything may take; drawing is done on the processor.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where things are on a screen of 1280 × 720: the middle of the time line, and the rows of the list.
const TIME_LINE_Y: i32 = 600;
const PLOT_X: (f64, f64) = (168.0, 1262.0);
const FIRST_ROW_Y: i32 = 117;
const ROW: i32 = 23;

/// A program that ends with the test.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A screen, and a window on it.
struct Hands {
    display: String,
    window: String,
    program: Guest,
    _screen: Guest,
}

fn can_start(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("-version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Whether the window can be tried here.
fn equipped() -> bool {
    let missing = ["Xvfb", "xdotool"]
        .into_iter()
        .find(|name| !can_start(name));
    let missing = missing.or_else(|| match Studio::open(16, 16) {
        Err(ViewError::NoDriver) => Some("a Vulkan driver"),
        _ => None,
    });
    if let Some(missing) = missing {
        assert!(
            !std::env::var("EVENKEEL_REQUIRE").is_ok_and(|wanted| wanted.contains("xdotool")),
            "EVENKEEL_REQUIRE asks for xdotool, and there is no {missing}"
        );
        eprintln!("skipped: there is no {missing}");
    }
    missing.is_none()
}

/// A screen that nobody else has.
fn screen() -> (Guest, String) {
    let mut child = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x720x24"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb starts");
    let mut number = String::new();
    let out = child.stdout.take().expect("piped");
    BufReader::new(out)
        .read_line(&mut number)
        .expect("a number");
    (Guest(child), format!(":{}", number.trim()))
}

impl Hands {
    /// Opens a recording in a window that has the keyboard.
    fn on(recording: &Path) -> Self {
        let (screen, display) = screen();
        let program = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(["replay", "--window"])
            .arg(recording)
            .env("DISPLAY", &display)
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut hands = Self {
            display,
            window: String::new(),
            program: Guest(program),
            _screen: screen,
        };
        let search = ["search", "--onlyvisible", "--name", "evenkeel"];
        hands.window = hands.wait(|hands| {
            let found = hands.xdotool(&search);
            found.lines().next().map(str::to_owned)
        });
        let window = hands.window.clone();
        hands.xdotool(&["windowfocus", "--sync", &window]);
        hands
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = Command::new("xdotool")
            .args(args)
            .env("DISPLAY", &self.display)
            .output()
            .expect("xdotool starts");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn wait<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let title = self.xdotool(&["getwindowname", &self.window]);
            assert!(began.elapsed() < PATIENCE, "waited in vain at {title:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Episode, step, and how many there are, as the title tells.
    fn place(&self) -> Option<(u64, u32, u32)> {
        let title = self.xdotool(&["getwindowname", &self.window]);
        let words: Vec<&str> = title.split([' ', ',']).collect();
        let after = |word: &str| {
            let at = words.iter().rposition(|other| *other == word)?;
            words.get(at + 1)?.parse::<u32>().ok()
        };
        Some((after("episode")?.into(), after("step")?, after("of")?))
    }

    /// Waits until it is there.
    fn comes_to(&self, episode: u64, step: u32) {
        self.wait(|hands| {
            let (at, on, _) = hands.place()?;
            (at == episode && on == step).then_some(())
        });
    }

    /// Where it is once that has not changed for a while.
    fn rests(&self) -> (u64, u32, u32) {
        let mut last = None;
        self.wait(|hands| {
            std::thread::sleep(Duration::from_millis(400));
            let place = hands.place();
            let same = place.is_some() && place == last;
            last = place;
            place.filter(|_| same)
        })
    }

    fn press(&self, key: &str) {
        self.xdotool(&["key", key]);
    }

    fn click(&self, x: i32, y: i32) {
        let [x, y] = [x, y].map(|number| number.to_string());
        self.xdotool(&["mousemove", "--sync", &x, &y]);
        // One image between, so that the pointer is known to be there.
        std::thread::sleep(Duration::from_millis(200));
        self.xdotool(&["click", "1"]);
    }

    /// Clicks on the time line.
    fn click_share(&self, share: f64) {
        let (left, right) = PLOT_X;
        self.click((left + share * (right - left)).round() as i32, TIME_LINE_Y);
    }
}

#[test]
fn a_recording_is_wound_by_mouse_and_keys() {
    let _alone = crate::view::alone();
    if !equipped() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mcap");
    let record = ["record", "driver:straight", "--scenario", "movers"];
    let recorded = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(record)
        .args(["--episodes", "3", "--out"])
        .arg(&path)
        .output()
        .expect("the program starts");
    assert!(recorded.status.success());

    let mut hands = Hands::on(&path);
    // It plays by itself, until it is paused.
    hands.wait(|hands| hands.place().filter(|(_, step, _)| *step > 2));
    hands.press("space");
    let (episode, _, _) = hands.rests();
    assert_eq!(episode, 0);

    // The time line, by mouse.
    hands.click_share(0.5);
    let (_, half, length) = hands.wait(|hands| {
        let place = hands.place()?;
        (place.1.abs_diff(place.2 / 2) <= 1).then_some(place)
    });
    hands.click_share(0.0);
    hands.comes_to(0, 0);
    hands.click_share(1.0);
    hands.comes_to(0, length);
    hands.click_share(0.5);
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
    hands.click(80, FIRST_ROW_Y + 2 * ROW);
    hands.comes_to(2, 0);
    hands.press("b");
    hands.comes_to(1, 0);

    // Without the list, a click there is none on an episode.
    hands.press("e");
    std::thread::sleep(Duration::from_millis(300));
    hands.click(80, FIRST_ROW_Y);
    assert_eq!(hands.rests().0, 1);
    hands.press("e");
    std::thread::sleep(Duration::from_millis(300));
    hands.click(80, FIRST_ROW_Y);
    hands.comes_to(0, 0);

    // And without the time line, one there goes nowhere.
    hands.press("m");
    std::thread::sleep(Duration::from_millis(300));
    hands.click_share(0.5);
    assert_eq!(hands.rests().1, 0);
    hands.press("m");
    std::thread::sleep(Duration::from_millis(300));
    hands.click_share(0.5);
    hands.comes_to(0, half);

    // It goes on, and is closed.
    hands.press("space");
    hands.wait(|hands| hands.place().filter(|(_, step, _)| *step > half + 2));
    hands.press("Escape");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = hands.program.0.try_wait().expect("a child") {
            break status;
        }
        assert!(began.elapsed() < PATIENCE, "Escape does not close it");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success());
}
