//! Helpers for tests with a window: a virtual display (Xvfb), input by xdotool, and screenshots from
//! the display's memory. Also an offscreen renderer, which needs a Vulkan driver but no display.
//!
//! Without these programs or a Vulkan driver (Mesa's lavapipe is enough) the tests are skipped, unless
//! `EVENKEEL_REQUIRE` lists what is missing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use evenkeel::view::{OffscreenRenderer, RenderedImage, ViewError};

use crate::requirements::{has, skip};

/// Longest time to wait for anything, enough for a slow and busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Time without a change after which a window counts as settled.
const SETTLE_TIME: Duration = Duration::from_millis(400);

/// Red, green, blue, 0 to 255.
pub(crate) type Color = [u8; 3];
/// Position from the left and from the top, pixels.
pub(crate) type Point = [i32; 2];

/// Lets only one test at a time draw: Bevy's task pools are shared by the process, and software
/// rendering uses all cores.
pub(crate) fn drawing_lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Opens an offscreen renderer, or skips the test if there is no Vulkan driver.
pub(crate) fn offscreen_renderer(width: u32, height: u32) -> Option<OffscreenRenderer> {
    match OffscreenRenderer::open(width, height) {
        Ok(renderer) => Some(renderer),
        Err(ViewError::NoGpuDriver) => {
            skip("vulkan", "Vulkan driver");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The program without a display and with an empty stdin.
pub(crate) fn evenkeel(args: &[&str]) -> Command {
    let mut command = crate::helpers::evenkeel(args);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// Waits until `read` returns a value.
pub(crate) fn wait_for<T>(what: &str, mut read: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = read() {
            return found;
        }
        assert!(start.elapsed() < TIMEOUT, "{what}: not in {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether two colours are nearly equal.
pub(crate) fn nearly_equal(a: Color, b: Color) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 6)
}

/// A child process that is killed when this is dropped.
struct ChildGuard(Option<Child>);

impl ChildGuard {
    fn child(&mut self) -> &mut Child {
        self.0
            .as_mut()
            .expect("only `Window::output` takes the child")
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A virtual display of its own.
pub(crate) struct Display {
    _server: ChildGuard,
    name: String,
    memory: tempfile::TempDir,
}

impl Display {
    /// Opens a display of 1280 × 720 pixels, or returns `None` if windows cannot be tested here.
    pub(crate) fn open() -> Option<Self> {
        if !(has("Xvfb", "xvfb") && has("xdotool", "xdotool")) {
            return None;
        }
        offscreen_renderer(16, 16)?;
        let memory = tempfile::tempdir().expect("a folder");
        let mut server = Command::new("Xvfb")
            // Without -noreset it starts again when its only client leaves, and refuses the next one until then.
            .args([
                "-noreset",
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x720x24",
                "-fbdir",
            ])
            .arg(memory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let stdout = server.stdout.take().expect("it is piped");
        let server = ChildGuard(Some(server));
        let mut number = String::new();
        BufReader::new(stdout)
            .read_line(&mut number)
            .expect("it says which display it is");
        Some(Self {
            _server: server,
            name: format!(":{}", number.trim()),
            memory,
        })
    }

    /// Starts a program, waits for its window and gives it the keyboard focus, because there is no
    /// window manager.
    pub(crate) fn show(&self, command: &mut Command) -> Window<'_> {
        let program = command
            .env("DISPLAY", &self.name)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut program = ChildGuard(Some(program));
        let id = wait_for("a window", || {
            if let Some(status) = exit_status(program.child()) {
                let stderr = program.child().stderr.take().map(std::io::read_to_string);
                panic!("the program shows no window: {status}, {stderr:?}");
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
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        stdout.trim().to_owned()
    }
}

/// A window of the program. The program is killed when this is dropped.
pub(crate) struct Window<'a> {
    display: &'a Display,
    id: String,
    program: ChildGuard,
}

impl Window<'_> {
    /// The window's title.
    pub(crate) fn title(&self) -> String {
        self.display.xdotool(&["getwindowname", &self.id])
    }

    /// Whether the window still exists.
    pub(crate) fn is_open(&self) -> bool {
        !self.display.windows().is_empty()
    }

    /// Presses a key, given by its X name.
    pub(crate) fn press(&self, key: &str) {
        self.display.xdotool(&["key", key]);
    }

    /// Moves the pointer and waits for a frame, so that the program has seen it.
    fn point(&self, position: Point) {
        let [x, y] = position.map(|number| number.to_string());
        self.display.xdotool(&["mousemove", "--sync", &x, &y]);
        std::thread::sleep(Duration::from_millis(200));
    }

    pub(crate) fn click(&self, position: Point) {
        self.point(position);
        self.display.xdotool(&["click", "1"]);
    }

    pub(crate) fn drag(&self, from: Point, to: Point) {
        self.point(from);
        self.display.xdotool(&["mousedown", "1"]);
        self.point(to);
        self.display.xdotool(&["mouseup", "1"]);
    }

    /// Reads the whole display from Xvfb's memory-mapped dump (format: `XWDFile.h`).
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
    pub(crate) fn pixel(&self, [x, y]: Point) -> Color {
        let image = self.screenshot();
        let at = 4 * (y as usize * image.width as usize + x as usize);
        image.rgba[at..][..3].try_into().expect("three channels")
    }

    /// Waits until a pixel has a colour.
    pub(crate) fn wait_for_color(&self, position: Point, color: Color, what: &str) {
        wait_for(what, || {
            nearly_equal(self.pixel(position), color).then_some(())
        });
    }

    /// Returns what `read` reads from the window once it no longer changes.
    pub(crate) fn when_settled<T: PartialEq>(&self, read: impl Fn(&Self) -> Option<T>) -> T {
        let mut last = None;
        wait_for("rest", || {
            std::thread::sleep(SETTLE_TIME);
            let now = read(self);
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

    /// Processor time that the program has used, in clock ticks (`man proc`).
    pub(crate) fn ticks(&mut self) -> u64 {
        let path = format!("/proc/{}/stat", self.program.child().id());
        let stat = std::fs::read_to_string(path).expect("it runs");
        let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
        let fields = after_name.split_whitespace().skip(11).take(2);
        fields
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum()
    }

    /// Waits for the program to end by itself and returns its output.
    pub(crate) fn output(mut self) -> Output {
        let child = self.program.child();
        wait_for("an end of the program", || exit_status(child));
        let child = self.program.0.take().expect("it is taken only here");
        child.wait_with_output().expect("it has ended")
    }
}

fn exit_status(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().expect("a child")
}
