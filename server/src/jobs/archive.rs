//! The files of the jobs: `<data>/jobs/<id>.json`, each replaced as a whole, so that after a crash it holds the old
//! state or the new one.

use std::path::PathBuf;
use std::sync::Arc;

use elanus_storage::{StorageError, Vfs, sweep_temporary, write_atomic};

use super::record::Record;

/// The folder of job files.
#[derive(Debug)]
pub(super) struct Archive {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
}

impl Archive {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// Storage errors.
    pub(super) fn open(vfs: Arc<dyn Vfs>, folder: PathBuf) -> Result<Self, StorageError> {
        vfs.create_dir_all(&folder)?;
        sweep_temporary(vfs.as_ref(), &folder)?;
        Ok(Self { vfs, folder })
    }

    /// All jobs, by id. Files that hold none are reported and left alone.
    ///
    /// # Errors
    /// Storage errors of the folder.
    pub(super) fn load(&self) -> Result<Vec<Record>, StorageError> {
        let mut records = Vec::new();
        for entry in self.vfs.list(&self.folder)? {
            let Some(id) = entry.name.strip_suffix(".json").and_then(|id| id.parse::<u64>().ok()) else {
                continue;
            };
            let bytes = self.vfs.read(&self.folder.join(&entry.name))?;
            match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) if record.id == id => records.push(record),
                Ok(_) => tracing::warn!(file = entry.name, "a job file holds another job and is left alone"),
                Err(error) => {
                    tracing::warn!(file = entry.name, %error, "a job file can't be read and is left alone")
                }
            }
        }
        records.sort_by_key(|record| record.id);
        Ok(records)
    }

    /// Writes a job's file; durable when it returns.
    ///
    /// # Errors
    /// Storage errors; the old state is still there then.
    pub(super) fn save(&self, record: &Record) -> Result<(), StorageError> {
        let path = self.path(record.id);
        let bytes = serde_json::to_vec(record).map_err(|error| StorageError::Io {
            op: "encode",
            path: path.clone(),
            source: error.into(),
        })?;
        write_atomic(self.vfs.as_ref(), &path, &bytes)
    }

    /// Removes a job's file. A failure is logged: the job is remembered a little longer.
    pub(super) fn remove(&self, id: u64) {
        if let Err(error) = self.vfs.remove_file(&self.path(id)) {
            tracing::warn!(job = id, %error, "the file of a job could not be removed");
        }
    }

    fn path(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

#[cfg(test)]
mod tests {
    use elanus_storage::DiskVfs;

    use super::super::record::{FailedFile, ImportTask, JobState, Task};
    use super::super::state::Job;
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(Arc::new(DiskVfs), folder.path().join("jobs")).unwrap();
        let mut records: Vec<Record> = [10, 9, 2]
            .map(|id| {
                Record::new(id, "images".into(), Task::Import(ImportTask::new(format!("/photos/{id}"))))
            })
            .into();
        let job = Job::new(records[0].clone());
        job.begin();
        job.count_failed("图.jpg".into(), "cut off".into());
        job.end(JobState::Failed, Some("the disk is full".into()));
        records[0] = job.record();
        records.iter().for_each(|record| archive.save(record).unwrap());
        archive.save(&records[0]).unwrap();
        for (name, text) in [("3.json", "{"), ("4.json", "[]"), ("notes.txt", "x"), ("x.json", "{}")] {
            std::fs::write(folder.path().join("jobs").join(name), text).unwrap();
        }
        let misnamed = serde_json::to_vec(&records[1]).unwrap();
        std::fs::write(folder.path().join("jobs/5.json"), misnamed).unwrap();

        records.sort_by_key(|record| record.id);
        let loaded = archive.load().unwrap();
        assert_eq!(loaded, records);
        assert_eq!(loaded[2].failed, [FailedFile { name: "图.jpg".into(), reason: "cut off".into() }]);
        archive.remove(9);
        archive.remove(9);
        assert_eq!(archive.load().unwrap().len(), 2);
    }
}
