//! `elanus backup` and `elanus restore`. They ask a running server on its admin port; a whole restore needs none.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use elanus_engine::BackupInfo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FAILED, complain};
use crate::backup::{ADMIN_HEADER, BackupRequest, RestoreRequest, restore_directory};

const DEFAULT_ADMIN: &str = "127.0.0.1:9091";

/// Copies everything a running server holds, as it is at one moment
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// Where to: a folder that is not there or empty, or a file that ends in .tar. On the server's machine
    target: PathBuf,
    /// Admin address of the server
    #[arg(long, value_name = "HOST:PORT", env = "ELANUS_ADMIN_LISTEN", default_value = DEFAULT_ADMIN)]
    admin: String,
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
    /// Admin address of the server
    #[arg(long, value_name = "HOST:PORT", env = "ELANUS_ADMIN_LISTEN", default_value = DEFAULT_ADMIN)]
    admin: String,
}

pub(super) fn back_up(arguments: &BackupArguments) -> ExitCode {
    let made = absolute(&arguments.target)
        .and_then(|target| ask::<_, BackupInfo>(&arguments.admin, "backup", &BackupRequest { target }));
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
            .map(|info| describe(&info))
            .map_err(|error| error.message),
        (None, Some(collection)) => absolute(&arguments.source).and_then(|source| {
            let request = RestoreRequest { source, collection, new_name: arguments.new_name };
            let done: serde_json::Value = ask(&arguments.admin, "restore", &request)?;
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

#[derive(serde::Deserialize)]
struct Envelope<T> {
    message: Option<String>,
    data: Option<T>,
}

/// Sends a request to the admin port and waits, however long it takes.
fn ask<Q: Serialize, A: DeserializeOwned>(admin: &str, what: &str, request: &Q) -> Result<A, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let unreachable = |e: ureq::Error| format!("no server answers on the admin address {admin}: {e}");
    let mut response = agent
        .post(format!("http://{admin}/{what}"))
        .header(ADMIN_HEADER, "1")
        .send_json(request)
        .map_err(unreachable)?;
    let envelope: Envelope<A> = response.body_mut().read_json().map_err(|e| format!("{admin}: {e}"))?;
    match envelope {
        Envelope { data: Some(data), .. } => Ok(data),
        Envelope { message, .. } => Err(message.unwrap_or_else(|| "the server gave no reason".into())),
    }
}
