//! Threads that compute chunks of a batch side by side. The chunks depend on the size of the batch
//! alone, and their results are combined in their order: the number of threads changes no bit of a
//! result.

use std::ops::Range;

use rayon::prelude::*;

/// Prefix of the names of these threads.
pub const LEARNER_THREAD_PREFIX: &str = "learner-";

/// Threads that compute chunks of a batch side by side.
#[derive(Debug)]
pub struct LearnerPool {
    pool: Option<rayon::ThreadPool>,
}

impl LearnerPool {
    /// A pool of `threads` threads, each of which uses `torch_threads` within one tensor operation.
    ///
    /// # Errors
    /// If the system cannot start the threads.
    pub fn new(threads: usize, torch_threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let torch_threads = torch_threads as i32;
        tch::set_num_threads(torch_threads);
        if threads <= 1 {
            return Ok(Self { pool: None });
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("{LEARNER_THREAD_PREFIX}{index}"))
            .start_handler(move |_| tch::set_num_threads(torch_threads))
            .build()?;
        Ok(Self { pool: Some(pool) })
    }

    /// Runs every task, and gives the results in the order of the tasks.
    pub fn map<T: Send, R: Send>(
        &self,
        tasks: Vec<T>,
        work: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        match &self.pool {
            Some(pool) if tasks.len() > 1 => {
                pool.install(|| tasks.into_par_iter().with_max_len(1).map(work).collect())
            }
            _ => tasks.into_iter().map(work).collect(),
        }
    }
}

/// Runs work whose tensor operations are too small to be shared between threads, and whose last
/// bits must not depend on the number of threads.
pub(super) fn with_one_torch_thread<T>(work: impl FnOnce() -> T) -> T {
    let before = tch::get_num_threads();
    if before == 1 {
        return work();
    }
    tch::set_num_threads(1);
    let result = work();
    tch::set_num_threads(before);
    result
}

/// Cuts `rows` into chunks of the same length (the last may be shorter): as many as the largest
/// power of two that leaves each at least `least` rows, or one.
pub(super) fn chunk_ranges(rows: usize, least: usize) -> Vec<Range<usize>> {
    let count = 1 << (rows / least).max(1).ilog2();
    let length = rows.div_ceil(count).max(1);
    (0..rows)
        .step_by(length)
        .map(|start| start..(start + length).min(rows))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_all_rows_once() {
        for rows in [1, 5, 63, 64, 127, 128, 129, 1000, 6144, 8192] {
            let chunks = chunk_ranges(rows, 64);
            assert!(
                chunks.len().is_power_of_two() || rows < 128,
                "{rows}: {}",
                chunks.len()
            );
            assert_eq!(chunks[0].start, 0);
            assert_eq!(chunks.last().unwrap().end, rows);
            assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn results_come_in_order() {
        let squares: Vec<usize> = (0..50).map(|i| i * i).collect();
        for threads in [1, 3] {
            let workers = LearnerPool::new(threads, 1).unwrap();
            assert_eq!(workers.map((0..50).collect(), |i: usize| i * i), squares);
        }
    }
}
