//! The list of an installation's files with their sizes, by which a later run notices what a
//! crash, a full disk or a stray hand did to it. Contents were checked when they arrived (the
//! wheels' SHA-256 by pip, each file's checksum while unpacking), so sizes are enough, and
//! thousands of files take some hundredths of a second.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::pins::Bundle;

const NAME: &str = "manifest.txt";
const TITLE: &str = "evenkeel libtorch manifest 1";

/// Writes the manifest of what lies in `home`.
pub(crate) fn write(home: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    list(home, Path::new(""), &mut files)?;
    files.retain(|(path, _)| path != Path::new(NAME));
    let mut lines = vec![TITLE.to_owned()];
    lines.extend(
        files
            .iter()
            .map(|(path, bytes)| format!("{bytes} {}", path.display())),
    );
    let partial = home.join(format!("{NAME}.partial"));
    let mut file = fs::File::create(&partial)?;
    writeln!(file, "{}", lines.join("\n"))?;
    file.sync_all()?;
    fs::rename(partial, home.join(NAME))
}

/// Whether an installation says of itself what it holds.
pub(crate) fn exists(home: &Path) -> bool {
    home.join(NAME).exists()
}

/// Says what is wrong with the installation in `home`, going by its manifest.
pub(crate) fn check(home: &Path) -> Result<(), String> {
    let text = fs::read_to_string(home.join(NAME)).map_err(|_| "it has no manifest".to_owned())?;
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) || !text.ends_with('\n') {
        return Err("its manifest is damaged".to_owned());
    }
    for line in lines {
        let entry = line.split_once(' ');
        let Some((Ok(bytes), path)) = entry.map(|(bytes, path)| (bytes.parse(), path)) else {
            return Err("its manifest is damaged".to_owned());
        };
        expect(home, path, bytes)?;
    }
    Ok(())
}

/// Says what is wrong with an installation that has no manifest, going by what `bundle` is known
/// to hold.
pub(crate) fn check_known(home: &Path, bundle: &Bundle) -> Result<(), String> {
    if bundle.libraries.is_empty() {
        return Err("it has no manifest".to_owned());
    }
    for (name, bytes) in bundle.libraries {
        expect(home, &format!("lib/{name}"), *bytes)?;
    }
    expect(
        home,
        "lib/libgomp.so",
        size(&home.join("lib/libgomp.so.1")).unwrap_or(0),
    )?;
    let is = |path: &str, text: &str| {
        fs::read_to_string(home.join(path)).is_ok_and(|found| found.trim() == text.trim())
    };
    if !is("build-version", bundle.version) {
        return Err("build-version is missing or wrong".to_owned());
    }
    if bundle
        .linker_script
        .is_some_and(|script| !is("lib/libtorch.so", script))
    {
        return Err("lib/libtorch.so is missing or wrong".to_owned());
    }
    let mut headers = Vec::new();
    list(home, Path::new("include"), &mut headers).map_err(|error| error.to_string())?;
    let found = (headers.len(), headers.iter().map(|(_, bytes)| bytes).sum());
    if found != bundle.headers {
        return Err("include/ is incomplete".to_owned());
    }
    Ok(())
}

fn expect(home: &Path, path: &str, bytes: u64) -> Result<(), String> {
    match size(&home.join(path)) {
        Some(found) if found == bytes => Ok(()),
        Some(found) => Err(format!("{path} has {found} bytes, not {bytes}")),
        None => Err(format!("{path} is missing")),
    }
}

fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.len())
}

/// Lists the files below `folder` of `home`, by name, with their sizes (of what a link leads to).
fn list(home: &Path, folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    let mut entries = fs::read_dir(home.join(folder))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        let found = fs::metadata(entry.path())?;
        if found.is_dir() {
            list(home, &path, files)?;
        } else {
            files.push((path, found.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn installation() -> Scratch {
        let home = Scratch::new("manifest");
        fs::create_dir_all(home.path().join("include/a b")).unwrap();
        fs::write(home.path().join("include/a b/x.h"), "int x;").unwrap();
        fs::write(home.path().join("build-version"), "1").unwrap();
        write(home.path()).unwrap();
        home
    }

    #[test]
    fn a_whole_installation_passes_and_its_list_is_stable() {
        let home = installation();
        assert_eq!(check(home.path()), Ok(()));
        let first = fs::read_to_string(home.path().join(NAME)).unwrap();
        write(home.path()).unwrap();
        assert_eq!(fs::read_to_string(home.path().join(NAME)).unwrap(), first);
        assert_eq!(
            first,
            format!("{TITLE}\n1 build-version\n6 include/a b/x.h\n")
        );
    }

    #[test]
    fn what_is_cut_missing_or_unlisted_is_named() {
        let home = installation();
        let header = home.path().join("include/a b/x.h");
        fs::write(&header, "int").unwrap();
        assert_eq!(
            check(home.path()).unwrap_err(),
            "include/a b/x.h has 3 bytes, not 6"
        );
        fs::remove_file(&header).unwrap();
        assert_eq!(
            check(home.path()).unwrap_err(),
            "include/a b/x.h is missing"
        );
        for damaged in ["", "something else\n", &format!("{TITLE}\n1 build-ver")] {
            fs::write(home.path().join(NAME), damaged).unwrap();
            assert_eq!(check(home.path()).unwrap_err(), "its manifest is damaged");
        }
        fs::remove_file(home.path().join(NAME)).unwrap();
        assert_eq!(check(home.path()).unwrap_err(), "it has no manifest");
    }
}
