//! `elanus backup` and `elanus restore`. They ask a running server on its admin port; a whole restore needs none.

use std::env::VarError;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use elanus_engine::BackupInfo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FAILED, complain};
use crate::backup::{ADMIN_HEADER, BackupRequest, RestoreRequest, Restored, restore_directory};

const DEFAULT_ADMIN: &str = "127.0.0.1:9091";
/// Variable with the password of the user who asks.
const PASSWORD: &str = "ELANUS_PASSWORD";

/// The running server that is asked, and who asks
#[derive(Debug, Args)]
struct Server {
    /// Admin address of the server
    #[arg(long, value_name = "HOST:PORT", env = "ELANUS_ADMIN_LISTEN", default_value = DEFAULT_ADMIN)]
    admin: String,
    /// User who asks, where the server has authorization on: root, or one with the role admin. The password is that of
    /// the variable ELANUS_PASSWORD
    #[arg(long, value_name = "NAME", default_value = "root")]
    user: String,
}

/// Copies everything a running server holds, as it is at one moment
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// Where to: a folder that is not there or empty, or a file that ends in .tar. On the server's machine
    target: PathBuf,
    #[command(flatten)]
    server: Server,
}

/// Brings a backup back: all of it into an empty data directory, or one collection into a running server
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The backup: a folder, or a file that ends in .tar
    source: PathBuf,
    /// Data directory to make; it must not be there, or be empty
    #[arg(long, value_name = "DIR", required_unless_present = "collection", conflicts_with = "collection")]
    data: Option<PathBuf>,
    /// Collection to take into the running server
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Its name there
    #[arg(long = "as", value_name = "NAME", requires = "collection")]
    new_name: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn back_up(arguments: &BackupArguments) -> ExitCode {
    let made = absolute(&arguments.target)
        .and_then(|target| ask::<_, BackupInfo>(&arguments.server, "backup", &BackupRequest { target }));
    match made {
        Ok(info) => {
            print(&describe(&info));
            // A backup with a hole must not look like a good one to a script.
            if info.left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(reason) => complain(&reason, FAILED),
    }
}

pub(super) fn restore(arguments: RestoreArguments) -> ExitCode {
    let restored = match (arguments.data, arguments.collection) {
        (Some(data), _) => restore_directory(&arguments.source, &data)
            .map(|Restored { info, missing }| {
                for what in missing {
                    let _ = writeln!(std::io::stderr(), "elanus: {what}");
                }
                describe(&info)
            })
            .map_err(|error| error.message),
        (None, Some(collection)) => absolute(&arguments.source).and_then(|source| {
            let request = RestoreRequest { source, collection, new_name: arguments.new_name };
            let done: serde_json::Value = ask(&arguments.server, "restore", &request)?;
            Ok(format!("{}: {} rows\n", done["collection"].as_str().unwrap_or_default(), done["rows"]))
        }),
        (None, None) => Err("say --data DIR or --collection NAME".into()),
    };
    match restored {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(reason) => complain(&reason, FAILED),
    }
}

fn describe(info: &BackupInfo) -> String {
    let mut text = String::new();
    for collection in &info.collections {
        text += &format!("{}: {} rows\n", collection.name, collection.rows);
    }
    for (name, reason) in &info.left_out {
        text += &format!("NOT in the backup: {name}: {reason}\n");
    }
    text += &format!("{} collections\n", info.collections.len());
    text
}

fn print(text: &str) {
    // A closed standard output changes nothing of what was done.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The password of the user who asks. Not in an argument: other users of the machine can read those.
fn password() -> Result<Option<String>, String> {
    match std::env::var(PASSWORD) {
        Ok(password) => Ok(Some(password)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{PASSWORD} is not text in UTF-8")),
    }
}

#[derive(serde::Deserialize)]
struct Envelope<T> {
    message: Option<String>,
    data: Option<T>,
}

/// Sends a request to the admin port and waits, however long it takes.
fn ask<Q: Serialize, A: DeserializeOwned>(server: &Server, what: &str, request: &Q) -> Result<A, String> {
    let admin = &server.admin;
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let unreachable = |e: ureq::Error| format!("no server answers on the admin address {admin}: {e}");
    let mut asking = agent.post(format!("http://{admin}/{what}")).header(ADMIN_HEADER, "1");
    if let Some(password) = password()? {
        asking = asking.header("authorization", format!("Bearer {}:{password}", server.user));
    }
    let mut response = asking.send_json(request).map_err(unreachable)?;
    if response.status() == 401 {
        return Err(format!(
            "the server asks for a password: that of {} belongs into {PASSWORD}",
            server.user
        ));
    }
    let envelope: Envelope<A> = response.body_mut().read_json().map_err(|e| format!("{admin}: {e}"))?;
    match envelope {
        Envelope { data: Some(data), .. } => Ok(data),
        Envelope { message, .. } => Err(message.unwrap_or_else(|| "the server gave no reason".into())),
    }
}
