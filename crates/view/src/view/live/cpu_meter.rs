//! Measures the cost of drawing: the CPU time of all threads of this process except the training
//! threads. The threads that draw belong to Bevy and to the graphics driver, and cannot be asked.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Measures the CPU time that is spent on drawing.
#[derive(Debug)]
pub(super) struct CpuTimeMeter {
    /// Prefixes of the names of the training threads.
    training_prefixes: Vec<&'static str>,
    /// The threads at the last reading, by their identifiers.
    threads: HashMap<String, ThreadTime>,
}

#[derive(Debug)]
struct ThreadTime {
    /// Whether it is not a training thread.
    draws: bool,
    /// CPU time since it started.
    cpu_time: Duration,
}

impl CpuTimeMeter {
    /// A meter that leaves out the threads whose names have one of these prefixes.
    pub(super) fn new(training_prefixes: Vec<&'static str>) -> Self {
        let threads = HashMap::new();
        Self {
            training_prefixes,
            threads,
        }
    }

    /// CPU time spent on drawing since the last call; `None` if the system does not report it.
    pub(super) fn read(&mut self) -> Option<Duration> {
        let tasks = fs::read_dir("/proc/self/task").ok()?;
        let mut threads = HashMap::new();
        let mut total = Duration::ZERO;
        for task in tasks.flatten() {
            let path = task.path();
            // A thread may end during the loop.
            let Some(cpu_time) = cpu_time(&path) else {
                continue;
            };
            let id = task.file_name().to_string_lossy().into_owned();
            let known = self.threads.remove(&id);
            // A thread gets its name only after it has started, so that the name is read again.
            let draws = known.as_ref().map_or_else(
                || self.draws(&path),
                |thread| thread.draws && self.draws(&path),
            );
            let before = known.map_or(Duration::ZERO, |thread| thread.cpu_time);
            if draws {
                total += cpu_time.saturating_sub(before);
            }
            threads.insert(id, ThreadTime { draws, cpu_time });
        }
        self.threads = threads;
        Some(total)
    }

    /// Whether a thread is not a training thread. `task` is its folder in `/proc`.
    fn draws(&self, task: &Path) -> bool {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| {
            let matches = |prefix: &&str| name.starts_with(prefix);
            !self.training_prefixes.iter().any(matches)
        })
    }
}

/// CPU time of a thread: the first number of its `schedstat`, nanoseconds.
fn cpu_time(task: &Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Instant;

    #[test]
    fn training_threads_do_not_count() {
        let mut all = CpuTimeMeter::new(Vec::new());
        let mut others = CpuTimeMeter::new(vec!["meter-test"]);
        let (go, wait_to_go) = mpsc::channel::<()>();
        let (done, wait_until_done) = mpsc::channel();
        let trainer = std::thread::Builder::new()
            .name("meter-test-1".into())
            .spawn(move || {
                wait_to_go.recv().unwrap();
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(300) {
                    std::hint::spin_loop();
                }
                done.send(()).unwrap();
                wait_to_go.recv().unwrap();
            })
            .unwrap();
        if all.read().is_none() {
            return;
        }
        others.read().unwrap();
        go.send(()).unwrap();
        wait_until_done.recv().unwrap();
        let (all, others) = (all.read().unwrap(), others.read().unwrap());
        // Other tests run in the same process, so that only the difference is known.
        assert!(
            all > others + Duration::from_millis(20),
            "{all:?}, {others:?}"
        );
        go.send(()).unwrap();
        trainer.join().unwrap();
    }
}
