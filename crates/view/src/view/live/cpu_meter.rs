//! What drawing costs: the processor time of all threads of this process but those that train.
//! Drawing is spread over threads that belong to Bevy and to the graphics driver, which nobody here
//! can ask.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Reads the processor time that was spent on drawing.
#[derive(Debug)]
pub(super) struct CpuTimeMeter {
    /// How the names of the threads that train begin.
    training: Vec<&'static str>,
    threads: HashMap<String, ThreadTime>,
}

#[derive(Debug)]
struct ThreadTime {
    draws: bool,
    spent: Duration,
}

impl CpuTimeMeter {
    pub(super) fn new(training: Vec<&'static str>) -> Self {
        let threads = HashMap::new();
        Self { training, threads }
    }

    /// What has been spent since the last time; nothing where the system does not say.
    pub(super) fn read(&mut self) -> Option<Duration> {
        let tasks = fs::read_dir("/proc/self/task").ok()?;
        let mut seen = HashMap::new();
        let mut total = Duration::ZERO;
        for task in tasks.flatten() {
            let path = task.path();
            // A thread may end while it is looked at.
            let Some(spent) = spent(&path) else {
                continue;
            };
            let id = task.file_name().to_string_lossy().into_owned();
            let known = self.threads.remove(&id);
            // A thread is named shortly after it has begun.
            let draws = known.as_ref().map_or_else(
                || self.draws(&path),
                |thread| thread.draws && self.draws(&path),
            );
            let before = known.map_or(Duration::ZERO, |thread| thread.spent);
            if draws {
                total += spent.saturating_sub(before);
            }
            seen.insert(id, ThreadTime { draws, spent });
        }
        self.threads = seen;
        Some(total)
    }

    fn draws(&self, task: &Path) -> bool {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| {
            let trains = |beginning: &&str| name.starts_with(beginning);
            !self.training.iter().any(trains)
        })
    }
}

/// The processor time of a thread: the first number of its `schedstat`, nanoseconds.
fn spent(task: &Path) -> Option<Duration> {
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
    fn threads_that_train_do_not_count() {
        let mut all = CpuTimeMeter::new(Vec::new());
        let mut others = CpuTimeMeter::new(vec!["meter-test"]);
        let (begin, began) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        let trainer = std::thread::Builder::new()
            .name("meter-test-1".into())
            .spawn(move || {
                began.recv().unwrap();
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(300) {
                    std::hint::spin_loop();
                }
                end.send(()).unwrap();
                began.recv().unwrap();
            })
            .unwrap();
        if all.read().is_none() {
            return;
        }
        others.read().unwrap();
        begin.send(()).unwrap();
        ended.recv().unwrap();
        let (all, others) = (all.read().unwrap(), others.read().unwrap());
        // Other tests run beside this one, so that only the difference tells.
        assert!(
            all > others + Duration::from_millis(20),
            "{all:?}, {others:?}"
        );
        begin.send(()).unwrap();
        trainer.join().unwrap();
    }
}
