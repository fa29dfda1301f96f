//! The log of one folder: numbered files of framed records. What is appended and synced is there after any crash; what
//! was appended but not synced may be cut off, from its end only. [`frame`] has the bytes, [`writer`] appends,
//! [`recovery`] decides at start what is whole, what is a torn tail and what is damage.

mod frame;
mod recovery;
mod writer;

use std::path::{Path, PathBuf};

pub use recovery::Recovery;
pub use writer::{Payload, Wal};

/// Largest record. A reader never believes a longer length.
pub const MAX_RECORD_BYTES: usize = 256 << 20;

/// Settings of a log.
#[derive(Debug, Clone)]
pub struct WalOptions {
    /// A new file is started when the current one is longer than this.
    pub file_bytes: u64,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self { file_bytes: 64 << 20 }
    }
}

/// Name of the file whose first record has this sequence number.
fn file_path(dir: &Path, first_sequence: u64) -> PathBuf {
    dir.join(format!("{first_sequence:016x}.log"))
}

fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
    // No log ever gets near the end of the numbers: such a name is somebody else's.
    u64::from_str_radix(digits, 16).ok().filter(|first| *first < 1 << 62)
}
