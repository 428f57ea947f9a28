//! The order of modules inside each crate: a module may use only modules declared before it in its
//! crate's `lib.rs`. The order of the crates is Cargo's business.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn modules_use_only_modules_above_them() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut checked = 0;
    let mut violations = Vec::new();
    for folder in entries(&crates) {
        let src = folder.join("src");
        let order = modules_in_order(&read(&src.join("lib.rs")));
        for file in rust_files(&src) {
            let relative = file.strip_prefix(&src).expect("a file below src");
            let first = relative.components().next().expect("a file name");
            let own = Path::new(first.as_os_str()).with_extension("");
            let Some(rank) = order.iter().position(|module| own == Path::new(module)) else {
                continue;
            };
            checked += 1;
            for (line, used) in used_modules(&read(&file)) {
                if order.iter().skip(rank + 1).any(|module| *module == used) {
                    let (file, own) = (file.display(), own.display());
                    violations.push(format!("{file}:{line}: `{own}` must not use `{used}`"));
                }
            }
        }
    }
    assert!(checked > 200, "only {checked} files read");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn architecture_md_lists_every_module_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = read(&root.join("ARCHITECTURE.md"));
    for folder in entries(&root.join("crates")) {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let order = modules_in_order(&read(&folder.join("src/lib.rs")));
        if order.is_empty() {
            continue;
        }
        let section = map.split(&format!("### `crates/{name}`")).nth(1);
        let section = section.unwrap_or_else(|| panic!("ARCHITECTURE.md has no `crates/{name}`"));
        let section = section.split("\n##").next().unwrap_or_default();
        let listed: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .map(|(module, _)| module.trim_end_matches('/'))
            .collect();
        assert_eq!(listed, order, "crates/{name}");
    }
}

/// The modules that a crate's root declares, in order.
fn modules_in_order(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The first segment of each `crate::` path, with its line.
fn used_modules(source: &str) -> Vec<(usize, String)> {
    let segment = |rest: &str| {
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    source
        .lines()
        .enumerate()
        .flat_map(|(number, line)| {
            line.split("crate::")
                .skip(1)
                .map(move |rest| (number + 1, segment(rest)))
        })
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    entries
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let nested = entries(folder).into_iter().flat_map(|path| {
        if path.is_dir() {
            rust_files(&path)
        } else {
            vec![path]
        }
    });
    nested
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
