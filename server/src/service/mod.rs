//! What Milvus's API does, whatever the protocol it is asked in: [`crate::rest`] and [`crate::grpc`] read requests, have
//! the work done here or, where it is one call, by the engine itself, and write answers. What must stay true: no rule of
//! Milvus's for a value, a limit or a default is in both protocols.
//!
//! `search`, `hybrid` and `numbers` are the reads, `partial` the upserts of some fields; `narrowing` says which rows a
//! request means; `index` and `load` read and check what goes with a collection.

pub(crate) mod analyzer;
pub(crate) mod hybrid;
pub(crate) mod index;
pub(crate) mod json;
pub(crate) mod load;
mod narrowing;
pub(crate) mod number;
pub(crate) mod numbers;
pub(crate) mod order;
pub(crate) mod partial;
pub(crate) mod properties;
pub(crate) mod search;
pub(crate) mod search_params;
pub(crate) mod stored_json;
pub(crate) mod window;

use std::time::Duration;

use elanus_engine::exec::Cancel;
use elanus_engine::row::moment::Zone;
use elanus_engine::{Collection, EngineError, SearchHits};

use crate::app::App;
use crate::auth::Asker;
use crate::telemetry::VectorCount;

pub(crate) use narrowing::Narrowing;

/// What is done for one request: for whom, and until when.
#[derive(Clone)]
pub(crate) struct Context<'a> {
    pub(crate) app: &'a App,
    /// Who asks.
    pub(crate) asker: &'a Asker,
    /// Ends the request's searches when nobody waits for the answer any more.
    pub(crate) cancel: Cancel,
}

impl Context<'_> {
    /// Counts rows that were written, or queries that were searched for.
    pub(crate) fn counted(&self, kind: VectorCount, collection: &Collection, count: usize) {
        self.app.metrics.vectors(kind, collection.name(), count);
    }

    /// Counts a search, and logs a slow one with all that is known of it.
    pub(crate) fn searched(&self, collection: &Collection, hits: &SearchHits, took: Duration) {
        self.app.metrics.searched(&hits.stats, took);
        self.counted(VectorCount::Searched, collection, hits.topks.len());
        if took >= self.app.config.limits.slow_search {
            self.app.metrics.slow_search();
            let explained = serde_json::to_string(&hits.explained).unwrap_or_default();
            tracing::warn!(
                collection = collection.name(),
                milliseconds = took.as_millis() as u64,
                queries = hits.topks.len(),
                explained,
                "slow search"
            );
        }
    }
}

/// Cancels when dropped: after a timeout, and when the client has gone.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Names the collection where Milvus does; a schema alone does not know it.
pub(crate) fn of_collection(name: &str) -> impl Fn(EngineError) -> EngineError {
    move |error| match error {
        EngineError::MissingTypeParameter { parameter, field } => EngineError::MissingParameter(format!(
            "type param({parameter}) should be specified for the field({field}) of collection {name}"
        )),
        other => other,
    }
}

/// The zone of moments that say none.
pub(crate) fn zone(collection: &Collection) -> Zone {
    // Only zones that there are can be set.
    collection.definition().timezone().unwrap_or_default()
}
