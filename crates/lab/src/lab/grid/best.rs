//! The best cells of a grid, with how sure that is.

use serde::Serialize;

use super::CellScore;
use evenkeel_runs::stats::Average;

/// The cell with the largest success, and those that may be as good.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestCells {
    /// The cell with the largest success.
    pub cell: String,
    /// Its success over held-out episodes: interquartile mean over seeds, with a 95 % bootstrap
    /// interval from five seeds on.
    pub success: Average,
    /// Other cells whose interval reaches into that of the best; absent where there are too few seeds
    /// for intervals.
    pub rivals: Option<Vec<String>>,
}

/// The best of some cells; `None` if none was evaluated. Of equal cells the first is named.
pub fn best_cells(scores: &[CellScore]) -> Option<BestCells> {
    let scored = scores
        .iter()
        .filter_map(|score| Some((&score.cell, score.success?)));
    let scored: Vec<(&String, Average)> = scored.collect();
    let best = scored
        .iter()
        .rev()
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    let rivals = best.1.low.map(|low| {
        let others = scored.iter().filter(|(cell, _)| *cell != best.0);
        let reaches = others.filter(|(_, success)| success.high.is_none_or(|high| high >= low));
        reaches.map(|(cell, _)| (*cell).clone()).collect()
    });
    Some(BestCells {
        cell: best.0.clone(),
        success: best.1,
        rivals,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Proportion;

    #[test]
    fn cells_whose_interval_reaches_the_best_are_rivals() {
        let score = |cell: &str, value: f64, interval: Option<[f64; 2]>| CellScore {
            cell: cell.into(),
            options: Vec::new(),
            success: Some(Average {
                value,
                low: interval.map(|[low, _]| low),
                high: interval.map(|[_, high]| high),
            }),
            diverged: Proportion::new(0, 5),
            given_up: 0,
            difference_to_baseline: None,
        };
        let scores = [
            score("a", 0.7, Some([0.6, 0.8])),
            score("b", 0.9, Some([0.85, 0.95])),
            score("c", 0.88, Some([0.8, 0.9])),
        ];
        let best = best_cells(&scores).unwrap();
        assert_eq!(
            (best.cell.as_str(), best.rivals),
            ("b", Some(vec!["c".into()]))
        );
        let few = [score("a", 0.7, None), score("b", 0.7, None)];
        let best = best_cells(&few).unwrap();
        assert_eq!((best.cell.as_str(), best.rivals), ("a", None));
        assert_eq!(best_cells(&[]), None);
    }
}
