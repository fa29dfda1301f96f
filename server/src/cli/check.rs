//! `elanus check`: prints what is wrong with a data directory.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use elanus_engine::check::{Report, Severity};

use super::complain;

/// Exit code when damage was found and is still there.
const DAMAGED: u8 = 1;
/// Exit code when the directory could not be examined.
const NOT_EXAMINED: u8 = 2;

/// Examines a data directory that no server uses. Exit code: 0 sound, 1 damaged, 2 could not be examined
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The data directory
    data: std::path::PathBuf,
    /// Move what is broken to DATA/quarantine and go on without it
    #[arg(long)]
    repair: bool,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    match crate::check::examine(&arguments.data, arguments.repair) {
        Ok(report) => {
            // A closed standard output is no reason for another exit code.
            let _ = std::io::stdout().write_all(text(&report).as_bytes());
            if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(error) => complain(&error.to_string(), NOT_EXAMINED),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Missing => "MISSING",
            Severity::Damage => "DAMAGE",
        };
        text += &format!("{severity}: {}: {}\n", finding.path.display(), finding.what);
        if let Some(done) = &finding.repaired {
            text += &format!("  repaired: {done}\n");
        }
    }
    let of = |severity: Severity| report.findings.iter().filter(|f| f.severity == severity).count();
    text += &format!(
        "{} collections, {} rows, {} bytes examined; {} damaged, {} missing, {} notes\n",
        report.collections,
        report.rows,
        report.bytes,
        of(Severity::Damage),
        of(Severity::Missing),
        of(Severity::Note)
    );
    text
}
