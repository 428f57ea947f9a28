//! Atomic replacement of files and folders: write under a temporary name, flush, rename.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::RunError;

/// A folder or a file that a command writes, and why the system did not let it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The folder cannot be created.
    #[error("cannot create {path}")]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}")]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Creates a folder and its parents, if they do not exist.
///
/// # Errors
/// If the system fails to create one.
pub fn create_folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(|source| WriteError::CreateFolder {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file as [`write_atomic`] does, with an error that names the file.
///
/// # Errors
/// If the folder does not exist, or the file cannot be written.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), WriteError> {
    write_atomic(path, bytes.as_ref()).map_err(|source| WriteError::WriteFile {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file. After a crash, the file has either its old content or all of `bytes`.
///
/// # Errors
/// If the folder does not exist, or the file cannot be written.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, |file| file.write_all(bytes))
}

/// Replaces a file by one that `write` fills. After a crash, the file is either the old or the new
/// one. A link keeps pointing at its file, which is replaced; a device or a pipe is written to.
///
/// # Errors
/// If `write` fails, the folder does not exist, or the file cannot be written.
pub fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let path = &follow_links(path);
    match fs::metadata(path) {
        Ok(existing) if !existing.is_file() && !existing.is_dir() => {
            return write(&mut File::options().write(true).open(path)?);
        }
        _ => {}
    }
    let mut file = temp_file(path)?;
    write(file.as_file_mut())?;
    Ok(persist_file(file, path)?)
}

/// Returns the file that a symbolic link names, so that the link itself is not replaced. Any other
/// path, and a link to nothing, is returned as it is.
fn follow_links(path: &Path) -> PathBuf {
    if path.is_symlink() {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    } else {
        path.to_owned()
    }
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
    if path.is_dir() {
        let message = "it is a folder; name a file in it";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, message));
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
    // A replaced file keeps its permissions.
    if let Ok(existing) = fs::metadata(path) {
        file.as_file().set_permissions(existing.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(parent(path))
}

/// Creates a folder that did not exist, and its parents: `parent/name`, or the first of
/// `parent/name-2`, `parent/name-3`… that is free. Two processes never get the same folder.
///
/// # Errors
/// If the system fails to create a folder, with its path.
pub fn create_new_dir(parent: &Path, name: &str) -> Result<PathBuf, RunError> {
    fs::create_dir_all(parent).map_err(RunError::io(parent))?;
    let mut path = parent.join(name);
    for count in 2.. {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{count}"));
            }
            created => return created.map_err(RunError::io(&path)).map(|()| path),
        }
    }
    unreachable!("the range has no end")
}

/// Whether two paths name one file or folder: by the same path once links are followed, or by a hard
/// link. Paths of which only one exists differ.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    if let (Ok(one), Ok(other)) = (absolute(one), absolute(other))
        && one == other
    {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    false
}

/// The path without links. The file itself does not need to exist.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().or_else(|_| {
        let folder = parent(path).canonicalize()?;
        Ok(folder.join(path.file_name().unwrap_or_default()))
    })
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
    let result = fill_dir(&unfinished, write);
    if result.is_err() {
        // Whatever keeps the folder from being written may keep it from being removed.
        remove_dir(&unfinished).ok();
    }
    result?;
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

/// Fills a folder and flushes its files to disk.
fn fill_dir<E: From<io::Error>>(
    folder: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    write(folder)?;
    for entry in fs::read_dir(folder)? {
        File::open(entry?.path())?.sync_all()?;
    }
    Ok(sync_dir(folder)?)
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

    #[cfg(unix)]
    #[test]
    fn a_link_a_mode_and_a_device_survive_replacement() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write_atomic(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        write_atomic(Path::new("/dev/null"), b"three").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let error = write_atomic(folder.path(), b"four").unwrap_err();
        assert_eq!(error.to_string(), "it is a folder; name a file in it");
    }

    #[cfg(unix)]
    #[test]
    fn one_file_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        fs::write(path("file"), "").unwrap();
        fs::write(path("copy"), "").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("file"), path("soft")).unwrap();
        std::os::unix::fs::symlink(folder.path(), path("inner/up")).unwrap();
        for name in [
            "file",
            "./file",
            "inner/../file",
            "inner/up/file",
            "hard",
            "soft",
        ] {
            assert!(is_same_file(&path("file"), &path(name)), "{name}");
        }
        assert!(is_same_file(&path("new"), &path("inner/../new")));
        for name in ["copy", "inner", "new", "inner/file", "nowhere/file"] {
            assert!(!is_same_file(&path("file"), &path(name)), "{name}");
        }
    }

    #[test]
    fn write_errors_name_the_path() {
        use std::error::Error as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, absent) = (folder.path().join("file"), folder.path().join("a/b"));
        write_file(&file, "one").unwrap();
        let inside = file.join("inside");
        for (error, expected) in [
            (create_folder(&inside).unwrap_err(), ("create", &inside)),
            (write_file(&absent, "").unwrap_err(), ("write", &absent)),
        ] {
            let (verb, path) = expected;
            assert_eq!(
                error.to_string(),
                format!("cannot {verb} {}", path.display())
            );
            assert!(error.source().is_some(), "{error}");
        }
    }

    #[test]
    fn a_new_folder_is_never_one_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("runs");
        let names = [(); 3].map(|()| create_new_dir(&parent, "a").unwrap());
        assert_eq!(names, ["a", "a-2", "a-3"].map(|name| parent.join(name)));
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
        assert_eq!(names(folder.path()), ["last"]);
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
