//! The command line: reads arguments, starts a server, prints where it is, waits for its end or a signal. The only
//! place that prints to standard output. `main` calls [`run`]; nothing here ends the process.

mod arguments;
mod backup;
mod banner;
mod check;
mod embed_bench;
mod model;
mod signals;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::config::{Config, ConfigError, Settings};
use crate::start::Handle;
use crate::telemetry;
use arguments::{Arguments, Command, ServeArguments};

/// Exit code of a server that could not start or did not end well.
const FAILED: u8 = 1;
/// Exit code of a wrong command line or configuration, as clap has it.
const USAGE: u8 = 2;

/// Runs the program with these arguments, the first being its own name. Returns when it is done.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = Arguments::command().version(crate::version::long());
    let parsed = command.try_get_matches_from(arguments).and_then(|m| Arguments::from_arg_matches(&m));
    match parsed {
        Ok(Arguments { command }) => match command {
            Command::Serve(serve) => run_server(*serve),
            Command::Check(arguments) => check::run(&arguments),
            Command::EmbedBench(arguments) => embed_bench::run(&arguments),
            Command::Backup(arguments) => backup::back_up(&arguments),
            Command::Restore(arguments) => backup::restore(arguments),
            Command::Model(arguments) => model::run(arguments),
        },
        Err(error) => {
            // Help and version are "errors" with code 0 that print to standard output. Nobody to tell if that fails.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
        }
    }
}

fn run_server(arguments: ServeArguments) -> ExitCode {
    telemetry::log::to_stderr();
    match configuration(arguments) {
        Ok(config) => match serve(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error.to_string(), FAILED),
        },
        Err(error) => complain(&error.to_string(), USAGE),
    }
}

fn complain(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "elanus: {message}");
    ExitCode::from(code)
}

fn configuration(arguments: ServeArguments) -> Result<Config, ConfigError> {
    let file = arguments.config.clone();
    resolve(arguments.settings(), file)
}

/// The configuration of flags, environment and file.
fn resolve(flags: Settings, file: Option<PathBuf>) -> Result<Config, ConfigError> {
    let file = file.or_else(|| std::env::var_os("ELANUS_CONFIG").map(Into::into));
    let file = file.map_or(Ok(Settings::default()), |path| Settings::from_file(&path))?;
    let environment = Settings::from_environment(|name| std::env::var_os(name))?;
    flags.or(environment).or(file).resolve()
}

fn serve(config: Config) -> Result<(), crate::StartError> {
    let server: Handle = crate::start(config)?;
    let text = banner::text(&server);
    // A closed standard output (`elanus serve | head`) is no reason to stop.
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
    signals::stop_on_signal(&server);
    server.wait()
}
