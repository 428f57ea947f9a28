//! Pieces of work that are done again and again by the calling thread and some helpers.
//!
//! A vector step of a few hundred environments is over in a hundred microseconds, which is what
//! waking a sleeping thread takes. So the caller works too, and a helper that has run out of work
//! looks out for more for a moment before it sleeps.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

/// Turns of looking out before a helper sleeps, or before the caller offers its core: some tens
/// of microseconds, too few to be felt by whoever uses the cores between two steps.
const SPIN_LIMIT: u32 = 2_000;

/// What the names of the helpers begin with.
pub const ENV_THREAD_PREFIX: &str = "environments-";

/// Pieces, and the threads that work on them.
pub struct WorkerPool<P> {
    shared: Arc<PoolShared<P>>,
    workers: Vec<JoinHandle<()>>,
}

struct PoolShared<P> {
    pieces: Vec<Mutex<P>>,
    work: fn(&mut P),
    /// One for each thread.
    blocks: Vec<TaskRange>,
    /// Pieces of this round that are not done.
    remaining: AtomicUsize,
    shutdown: AtomicBool,
}

/// Pieces that one thread takes first, and others only when they have run out of their own: what
/// a piece allocates is then mostly freed where it was allocated, and allocators like that.
#[repr(align(64))]
struct TaskRange {
    /// Next piece to be taken in this round; the end, or beyond it, between rounds.
    next: AtomicUsize,
    pieces: Range<usize>,
}

impl TaskRange {
    fn take(&self) -> Option<usize> {
        let open = self.next.load(Ordering::Acquire) < self.pieces.end;
        open.then(|| self.next.fetch_add(1, Ordering::AcqRel))
            .filter(|task| *task < self.pieces.end)
    }
}

impl<P: Send + 'static> WorkerPool<P> {
    /// A crew of `threads`, the caller among them, that does `work`.
    pub fn new(pieces: Vec<P>, threads: usize, work: fn(&mut P)) -> std::io::Result<Self> {
        let count = pieces.len();
        let block = |index: usize| {
            let pieces = index * count / threads..(index + 1) * count / threads;
            TaskRange {
                next: AtomicUsize::new(pieces.end),
                pieces,
            }
        };
        let shared = Arc::new(PoolShared {
            blocks: (0..threads).map(block).collect(),
            remaining: AtomicUsize::new(0),
            shutdown: AtomicBool::new(false),
            pieces: pieces.into_iter().map(Mutex::new).collect(),
            work,
        });
        let mut worker_pool = Self {
            shared,
            workers: Vec::new(),
        };
        for index in 1..threads {
            let shared = Arc::clone(&worker_pool.shared);
            let name = format!("{ENV_THREAD_PREFIX}{index}");
            let worker = thread::Builder::new()
                .name(name)
                .spawn(move || shared.worker_loop(index))?;
            worker_pool.workers.push(worker);
        }
        Ok(worker_pool)
    }

    /// The pieces, in order. Nobody works on them between two rounds.
    pub fn tasks(&self) -> impl Iterator<Item = MutexGuard<'_, P>> {
        self.shared.pieces.iter().map(lock)
    }

    /// One round: every piece is worked on once, in any order.
    pub fn run(&mut self) {
        let shared = &*self.shared;
        shared
            .remaining
            .store(shared.pieces.len(), Ordering::Relaxed);
        for block in &shared.blocks {
            block.next.store(block.pieces.start, Ordering::Release);
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
    }
}

impl<P> PoolShared<P> {
    /// Works on what is left of the round, thread `own`'s pieces first. True if there was any.
    fn drain_tasks(&self, own: usize) -> bool {
        let (others, mine) = self.blocks.split_at(own);
        let mut worked = false;
        for block in mine.iter().chain(others) {
            while let Some(task) = block.take() {
                let _done = DoneGuard(&self.remaining);
                (self.work)(&mut lock(&self.pieces[task]));
                worked = true;
            }
        }
        worked
    }

    /// A helper's life.
    fn worker_loop(&self, own: usize) {
        let mut spins = 0;
        while !self.shutdown.load(Ordering::Acquire) {
            if self.drain_tasks(own) {
                spins = 0;
            } else if spins < SPIN_LIMIT {
                spins += 1;
                std::hint::spin_loop();
            } else {
                // Returns at once if a round began since the last look.
                thread::park();
                spins = 0;
            }
        }
    }
}

/// Counts a piece as done, also when the work on it panicked, so that the caller comes to see it.
struct DoneGuard<'a>(&'a AtomicUsize);

impl Drop for DoneGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A piece; if the work on it panicked in a helper, the panic is passed on here.
fn lock<P>(task: &Mutex<P>) -> MutexGuard<'_, P> {
    task.lock().expect("the work on a piece does not panic")
}

impl<P> Drop for WorkerPool<P> {
    fn drop(&mut self) {
        self.shared.shutdown.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A helper that panicked was heard of when its piece was locked.
            worker.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once_a_round() {
        for threads in [1, 2, 5] {
            for count in [0, 1, 7, 100] {
                let mut worker_pool =
                    WorkerPool::new(vec![0_u32; count], threads, |task| *task += 1).unwrap();
                for round in 1..=200 {
                    worker_pool.run();
                    assert!(
                        worker_pool.tasks().all(|task| *task == round),
                        "{threads} threads"
                    );
                    if round == 100 {
                        // Long enough for the helpers to fall asleep.
                        thread::sleep(std::time::Duration::from_millis(20));
                    }
                }
            }
        }
    }
}
