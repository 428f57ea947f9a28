//! Work shared between the calling thread and some helpers, handed out piece by piece. The caller
//! works too instead of sleeping, so that a helper slow to wake costs little: a vector step of a
//! few hundred environments is over in a hundred microseconds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Turns of waiting for a helper's last piece before the core is offered to others.
const SPINS: u32 = 4096;

/// The calling thread and its helpers.
#[derive(Debug)]
pub(super) struct Pool {
    helpers: Option<ThreadPool>,
}

impl Pool {
    /// `threads` in all, the caller among them.
    pub(super) fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let helpers = (threads > 1)
            .then(|| ThreadPoolBuilder::new().num_threads(threads - 1).build())
            .transpose()?;
        Ok(Self { helpers })
    }

    /// Does `work` on every piece, in any order, and returns when all are done.
    pub(super) fn for_each<T: Send>(
        &self,
        pieces: impl ExactSizeIterator<Item = T> + Send,
        work: impl Fn(T) + Sync,
    ) {
        let Some(helpers) = &self.helpers else {
            return pieces.for_each(work);
        };
        let left = AtomicUsize::new(pieces.len());
        let pieces = Mutex::new(pieces);
        let take = || {
            pieces
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .next()
        };
        let drain = || {
            while let Some(piece) = take() {
                let _done = Done(&left);
                work(piece);
            }
        };
        helpers.in_place_scope(|scope| {
            for _ in 0..helpers.current_num_threads() {
                scope.spawn(|_| drain());
            }
            drain();
            let mut turns = 0;
            while left.load(Ordering::Acquire) > 0 {
                turns += 1;
                if turns < SPINS {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        });
    }
}

/// Counts a piece as done, also when the work on it panicked.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            for count in [0, 1, 7, 100] {
                let mut pieces = vec![0_u32; count];
                pool.for_each(pieces.iter_mut(), |piece| *piece += 1);
                assert!(pieces.iter().all(|piece| *piece == 1), "{threads} threads");
            }
        }
    }
}
