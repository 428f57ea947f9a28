//! `cargo xtask setup`: brings libtorch into a cache that all checkouts share, mends it where it
//! is damaged, and tells cargo where it is. A libtorch of the user's own wins.
//!
//! What is installed comes into being under another name in the cache and is renamed when it is
//! complete, so that nobody ever builds against half of it.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pins::{self, Bundle, LIBTORCH};
use crate::pip::{Tools, works};
use crate::{Context, Result, checkout, manifest, say};

/// Whose libtorch the build uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Libtorch {
    /// Installed in the cache; `.cargo/libtorch.toml` says where.
    Ours,
    /// Named by the user's environment, which we leave alone.
    Users,
}

/// Which libtorch is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Variant {
    Cpu,
    Cuda,
    /// Whichever this checkout uses already, or else the one for CPUs.
    AsBefore,
}

/// Makes libtorch ready for building.
pub(crate) fn setup(variant: Variant) -> Result<Libtorch> {
    check_compiler()?;
    let config = checkout().join(".cargo/libtorch.toml");
    let configured = fs::read_to_string(&config)
        .ok()
        .and_then(|text| read_config(&text));
    let from_env = env::var("LIBTORCH").ok().filter(|path| !path.is_empty());
    let cache = cache_folder();
    let ours = |path: &str| {
        let folder = |bundle: &Bundle| {
            cache
                .as_ref()
                .is_ok_and(|cache| cache.join(bundle.folder) == Path::new(path))
        };
        folder(&pins::CPU) || folder(&pins::CUDA)
    };
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        say("using the PyTorch of your Python, as LIBTORCH_USE_PYTORCH asks: nothing is fetched");
        return Ok(Libtorch::Users);
    }
    // Under `cargo xtask`, cargo has put the configured path into our environment.
    if let Some(path) = from_env.filter(|path| Some(path) != configured.as_ref() && !ours(path)) {
        check_users(Path::new(&path))?;
        say(format!("using your LIBTORCH, {path}: nothing is fetched"));
        return Ok(Libtorch::Users);
    }
    if !cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        return Err(format!(
            "libtorch is fetched by itself on Linux x86-64 (glibc) only: elsewhere, install \
             libtorch {LIBTORCH} (https://pytorch.org/get-started/locally) and set LIBTORCH to \
             its folder"
        ));
    }
    let cache = cache?;
    let uses_cuda = configured.is_some_and(|path| Path::new(&path).ends_with(pins::CUDA.folder));
    let bundle = match variant {
        Variant::Cuda => &pins::CUDA,
        Variant::AsBefore if uses_cuda => &pins::CUDA,
        Variant::Cpu | Variant::AsBefore => &pins::CPU,
    };
    let home = cache.join(bundle.folder);
    if manifest::check(&home).is_ok() {
        say(format!(
            "libtorch {} is ready in {}",
            bundle.version,
            home.display()
        ));
    } else {
        provide(bundle, &cache, &home)?;
    }
    write_config(&config, &home)?;
    Ok(Libtorch::Ours)
}

/// Adopts, mends or installs the bundle in `home`, alone among all checkouts.
fn provide(bundle: &Bundle, cache: &Path, home: &Path) -> Result {
    fs::create_dir_all(cache).context(format!("cannot create {}", cache.display()))?;
    let _lock = lock(&cache.join("setup.lock"))?;
    if home.exists() {
        // Another checkout may have been at it while this one waited for the lock.
        let found = if manifest::exists(home) {
            manifest::check(home)
        } else {
            manifest::check_known(home, bundle).and_then(|()| {
                manifest::write(home)
                    .map_err(|error| format!("its manifest cannot be written: {error}"))
            })
        };
        let Err(wrong) = found else {
            say(format!(
                "libtorch {} is ready in {}",
                bundle.version,
                home.display()
            ));
            return Ok(());
        };
        say(format!(
            "the libtorch in {} is damaged ({wrong}): fetching it anew",
            home.display()
        ));
    }
    let tools = Tools::find()?;
    check_disk(bundle, cache)?;
    let partial = cache.join(format!("{}.partial", bundle.folder));
    fs::create_dir_all(&partial).context(format!("cannot create {}", partial.display()))?;
    say(format!(
        "fetching libtorch {} from PyPI into {}, once for all checkouts",
        bundle.version,
        home.display()
    ));
    tools.download(bundle, &partial)?;
    let tree = assemble(&tools, bundle, &partial)?;
    if home.exists() {
        fs::rename(home, partial.join("damaged")).context("cannot put the old libtorch aside")?;
    }
    fs::rename(tree, home).context("cannot put libtorch in its place")?;
    fs::remove_dir_all(&partial).context(format!("cannot remove {}", partial.display()))?;
    say(format!(
        "libtorch {} is ready in {}",
        bundle.version,
        home.display()
    ));
    Ok(())
}

/// Unpacks the downloaded wheels of `partial` into a complete installation beside them.
fn assemble(tools: &Tools, bundle: &Bundle, partial: &Path) -> Result<PathBuf> {
    let tree = partial.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).context("cannot remove an unfinished installation")?;
    }
    say("unpacking");
    for wheel in bundle.wheels {
        tools.unpack(wheel, &partial.join("wheels"), &tree)?;
    }
    let lib = tree.join("lib");
    if let Some(script) = bundle.linker_script {
        // torch-sys links to `torch`; the wheel's own libtorch.so would ask for CUDA.
        fs::write(lib.join("libtorch.so"), script).context("cannot write lib/libtorch.so")?;
    }
    link_gomp(&lib).context("cannot link lib/libgomp.so")?;
    fs::write(tree.join("build-version"), format!("{}\n", bundle.version))
        .context("cannot write build-version")?;
    manifest::write(&tree).context("cannot write the manifest")?;
    Ok(tree)
}

/// The linker looks for the name without a number.
#[cfg(unix)]
fn link_gomp(lib: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink("libgomp.so.1", lib.join("libgomp.so"))
}

#[cfg(not(unix))]
fn link_gomp(_: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Waits until no other checkout is setting up. The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).context(format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("another set-up is at work; waiting for it to end");
            file.lock().context("cannot wait for the other set-up")?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(format!("cannot lock {}: {error}", path.display()));
        }
    }
    Ok(file)
}

/// Where libtorch is kept.
fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // The XDG rules ask to ignore a path that is not absolute.
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".cache")))
        .map(|cache| cache.join("evenkeel"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}

/// A folder that the user named must at least look like a libtorch; torch-sys checks its version.
fn check_users(path: &Path) -> Result {
    if path.join("lib").is_dir() {
        return Ok(());
    }
    Err(format!(
        "LIBTORCH is {}, which has no lib/ folder: set it to an unpacked libtorch {LIBTORCH}, or \
         unset it to have one fetched",
        path.display()
    ))
}

/// torch-sys compiles C++.
fn check_compiler() -> Result {
    let chosen = env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CXX"));
    if chosen || works(&["c++", "--version"]) {
        return Ok(());
    }
    Err(
        "a C++ compiler is missing: install one (Debian, Ubuntu: apt-get install g++; Fedora: \
         dnf install gcc-c++)"
            .to_owned(),
    )
}

fn check_disk(bundle: &Bundle, folder: &Path) -> Result {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let free = output
        .ok()
        .and_then(|output| free_bytes(&String::from_utf8_lossy(&output.stdout)));
    match free {
        Some(free) if free < bundle.disk_bytes => Err(format!(
            "{} has {:.1} GB free, and setting up needs {:.1} GB: make room, or set \
             XDG_CACHE_HOME to a folder on a larger disk",
            folder.display(),
            free as f64 / 1e9,
            bundle.disk_bytes as f64 / 1e9
        )),
        _ => Ok(()),
    }
}

/// The free space in the output of `df -Pk`.
fn free_bytes(df: &str) -> Option<u64> {
    let kilobytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Tells cargo where libtorch is. Left alone where it says so already, so that nothing is rebuilt.
fn write_config(config: &Path, home: &Path) -> Result {
    let home = home.to_str().ok_or_else(|| {
        format!(
            "{} is no UTF-8, which cargo's configuration needs",
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

fn config_text(home: &str) -> String {
    let escaped = home.replace('\\', "\\\\").replace('"', "\\\"");
    format!("[env]\nLIBTORCH = \"{escaped}\"\n")
}

/// The path that [`config_text`] wrote.
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
    fn the_path_survives_cargos_configuration() {
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
    fn free_space_is_read_from_df() {
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
    fn a_folder_that_is_no_libtorch_is_refused() {
        let scratch = Scratch::new("users");
        assert!(
            check_users(scratch.path())
                .unwrap_err()
                .contains("no lib/ folder")
        );
        fs::create_dir(scratch.path().join("lib")).unwrap();
        check_users(scratch.path()).unwrap();
    }
}
