//! Threads that compute parts of a batch side by side. How a batch is cut into parts depends on
//! its size alone and parts are put together in their order, so that the number of threads
//! changes no bit of a result.

use std::ops::Range;

use rayon::prelude::*;

/// What the names of these threads begin with.
pub const LEARNER_THREAD_PREFIX: &str = "learner-";

/// Threads that compute parts of a batch side by side.
#[derive(Debug)]
pub struct LearnerPool {
    pool: Option<rayon::ThreadPool>,
}

impl LearnerPool {
    /// `threads` of them, each of which uses `torch_threads` within one tensor operation.
    ///
    /// # Errors
    /// When the system gives no threads.
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

    /// Does every job; results come in the order of the jobs.
    pub fn map<J: Send, R: Send>(
        &self,
        jobs: Vec<J>,
        work: impl Fn(J) -> R + Send + Sync,
    ) -> Vec<R> {
        match &self.pool {
            Some(pool) if jobs.len() > 1 => {
                pool.install(|| jobs.into_par_iter().with_max_len(1).map(work).collect())
            }
            _ => jobs.into_iter().map(work).collect(),
        }
    }
}

/// Does a piece of work whose tensor operations are too small to be shared between threads, and
/// whose last bits are not to depend on how many there are.
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

/// Cuts `rows` into a power of two of equal parts (the last may be shorter), each of at least
/// `least` rows; into one where there are fewer.
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
    fn shards_cover_all_rows_once() {
        for rows in [1, 5, 63, 64, 127, 128, 129, 1000, 6144, 8192] {
            let parts = chunk_ranges(rows, 64);
            assert!(
                parts.len().is_power_of_two() || rows < 128,
                "{rows}: {}",
                parts.len()
            );
            assert_eq!(parts[0].start, 0);
            assert_eq!(parts.last().unwrap().end, rows);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
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
