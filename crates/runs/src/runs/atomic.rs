//! Atomic replacement of files and folders: write under a temporary name, flush, rename.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes a file. After a crash, the file has either its old content or all of `bytes`.
///
/// # Errors
/// If the folder does not exist, or the file cannot be written.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, |file| file.write_all(bytes))
}

/// Replaces a file by one that `write` fills. After a crash, the file is either the old or the new
/// one.
///
/// # Errors
/// If `write` fails, the folder does not exist, or the file cannot be written.
pub fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = temp_file(path)?;
    write(file.as_file_mut())?;
    Ok(persist_file(file, path)?)
}

/// Creates a temporary file in the folder of `path`, for [`persist_file`]. Dropping it deletes it.
///
/// # Errors
/// If the folder does not exist, or the file cannot be created.
pub fn temp_file(path: &Path) -> io::Result<NamedTempFile> {
    let parent = parent(path);
    if !parent.is_dir() {
        let message = format!("there is no folder {}", parent.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".");
    #[cfg(unix)]
    {
        // The default permissions of new files, which the umask restricts.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(parent)
}

/// Flushes a [`temp_file`] to disk and renames it to `path`.
///
/// # Errors
/// If the system fails to flush or rename it.
pub fn persist_file(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(parent(path))
}

/// Replaces a folder by one that `write` fills. After a crash, [`recover_dir`] restores the old or
/// the new folder.
///
/// # Errors
/// If `write` or the system fails. The old folder then stays in place.
pub fn replace_dir<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let parent = parent(path);
    fs::create_dir_all(parent)?;
    recover_dir(path)?;
    let unfinished = sibling(path, "unfinished");
    let new = sibling(path, "new");
    let old = sibling(path, "old");
    remove_dir(&unfinished)?;
    fs::create_dir(&unfinished)?;
    write(&unfinished)?;
    for entry in fs::read_dir(&unfinished)? {
        File::open(entry?.path())?.sync_all()?;
    }
    sync_dir(&unfinished)?;
    // From here on the new folder is complete, which its name `new` tells `recover_dir`.
    fs::rename(&unfinished, &new)?;
    if path.exists() {
        fs::rename(path, &old)?;
    }
    fs::rename(&new, path)?;
    sync_dir(parent)?;
    remove_dir(&old)?;
    Ok(())
}

/// Completes a [`replace_dir`] that was interrupted by a crash. Call it before reading the folder.
///
/// # Errors
/// If the system fails to rename or delete a folder.
pub fn recover_dir(path: &Path) -> io::Result<()> {
    let new = sibling(path, "new");
    let old = sibling(path, "old");
    if new.exists() {
        if path.exists() {
            remove_dir(&old)?;
            fs::rename(path, &old)?;
        }
        fs::rename(&new, path)?;
    } else if old.exists() && !path.exists() {
        fs::rename(&old, path)?;
    }
    remove_dir(&old)
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Name of a temporary folder: `checkpoints/last` becomes `checkpoints/.last.new`.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.{suffix}"))
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Flushes a folder to disk, to make a rename durable. Does nothing outside Unix, where folders
/// cannot be flushed.
fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &'static str) -> impl FnOnce(&Path) -> io::Result<()> {
        move |folder| fs::write(folder.join("weights"), text)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replacing_a_file_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["run.json"]);
    }

    #[test]
    fn replacing_a_folder_leaves_no_other_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        replace_dir(&path, fill("one")).unwrap();
        replace_dir(&path, fill("two")).unwrap();
        assert_eq!(fs::read(path.join("weights")).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["last"]);
    }

    #[test]
    fn a_failed_replacement_keeps_the_old_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        replace_dir(&path, fill("one")).unwrap();
        let failed: io::Result<()> = replace_dir(&path, |_| Err(io::Error::other("disk full")));
        assert!(failed.is_err());
        assert_eq!(fs::read(path.join("weights")).unwrap(), b"one");
    }

    #[test]
    fn a_complete_folder_survives_a_crash_at_any_rename() {
        // The states between the renames of `replace_dir`, and the folder that must be restored.
        for (present, expected) in [
            (&["last", ".last.unfinished"][..], "last"),
            (&["last", ".last.new"], ".last.new"),
            (&[".last.old", ".last.new"], ".last.new"),
            (&[".last.old", "last"], "last"),
            (&[".last.old"], ".last.old"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for name in present {
                fs::create_dir(folder.path().join(name)).unwrap();
                fs::write(folder.path().join(name).join("weights"), name).unwrap();
            }
            let path = folder.path().join("last");
            recover_dir(&path).unwrap();
            let restored = fs::read_to_string(path.join("weights")).unwrap();
            assert_eq!(restored, expected, "after a crash with {present:?}");
        }
    }
}
