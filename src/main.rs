//! The `evenkeel` program.

mod cli;

/// Each new episode allocates a world in many small pieces. Compared with the system's allocator,
/// mimalloc saves about a tenth of the time in scenarios with short episodes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
