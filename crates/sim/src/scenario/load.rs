//! From a name or a path to a checked [`Scenario`].

use std::path::Path;
use std::sync::Arc;

use super::import::to_toml_text;
use super::spec::MapSpec;
use super::{
    EpisodeKey, Layout, LayoutSampler, Map, PlacementError, Quantity, ScenarioSpec, check,
};
use crate::config::{Diagnostic, Document, Override, suggest};
use crate::seed::Split;

/// The sections of a scenario file that say how to train rather than what the world is. They are
/// read, over the built-in defaults, by whoever trains.
pub const TRAINING_SECTIONS: [&str; 3] = ["train", "policy", "stability"];

/// Layouts that a scenario must be placeable in to count as sound.
const LAYOUTS_CHECKED: u64 = 20;

/// A scenario that passed every check; immutable, shared by `Arc`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The shipped name, or the file's stem.
    pub name: String,
    /// What the file says, with the shapes of a map in the place of the file that they are from.
    pub spec: ScenarioSpec,
    /// What stands in the room in every episode, where the room is a map.
    pub map: Option<Arc<Map>>,
    document: Arc<Document>,
    /// Whether the map was read from a file of its own, without which the scenario's is not whole.
    has_map_file: bool,
}

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedScenario {
    /// What to call it on the command line.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(ShippedScenario {
            name: $name,
            text: include_str!(concat!("../../../../scenarios/", $name, ".toml")),
        }),*]
    };
}

/// The scenarios that come with the program, easiest first.
pub fn shipped_scenarios() -> &'static [ShippedScenario] {
    shipped![
        "open_field",
        "reference",
        "shift",
        "slam_map",
        "movers",
        "crossing_orca",
        "crossing_social",
        "swap",
        "corridor",
        "lay_by",
        "u_trap",
        "rooms",
        "maze",
        "barn_like",
        "exploder"
    ]
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read, or says something that cannot be.
    #[error("{0}")]
    Invalid(#[from] Diagnostic),
    /// Neither a shipped name nor a file.
    #[error("no scenario '{name}'; {help}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        help: String,
    },
    /// Sound in every value, and yet no layout of it can be placed or solved.
    #[error("{file}: {reason}")]
    Unplaceable {
        /// The scenario's file.
        file: String,
        /// What has no room, or no way.
        reason: PlacementError,
    },
}

/// The scenario that a command line means: a shipped name, or the path of a file.
pub fn resolve(name_or_path: &str, overrides: &[Override]) -> Result<Scenario, ScenarioError> {
    if let Some(found) = shipped_scenarios()
        .iter()
        .find(|scenario| scenario.name == name_or_path)
    {
        let file = format!("scenarios/{}.toml", found.name);
        return Ok(Scenario::from_text(
            found.name, &file, found.text, overrides,
        )?);
    }
    let path = Path::new(name_or_path);
    let looks_like_path = path.components().count() > 1 || path.extension().is_some();
    if looks_like_path || path.exists() {
        return Ok(Scenario::load(path, overrides)?);
    }
    let names: Vec<_> = shipped_scenarios()
        .iter()
        .map(|scenario| scenario.name)
        .collect();
    let help = suggest(name_or_path, &names).unwrap_or_default();
    Err(ScenarioError::Unknown {
        name: name_or_path.to_owned(),
        help,
    })
}

impl Scenario {
    /// Reads and checks a file. Its name is the file's stem.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, Diagnostic> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::from_document(&name, Document::load(path)?, overrides)
    }

    /// Reads and checks a scenario from memory; `file` is what messages call it. Overrides of
    /// [`TRAINING_SECTIONS`] are left to whoever trains.
    pub fn from_text(
        name: &str,
        file: &str,
        text: &str,
        overrides: &[Override],
    ) -> Result<Self, Diagnostic> {
        Self::from_document(name, Document::parse(file, text)?, overrides)
    }

    fn from_document(
        name: &str,
        mut document: Document,
        overrides: &[Override],
    ) -> Result<Self, Diagnostic> {
        let of_the_world: Vec<_> = overrides
            .iter()
            .filter(|change| !change.affects_training())
            .cloned()
            .collect();
        document.apply(&of_the_world)?;
        let mut spec: ScenarioSpec = document.read()?;
        let has_map_file = load_map(&mut spec, &document)?;
        check::check(&spec, &document)?;
        let map = match &spec.arena.map {
            Some(MapSpec::Shapes(shapes)) => Some(Arc::new(Map::new(shapes))),
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            spec,
            map,
            has_map_file,
            document: Arc::new(document),
        })
    }

    /// Draws a few layouts, to know that the scenario can be placed and solved.
    pub fn check_layouts(&self) -> Result<(), ScenarioError> {
        let mut sampler = LayoutSampler::default();
        let mut layout = Layout::default();
        (0..LAYOUTS_CHECKED).try_for_each(|episode| {
            let key = EpisodeKey {
                root: 0,
                split: Split::Train,
                env: 0,
                episode,
            };
            sampler
                .sample(self, key, &mut layout)
                .map_err(|reason| self.unplaceable(reason))
        })
    }

    /// The sampler's complaint, with the name of the file that it is about.
    pub fn unplaceable(&self, reason: PlacementError) -> ScenarioError {
        ScenarioError::Unplaceable {
            file: self.document.file().to_owned(),
            reason,
        }
    }

    /// A file that reads back as this scenario: its own, comments and all, where no override has
    /// changed it and it does not lean on a map's.
    ///
    /// # Panics
    /// Never: what was read from TOML can be written as TOML.
    pub fn to_toml(&self) -> String {
        let own = self.document.text().filter(|_| !self.has_map_file);
        own.map_or_else(|| to_toml_text(&self.spec), str::to_owned)
    }

    /// The file's [`TRAINING_SECTIONS`], as a layer for the run's configuration.
    pub fn training_settings(&self) -> Document {
        self.document.with_keys(&TRAINING_SECTIONS)
    }
}

/// Reads the map that the arena names, takes its shapes in its place, and its size where the file
/// gives none. True if there was one to read.
fn load_map(spec: &mut ScenarioSpec, document: &Document) -> Result<bool, Diagnostic> {
    let arena = &mut spec.arena;
    let Some(map) = &arena.map else {
        return Ok(false);
    };
    check::map(map, document)?;
    let folder = Path::new(document.file()).parent().unwrap_or(Path::new(""));
    let Some(room) = map.read(folder)? else {
        return Ok(false);
    };
    if map.is_grid() {
        for (key, given) in [
            ("size_m", arena.size_m.is_some()),
            ("origin_m", arena.origin_m.is_some()),
        ] {
            if given {
                let message = format!("a grid has its own {key}");
                let help = Some("leave the key out".to_owned());
                return Err(document.diagnostic(&format!("arena.{key}"), &message, help));
            }
        }
    }
    arena.size_m.get_or_insert(room.size_m.map(Quantity::Fixed));
    arena
        .origin_m
        .get_or_insert(room.origin_m.map(Quantity::Fixed));
    arena.map = Some(MapSpec::Shapes(room.shapes));
    Ok(true)
}

impl Override {
    /// Whether it changes how a policy is trained rather than the world it is trained in.
    pub fn affects_training(&self) -> bool {
        TRAINING_SECTIONS.contains(&self.section())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Geodesic;

    #[test]
    fn every_shipped_scenario_passes_its_checks_and_explains_itself() {
        for ShippedScenario { name, text } in shipped_scenarios() {
            let scenario = resolve(name, &[]).expect("shipped scenarios are sound");
            assert!(
                !scenario.spec.description.is_empty(),
                "{name} has no description"
            );
            assert!(
                text.starts_with("#:schema "),
                "{name} does not name its schema"
            );
            assert!(
                text.contains("teaches"),
                "{name} does not say what it teaches"
            );
        }
    }

    #[test]
    fn every_layout_has_a_shortest_path_and_the_trap_never_a_straight_one() {
        let mut sampler = LayoutSampler::default();
        let mut layout = Layout::default();
        for ShippedScenario { name, .. } in shipped_scenarios() {
            let scenario = resolve(name, &[]).unwrap();
            for episode in 0..100 {
                let key = EpisodeKey {
                    root: 1,
                    split: Split::Eval,
                    env: 0,
                    episode,
                };
                sampler.sample(&scenario, key, &mut layout).unwrap();
                let robot = layout.robots[0];
                let straight = f64::from((robot.goal - robot.start).norm());
                let geodesic = Geodesic::new(&layout, robot.passage_radius);
                let length = geodesic
                    .distance(robot.start, robot.goal)
                    .expect("there is a path");
                assert!(
                    length > straight - 1e-4,
                    "{name} {episode}: {length} < {straight}"
                );
                let detour = length - straight;
                assert!(
                    *name != "u_trap" || detour > 0.3,
                    "{episode}: {detour} m of detour"
                );
                assert!(
                    *name != "open_field" || detour < 1e-4,
                    "{episode}: {detour} m of detour"
                );
            }
        }
    }

    #[test]
    fn flags_change_the_world_and_leave_training_alone() {
        let flags = ["robot.lidar.beams=32", "train.nonsense=1"];
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        let scenario = resolve("reference", &flags).unwrap();
        assert_eq!(scenario.spec.robot[0].lidar.beams, 32);
        let untouched = resolve("reference", &[]).unwrap().spec.train;
        assert_eq!(scenario.spec.train, untouched);
    }

    #[test]
    fn what_a_scenario_writes_is_read_back_as_it_was() {
        for ShippedScenario { name, .. } in shipped_scenarios() {
            let scenario = resolve(name, &[]).unwrap();
            let text = toml::to_string(&scenario.spec).unwrap();
            let again = Scenario::from_text(name, "again.toml", &text, &[]).unwrap();
            assert_eq!(again.spec, scenario.spec);
        }
    }
}
