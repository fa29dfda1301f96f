//! What the server takes of the disk and of memory.

use std::collections::BTreeMap;
use std::path::Path;

use elanus_benches::Result;
use elanus_benches::program::Memory;
use serde::Serialize;
use walkdir::WalkDir;

use crate::server::Server;

/// Bytes on the disk at one moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Disk {
    pub(crate) moment: &'static str,
    pub(crate) total: u64,
    /// By the name of what lies in the data folder.
    pub(crate) parts: BTreeMap<String, u64>,
}

/// Memory at one moment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Resident {
    pub(crate) moment: String,
    #[serde(flatten)]
    pub(crate) memory: Memory,
}

/// What was seen so far.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Usage {
    pub(crate) disk: Vec<Disk>,
    pub(crate) memory: Vec<Resident>,
}

impl Usage {
    /// Looks at the server's memory.
    ///
    /// # Errors
    /// Where the system does not tell it.
    pub(crate) fn look_at_memory(&mut self, server: &Server, moment: &str) -> Result<()> {
        let memory = server.program().memory()?;
        self.memory.push(Resident { moment: moment.to_owned(), memory });
        Ok(())
    }

    /// Adds up the files of the server.
    pub(crate) fn look_at_disk(&mut self, server: &Server, moment: &'static str) {
        let parts = parts(server.data());
        self.disk.push(Disk { moment, total: parts.values().sum(), parts });
    }
}

/// Bytes of the files of each part of a folder. A file that goes away meanwhile counts for nothing.
fn parts(folder: &Path) -> BTreeMap<String, u64> {
    let mut parts = BTreeMap::new();
    for entry in WalkDir::new(folder).into_iter().filter_map(std::result::Result::ok) {
        let below = entry.path().strip_prefix(folder).ok().and_then(|below| below.components().next());
        if let (Some(part), true) = (below, entry.file_type().is_file()) {
            let bytes = entry.metadata().map_or(0, |file| file.len());
            *parts.entry(part.as_os_str().to_string_lossy().into_owned()).or_default() += bytes;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn files_count_for_what_they_lie_in() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for (name, bytes) in [("a/b/1", 10), ("a/2", 5), ("LOCK", 1)] {
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        let parts = super::parts(folder.path());
        assert_eq!(parts.into_iter().collect::<Vec<_>>(), [("LOCK".to_owned(), 1), ("a".to_owned(), 15)]);
    }
}
