//! Adds the folder of libtorch, which `torch-sys` found at build time, to the library search path
//! (rpath) of every binary, test and doc test. Also sets `EVENKEEL_LIBTORCH_VERSION`, which
//! `--version` prints and each run records.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        // Without this the linker drops libtorch's libraries, whose operators register themselves.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        let version = libtorch_version(Path::new(&folder).parent().unwrap_or(Path::new("/")));
        println!("cargo:rustc-env=EVENKEEL_LIBTORCH_VERSION={version}");
    }
}

/// Returns the version of the libtorch in `root`, from its file `build-version` (with the variant, as
/// in `2.13.0+cpu`) or from its headers.
fn libtorch_version(root: &Path) -> String {
    let stamp = root.join("build-version");
    if stamp.exists() {
        println!("cargo:rerun-if-changed={}", stamp.display());
    }
    if let Ok(text) = std::fs::read_to_string(stamp) {
        return text.trim().to_owned();
    }
    let header = root.join("include/torch/headeronly/version.h");
    std::fs::read_to_string(header)
        .ok()
        .and_then(|text| {
            let (_, rest) = text.split_once("#define TORCH_VERSION \\")?;
            rest.split('"').nth(1).map(str::to_owned)
        })
        .unwrap_or_else(|| "of unknown version".to_owned())
}
