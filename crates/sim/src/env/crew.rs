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
const LOOKS: u32 = 2_000;

/// What the names of the helpers begin with.
pub const THREADS: &str = "environments-";

/// Pieces, and the threads that work on them.
pub struct Crew<P> {
    shared: Arc<Shared<P>>,
    helpers: Vec<JoinHandle<()>>,
}

struct Shared<P> {
    pieces: Vec<Mutex<P>>,
    work: fn(&mut P),
    /// One for each thread.
    blocks: Vec<Block>,
    /// Pieces of this round that are not done.
    left: AtomicUsize,
    over: AtomicBool,
}

/// Pieces that one thread takes first, and others only when they have run out of their own: what
/// a piece allocates is then mostly freed where it was allocated, and allocators like that.
#[repr(align(64))]
struct Block {
    /// Next piece to be taken in this round; the end, or beyond it, between rounds.
    next: AtomicUsize,
    pieces: Range<usize>,
}

impl Block {
    fn take(&self) -> Option<usize> {
        let open = self.next.load(Ordering::Acquire) < self.pieces.end;
        open.then(|| self.next.fetch_add(1, Ordering::AcqRel))
            .filter(|piece| *piece < self.pieces.end)
    }
}

impl<P: Send + 'static> Crew<P> {
    /// A crew of `threads`, the caller among them, that does `work`.
    pub fn new(pieces: Vec<P>, threads: usize, work: fn(&mut P)) -> std::io::Result<Self> {
        let count = pieces.len();
        let block = |index: usize| {
            let pieces = index * count / threads..(index + 1) * count / threads;
            Block {
                next: AtomicUsize::new(pieces.end),
                pieces,
            }
        };
        let shared = Arc::new(Shared {
            blocks: (0..threads).map(block).collect(),
            left: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            pieces: pieces.into_iter().map(Mutex::new).collect(),
            work,
        });
        let mut crew = Self {
            shared,
            helpers: Vec::new(),
        };
        for index in 1..threads {
            let shared = Arc::clone(&crew.shared);
            let name = format!("{THREADS}{index}");
            let helper = thread::Builder::new()
                .name(name)
                .spawn(move || shared.help(index))?;
            crew.helpers.push(helper);
        }
        Ok(crew)
    }

    /// The pieces, in order. Nobody works on them between two rounds.
    pub fn pieces(&self) -> impl Iterator<Item = MutexGuard<'_, P>> {
        self.shared.pieces.iter().map(lock)
    }

    /// One round: every piece is worked on once, in any order.
    pub fn run(&mut self) {
        let shared = &*self.shared;
        shared.left.store(shared.pieces.len(), Ordering::Relaxed);
        for block in &shared.blocks {
            block.next.store(block.pieces.start, Ordering::Release);
        }
        for helper in &self.helpers {
            helper.thread().unpark();
        }
        shared.work_off(0);
        let mut looks = 0;
        while shared.left.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl<P> Shared<P> {
    /// Works on what is left of the round, thread `own`'s pieces first. True if there was any.
    fn work_off(&self, own: usize) -> bool {
        let (others, mine) = self.blocks.split_at(own);
        let mut worked = false;
        for block in mine.iter().chain(others) {
            while let Some(piece) = block.take() {
                let _done = Done(&self.left);
                (self.work)(&mut lock(&self.pieces[piece]));
                worked = true;
            }
        }
        worked
    }

    /// A helper's life.
    fn help(&self, own: usize) {
        let mut looks = 0;
        while !self.over.load(Ordering::Acquire) {
            if self.work_off(own) {
                looks = 0;
            } else if looks < LOOKS {
                looks += 1;
                std::hint::spin_loop();
            } else {
                // Returns at once if a round began since the last look.
                thread::park();
                looks = 0;
            }
        }
    }
}

/// Counts a piece as done, also when the work on it panicked, so that the caller comes to see it.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A piece; if the work on it panicked in a helper, the panic is passed on here.
fn lock<P>(piece: &Mutex<P>) -> MutexGuard<'_, P> {
    piece.lock().expect("the work on a piece does not panic")
}

impl<P> Drop for Crew<P> {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper that panicked was heard of when its piece was locked.
            helper.join().ok();
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
                let mut crew = Crew::new(vec![0_u32; count], threads, |piece| *piece += 1).unwrap();
                for round in 1..=200 {
                    crew.run();
                    assert!(
                        crew.pieces().all(|piece| *piece == round),
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
