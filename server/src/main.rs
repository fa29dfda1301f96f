//! The program `elanus`. Everything is in the library; only this file ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    elanus_server::run(std::env::args_os())
}
