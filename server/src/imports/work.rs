//! The work of an import, on a thread of its own: every row is read and checked, and only when all of them fit is the
//! first one stored. Rows that are stored stay, whatever happens to later ones.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use elanus_engine::row::moment::Zone;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, Engine};

use super::job::{Group, Job};
use super::source::Fault;
use crate::error::code;
use crate::rest::RowReader;

/// Bytes of values that are stored at a time.
const BATCH_BYTES: usize = 8 << 20;
/// Most rows that are stored at a time.
const BATCH_ROWS: usize = 50_000;
/// Rows after which is looked whether the import was aborted.
const LOOK_EVERY: usize = 256;
/// Why an import ended that was asked to.
pub(super) const ABORTED: &str = "the import was aborted";

/// What is done with rows that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Check,
    Store,
}

/// Runs an import to its end.
///
/// # Errors
/// A sentence that names file and row where one is to blame.
pub(super) fn run(engine: &Engine, job: &Job) -> Result<(), String> {
    let task = job.task();
    let collection = engine.collection_in(&task.database, &task.collection).map_err(|e| e.to_string())?;
    if collection.id() != task.collection_id {
        return Err(format!("{} is not the collection any more that the import was for", task.collection));
    }
    check_partition(&collection, &task.partition)?;
    let work = Work::new(job, collection);
    work.each(|index, group| work.group(Pass::Check, index, group))?;
    // All of them before the first row: a file of the operator's folders may be replaced at any time.
    work.each(|index, _| work.unchanged(index))?;
    work.each(|index, group| work.group(Pass::Store, index, group))
}

/// What tells a file from another one that takes its place, or from itself with other content.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: Option<SystemTime>,
}

/// Those of the files of a group; `None` for one that can't be looked at.
fn identities(paths: &[PathBuf]) -> Vec<Option<Identity>> {
    let identity = |metadata: Metadata| Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        len: metadata.len(),
        modified: metadata.modified().ok(),
    };
    paths.iter().map(|path| path.metadata().ok().map(identity)).collect()
}

/// Whether rows may be put into this partition by name.
///
/// # Errors
/// A sentence.
pub(super) fn check_partition(collection: &Collection, partition: &str) -> Result<(), String> {
    if partition.is_empty() {
        return Ok(());
    }
    let checked = collection.within(None, &[partition.to_owned()]);
    checked.map(drop).map_err(|error| error.to_string())
}

struct Work<'a> {
    job: &'a Job,
    /// Where the files of each group are, and what they were when the import began.
    paths: Vec<Vec<PathBuf>>,
    seen: Vec<Vec<Option<Identity>>>,
    collection: Arc<Collection>,
    /// As it is at the beginning: a change of it ends the import.
    schema: Arc<Schema>,
    zone: Zone,
}

impl<'a> Work<'a> {
    fn new(job: &'a Job, collection: Arc<Collection>) -> Self {
        let (paths, schema) = (job.paths(), collection.schema());
        let seen = paths.iter().map(|paths| identities(paths)).collect();
        let zone = collection.definition().timezone().unwrap_or_default();
        Self { job, paths, seen, collection, schema, zone }
    }

    /// Does something with each group of files; the first one that it fails for is to blame.
    fn each(&self, mut action: impl FnMut(usize, &Group) -> Result<(), String>) -> Result<(), String> {
        self.job.task().groups.iter().enumerate().try_for_each(|(index, group)| {
            action(index, group).map_err(|reason| {
                let reason = format!("{}: {reason}", group.names.join(","));
                self.job.blame(index, &reason);
                reason
            })
        })
    }

    /// Whether the files of a group are those that were there at the beginning.
    fn unchanged(&self, index: usize) -> Result<(), String> {
        let now = self.paths.get(index).map(|paths| identities(paths));
        if now.as_ref() == self.seen.get(index) {
            return Ok(());
        }
        Err("it has changed since its rows were checked".to_owned())
    }

    /// Reads all rows of a group of files.
    fn group(&self, pass: Pass, index: usize, group: &Group) -> Result<(), String> {
        if pass == Pass::Store {
            self.unchanged(index)?;
        }
        let paths = self.paths.get(index).map_or(&[][..], Vec::as_slice);
        let mut source =
            group.format.open(paths, &|| self.job.is_stopped()).map_err(|fault| in_words(fault, 0))?;
        let mut total = 0;
        loop {
            let mut rows = RowReader::of_file(&self.schema, &self.zone, total);
            let ended = self.batch(&mut rows, source.as_mut()).map_err(|f| in_words(f, rows.rows()))?;
            let count = rows.rows() - total;
            total += count;
            let batch = rows.finish().map_err(|error| error.message)?;
            match pass {
                Pass::Check => self.job.checked(index, source.position()),
                Pass::Store => {
                    self.collection
                        .insert_into(batch, &self.job.task().partition)
                        .map_err(|e| e.to_string())?;
                    self.job.imported(index, count as u64);
                }
            }
            if ended {
                break;
            }
        }
        match pass {
            Pass::Check => self.job.counted(index, total as u64),
            Pass::Store => self.job.completed(index),
        }
        Ok(())
    }

    /// Reads rows until the batch is full; true at the end of the files.
    fn batch(&self, rows: &mut RowReader<'_>, source: &mut dyn super::source::Source) -> Result<bool, Fault> {
        let mut count = 0usize;
        while rows.bytes() < BATCH_BYTES && count < BATCH_ROWS {
            if count.is_multiple_of(LOOK_EVERY) && self.job.is_stopped() {
                return Err(Fault::File(ABORTED.to_owned()));
            }
            if !source.next(rows)? {
                return Ok(true);
            }
            count += 1;
        }
        Ok(false)
    }
}

/// What went wrong at a row, counted from 0.
fn in_words(fault: Fault, row: usize) -> String {
    match fault {
        // These say the row themselves.
        Fault::Row(error) if error.code == code::BAD_ROWS => error.message,
        Fault::Row(error) => format!("row number: {row}: {}", error.message),
        Fault::File(reason) if row == 0 => reason,
        Fault::File(reason) => format!("row number: {row}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{place, row};
    use super::*;

    #[test]
    fn a_file_that_changed_since_it_was_checked_is_not_stored() {
        let place = place();
        place.put("a.json", &format!("[{}]", row(1)));
        place.put("b.json", &format!("[{}]", row(2)));
        let job = place.waiting("c", &["a.json", "b.json"]);
        let collection = place.engine.collection_in("default", "c").unwrap();
        let work = Work::new(&job, Arc::clone(&collection));
        work.each(|index, group| work.group(Pass::Check, index, group)).unwrap();
        work.each(|index, _| work.unchanged(index)).unwrap();
        place.put("b.json", r#"[{"id":3}]"#);
        let reason = work.each(|index, _| work.unchanged(index)).unwrap_err();
        assert_eq!(reason, "b.json: it has changed since its rows were checked");
        let stored = work.each(|index, group| work.group(Pass::Store, index, group));
        assert_eq!(
            (stored, collection.count()),
            (Err(reason), 1),
            "nor is it when this happens while others are stored"
        );
    }
}
