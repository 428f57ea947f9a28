//! Lets every binary, test and doc test find libtorch at run time: the library's folder, which
//! `torch-sys` found at build time, becomes part of their search path (rpath). Also tells the
//! crate which libtorch that is, for `--version` and for a run's own record.

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

/// The version of the libtorch in `root`: its own `build-version` file (with the variant, as in
/// `2.13.0+cpu`), or else what its headers say.
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
