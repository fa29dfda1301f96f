//! What both old servers do with a table: fill it from a folder, search it, count it, drop it. Tables are collections;
//! the default one is `images`.

use std::sync::Arc;

use elanus_engine::EngineError;
use elanus_engine::collection::DEFAULT_DATABASE;

use crate::app::{App, blocking};
use crate::auth::Asker;
use crate::error::ApiError;
use crate::images::intake::Form;
use crate::images::{AskedDescriptor, Query, Similar, SimilarRequest};
use crate::jobs::{DEFAULT_COLLECTION, Job};

/// The table that a request names, or the default one.
///
/// # Errors
/// 400 when it is no text.
pub(super) fn name(form: &Form, names: &[&str]) -> Result<String, ApiError> {
    let given = form.text(names)?.filter(|name| !name.trim().is_empty());
    Ok(given.unwrap_or_else(|| DEFAULT_COLLECTION.to_owned()))
}

/// Begins to import the folder that a request names as `File`.
///
/// # Errors
/// As [`crate::jobs::Jobs::create`].
pub(super) async fn load(app: &Arc<App>, asker: &Asker, form: &Form) -> Result<Arc<Job>, ApiError> {
    let table = name(form, &["Table", "table_name"])?;
    let folder =
        form.text(&["File"])?.ok_or_else(|| ApiError::invalid("File must name the folder to import"))?;
    let (jobs, may_create) = (Arc::clone(&app.jobs), app.may_create(asker));
    blocking(move || jobs.create(&table, &folder, AskedDescriptor::default(), &may_create)).await
}

/// Searches a table with the only file of a request.
///
/// # Errors
/// As the search of the image API.
pub(super) async fn search(
    app: &Arc<App>,
    table: &str,
    form: &mut Form,
    limit: usize,
) -> Result<Similar, ApiError> {
    let query = Query::File(form.single_file()?.bytes);
    let request = SimilarRequest { query, limit, offset: 0, filter: None, output_fields: Some(Vec::new()) };
    app.images.similar(table, request).await
}

/// Rows of a table; the default one has none as long as it is not there.
///
/// # Errors
/// 404 for another table that is not there.
pub(super) async fn count(app: &Arc<App>, table: String) -> Result<u64, ApiError> {
    let engine = Arc::clone(&app.engine);
    blocking(move || match engine.collection_in(DEFAULT_DATABASE, &table) {
        Err(EngineError::CollectionNotFound { .. }) if table == DEFAULT_COLLECTION => Ok(0),
        found => Ok(found?.count()),
    })
    .await
}

/// Drops a table with its images.
///
/// # Errors
/// 404 when it is not there.
pub(super) async fn drop_table(app: &Arc<App>, table: String) -> Result<(), ApiError> {
    let app = Arc::clone(app);
    blocking(move || {
        if table.contains('/') || !app.engine.drop_collection(&table)? {
            let database = DEFAULT_DATABASE.to_owned();
            return Err(EngineError::CollectionNotFound { database, name: table }.into());
        }
        app.metrics.forget_dropped(&app.engine);
        app.images.request_sweep();
        Ok(())
    })
    .await
}
