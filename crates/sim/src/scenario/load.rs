//! Loads a checked [`Scenario`] by its name or path.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::map::Map;
use super::placement_error::PlacementError;
use super::spec::MapSpec;
use super::{Quantity, ScenarioSpec, check};
use crate::config::{Diagnostic, Document, Override, suggest};

/// The sections of a scenario file that configure training rather than the world. The training
/// command reads them over the built-in defaults.
pub const TRAINING_SECTIONS: [&str; 3] = ["train", "policy", "stability"];

/// The sections that the arms of a comparison may change: those of training, and the reward. All arms
/// share one world.
pub const ARM_SECTIONS: [&str; 4] = ["train", "policy", "stability", "reward"];

/// A scenario that passed every check. It does not change after loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The name of a shipped scenario, or the file's stem.
    pub name: String,
    /// The contents of the file. A map file is replaced by its shapes.
    pub spec: ScenarioSpec,
    /// The obstacles of every episode, if the scenario has a map.
    pub map: Option<Arc<Map>>,
    document: Arc<Document>,
    /// What a person should know about a map that was read from a map file.
    pub map_notes: Vec<Diagnostic>,
    /// Whether the map was read from a map file. Then the scenario file alone is not complete.
    has_map_file: bool,
    files: Vec<PathBuf>,
}

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedScenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// The text of its file.
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

/// Why a scenario cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read, or a value in it is wrong.
    #[error("{0}")]
    Invalid(#[from] Diagnostic),
    /// Neither a shipped name nor a file.
    #[error("no scenario '{name}'; {help}")]
    Unknown {
        /// The name on the command line.
        name: String,
        /// A suggestion.
        help: String,
    },
    /// Every value is valid, but no layout can be placed or solved.
    #[error("{file}: {reason}")]
    Unplaceable {
        /// The scenario's file.
        file: String,
        /// What has no room or no path.
        reason: PlacementError,
    },
}

/// Loads the scenario with a shipped name, or at the path of a file.
///
/// # Errors
/// If there is no such scenario, or it is not valid.
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
    /// Reads and checks a file. The scenario's name is the file's stem.
    ///
    /// # Errors
    /// The first mistake in the file.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Self, Diagnostic> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut scenario = Self::from_document(&name, Document::load(path)?, overrides)?;
        scenario.files.push(path.to_owned());
        Ok(scenario)
    }

    /// The files that the scenario was read from: its own and those of its map. Empty for a shipped
    /// scenario.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Reads and checks a scenario from memory. `file` is the name that messages use. Overrides of
    /// [`TRAINING_SECTIONS`] are ignored.
    ///
    /// # Errors
    /// The first mistake in the text.
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
        let world_overrides: Vec<_> = overrides
            .iter()
            .filter(|change| !change.affects_training())
            .cloned()
            .collect();
        document.apply(&world_overrides)?;
        let mut spec: ScenarioSpec = document.read()?;
        let folder = Path::new(document.file()).parent().unwrap_or(Path::new(""));
        let map = spec.arena.map.as_ref();
        let files = map.map_or_else(Vec::new, |map| map.files(folder));
        let map_notes = load_map(&mut spec, &document)?;
        check::check(&spec, &document)?;
        let map = match &spec.arena.map {
            Some(MapSpec::Shapes(shapes)) => Some(Arc::new(Map::new(shapes))),
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            spec,
            map,
            has_map_file: map_notes.is_some(),
            map_notes: map_notes.unwrap_or_default(),
            files,
            document: Arc::new(document),
        })
    }

    /// This scenario with the reward of an arm: the section `reward` of a layer over its own, and the
    /// overrides of that section over both.
    ///
    /// # Errors
    /// If the reward is invalid.
    pub fn with_reward_of(
        &self,
        layer: &Document,
        overrides: &[Override],
    ) -> Result<Self, Diagnostic> {
        let mut document = (*self.document).clone();
        document.overlay(&layer.with_keys(&["reward"]));
        let of_reward = overrides
            .iter()
            .filter(|change| change.section() == "reward");
        document.apply(&of_reward.cloned().collect::<Vec<_>>())?;
        let mut changed = self.clone();
        changed.spec.reward = document.read::<ScenarioSpec>()?.reward;
        check::check(&changed.spec, &document)?;
        changed.document = Arc::new(document);
        Ok(changed)
    }

    /// Adds the scenario's file to an error of the sampler.
    pub fn unplaceable(&self, reason: PlacementError) -> ScenarioError {
        ScenarioError::Unplaceable {
            file: self.document.file().to_owned(),
            reason,
        }
    }

    /// The text of a file that reads as this scenario. This is the original text, with its comments,
    /// if no override has changed it and it does not need a map file.
    ///
    /// # Panics
    /// Never: a scenario that was read from TOML can be written as TOML.
    pub fn to_toml(&self) -> String {
        let own = self.document.text().filter(|_| !self.has_map_file);
        own.map_or_else(|| to_toml_text(&self.spec), str::to_owned)
    }

    /// The [`TRAINING_SECTIONS`] of the file, as a layer of the run's configuration.
    pub fn training_settings(&self) -> Document {
        self.document.with_keys(&TRAINING_SECTIONS)
    }
}

/// Reads the arena's map file and replaces it by its shapes. Sets the arena's size and origin if the
/// scenario gives none. Returns the notes on the map if there was a map file.
fn load_map(
    spec: &mut ScenarioSpec,
    document: &Document,
) -> Result<Option<Vec<Diagnostic>>, Diagnostic> {
    let arena = &mut spec.arena;
    let Some(map) = &arena.map else {
        return Ok(None);
    };
    check::map(map, document)?;
    let folder = Path::new(document.file()).parent().unwrap_or(Path::new(""));
    let Some(imported) = map.read(folder)? else {
        return Ok(None);
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
    arena
        .size_m
        .get_or_insert(imported.size_m.map(Quantity::Fixed));
    arena
        .origin_m
        .get_or_insert(imported.origin_m.map(Quantity::Fixed));
    arena.map = Some(MapSpec::Shapes(imported.shapes));
    Ok(Some(imported.notes))
}

impl Override {
    /// Whether the override changes training rather than the world.
    pub fn affects_training(&self) -> bool {
        TRAINING_SECTIONS.contains(&self.section())
    }
}

/// Writes a scenario as TOML, with one line per shape of a map.
pub(super) fn to_toml_text(spec: &ScenarioSpec) -> String {
    let plain = toml::to_string(spec).expect("a scenario can be written as TOML");
    let mut text = String::with_capacity(plain.len());
    for line in plain.lines() {
        match line.split_once(" = [[") {
            Some((key @ ("boxes_m" | "discs_m"), shapes)) => {
                let shapes = shapes.trim_end_matches("]]").replace("], [", "],\n    [");
                writeln!(text, "{key} = [\n    [{shapes}],\n]").ok();
            }
            _ => writeln!(text, "{line}").unwrap_or_default(),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{EpisodeKey, Geodesic, Layout, LayoutSampler};
    use crate::seed::Split;

    #[test]
    fn every_shipped_scenario_is_valid_and_documented() {
        for ShippedScenario { name, text } in shipped_scenarios() {
            let scenario = resolve(name, &[]).expect("shipped scenarios are valid");
            assert!(
                !scenario.spec.description.is_empty(),
                "{name} has no description"
            );
            assert!(
                text.starts_with("#:schema "),
                "{name} does not name its schema"
            );
            assert!(
                text.contains("skill to"),
                "{name} does not name the skill to learn"
            );
        }
    }

    #[test]
    fn every_layout_has_a_path_and_the_trap_needs_a_detour() {
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
    fn overrides_of_training_do_not_change_the_scenario() {
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
    fn a_written_scenario_reads_back_unchanged() {
        for ShippedScenario { name, .. } in shipped_scenarios() {
            let scenario = resolve(name, &[]).unwrap();
            let text = toml::to_string(&scenario.spec).unwrap();
            let reloaded = Scenario::from_text(name, "reloaded.toml", &text, &[]).unwrap();
            assert_eq!(reloaded.spec, scenario.spec);
        }
    }
}
