//! Tests of the guides: the program reads the settings and the commands in their code blocks.

use std::path::{Path, PathBuf};

use evenkeel::lab;
use evenkeel::scenario::{Scenario, ScenarioSpec, TRAINING_SECTIONS, resolve};

/// A fenced or indented code block of a guide.
struct CodeBlock {
    /// File and line of its first line.
    place: String,
    /// What follows the fence; empty for an indented block.
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All code blocks of `docs/*.md` and the README.
fn code_blocks() -> Vec<CodeBlock> {
    let entries = std::fs::read_dir(root().join("docs")).expect("there are guides");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let is_guide = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let paths = paths.filter(is_guide).chain([root().join("README.md")]);
    paths.flat_map(|path| blocks_of(&path)).collect()
}

fn blocks_of(path: &Path) -> Vec<CodeBlock> {
    let text = std::fs::read_to_string(path).expect("a guide can be read");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut blocks: Vec<CodeBlock> = Vec::new();
    let mut fence: Option<CodeBlock> = None;
    let mut was_blank = true;
    let mut is_indented = false;
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        if let Some(block) = &mut fence {
            if line.trim_end() == "```" {
                blocks.extend(fence.take());
            } else {
                block.text += line;
                block.text.push('\n');
            }
        } else if let Some(language) = line.strip_prefix("```") {
            fence = Some(CodeBlock {
                place,
                language: language.to_owned(),
                text: String::new(),
            });
            is_indented = false;
        } else if let Some(code) = line.strip_prefix("    ") {
            if was_blank && !is_indented {
                blocks.push(CodeBlock {
                    place,
                    language: String::new(),
                    text: String::new(),
                });
                is_indented = true;
            }
            if let (true, Some(block)) = (is_indented, blocks.last_mut()) {
                block.text += code;
                block.text.push('\n');
            }
        } else {
            is_indented &= line.is_empty();
        }
        was_blank = line.is_empty();
    }
    assert!(fence.is_none(), "{name}: a code block does not end");
    blocks
}

/// Puts the keys of an example over those of a table. An example of a variant, such as another
/// drive, replaces the one that is there.
fn merge(base: &mut toml::Table, example: &toml::Table) {
    const VARIANTS: [&str; 4] = ["arena", "drive", "footprint", "generate"];
    for (key, value) in example {
        let old = match base.get_mut(key) {
            Some(toml::Value::Array(list)) if list.len() == 1 => list.first_mut(),
            other => other,
        };
        let new = match value {
            toml::Value::Array(list) if key == "robot" => &list[0],
            value => value,
        };
        match (old, new) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new))
                if !VARIANTS.contains(&key.as_str()) =>
            {
                merge(old, new);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Reads an example as part of a shipped scenario.
fn check_in(shipped: &str, example: &toml::Table) -> Result<(), String> {
    let base: ScenarioSpec = resolve(shipped, &[])
        .map_err(|error| error.to_string())?
        .spec;
    let mut table = toml::Table::try_from(&base).expect("a scenario is a table");
    merge(&mut table, example);
    let text = toml::to_string(&table).expect("a table can be written");
    // Paths in examples are relative to the folder of the shipped scenarios.
    let file = root().join("scenarios/example.toml");
    let scenario = Scenario::from_text("example", &file.to_string_lossy(), &text, &[]);
    let scenario = scenario.map_err(|error| error.to_string())?;
    let checked = scenario.check_layouts();
    checked.map(|_| ()).map_err(|error| error.to_string())
}

/// Reads one block of TOML as what it is an example of.
fn check_toml(text: &str) -> Result<(), String> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        // Alternatives of one key, one per line.
        Err(_) if text.lines().all(|line| line.starts_with("footprint = ")) => {
            return text
                .lines()
                .try_for_each(|line| check_toml(&format!("[robot]\n{line}\n")));
        }
        Err(error) => return Err(error.to_string()),
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("example.toml");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    if table.contains_key("version") {
        let scenario = Scenario::load(&file, &[]).map_err(|error| error.to_string())?;
        let checked = scenario.check_layouts();
        return checked.map(|_| ()).map_err(|error| error.to_string());
    }
    if table.contains_key("axis") {
        return lab::ExperimentGrid::load(&file)
            .map(|_| ())
            .map_err(|error| error.to_string());
    }
    if table.contains_key("arm") {
        return lab::load_arms(&file)
            .map(|_| ())
            .map_err(|error| error.to_string());
    }
    if table
        .keys()
        .all(|key| TRAINING_SECTIONS.contains(&key.as_str()))
    {
        return check_training(text);
    }
    // The example of BARN's worlds has their coordinates.
    check_in("reference", &table).or_else(|error| check_in("barn_like", &table).map_err(|_| error))
}

#[cfg(feature = "learn")]
fn check_training(text: &str) -> Result<(), String> {
    let config: evenkeel::learn::RunConfig =
        toml::from_str(text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())
}

#[cfg(not(feature = "learn"))]
#[expect(clippy::unnecessary_wraps, reason = "the same function with libtorch")]
fn check_training(_: &str) -> Result<(), String> {
    Ok(())
}

/// The words of a command line, as a shell splits them. A comment ends the line.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn words_are_those_of_a_shell() {
    let line = "evenkeel train u_trap --set 'train.x={a = \"#\"}' --out \"my run\"  # a note";
    let expected = [
        "evenkeel",
        "train",
        "u_trap",
        "--set",
        "train.x={a = \"#\"}",
        "--out",
        "my run",
    ];
    assert_eq!(words(line), expected);
}

#[test]
fn settings_in_the_guides_are_read() {
    let blocks = code_blocks();
    let examples = blocks.iter().filter(|block| block.language == "toml");
    let mut count = 0;
    for CodeBlock { place, text, .. } in examples {
        if let Err(error) = check_toml(text) {
            panic!("{place}: {error}");
        }
        count += 1;
    }
    assert!(count >= 10, "{count} examples");
}

#[test]
fn commands_in_the_guides_are_read() {
    let mut count = 0;
    for CodeBlock { place, text, .. } in code_blocks() {
        for line in text.replace("\\\n", " ").lines() {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            let words = words(line);
            let [program, name, ..] = &words[..] else {
                continue;
            };
            // Training is not in every build.
            let is_training =
                cfg!(not(feature = "learn")) && ["autopsy", "train"].contains(&&**name);
            if program != "evenkeel" || is_training {
                continue;
            }
            let error = super::command().try_get_matches_from(&words).err();
            if let Some(error) = error {
                panic!("{place}: {line}\n{error}");
            }
            count += 1;
        }
    }
    assert!(count >= 20, "{count} commands");
}
