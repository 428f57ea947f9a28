//! The search for the usable range of an axis: doubling, then bisection. It is a pure function of
//! the verdicts so far, so that an interrupted search goes on from the runs that exist.

use std::collections::BTreeMap;

use super::axis::{OCTAVE, Turn};

/// A search around a turn of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RangeSearch {
    /// The lowest and highest turn that can be tried.
    pub(super) ends: [Turn; 2],
    /// Bisection ends when the usable and the failing turn are this close.
    pub(super) resolution: Turn,
}

/// Whether training fails, for each turn that was tried.
pub(super) type Verdicts = BTreeMap<Turn, bool>;

/// One end of the usable range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RangeEnd {
    /// The outermost turn that works, with all between it and the anchor.
    pub(super) works: Turn,
    /// The innermost turn beyond that fails; absent if everything up to the end of the axis works.
    pub(super) fails: Option<Turn>,
}

impl RangeSearch {
    /// The turns to try next; empty once the search is done. `same` says whether two turns give the
    /// same settings, as neighbouring factors of a small whole number do.
    pub(super) fn next(&self, verdicts: &Verdicts, same: &dyn Fn(Turn, Turn) -> bool) -> Vec<Turn> {
        let Some(anchor) = self.anchor(verdicts) else {
            let untried = |turn: &Turn| !verdicts.contains_key(turn);
            return self.anchor_order().find(untried).into_iter().collect();
        };
        let sides = [-1, 1].map(|side| self.next_beyond(anchor, side, verdicts, same));
        sides.into_iter().flatten().collect()
    }

    /// A turn that works, from which the range is searched in both directions: 0 if it works, else
    /// the first one that does, below 0 before above.
    pub(super) fn anchor(&self, verdicts: &Verdicts) -> Option<Turn> {
        self.anchor_order()
            .find(|turn| verdicts.get(turn) == Some(&false))
    }

    /// The lower and upper end of the range around the anchor.
    pub(super) fn range(&self, verdicts: &Verdicts) -> Option<[RangeEnd; 2]> {
        let anchor = self.anchor(verdicts)?;
        Some([-1, 1].map(|side| end_beyond(anchor, side, verdicts)))
    }

    fn anchor_order(&self) -> impl Iterator<Item = Turn> {
        let sides = [-1, 1].into_iter();
        std::iter::once(0).chain(sides.flat_map(|side| self.doubling(0, side)))
    }

    /// One octave beyond `from`, then twice as many, up to the end of the axis. `side` is −1 or 1.
    fn doubling(&self, from: Turn, side: i32) -> impl Iterator<Item = Turn> {
        let end = self.ends[usize::from(side > 0)];
        let steps = (0..20).map(move |power| from + side * (OCTAVE << power));
        let inside = steps.take_while(move |turn| side * (end - turn) > 0);
        inside.chain((side * (end - from) > 0).then_some(end))
    }

    fn next_beyond(
        &self,
        anchor: Turn,
        side: i32,
        verdicts: &Verdicts,
        same: &dyn Fn(Turn, Turn) -> bool,
    ) -> Option<Turn> {
        let end = end_beyond(anchor, side, verdicts);
        let Some(fails) = end.fails else {
            let mut steps = self.doubling(anchor, side);
            return steps.find(|turn| side * (turn - end.works) > 0 && !same(*turn, end.works));
        };
        let gap = (fails - end.works).abs();
        let middle = end.works + side * (gap / 2);
        let is_new = !same(middle, end.works) && !same(middle, fails);
        (gap > self.resolution && is_new).then_some(middle)
    }
}

/// The end of the range around `anchor` on one side, −1 or 1.
fn end_beyond(anchor: Turn, side: i32, verdicts: &Verdicts) -> RangeEnd {
    let beyond = verdicts
        .iter()
        .filter(|&(&turn, _)| side * (turn - anchor) >= 0);
    let failing = beyond.clone().filter(|&(_, &fails)| fails);
    let fails = failing
        .map(|(&turn, _)| turn)
        .min_by_key(|turn| side * turn);
    let working = beyond.filter(|&(&turn, &failed)| {
        !failed && fails.is_none_or(|failing| side * (failing - turn) > 0)
    });
    let works = working
        .map(|(&turn, _)| turn)
        .max_by_key(|turn| side * turn);
    RangeEnd {
        works: works.unwrap_or(anchor),
        fails,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: RangeSearch = RangeSearch {
        ends: [-10 * OCTAVE, 10 * OCTAVE],
        resolution: OCTAVE / 2,
    };

    /// Searches an axis of which turns from `low` to `high` work.
    fn search(low: Turn, high: Turn, same: &dyn Fn(Turn, Turn) -> bool) -> Verdicts {
        let mut verdicts = Verdicts::new();
        loop {
            let next = SEARCH.next(&verdicts, same);
            if next.is_empty() {
                return verdicts;
            }
            for turn in next {
                let repeated = verdicts.insert(turn, !(low..=high).contains(&turn));
                assert_eq!(repeated, None, "{turn} is tried twice");
            }
        }
    }

    fn differ(a: Turn, b: Turn) -> bool {
        a == b
    }

    #[test]
    fn both_ends_are_bracketed_to_the_resolution() {
        for (low, high) in [(-3, 5), (-50, 77), (-159, 1), (0, 0), (-20, -4), (30, 60)] {
            let verdicts = search(low * 2, high * 2, &differ);
            let Some([lower, upper]) = SEARCH.range(&verdicts) else {
                panic!("{low} {high}")
            };
            let fails = [lower.fails, upper.fails].map(|turn| turn.unwrap_or(i32::MAX));
            assert!(lower.works - fails[0] <= 8 || lower.fails.is_none());
            assert!(fails[1] - upper.works <= 8 || upper.fails.is_none());
            assert!((low * 2..=high * 2).contains(&lower.works));
            assert!((low * 2..=high * 2).contains(&upper.works));
            assert!(verdicts.len() < 22, "{} probes", verdicts.len());
        }
    }

    #[test]
    fn an_axis_on_which_nothing_breaks_is_tried_to_its_ends() {
        let verdicts = search(-1000, 1000, &differ);
        let turns: Vec<Turn> = verdicts.keys().map(|turn| turn / OCTAVE).collect();
        assert_eq!(turns, [-10, -8, -4, -2, -1, 0, 1, 2, 4, 8, 10]);
        let [lower, upper] = SEARCH.range(&verdicts).unwrap();
        assert_eq!((lower.fails, upper.fails), (None, None));
        assert_eq!([lower.works, upper.works], SEARCH.ends);
    }

    #[test]
    fn nothing_that_works_is_no_range() {
        let verdicts = search(1, 0, &differ);
        assert_eq!(SEARCH.range(&verdicts), None);
        assert_eq!(verdicts.len(), 11);
    }

    #[test]
    fn equal_settings_are_not_tried_again() {
        // Everything below 0 is the same setting as 0, as for an axis that starts at 1.
        let same = |a: Turn, b: Turn| a.max(0) == b.max(0);
        let verdicts = search(-1000, 40, &same);
        assert!(verdicts.keys().all(|&turn| turn >= 0), "{verdicts:?}");
    }
}
