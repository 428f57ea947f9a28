//! The `evenkeel` program; all of it is in the library's `cli` room.

fn main() -> std::process::ExitCode {
    evenkeel::cli::main()
}
