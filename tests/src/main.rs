//! The whole program as this package's own binary: a top-level `tests/` package cannot see another package's.

use std::process::ExitCode;

fn main() -> ExitCode {
    elanus_server::run(std::env::args_os())
}
