//! The difficulty of a layout: one number, cheap enough to be computed at a reset.
//!
//! A careful robot slows down in narrow places. With an obstacle at distance c from its footprint, a
//! robot of radius r takes 1 + r/c times as long per metre as on an open plain. The difficulty is
//! 1 − s/t. Here t is the time of the fastest path from start to goal at these speeds, and s is the
//! time of the straight line on an open plain. 0 is an open plain. 0.5 means that the path takes
//! twice as long as on an open plain, because it is narrow, or has detours, or both. The number
//! combines several metrics of BARN (distance to the closest obstacle, characteristic dimension,
//! tortuosity; Perille et al. 2020). Movers are ignored.

use nalgebra::Point2;

use super::Layout;
use super::astar::{AStar, TraversalCosts, octile_distance};
use super::flood::FloodGrid;

/// Computes difficulties. Reuses its buffers from one layout to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct DifficultyEstimator {
    astar: AStar,
}

impl DifficultyEstimator {
    /// The largest difficulty of a layout over its robots. `None` if one of them has no path. `grid`
    /// is scratch memory.
    pub(crate) fn estimate(&mut self, layout: &Layout, grid: &mut FloodGrid) -> Option<f32> {
        let mut hardest: f32 = 0.0;
        for robot in &layout.robots {
            grid.rasterize(layout, robot.passage_radius);
            hardest = hardest.max(self.robot_difficulty(
                grid,
                robot.start,
                robot.goal,
                robot.passage_radius,
            )?);
        }
        Some(hardest)
    }

    fn robot_difficulty(
        &mut self,
        grid: &FloodGrid,
        start: Point2<f32>,
        goal: Point2<f32>,
        radius: f32,
    ) -> Option<f32> {
        let (start, goal) = (
            grid.nearest_free_cell(start)?,
            grid.nearest_free_cell(goal)?,
        );
        let plain = octile_distance(start, goal);
        if plain == 0 {
            return Some(0.0);
        }
        self.astar.compute_clearances(grid);
        let traversal_costs = TraversalCosts::by_clearance(radius, f32::INFINITY, f32::INFINITY);
        let cost = self.astar.search(start, goal, &traversal_costs)?;
        Some(1.0 - plain as f32 / cost.max(plain) as f32)
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::Vector2;

    use crate::config::Override;
    use crate::scenario::{EpisodeKey, Layout, LayoutSampler, Obstacle, Shape, resolve};
    use crate::seed::Split;

    fn mean(name: &str, flags: &[&str]) -> f32 {
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        let scenario = resolve(name, &flags).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let difficulty = |episode| {
            let key = EpisodeKey {
                root: 2,
                split: Split::Eval,
                env: 0,
                episode,
            };
            sampler.sample(&scenario, key, &mut layout).unwrap();
            let difficulty = sampler.difficulty(&layout).expect("it has a path");
            assert!((0.0..1.0).contains(&difficulty), "{name}: {difficulty}");
            difficulty
        };
        (0..40).map(difficulty).sum::<f32>() / 40.0
    }

    #[test]
    fn dense_fields_and_narrow_mazes_are_more_difficult() {
        let fill = |share: &str| mean("barn_like", &[&format!("generate.0.cells.fill={share}")]);
        let fields = ["0.0", "0.15", "0.20", "0.25", "0.30"].map(fill);
        assert!(fields.is_sorted(), "{fields:?}");
        assert!(fields[4] > fields[1] + 0.1, "{fields:?}");
        assert!(mean("open_field", &[]) < 0.2);
        assert!(mean("u_trap", &[]) > mean("open_field", &[]) + 0.2);
        assert!(mean("maze", &[]) > 0.5);
    }

    #[test]
    fn the_difficulty_of_a_corridor_matches_the_formula() {
        // In the middle of a straight corridor a robot of radius 0.2 m has a clearance of 0.32 m on
        // each side, so that a metre takes 1 + 0.2/0.32 times as long as on an open plain.
        let scenario = resolve("open_field", &[]).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let key = EpisodeKey {
            root: 2,
            split: Split::Eval,
            env: 0,
            episode: 0,
        };
        sampler.sample(&scenario, key, &mut layout).unwrap();
        layout.arena.min = nalgebra::Point2::new(0.0, 0.0);
        layout.arena.max = nalgebra::Point2::new(20.0, 10.0);
        let wall = |y: f32| Obstacle {
            shape: Shape::Box {
                half_extents: Vector2::new(10.0, 0.5),
            },
            position: nalgebra::Point2::new(10.0, y),
            axis: Vector2::x(),
        };
        layout.obstacles = vec![wall(3.98), wall(6.02)];
        layout.robots[0].start = nalgebra::Point2::new(1.05, 5.05);
        layout.robots[0].goal = nalgebra::Point2::new(18.95, 5.05);
        layout.robots[0].radius = 0.2;
        layout.robots[0].passage_radius = 0.2;
        let found = sampler.difficulty(&layout).unwrap();
        let expected = 1.0 - 1.0 / (1.0 + 0.2 / 0.32);
        assert!((found - expected).abs() < 0.03, "{found} for {expected}");
    }
}
