//! The work of an import, on a thread of its own: every row is read and checked, and only when all of them fit is the
//! first one stored. Rows that are stored stay, whatever happens to later ones.

use std::sync::Arc;

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
    check_partition(&collection, &task.partition)?;
    let work = Work {
        job,
        schema: collection.schema(),
        zone: collection.definition().timezone().unwrap_or_default(),
        collection,
    };
    for pass in [Pass::Check, Pass::Store] {
        for (index, group) in task.groups.iter().enumerate() {
            work.group(pass, index, group).map_err(|reason| {
                let reason = format!("{}: {reason}", group.names.join(","));
                job.blame(index, &reason);
                reason
            })?;
        }
    }
    Ok(())
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
    collection: Arc<Collection>,
    /// As it is at the beginning: a change of it ends the import.
    schema: Arc<Schema>,
    zone: Zone,
}

impl Work<'_> {
    /// Reads all rows of a group of files.
    fn group(&self, pass: Pass, index: usize, group: &Group) -> Result<(), String> {
        let mut source = group.format.open(&group.paths).map_err(|fault| in_words(fault, 0))?;
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
