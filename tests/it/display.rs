//! A display of its own (Xvfb) and a window of the program on it, under the hands of xdotool; what
//! is on the screen is read from the display's memory. And what needs no display but a driver.
//!
//! Without these programs or a Vulkan driver (Mesa's lavapipe will do) the tests are skipped, unless
//! `EVENKEEL_REQUIRE` asks for what is missing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use evenkeel::view::{OffscreenRenderer, RenderedImage, ViewError};

use crate::requirements::{has, skip};

/// Longer than anything takes on a slow machine that does something else as well.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a window that nothing happens to any more is looked at.
const REST: Duration = Duration::from_millis(400);

/// Red, green, blue.
pub(crate) type Color = [u8; 3];
/// From the left and from above, pixels.
pub(crate) type Place = [i32; 2];

/// One window or studio at a time: Bevy's task pools are the process's, and drawing on the processor
/// takes all of it.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What draws without a display, if a driver is there.
pub(crate) fn studio(width: u32, height: u32) -> Option<OffscreenRenderer> {
    match OffscreenRenderer::open(width, height) {
        Ok(studio) => Some(studio),
        Err(ViewError::NoGpuDriver) => {
            skip("vulkan", "Vulkan driver");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The program, told of no display and given nothing to read.
pub(crate) fn evenkeel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command
        .args(args)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null());
    command
}

/// Waits until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether two colours look alike.
pub(crate) fn alike(a: Color, b: Color) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 6)
}

/// A program that ends with the test, if it has not before.
struct Guest(Option<Child>);

impl Guest {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is taken with the guest only")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A display without a screen, which nobody else has.
pub(crate) struct Display {
    _server: Guest,
    name: String,
    memory: tempfile::TempDir,
}

impl Display {
    /// A display of 1280 × 720 pixels; nothing where a window cannot be tried here.
    pub(crate) fn open() -> Option<Self> {
        if !(has("Xvfb", "xvfb") && has("xdotool", "xdotool")) {
            return None;
        }
        studio(16, 16)?;
        let memory = tempfile::tempdir().expect("a folder");
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-fbdir"])
            .arg(memory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let said = server.stdout.take().expect("it is piped");
        let server = Guest(Some(server));
        let mut number = String::new();
        BufReader::new(said)
            .read_line(&mut number)
            .expect("it says which display it is");
        Some(Self {
            _server: server,
            name: format!(":{}", number.trim()),
            memory,
        })
    }

    /// Starts a program, waits for its window and gives that the keyboard: without a window manager
    /// nobody else does.
    pub(crate) fn show(&self, command: &mut Command) -> Window<'_> {
        let program = command
            .env("DISPLAY", &self.name)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut program = Guest(Some(program));
        let id = until("a window", || {
            if let Some(status) = ended(program.child()) {
                let said = program.child().stderr.take().map(std::io::read_to_string);
                panic!("the program shows no window: {status}, {said:?}");
            }
            self.windows().lines().next().map(str::to_owned)
        });
        self.xdotool(&["windowfocus", "--sync", &id]);
        Window {
            display: self,
            id,
            program,
        }
    }

    /// The identifiers of the program's windows.
    fn windows(&self) -> String {
        self.xdotool(&["search", "--onlyvisible", "--name", "evenkeel"])
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = Command::new("xdotool")
            .args(args)
            .env("DISPLAY", &self.name)
            .stdin(Stdio::null())
            .output()
            .expect("xdotool starts");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        said.trim().to_owned()
    }
}

/// A window of the program, which is ended with it.
pub(crate) struct Window<'a> {
    display: &'a Display,
    id: String,
    program: Guest,
}

impl Window<'_> {
    /// What stands above it.
    pub(crate) fn title(&self) -> String {
        self.display.xdotool(&["getwindowname", &self.id])
    }

    /// Whether it is still there.
    pub(crate) fn is_open(&self) -> bool {
        !self.display.windows().is_empty()
    }

    /// Strikes a key, by X's name of it.
    pub(crate) fn press(&self, key: &str) {
        self.display.xdotool(&["key", key]);
    }

    /// Moves the pointer, and lets an image pass so that it is known to be there.
    fn point(&self, place: Place) {
        let [x, y] = place.map(|number| number.to_string());
        self.display.xdotool(&["mousemove", "--sync", &x, &y]);
        std::thread::sleep(Duration::from_millis(200));
    }

    pub(crate) fn click(&self, place: Place) {
        self.point(place);
        self.display.xdotool(&["click", "1"]);
    }

    pub(crate) fn drag(&self, from: Place, to: Place) {
        self.point(from);
        self.display.xdotool(&["mousedown", "1"]);
        self.point(to);
        self.display.xdotool(&["mouseup", "1"]);
    }

    /// What is on the whole display, out of the dump of it that Xvfb keeps up to date (`XWDFile.h`).
    pub(crate) fn screenshot(&self) -> RenderedImage {
        let dump = self.display.memory.path().join("Xvfb_screen0");
        let dump = std::fs::read(dump).expect("a dump");
        let word = |index: usize| {
            let bytes = dump[4 * index..][..4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        let [header, width, height, stride, colors] = [0, 4, 5, 12, 19].map(word);
        let rows = dump[(header + 12 * colors) as usize..].chunks_exact(stride as usize);
        let rows = rows.take(height as usize);
        let pixels = rows.flat_map(|row| row.chunks_exact(4).take(width as usize));
        RenderedImage {
            width,
            height,
            rgba: pixels
                .flat_map(|pixel| [pixel[2], pixel[1], pixel[0], u8::MAX])
                .collect(),
        }
    }

    /// The colour of a pixel.
    pub(crate) fn pixel(&self, [x, y]: Place) -> Color {
        let shot = self.screenshot();
        let at = 4 * (y as usize * shot.width as usize + x as usize);
        shot.rgba[at..][..3].try_into().expect("three channels")
    }

    /// Waits until a pixel is of a colour.
    pub(crate) fn until_shown(&self, place: Place, color: Color, what: &str) {
        until(what, || alike(self.pixel(place), color).then_some(()));
    }

    /// What is told of the window once that has not changed for a while.
    pub(crate) fn at_rest<T: PartialEq>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        let mut last = None;
        until("rest", || {
            std::thread::sleep(REST);
            let now = look(self);
            let same = now.is_some() && now == last;
            last = now;
            last.take_if(|_| same)
        })
    }

    /// Sends the program a signal: `INT` is Ctrl-C.
    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.program.child().id().to_string();
        let killed = Command::new("kill").args(["-s", name, &id]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }

    /// Processor time that the program has taken, in ticks of the system's clock (`man proc`).
    pub(crate) fn ticks(&mut self) -> u64 {
        let path = format!("/proc/{}/stat", self.program.child().id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
        let fields = after_name.split_whitespace().skip(11).take(2);
        fields
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum()
    }

    /// Waits for the program to end by itself; how it did, and what it said.
    pub(crate) fn output(mut self) -> Output {
        let child = self.program.child();
        until("an end of the program", || ended(child));
        let child = self.program.0.take().expect("it is taken only here");
        child.wait_with_output().expect("it has ended")
    }
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().expect("a child")
}
