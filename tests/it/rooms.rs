//! Keeps the house in order: reads every path in `src/` (`use` lines, inline paths, paths in
//! attributes) and fails, with file and line, where a room uses one listed below it in
//! `src/lib.rs`, or a crate that belongs to other rooms.
//!
//! It reads tokens, not types: what a room hands out through its own signatures is its business.

use std::fs;
use std::path::Path;

/// Crates that only some rooms may name. A name ending in `*` stands for a family of crates.
const CRATES: &[(&str, &[&str])] = &[
    ("tch", &["nn", "optim", "learn"]),
    ("torch_sys", &["nn", "optim", "learn"]),
    ("rapier2d", &["sim"]),
    ("bevy*", &["bevy_env", "view"]),
    ("egui_plot", &["view"]),
    ("wgpu", &["view"]),
];

#[test]
fn every_room_uses_only_rooms_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = rooms_in_order(&fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs"));
    let mut found = Vec::new();
    let mut files = 0;
    walk(&src, &mut |path| {
        let file = path.strip_prefix(&src).expect("below src");
        let source = fs::read_to_string(path).expect("a readable source file");
        found.extend(breaches(&order, &file.to_string_lossy(), &source));
        files += 1;
    });
    assert!(
        files > order.len(),
        "only {files} files read for {} rooms",
        order.len()
    );
    assert!(
        found.is_empty(),
        "the order of the rooms (src/lib.rs) is broken:\n{}",
        found.join("\n")
    );
}

#[test]
fn the_map_shows_every_room_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("a readable file");
    let map = read("ARCHITECTURE.md");
    let shown: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(room, _)| room.trim_end_matches('/'))
        .collect();
    assert_eq!(shown, rooms_in_order(&read("src/lib.rs")));
}

/// The rooms of the house, in the order in which `src/lib.rs` declares them.
fn rooms_in_order(lib: &str) -> Vec<String> {
    tokens(lib)
        .windows(3)
        .filter(|three| three[0].text == "pub" && three[1].text == "mod")
        .map(|three| three[2].text.clone())
        .collect()
}

/// Calls `visit` with every Rust file below `folder`, in order of name.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&path);
        }
    }
}

/// The breaches in one file, one message each. `file` is relative to `src/`.
fn breaches(order: &[String], file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let rank = |room: &str| order.iter().position(|one| one == room);
    let own = module.first().cloned();
    let mut found = Vec::new();
    if let Some(room) = &own
        && rank(room).is_none()
    {
        found.push(format!("src/{file}: `{room}` is no room of src/lib.rs"));
    }
    for path in paths(&tokens(source), &module) {
        let mut say = |what: String| {
            let written = path.written.join("::");
            found.push(format!("src/{file}:{}: `{written}`: {what}", path.line));
        };
        if let Some(room) = &own {
            for (name, owners) in CRATES {
                let named = path
                    .crates()
                    .iter()
                    .any(|part| match name.strip_suffix('*') {
                        Some(family) => part.starts_with(family),
                        None => part == *name,
                    });
                if named && !owners.contains(&room.as_str()) {
                    let owners = owners.join(", ");
                    say(format!(
                        "`{name}` belongs to {owners}; `{room}` must not name it"
                    ));
                }
            }
            match path.in_crate.as_deref() {
                Some([]) => say("names the crate's root, which hides what is used".into()),
                Some([first, ..]) if first == "*" => {
                    say("imports every room at once".into());
                }
                Some([first, ..]) if rank(first) > rank(room) => {
                    say(format!(
                        "`{room}` must not use `{first}`, which lies below it"
                    ));
                }
                _ => {}
            }
        }
    }
    found
}

/// The module that a file holds: `sim/world.rs` is `[sim, world]`, `sim/mod.rs` is `[sim]`, and
/// the crate's root is `[]`. `main.rs` stands outside the house.
fn module_of(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").expect("a Rust file");
    let mut parts: Vec<String> = stem.split(['/', '\\']).map(str::to_owned).collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

/// A path as it stands in a source file.
struct PathUse {
    line: usize,
    /// Its parts, `super` and `self` included.
    written: Vec<String>,
    /// Its parts from the crate's root, if it leads there.
    in_crate: Option<Vec<String>>,
}

impl PathUse {
    /// The parts that may name another crate: all of them, or those that follow the room.
    fn crates(&self) -> &[String] {
        match &self.in_crate {
            Some(parts) => parts.get(1..).unwrap_or_default(),
            None => &self.written,
        }
    }
}

/// Every path in the tokens of a file that holds `module`.
fn paths(tokens: &[Token], module: &[String]) -> Vec<PathUse> {
    let mut found = Vec::new();
    // Modules written out within the file: their names, and how deep their braces are.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let here = || -> Vec<String> {
            let inner = inline.iter().map(|(name, _)| name.clone());
            module.iter().cloned().chain(inner).collect()
        };
        match text {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline.pop_if(|(_, opened)| *opened == depth);
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token.text == "{") => {
                inline.push((tokens[at + 1].text.clone(), depth));
                at += 1;
            }
            "use" => at = use_tree(tokens, at + 1, &[], &here(), &mut found) - 1,
            "crate" if at > 0 && tokens[at - 1].text == "extern" => {
                found.push(resolve(
                    &here(),
                    vec![tokens[at + 1].text.clone()],
                    tokens[at].line,
                ));
            }
            _ if tokens[at].kind == Kind::PathInString => {
                let parts = text.split("::").map(str::to_owned).collect();
                found.push(resolve(&here(), parts, tokens[at].line));
            }
            _ if tokens[at].kind == Kind::Word => {
                let line = tokens[at].line;
                let mut parts = vec![text.to_owned()];
                while at + 2 < tokens.len()
                    && tokens[at + 1].text == "::"
                    && tokens[at + 2].kind == Kind::Word
                {
                    parts.push(tokens[at + 2].text.clone());
                    at += 2;
                }
                if parts.len() > 1 {
                    found.push(resolve(&here(), parts, line));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one tree of a `use` line from `at`, after `prefix`; returns where it ends.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    here: &[String],
    found: &mut Vec<PathUse>,
) -> usize {
    let mut parts = prefix.to_vec();
    let line = tokens[at].line;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens[at].text != "}" {
                    at = use_tree(tokens, at, &parts, here, found);
                    at += usize::from(tokens[at].text == ",");
                }
                return at + 1;
            }
            "as" => at += 2,
            _ if tokens[at].kind == Kind::Word || tokens[at].text == "*" => {
                parts.push(tokens[at].text.clone());
                at += 1;
            }
            _ => break,
        }
    }
    found.push(resolve(here, parts, line));
    at
}

/// Says where a path that stands in module `here` leads.
fn resolve(here: &[String], written: Vec<String>, line: usize) -> PathUse {
    let mut at = here.to_vec();
    let mut parts = written.iter();
    let mut within = false;
    for part in parts.by_ref() {
        match part.as_str() {
            "crate" | "evenkeel" => at.clear(),
            "super" => {
                at.pop();
            }
            "self" => {}
            name if within => {
                at.push(name.to_owned());
                break;
            }
            _ => {
                return PathUse {
                    line,
                    written,
                    in_crate: None,
                };
            }
        }
        within = true;
    }
    at.extend(parts.cloned());
    PathUse {
        line,
        written,
        in_crate: Some(at),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Word,
    /// A string that holds nothing but a path, as in `#[serde(with = "crate::runs::time")]`.
    PathInString,
    Sign,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    text: String,
    line: usize,
}

/// Splits source text into words, paths in strings, `::` and single signs. Comments, other
/// strings, characters and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (None, block_comment(rest))
        } else if let Some((inner, length)) = string(rest) {
            if inner.contains("::") && inner.chars().all(|c| is_word(c) || c == ':') {
                let text = inner.to_owned();
                let kind = Kind::PathInString;
                found.push(Token { kind, text, line });
            }
            (None, length)
        } else if first == '\'' {
            (None, quote(rest))
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Some(Kind::Word), length)
        } else if rest.starts_with("::") {
            (Some(Kind::Sign), 2)
        } else if first.is_whitespace() {
            (None, first.len_utf8())
        } else {
            (Some(Kind::Sign), first.len_utf8())
        };
        if let Some(kind) = kind {
            let text = rest[..length].to_owned();
            found.push(Token { kind, text, line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment, inner comments included, that `text` begins with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let Some(next) = text[at..].find(['/', '*']).map(|next| at + next) else {
            return text.len();
        };
        at = next + 2;
        match text.get(next..at) {
            Some("/*") => depth += 1,
            Some("*/") => depth -= 1,
            _ => at = next + 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// What the string literal that `text` begins with holds, and its length; `None` if it begins
/// with none.
fn string(text: &str) -> Option<(&str, usize)> {
    let unmarked = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let (hashes, body) = match unmarked.strip_prefix('r') {
        Some(raw) => {
            let body = raw.trim_start_matches('#');
            (Some(raw.len() - body.len()), body)
        }
        None => (None, unmarked),
    };
    let body = body.strip_prefix('"')?;
    let start = text.len() - body.len();
    let end = if let Some(hashes) = hashes {
        format!("\"{}", "#".repeat(hashes))
    } else {
        "\"".to_owned()
    };
    let mut escaped = false;
    let inner = body.char_indices().find_map(|(at, c)| {
        let ends = !escaped && body[at..].starts_with(&end);
        escaped = hashes.is_none() && c == '\\' && !escaped;
        ends.then_some(&body[..at])
    })?;
    Some((inner, start + inner.len() + end.len()))
}

/// The length of the character literal or lifetime that `text` begins with.
fn quote(text: &str) -> usize {
    let inner = &text[1..];
    let first = inner.chars().next().map_or(0, char::len_utf8);
    if inner.starts_with('\\') {
        2 + 1 + inner[2..].find('\'').map_or(0, |end| end + 1)
    } else if inner[first..].starts_with('\'') {
        1 + first + 1
    } else {
        1 + inner.find(|c| !is_word(c)).unwrap_or(inner.len())
    }
}

fn check(file: &str, source: &str) -> Vec<String> {
    let order = [
        "seed", "scenario", "sim", "env", "nn", "learn", "lab", "cli",
    ];
    breaches(&order.map(str::to_owned), file, source)
}

#[test]
fn a_breach_is_found_however_it_is_written() {
    for (file, source) in [
        ("sim/mod.rs", "use crate::env::Outcome;"),
        ("sim/mod.rs", "use crate::{seed::stream, env};"),
        ("sim/mod.rs", "use crate::{\n  seed,\n  env::{Outcome},\n};"),
        ("sim/mod.rs", "fn f() -> crate::env::Outcome { todo!() }"),
        ("sim/mod.rs", "fn f(x: Vec<crate::env::Outcome>) {}"),
        ("sim/mod.rs", "use super::env;"),
        ("sim/world.rs", "use super::super::env::Outcome;"),
        ("sim/world.rs", "use self::super::super::env::Outcome;"),
        (
            "sim/mod.rs",
            "mod tests { mod deep { use super::super::super::env::X; } }",
        ),
        (
            "sim/mod.rs",
            "#[serde(with = \"crate::env::seconds\")] struct S;",
        ),
        (
            "sim/mod.rs",
            "macro_rules! m { () => { $crate::env::f() } }",
        ),
        (
            "sim/mod.rs",
            "const C: char = '\"'; use crate::env::X; const D: char = '\"';",
        ),
        ("sim/mod.rs", "fn f<'a>(x: &'a str) { crate::env::f(x) }"),
        ("sim/mod.rs", "/* a /* b */ c */ use crate::env::X;"),
        ("sim/mod.rs", "use crate::*;"),
        ("sim/mod.rs", "use super::*;"),
        ("sim/mod.rs", "use crate as root;"),
        ("sim/mod.rs", "use crate::{self as root};"),
        ("env/mod.rs", "use rapier2d::prelude::*;"),
        ("env/mod.rs", "use ::rapier2d::prelude::*;"),
        (
            "env/mod.rs",
            "let set = rapier2d::prelude::RigidBodySet::new();",
        ),
        ("env/mod.rs", "use crate::sim::rapier2d::prelude::*;"),
        ("lab/mod.rs", "extern crate tch;"),
        ("lab/mod.rs", "use tch;"),
        ("lab/mod.rs", "use {std::fs, tch::Tensor};"),
        ("lab/mod.rs", "unsafe { torch_sys::at_shape(x) }"),
        ("lab/mod.rs", "use bevy_egui::EguiPlugin;"),
        ("elsewhere.rs", ""),
    ] {
        assert_eq!(check(file, source).len(), 1, "in {file}: {source}");
    }
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (file, source) in [
        ("env/mod.rs", "use crate::{seed, sim::{Frame, World}};"),
        ("env/mod.rs", "use super::sim;"),
        (
            "env/deep/mod.rs",
            "mod tests { use super::super::outcome::Outcome; }",
        ),
        (
            "env/vec.rs",
            "use super::*; use self::worker::Pool; pub(in crate::env) fn f() {}",
        ),
        (
            "sim/mod.rs",
            "// crate::env\n/// [`crate::env`]\npub(crate) struct W;",
        ),
        ("sim/mod.rs", "const S: &str = \"see crate::env for more\";"),
        (
            "sim/mod.rs",
            "const S: &str = r#\"use \"crate::env\" here\"#;",
        ),
        (
            "sim/mod.rs",
            "use rapier2d::prelude::*; let v = crate::VERSION;",
        ),
        (
            "learn/mod.rs",
            "use tch::Tensor; use crate::nn; let tch = 1;",
        ),
        ("main.rs", "fn main() { evenkeel::cli::main() }"),
        ("lib.rs", "pub mod seed; pub use env::Outcome;"),
    ] {
        let found = check(file, source);
        assert!(found.is_empty(), "in {file}: {source}\n{found:?}");
    }
}

#[test]
fn a_message_leads_to_the_line() {
    insta::assert_snapshot!(
        check(
            "sim/world.rs",
            "\n\nuse crate::{\n    seed,\n    lab::Arm,\n};\nuse tch::Kind;"
        )
        .join("\n")
    );
}
