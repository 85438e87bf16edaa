//! The program `onex`: hands over to the command line.

use std::process::ExitCode;

/// Lists are made of many small pieces; this allocator hands them out faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    onex::cli::main()
}
