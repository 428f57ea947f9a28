//! Files and folders that are whole or not there: written under another name, flushed, renamed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes a file so that a crash leaves either what was there before or all of `bytes`.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, |file| file.write_all(bytes))
}

/// Likewise a file that `write` fills.
pub fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = temp_file(path)?;
    write(file.as_file_mut())?;
    Ok(persist_file(file, path)?)
}

/// A file beside `path`, for [`persist_file`] to give it that name; until then it goes when it is
/// dropped.
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
        // As any file that a program writes, less what the umask takes away.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(parent)
}

/// Gives an [unfinished](unfinished_file) file, which is whole now, its name.
pub fn persist_file(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(parent(path))
}

/// Replaces a folder by one that `write` fills, so that a crash leaves one of the two whole.
/// After a crash [`recover_dir`] puts the survivor in its place.
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
    // From here on the new folder is whole, under a name that says so.
    fs::rename(&unfinished, &new)?;
    if path.exists() {
        fs::rename(path, &old)?;
    }
    fs::rename(&new, path)?;
    sync_dir(parent)?;
    remove_dir(&old)?;
    Ok(())
}

/// Finishes a [`replace_dir`] that a crash cut off. To be called before a folder is read that is
/// written so.
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

/// `checkpoints/last` → `checkpoints/.last.new`.
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

/// Makes a rename durable. Folders can be flushed on Unix only; elsewhere the system does it.
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
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["run.json"]);
    }

    #[test]
    fn a_folder_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        replace_dir(&path, fill("one")).unwrap();
        replace_dir(&path, fill("two")).unwrap();
        assert_eq!(fs::read(path.join("weights")).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["last"]);
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last");
        replace_dir(&path, fill("one")).unwrap();
        let failed: io::Result<()> = replace_dir(&path, |_| Err(io::Error::other("disk full")));
        assert!(failed.is_err());
        assert_eq!(fs::read(path.join("weights")).unwrap(), b"one");
    }

    #[test]
    fn a_crash_at_any_rename_leaves_one_whole_folder() {
        // The states between the renames of `replace_dir`, and what must survive each.
        for (present, survivor) in [
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
            let found = fs::read_to_string(path.join("weights")).unwrap();
            assert_eq!(found, survivor, "after a crash with {present:?}");
        }
    }
}
