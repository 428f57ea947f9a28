//! Lets every binary, test and doc test find libtorch at run time: the library's folder, which
//! `torch-sys` found at build time, becomes part of their search path (rpath).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        // Without this the linker drops libtorch's libraries, whose operators register themselves.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    }
}
