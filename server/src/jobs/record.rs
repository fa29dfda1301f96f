//! What the file of a job holds, and what survives a restart: what it shall do, where it stands, how it ended.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::images::{AskedDescriptor, ReduceRequest};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// Waits for its turn.
    Queued,
    /// At work.
    Running,
    /// Every file was looked at, every row copied.
    Done,
    /// Stopped by a request.
    Cancelled,
    /// Stopped by a fault that no single file is to blame for.
    Failed,
}

impl JobState {
    /// Whether there is work left.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// As in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// A file that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedFile {
    /// Its name below the folder.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
}

/// What a job does with its collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Task {
    /// Brings the photos of a folder into it.
    Import(ImportTask),
    /// Makes another collection of it, with shorter vectors.
    Reduce(ReduceRequest),
}

/// An import of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportTask {
    /// Absolute path.
    pub(crate) folder: String,
    /// Whether who began it may make the collection, should it not be there when the job runs.
    #[serde(default)]
    pub(crate) may_create: bool,
    /// How the images of the collection shall become vectors, as far as that was said.
    #[serde(default)]
    pub(crate) descriptor: AskedDescriptor,
}

impl ImportTask {
    /// Of a folder, by somebody who may do everything, as the settings say.
    pub(crate) fn new(folder: impl Into<String>) -> Self {
        Self { folder: folder.into(), may_create: true, descriptor: AskedDescriptor::default() }
    }
}

/// What the job's file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) state: JobState,
    pub(crate) collection: String,
    #[serde(flatten)]
    pub(crate) task: Task,
    /// Milliseconds since 1970.
    pub(crate) created_ms: u64,
    /// Files found that may be images; or rows to copy.
    pub(crate) total: u64,
    /// Files handled: stored, found stored already, or refused; or rows copied.
    pub(crate) done: u64,
    /// Of those, found stored already.
    pub(crate) skipped: u64,
    /// Of those, refused.
    pub(crate) failed_count: u64,
    /// The first refused ones.
    pub(crate) failed: Vec<FailedFile>,
    /// Why the job failed.
    #[serde(default)]
    pub(crate) message: Option<String>,
}

impl Record {
    /// A job that waits.
    pub(crate) fn new(id: u64, collection: String, task: Task) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id,
            state: JobState::Queued,
            collection,
            task,
            created_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            total: 0,
            done: 0,
            skipped: 0,
            failed_count: 0,
            failed: Vec::new(),
            message: None,
        }
    }

    /// As it starts after a restart: what was under way begins again.
    pub(crate) fn resumed(self) -> Self {
        if !self.state.is_active() {
            return self;
        }
        Self { created_ms: self.created_ms, ..Self::new(self.id, self.collection, self.task) }
    }

    /// What it does, in words for the log.
    pub(crate) fn what(&self) -> String {
        match &self.task {
            Task::Import(task) => format!("import of {}", task.folder),
            Task::Reduce(ReduceRequest { to, dimension, .. }) => {
                format!("reduction to {to}, {dimension} values")
            }
        }
    }
}
