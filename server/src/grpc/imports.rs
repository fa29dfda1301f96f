//! Files with rows into collections. The work is done in [`crate::imports`].

use std::sync::Arc;

use super::call::Call;
use super::common::ImportState;
use super::messages;
use super::params::pair;
use super::status::success;
use crate::auth::{Privilege as P, Target};
use crate::error::ApiError;
use crate::imports::{ImportRequest, Job, State};

/// Begins to import files. The answer comes when they are found; how they fare, the state tells.
pub(super) fn create(
    call: &Call<'_>,
    request: messages::ImportRequest,
) -> Result<messages::ImportResponse, ApiError> {
    call.collection(P::Import, &request.db_name, &request.collection_name)?;
    let job = call.app().imports.create(ImportRequest {
        database: call.database(&request.db_name).to_owned(),
        collection: request.collection_name,
        partition: request.partition_name,
        files: groups(request.files),
    })?;
    Ok(messages::ImportResponse { status: Some(success()), tasks: vec![job.id() as i64] })
}

/// The groups that files make: NumPy's hold one field each, and all of them the same rows; any other file holds rows of
/// its own.
fn groups(files: Vec<String>) -> Vec<Vec<String>> {
    let is_field = |name: &String| name.to_ascii_lowercase().ends_with(".npy");
    let (fields, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_field);
    let fields = Some(fields).filter(|fields| !fields.is_empty());
    fields.into_iter().chain(others.into_iter().map(|file| vec![file])).collect()
}

/// How far an import is, or how it ended. Whoever may not is not told whether there is such an import.
pub(super) fn get_state(
    call: &Call<'_>,
    request: messages::GetImportStateRequest,
) -> Result<messages::GetImportStateResponse, ApiError> {
    let job = call.app().imports.get(&request.task.to_string());
    let authorize = |target: Target<'_>| call.app().auth.authorize(call.asker(), P::Import, target);
    let may =
        |job: &Arc<Job>| authorize(Target::Collection { db: job.database(), name: job.collection() }).is_ok();
    if !job.as_ref().is_ok_and(may) {
        // To know of an import that is not there takes the right to all that could be.
        authorize(Target::Collection { db: "*", name: "*" })?;
    }
    let job = job?;
    Ok(state(&job))
}

/// The imports that are remembered, newest first: of a database, or into one of its collections.
pub(super) fn list(
    call: &Call<'_>,
    request: messages::ListImportTasksRequest,
) -> Result<messages::ListImportTasksResponse, ApiError> {
    let app = call.app();
    let database = call.on_collection(P::Import, &request.db_name, &request.collection_name)?;
    let collection = match request.collection_name.as_str() {
        "" => None,
        name => Some(app.engine.collection_in(database, name)?.id()),
    };
    // No limit is none.
    let most = usize::try_from(request.limit).ok().filter(|&limit| limit > 0).unwrap_or(usize::MAX);
    let jobs = app.imports.list(database, collection);
    Ok(messages::ListImportTasksResponse {
        status: Some(success()),
        tasks: jobs.iter().take(most).map(|job| state(job)).collect(),
    })
}

/// An import as clients see it. One that failed is told without an error.
fn state(job: &Job) -> messages::GetImportStateResponse {
    const MICROSECONDS: i64 = 1_000_000;
    let view = job.view();
    let state = match view.state {
        State::Pending => ImportState::ImportPending,
        State::Importing => ImportState::ImportStarted,
        State::Completed => ImportState::ImportCompleted,
        State::Failed => ImportState::ImportFailed,
    };
    let files: Vec<String> = view.details.into_iter().map(|detail| detail.file_name).collect();
    let infos = vec![
        pair("files", files.join(",")),
        pair("collection", view.collection_name),
        pair("partition", view.partition_name),
        pair("progress_percent", view.progress.to_string()),
        pair("failed_reason", view.reason.unwrap_or_default()),
    ];
    messages::GetImportStateResponse {
        status: Some(success()),
        state: state.into(),
        row_count: view.imported_rows as i64,
        infos,
        id: job.id() as i64,
        collection_id: job.collection_id() as i64,
        create_ts: job.created() / MICROSECONDS,
        ..messages::GetImportStateResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_fields_belong_together_and_others_stand_alone() {
        let group = |names: &[&str]| groups(names.iter().map(|&name| name.to_owned()).collect());
        assert!(group(&[]).is_empty());
        assert_eq!(group(&["a.json", "b.parquet"]), [["a.json"], ["b.parquet"]]);
        assert_eq!(group(&["id.npy", "x/v.NPY"]), [["id.npy", "x/v.NPY"]]);
    }
}
