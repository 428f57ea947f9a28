//! `cargo xtask setup`: installs libtorch in a cache that all checkouts share, repairs a damaged
//! installation, and configures cargo to use it. A libtorch that the user's environment names takes
//! precedence.
//!
//! An installation is assembled in a temporary folder of the cache and renamed once it is complete, so
//! that no build can use an incomplete one.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pins::{self, Bundle, LIBTORCH_VERSION};
use crate::pip::{Tools, succeeds};
use crate::{Context, Result, checkout, manifest, say};

/// Where the libtorch of a build comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LibtorchSource {
    /// Installed in the cache by this program. `.cargo/libtorch.toml` holds its path.
    Cache,
    /// Named by the user's environment, which is left unchanged.
    User,
}

/// Which build of libtorch to install.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Variant {
    Cpu,
    Cuda,
    /// The variant that this checkout already uses, or else the one for CPUs.
    Current,
}

/// Finds or installs a libtorch that builds can use, and returns where it comes from.
pub(crate) fn setup(variant: Variant) -> Result<LibtorchSource> {
    check_compiler()?;
    let config = checkout().join(".cargo/libtorch.toml");
    let configured = fs::read_to_string(&config)
        .ok()
        .and_then(|text| read_config(&text));
    let from_env = env::var("LIBTORCH").ok().filter(|path| !path.is_empty());
    let cache = cache_folder();
    let is_in_cache = |path: &str| {
        let is_folder_of = |bundle: &Bundle| {
            cache
                .as_ref()
                .is_ok_and(|cache| cache.join(bundle.folder) == Path::new(path))
        };
        is_folder_of(&pins::CPU) || is_folder_of(&pins::CUDA)
    };
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        say("LIBTORCH_USE_PYTORCH is set: using the PyTorch of your Python, downloading nothing");
        return Ok(LibtorchSource::User);
    }
    // `cargo xtask` also sets LIBTORCH to the configured path, which is not the user's choice.
    if let Some(path) =
        from_env.filter(|path| Some(path) != configured.as_ref() && !is_in_cache(path))
    {
        check_user_libtorch(Path::new(&path))?;
        say(format!(
            "LIBTORCH is set: using {path}, downloading nothing"
        ));
        return Ok(LibtorchSource::User);
    }
    if !cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        return Err(format!(
            "libtorch can be installed automatically only on Linux x86-64 (glibc): install libtorch \
             {LIBTORCH_VERSION} (https://pytorch.org/get-started/locally) yourself and set LIBTORCH \
             to its folder"
        ));
    }
    let cache = cache?;
    let uses_cuda = configured.is_some_and(|path| Path::new(&path).ends_with(pins::CUDA.folder));
    let bundle = match variant {
        Variant::Cuda => &pins::CUDA,
        Variant::Current if uses_cuda => &pins::CUDA,
        Variant::Cpu | Variant::Current => &pins::CPU,
    };
    let home = cache.join(bundle.folder);
    if manifest::check(&home).is_ok() {
        say(format!(
            "libtorch {} is ready in {}",
            bundle.version,
            home.display()
        ));
    } else {
        install(bundle, &cache, &home)?;
    }
    write_config(&config, &home)?;
    Ok(LibtorchSource::Cache)
}

/// Installs the bundle in `home` while holding the cache's lock. Keeps a complete installation, and
/// adds a manifest to it if it has none.
fn install(bundle: &Bundle, cache: &Path, home: &Path) -> Result {
    fs::create_dir_all(cache).context(format!("cannot create {}", cache.display()))?;
    let _lock = lock(&cache.join("setup.lock"))?;
    if home.exists() {
        // Another checkout may have installed it while this one waited for the lock.
        let checked = if manifest::exists(home) {
            manifest::check(home)
        } else {
            manifest::check_known(home, bundle).and_then(|()| {
                manifest::write(home)
                    .map_err(|error| format!("its manifest cannot be written: {error}"))
            })
        };
        let Err(problem) = checked else {
            say(format!(
                "libtorch {} is ready in {}",
                bundle.version,
                home.display()
            ));
            return Ok(());
        };
        say(format!(
            "the libtorch in {} is damaged ({problem}): reinstalling it",
            home.display()
        ));
    }
    let tools = Tools::find()?;
    check_disk(bundle, cache)?;
    let partial = cache.join(format!("{}.partial", bundle.folder));
    fs::create_dir_all(&partial).context(format!("cannot create {}", partial.display()))?;
    say(format!(
        "downloading libtorch {} from PyPI to {}, which all checkouts share",
        bundle.version,
        home.display()
    ));
    tools.download(bundle, &partial)?;
    let tree = assemble(&tools, bundle, &partial)?;
    if home.exists() {
        fs::rename(home, partial.join("damaged"))
            .context("cannot move the damaged libtorch away")?;
    }
    fs::rename(tree, home).context("cannot move libtorch into place")?;
    fs::remove_dir_all(&partial).context(format!("cannot remove {}", partial.display()))?;
    say(format!(
        "libtorch {} is ready in {}",
        bundle.version,
        home.display()
    ));
    Ok(())
}

/// Unpacks the downloaded wheels in `partial/wheels` to a complete installation, and returns its path.
fn assemble(tools: &Tools, bundle: &Bundle, partial: &Path) -> Result<PathBuf> {
    let tree = partial.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).context("cannot remove an incomplete installation")?;
    }
    say("unpacking");
    for wheel in bundle.wheels {
        tools.unpack(wheel, &partial.join("wheels"), &tree)?;
    }
    let lib = tree.join("lib");
    if let Some(script) = bundle.linker_script {
        // torch-sys links to `libtorch.so`, and the wheel's file of that name requires CUDA.
        fs::write(lib.join("libtorch.so"), script).context("cannot write lib/libtorch.so")?;
    }
    link_gomp(&lib).context("cannot link lib/libgomp.so")?;
    fs::write(tree.join("build-version"), format!("{}\n", bundle.version))
        .context("cannot write build-version")?;
    manifest::write(&tree).context("cannot write the manifest")?;
    Ok(tree)
}

/// Adds `libgomp.so`, the name that the linker looks for, as a link to `libgomp.so.1`.
#[cfg(unix)]
fn link_gomp(lib: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink("libgomp.so.1", lib.join("libgomp.so"))
}

#[cfg(not(unix))]
fn link_gomp(_: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Locks a file, waiting for the set-up of another checkout to end. The system releases the lock when
/// the process ends.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).context(format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("another set-up is running; waiting for it to end");
            file.lock().context("cannot wait for the other set-up")?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(format!("cannot lock {}: {error}", path.display()));
        }
    }
    Ok(file)
}

/// Returns the cache's folder, which all checkouts share.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let path_from_env = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // The XDG specification says to ignore relative paths.
    path_from_env("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".cache")))
        .map(|cache| cache.join("evenkeel"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}

/// Checks that the user's LIBTORCH has a `lib` folder. torch-sys checks its version.
fn check_user_libtorch(path: &Path) -> Result {
    if path.join("lib").is_dir() {
        return Ok(());
    }
    Err(format!(
        "LIBTORCH is {}, which has no lib/ folder: set it to an unpacked libtorch {LIBTORCH_VERSION}, or \
         unset it to install one automatically",
        path.display()
    ))
}

/// Checks that a C++ compiler is available, which torch-sys needs.
fn check_compiler() -> Result {
    let is_set = env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CXX"));
    if is_set || succeeds(&["c++", "--version"]) {
        return Ok(());
    }
    Err(
        "a C++ compiler is missing: install one (Debian, Ubuntu: apt-get install g++; Fedora: \
         dnf install gcc-c++)"
            .to_owned(),
    )
}

/// Checks that the disk of `folder` has space for the installation. Passes if `df` does not work.
fn check_disk(bundle: &Bundle, folder: &Path) -> Result {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let free = output
        .ok()
        .and_then(|output| free_bytes(&String::from_utf8_lossy(&output.stdout)));
    match free {
        Some(free) if free < bundle.disk_bytes => Err(format!(
            "{} has {:.1} GB free, but the installation needs {:.1} GB: free some space, or set \
             XDG_CACHE_HOME to a folder on a larger disk",
            folder.display(),
            free as f64 / 1e9,
            bundle.disk_bytes as f64 / 1e9
        )),
        _ => Ok(()),
    }
}

/// Parses the free space from the output of `df -Pk`, bytes.
fn free_bytes(df: &str) -> Option<u64> {
    let kilobytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Writes the cargo configuration that sets LIBTORCH to `home`. A file with the same content is left
/// unchanged, so that nothing is rebuilt.
fn write_config(config: &Path, home: &Path) -> Result {
    let home = home.to_str().ok_or_else(|| {
        format!(
            "{} is not valid UTF-8, which cargo's configuration requires",
            home.display()
        )
    })?;
    let text = config_text(home);
    if fs::read_to_string(config).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let partial = config.with_extension("toml.partial");
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, config))
        .context(format!("cannot write {}", config.display()))
}

/// Returns the cargo configuration that sets LIBTORCH to `home`.
fn config_text(home: &str) -> String {
    let escaped = home.replace('\\', "\\\\").replace('"', "\\\"");
    format!("[env]\nLIBTORCH = \"{escaped}\"\n")
}

/// Parses the path from the text that [`config_text`] returned.
fn read_config(text: &str) -> Option<String> {
    let quoted = text
        .lines()
        .find_map(|line| line.strip_prefix("LIBTORCH = \""))?;
    let escaped = quoted.strip_suffix('"')?;
    Some(escaped.replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn the_configured_path_can_be_read_back() {
        for path in ["/home/a/.cache/evenkeel/x", "/odd \"name\"/x", "C:\\odd"] {
            assert_eq!(read_config(&config_text(path)).as_deref(), Some(path));
        }
        assert_eq!(read_config("[env]\n"), None);
    }

    #[test]
    fn the_configuration_is_written_only_when_it_changes() {
        let scratch = Scratch::new("config");
        let config = scratch.path().join("libtorch.toml");
        write_config(&config, Path::new("/a")).unwrap();
        let first = fs::metadata(&config).unwrap().modified().unwrap();
        write_config(&config, Path::new("/a")).unwrap();
        assert_eq!(fs::metadata(&config).unwrap().modified().unwrap(), first);
        write_config(&config, Path::new("/b")).unwrap();
        let text = fs::read_to_string(&config).unwrap();
        assert_eq!(text, "[env]\nLIBTORCH = \"/b\"\n");
    }

    #[test]
    fn free_bytes_parses_the_output_of_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                  /dev/vda 263174212 17413112 78641020 19% /\n";
        assert_eq!(free_bytes(df), Some(78_641_020 * 1024));
        assert_eq!(free_bytes(""), None);
    }

    #[test]
    fn a_second_set_up_waits_for_the_first() {
        let scratch = Scratch::new("lock");
        let path = scratch.path().join("setup.lock");
        let first = lock(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || lock(&path).map(|_| std::time::Instant::now())
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        let released = std::time::Instant::now();
        drop(first);
        assert!(waiting.join().unwrap().unwrap() >= released);
    }

    #[test]
    fn a_folder_without_lib_is_rejected() {
        let scratch = Scratch::new("users");
        assert!(
            check_user_libtorch(scratch.path())
                .unwrap_err()
                .contains("no lib/ folder")
        );
        fs::create_dir(scratch.path().join("lib")).unwrap();
        check_user_libtorch(scratch.path()).unwrap();
    }
}
