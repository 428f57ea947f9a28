//! The manifest of a libtorch installation: its files and their sizes.
//!
//! Later runs check the manifest to detect missing or truncated files. Contents are verified once,
//! during installation: pip checks the SHA-256 of each wheel, and unpacking checks the CRC of each
//! file. Checking only sizes takes some hundredths of a second for thousands of files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::pins::Bundle;

const FILE_NAME: &str = "manifest.txt";
const HEADER: &str = "evenkeel libtorch manifest 1";

/// Writes the manifest of the installation in `home`.
pub(crate) fn write(home: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    list_files(home, Path::new(""), &mut files)?;
    files.retain(|(path, _)| path != Path::new(FILE_NAME));
    let mut lines = vec![HEADER.to_owned()];
    lines.extend(
        files
            .iter()
            .map(|(path, bytes)| format!("{bytes} {}", path.display())),
    );
    let partial = home.join(format!("{FILE_NAME}.partial"));
    let mut file = fs::File::create(&partial)?;
    writeln!(file, "{}", lines.join("\n"))?;
    file.sync_all()?;
    fs::rename(partial, home.join(FILE_NAME))
}

/// Returns whether the installation in `home` has a manifest.
pub(crate) fn exists(home: &Path) -> bool {
    home.join(FILE_NAME).exists()
}

/// Checks the installation in `home` against its manifest. The error describes the first problem.
pub(crate) fn check(home: &Path) -> Result<(), String> {
    let text =
        fs::read_to_string(home.join(FILE_NAME)).map_err(|_| "it has no manifest".to_owned())?;
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) || !text.ends_with('\n') {
        return Err("its manifest is damaged".to_owned());
    }
    for line in lines {
        let entry = line.split_once(' ');
        let Some((Ok(bytes), path)) = entry.map(|(bytes, path)| (bytes.parse(), path)) else {
            return Err("its manifest is damaged".to_owned());
        };
        check_size(home, path, bytes)?;
    }
    Ok(())
}

/// Checks an installation without a manifest against the known contents of `bundle`. The error
/// describes the first problem.
pub(crate) fn check_known(home: &Path, bundle: &Bundle) -> Result<(), String> {
    if bundle.libraries.is_empty() {
        return Err("it has no manifest".to_owned());
    }
    for (name, bytes) in bundle.libraries {
        check_size(home, &format!("lib/{name}"), *bytes)?;
    }
    check_size(
        home,
        "lib/libgomp.so",
        size(&home.join("lib/libgomp.so.1")).unwrap_or(0),
    )?;
    let has_text = |path: &str, text: &str| {
        fs::read_to_string(home.join(path)).is_ok_and(|found| found.trim() == text.trim())
    };
    if !has_text("build-version", bundle.version) {
        return Err("build-version is missing or wrong".to_owned());
    }
    if bundle
        .linker_script
        .is_some_and(|script| !has_text("lib/libtorch.so", script))
    {
        return Err("lib/libtorch.so is missing or wrong".to_owned());
    }
    let mut headers = Vec::new();
    list_files(home, Path::new("include"), &mut headers).map_err(|error| error.to_string())?;
    let found = (headers.len(), headers.iter().map(|(_, bytes)| bytes).sum());
    if found != bundle.headers {
        return Err("include/ is incomplete".to_owned());
    }
    Ok(())
}

/// Checks that the file `path` in `home` has `bytes` bytes.
fn check_size(home: &Path, path: &str, bytes: u64) -> Result<(), String> {
    match size(&home.join(path)) {
        Some(found) if found == bytes => Ok(()),
        Some(found) => Err(format!("{path} has {found} bytes instead of {bytes}")),
        None => Err(format!("{path} is missing")),
    }
}

/// Returns the size of a file, or `None` if it does not exist.
fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.len())
}

/// Appends to `files` the path (relative to `home`) and size of each file below `home/folder`, sorted
/// by name. The size of a symbolic link is that of its target.
fn list_files(home: &Path, folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    let mut entries = fs::read_dir(home.join(folder))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        let found = fs::metadata(entry.path())?;
        if found.is_dir() {
            list_files(home, &path, files)?;
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
    fn a_complete_installation_passes_and_its_manifest_is_stable() {
        let home = installation();
        assert_eq!(check(home.path()), Ok(()));
        let first = fs::read_to_string(home.path().join(FILE_NAME)).unwrap();
        write(home.path()).unwrap();
        assert_eq!(
            fs::read_to_string(home.path().join(FILE_NAME)).unwrap(),
            first
        );
        assert_eq!(
            first,
            format!("{HEADER}\n1 build-version\n6 include/a b/x.h\n")
        );
    }

    #[test]
    fn check_names_truncated_and_missing_files() {
        let home = installation();
        let header = home.path().join("include/a b/x.h");
        fs::write(&header, "int").unwrap();
        assert_eq!(
            check(home.path()).unwrap_err(),
            "include/a b/x.h has 3 bytes instead of 6"
        );
        fs::remove_file(&header).unwrap();
        assert_eq!(
            check(home.path()).unwrap_err(),
            "include/a b/x.h is missing"
        );
        for damaged in ["", "something else\n", &format!("{HEADER}\n1 build-ver")] {
            fs::write(home.path().join(FILE_NAME), damaged).unwrap();
            assert_eq!(check(home.path()).unwrap_err(), "its manifest is damaged");
        }
        fs::remove_file(home.path().join(FILE_NAME)).unwrap();
        assert_eq!(check(home.path()).unwrap_err(), "it has no manifest");
    }
}
