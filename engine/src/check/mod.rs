//! Examining a data directory that nobody has open: every checksum, every reference, every key. Nothing is changed
//! unless repair is asked for; then what is broken is moved to `quarantine/`, never removed, and what is derived is
//! left to be built again by the next start.

mod collection;
mod repair;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use elanus_storage::data_dir::DataDir;
use elanus_storage::{StorageError, Vfs};

use crate::catalog::{CATALOG, CatalogFile, Database, collection_folder, qualified, split};
use crate::collection::DEFAULT_DATABASE;
use crate::collection::{Definition, Manifest, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec;
use crate::row::{Projection, Rows};
pub use repair::{QUARANTINE, Quarantine};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Left-overs that the next start removes, or derived data that it builds again. Nothing is lost.
    Note,
    /// What stored data names is not there. What is stored is sound.
    Missing,
    /// Stored data is damaged or missing.
    Damage,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub path: PathBuf,
    /// What.
    pub what: String,
    /// What was done about it; none without repair, or when nothing can be done.
    pub repaired: Option<String>,
}

/// What was examined and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Findings, in the order of the examination.
    pub findings: Vec<Finding>,
    /// Collections examined.
    pub collections: usize,
    /// Live rows in them.
    pub rows: u64,
    /// The same by name, with the database before it unless that is the default one.
    pub rows_of: BTreeMap<String, u64>,
    /// Bytes of the files that were read.
    pub bytes: u64,
}

impl Report {
    /// Whether nothing is damaged or missing, or all that was has been put right.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|f| f.severity == Severity::Note || f.repaired.is_some())
    }

    /// Adds damage as an error describes it; `path` is where it was met, if the error does not know better.
    pub(crate) fn add_damage(&mut self, path: &Path, error: &EngineError, repaired: Option<String>) {
        match error {
            EngineError::Storage(StorageError::Corrupt { path, offset, reason }) => {
                self.add(Severity::Damage, path, format!("at byte {offset}: {reason}"), repaired);
            }
            EngineError::Storage(StorageError::Io { path, source, .. }) => {
                self.add(Severity::Damage, path, source.to_string(), repaired);
            }
            other => self.add(Severity::Damage, path, other.to_string(), repaired),
        }
    }

    /// Adds a finding.
    pub fn add(
        &mut self,
        severity: Severity,
        path: &Path,
        what: impl Into<String>,
        repaired: Option<String>,
    ) {
        self.findings.push(Finding { severity, path: path.to_owned(), what: what.into(), repaired });
    }
}

/// A collection as the examination found it, after its log was replayed.
#[derive(Debug)]
pub struct Examined<'a> {
    /// Its definition.
    pub definition: &'a Definition,
    snapshot: &'a Snapshot,
}

impl Examined<'_> {
    /// Visits all live rows in chunks.
    ///
    /// # Errors
    /// What `visit` returns.
    pub fn scan(&self, projection: &Projection, visit: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        exec::scan(self.snapshot, None, projection, visit)
    }
}

/// Examines all collections; `visit` sees each that can be read. With `repair`, puts right what can be.
///
/// # Errors
/// Only when the examination itself can't go on: I/O errors, what `visit` returns.
pub fn check(
    data: &DataDir,
    repair: bool,
    visit: &mut dyn FnMut(&Examined<'_>) -> Result<()>,
) -> Result<Report> {
    let (vfs, root) = (data.vfs().as_ref(), data.root());
    let mut report = Report::default();
    let quarantine = Quarantine::new(vfs, root, repair);
    let (generation, mut file) = match CatalogFile::load(vfs, root) {
        Err(EngineError::Storage(error @ StorageError::Corrupt { .. })) => {
            let rebuilt = quarantine.active().then(|| rebuild_catalog(vfs, root)).transpose()?;
            let done =
                rebuilt.as_ref().map(|file| format!("rebuilt from {} manifests", file.collections.len()));
            report.add_damage(&root.join(CATALOG), &error.into(), done);
            let Some(file) = rebuilt else { return Ok(report) };
            quarantine.take(&root.join(CATALOG))?;
            file.store(vfs, root, 1)?;
            (1, file)
        }
        other => other?,
    };
    if vfs.exists(&root.join("collections"))? {
        for stray in file.strays(vfs, root)? {
            let what = "a folder that the catalog does not name: of a creation or drop that did not finish";
            report.add(Severity::Note, &stray, what, None);
        }
    }
    let mut lost = Vec::new();
    for (name, &id) in &file.collections {
        let folder = collection_folder(root, id);
        report.collections += 1;
        if !collection::check(vfs, &folder, name, &quarantine, &mut report, visit)? {
            lost.push(name.clone());
        }
    }
    if repair && !lost.is_empty() {
        file.collections.retain(|name, _| !lost.contains(name));
        file.store(vfs, root, generation + 1)?;
    }
    Ok(report)
}

/// Fails with the first damage in the folder of one collection.
pub(crate) fn require_sound(vfs: &dyn Vfs, folder: &Path) -> Result<()> {
    let mut report = Report::default();
    let quarantine = Quarantine::new(vfs, folder, false);
    collection::check(vfs, folder, "", &quarantine, &mut report, &mut |_| Ok(()))?;
    match report.findings.into_iter().find(|finding| finding.severity == Severity::Damage) {
        Some(finding) => {
            Err(StorageError::Corrupt { path: finding.path, offset: 0, reason: finding.what }.into())
        }
        None => Ok(()),
    }
}

/// Bytes of all files below a folder.
pub(crate) fn folder_bytes(vfs: &dyn Vfs, folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in vfs.list(folder)? {
        bytes += if entry.is_dir { folder_bytes(vfs, &folder.join(&entry.name))? } else { entry.len };
    }
    Ok(bytes)
}

/// Names and numbers as the manifests say them. Of two with one name the newer wins.
fn rebuild_catalog(vfs: &dyn Vfs, root: &Path) -> Result<CatalogFile> {
    let mut collections = BTreeMap::new();
    for entry in vfs.list(&root.join("collections"))?.iter().filter(|entry| entry.is_dir) {
        let Ok(id) = entry.name.parse::<u64>() else { continue };
        if let Ok(manifest) = Manifest::load(vfs, &collection_folder(root, id)) {
            let definition = manifest.definition();
            collections.insert(qualified(&definition.database, &definition.name), id);
        }
    }
    let next_id = collections.values().max().map_or(1, |largest| largest + 1);
    // Databases are known by their collections; aliases are lost.
    let mut file = CatalogFile { next_id, collections, ..CatalogFile::default() };
    for (number, name) in file.collections.keys().map(|name| split(name).0.to_owned()).enumerate() {
        if name != DEFAULT_DATABASE {
            let id = number as u64 + 2;
            file.databases.entry(name).or_insert(Database { id, ..Database::default() });
        }
    }
    Ok(file)
}
