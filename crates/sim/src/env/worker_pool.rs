//! A pool of threads for short rounds of tasks that borrow from the caller.
//!
//! A vector step of a few hundred environments takes about a hundred microseconds, which is also
//! what it takes to wake a sleeping thread. So the calling thread works too, and a worker that has
//! run out of tasks spins for a moment before it sleeps. The pool must not know what a task does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Spins before a worker sleeps, or before the caller yields its core: some tens of microseconds,
/// too short to disturb other work between two rounds.
const SPIN_LIMIT: u32 = 2_000;

/// Prefix of the names of the worker threads.
pub const ENV_THREAD_PREFIX: &str = "environments-";

/// Threads that work on rounds of tasks together with the caller.
#[derive(Debug)]
pub struct WorkerPool {
    shared: Arc<PoolShared>,
    workers: Vec<JoinHandle<()>>,
}

/// Runs the task of an index.
type RunTask = &'static (dyn Fn(usize) + Sync);

#[derive(Debug)]
struct PoolShared {
    /// What the current round calls for each task. Valid until `remaining` is 0, and null before
    /// the first round.
    run_task: AtomicPtr<RunTask>,
    /// `[threads]`.
    ranges: Vec<TaskRange>,
    /// Tasks of the current round that are not finished.
    remaining: AtomicUsize,
    /// Payload of the first task of the current round that panicked.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    shutdown: AtomicBool,
}

/// Tasks that one thread takes first, and others only once they have finished their own. So most
/// of what a task allocates is freed by the thread that allocated it, which allocators prefer.
///
/// The index of the next task is in the low half, the end of the range in the high half. Between
/// rounds the next task is at the end or beyond it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct TaskRange(AtomicU64);

impl TaskRange {
    fn set(&self, start: usize, end: usize) {
        let range = (end as u64) << u32::BITS | start as u64;
        self.0.store(range, Ordering::Release);
    }

    fn take(&self) -> Option<usize> {
        let is_open = |range: &u64| (*range as u32) < (*range >> u32::BITS) as u32;
        is_open(&self.0.load(Ordering::Acquire))
            .then(|| self.0.fetch_add(1, Ordering::AcqRel))
            .filter(is_open)
            .map(|range| range as u32 as usize)
    }
}

impl WorkerPool {
    /// A pool of `threads` threads, at least 1: the caller's is one of them.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(PoolShared {
            run_task: AtomicPtr::default(),
            ranges: (0..threads.max(1)).map(|_| TaskRange::default()).collect(),
            remaining: AtomicUsize::new(0),
            panic: Mutex::default(),
            shutdown: AtomicBool::new(false),
        });
        let mut worker_pool = Self {
            shared,
            workers: Vec::new(),
        };
        for index in 1..threads {
            let shared = Arc::clone(&worker_pool.shared);
            let worker = thread::Builder::new()
                .name(format!("{ENV_THREAD_PREFIX}{index}"))
                .spawn(move || shared.worker_loop(index))?;
            worker_pool.workers.push(worker);
        }
        Ok(worker_pool)
    }

    /// Calls `work` once with each task, in any order and on any of the threads, and returns when
    /// all calls have returned.
    ///
    /// # Panics
    /// If a call panics: with its payload, after all calls have ended.
    pub fn run<T: Send>(&mut self, tasks: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
        let tasks: Vec<Mutex<Option<T>>> = tasks.map(|task| Mutex::new(Some(task))).collect();
        let run_task = |index: usize| {
            let task = tasks[index].lock().ok().and_then(|mut task| task.take());
            work(task.expect("each task is taken once"));
        };
        let run_task: &(dyn Fn(usize) + Sync) = &run_task;
        let shared = &*self.shared;
        shared
            .run_task
            .store((&raw const run_task).cast_mut().cast(), Ordering::Release);
        shared.remaining.store(tasks.len(), Ordering::Relaxed);
        let threads = shared.ranges.len();
        for (index, range) in shared.ranges.iter().enumerate() {
            range.set(
                index * tasks.len() / threads,
                (index + 1) * tasks.len() / threads,
            );
        }
        for worker in &self.workers {
            worker.thread().unpark();
        }
        shared.drain_tasks(0);
        let mut spins = 0;
        while shared.remaining.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPIN_LIMIT {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
        if let Some(payload) = lock(&shared.panic).take() {
            resume_unwind(payload);
        }
    }
}

impl PoolShared {
    /// Runs what is left of the round, the tasks of thread `own` first. True if there was any.
    fn drain_tasks(&self, own: usize) -> bool {
        let (others, mine) = self.ranges.split_at(own);
        let mut worked = false;
        for range in mine.iter().chain(others) {
            while let Some(task) = range.take() {
                #[allow(unsafe_code)]
                // SAFETY: `WorkerPool::run` set this pointer before it set the range that the task
                // was taken from, and keeps what it points to alive until `remaining` is 0, which
                // it is not before the call below has ended. A task is taken in its own round,
                // because a range is closed from when its last task is taken until the next round
                // sets it.
                let run_task = unsafe { *self.run_task.load(Ordering::Acquire) };
                let outcome = catch_unwind(AssertUnwindSafe(|| run_task(task)));
                if let Err(payload) = outcome {
                    lock(&self.panic).get_or_insert(payload);
                }
                self.remaining.fetch_sub(1, Ordering::Release);
                worked = true;
            }
        }
        worked
    }

    /// What a worker thread does until the pool is dropped.
    fn worker_loop(&self, own: usize) {
        let mut spins = 0;
        while !self.shutdown.load(Ordering::Acquire) {
            if self.drain_tasks(own) {
                spins = 0;
            } else if spins < SPIN_LIMIT {
                spins += 1;
                std::hint::spin_loop();
            } else {
                // Returns at once if `run` has called `unpark` since the ranges were checked.
                thread::park();
                spins = 0;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shared.shutdown.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // Workers do not panic: `drain_tasks` catches what a task does.
            worker.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_a_round() {
        for threads in [1, 2, 5] {
            let mut worker_pool = WorkerPool::new(threads).unwrap();
            for count in [0, 1, 7, 100] {
                let mut tasks = vec![0_u32; count];
                for round in 1..=200 {
                    worker_pool.run(tasks.iter_mut(), |task| *task += 1);
                    assert!(
                        tasks.iter().all(|task| *task == round),
                        "{threads} threads, {count} tasks"
                    );
                    if round == 100 {
                        // Long enough for the workers to fall asleep.
                        thread::sleep(std::time::Duration::from_millis(20));
                    }
                }
            }
        }
    }

    #[test]
    fn a_panic_of_a_task_reaches_the_caller_after_the_other_tasks() {
        for threads in [1, 3] {
            let mut worker_pool = WorkerPool::new(threads).unwrap();
            for bad in 0..9 {
                let finished = AtomicUsize::new(0);
                let round = catch_unwind(AssertUnwindSafe(|| {
                    worker_pool.run(0..9, |task| {
                        assert_ne!(task, bad, "the bad task");
                        finished.fetch_add(1, Ordering::Relaxed);
                    });
                }));
                let payload = round.unwrap_err();
                let message = payload.downcast_ref::<String>().unwrap();
                assert!(message.contains("the bad task"), "{message}");
                assert_eq!(finished.load(Ordering::Relaxed), 8);
            }
            worker_pool.run(0..4, |_| ());
        }
    }
}
