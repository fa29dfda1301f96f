//! An import as the API shows it.

use elanus_engine::row::moment;
use serde::Serialize;

use super::{Group, Job, Part, Progress, State};

/// The share of the progress that checking takes; storing takes the rest.
const CHECKING: u64 = 30;

impl Job {
    /// As a list of imports shows it.
    pub(crate) fn summary(&self) -> SummaryJson {
        let progress = self.progress.lock();
        SummaryJson {
            job_id: self.id.to_string(),
            collection_name: self.task.collection.clone(),
            state: progress.state,
            progress: percent(&progress, &self.task.groups),
            reason: progress.reason.clone(),
        }
    }

    /// Everything about it.
    pub(crate) fn view(&self) -> JobJson {
        let progress = self.progress.lock();
        let state = progress.state;
        let parts = self.task.groups.iter().zip(&progress.groups);
        let details = parts.map(|(group, part)| detail(group, part, state)).collect();
        JobJson {
            job_id: self.id.to_string(),
            collection_name: self.task.collection.clone(),
            partition_name: self.task.partition.clone(),
            state,
            progress: percent(&progress, &self.task.groups),
            imported_rows: progress.groups.iter().map(|part| part.imported).sum(),
            total_rows: progress.groups.iter().filter_map(|part| part.total).sum(),
            file_size: self.task.groups.iter().map(|group| group.bytes).sum(),
            details,
            create_time: moment::format(self.created, &moment::Zone::utc()),
            complete_time: in_words(progress.completed),
            reason: progress.reason.clone(),
        }
    }
}

fn detail(group: &Group, part: &Part, state: State) -> DetailJson {
    let state = match state {
        _ if part.reason.is_some() => State::Failed,
        _ if part.completed.is_some() => State::Completed,
        state => state,
    };
    DetailJson {
        file_name: group.names.join(","),
        file_size: group.bytes,
        state,
        progress: share(part, group),
        imported_rows: part.imported,
        total_rows: part.total.unwrap_or(0),
        complete_time: in_words(part.completed),
        reason: part.reason.clone(),
    }
}

/// How far a group is, in percent.
fn share(part: &Part, group: &Group) -> u64 {
    match part.total {
        _ if part.completed.is_some() => 100,
        None => CHECKING * part.checked.min(group.bytes) / group.bytes.max(1),
        Some(total) => CHECKING + (100 - CHECKING) * part.imported.min(total) / total.max(1),
    }
}

/// How far an import is, in percent; 100 only when it is complete.
fn percent(progress: &Progress, groups: &[Group]) -> u64 {
    if progress.state == State::Completed {
        return 100;
    }
    let sum: u64 = progress.groups.iter().zip(groups).map(|(part, group)| share(part, group)).sum();
    (sum / groups.len().max(1) as u64).min(99)
}

fn in_words(moment: Option<i64>) -> String {
    moment.map(|moment| moment::format(moment, &moment::Zone::utc())).unwrap_or_default()
}

/// An import in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SummaryJson {
    job_id: String,
    collection_name: String,
    state: State,
    progress: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An import as the API shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobJson {
    job_id: String,
    pub(crate) collection_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) partition_name: String,
    pub(crate) state: State,
    pub(crate) progress: u64,
    pub(crate) imported_rows: u64,
    total_rows: u64,
    file_size: u64,
    pub(crate) details: Vec<DetailJson>,
    create_time: String,
    complete_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A group of files of an import.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DetailJson {
    pub(crate) file_name: String,
    file_size: u64,
    state: State,
    progress: u64,
    imported_rows: u64,
    total_rows: u64,
    complete_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}
