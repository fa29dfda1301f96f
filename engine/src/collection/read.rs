//! The read path: every read takes the published snapshot and never waits for a writer.

use std::sync::Arc;

use super::{Collection, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec;
use crate::filter::Filter;
use crate::row::{Keys, Projection, Rows};

impl Collection {
    /// The state that readers see now; it stays as it is for as long as it is held.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read())
    }

    /// Live rows.
    pub fn count(&self) -> u64 {
        self.snapshot().live()
    }

    /// Live rows that match.
    ///
    /// # Errors
    /// Filter errors.
    pub fn count_where(&self, filter: &Filter) -> Result<u64> {
        exec::count(&self.snapshot(), filter)
    }

    /// Rows that match, in ascending key order.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad window; filter errors.
    pub fn query(&self, request: &exec::QueryRequest) -> Result<Rows> {
        let _foreground = self.shared.pace.foreground();
        exec::query(&self.snapshot(), &self.schema, request)
    }

    /// Rows of these keys, in their order; unknown keys are left out, repeated ones repeat.
    ///
    /// # Errors
    /// `InvalidParameter` for keys of the wrong kind.
    pub fn get(&self, keys: &Keys, projection: &Projection) -> Result<Rows> {
        if !keys.fits(self.schema.primary().data_type) {
            return Err(EngineError::invalid("keys are not of the type of the primary key"));
        }
        exec::get(&self.snapshot(), &self.schema, keys, projection)
    }

    /// Visits all live rows of one snapshot in chunks, in no particular order.
    ///
    /// # Errors
    /// What `visit` returns.
    pub fn scan(&self, projection: &Projection, visit: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        exec::scan(&self.snapshot(), &self.schema, projection, visit)
    }

    /// The nearest rows to each query vector.
    ///
    /// # Errors
    /// `FieldNotFound`, `InvalidQueryVector`, `InvalidParameter` for metric, window, effort or range; filter errors;
    /// `Busy`; `Cancelled`.
    pub fn search(&self, request: &exec::SearchRequest) -> Result<exec::SearchHits> {
        let _place = self.shared.queue.enter()?;
        let _foreground = self.shared.pace.foreground();
        let definition = Arc::clone(&self.definition.read());
        let index_of = |field: &str| definition.searching(field);
        let snapshot = self.snapshot();
        self.shared.pool.install(|| exec::search(&snapshot, &self.schema, &index_of, request))
    }

    /// The best rows of several searches together.
    ///
    /// # Errors
    /// As [`Collection::search`]; `InvalidParameter` for a fusion that does not fit.
    pub fn hybrid_search(&self, request: &exec::HybridRequest) -> Result<exec::SearchHits> {
        let _place = self.shared.queue.enter()?;
        let _foreground = self.shared.pace.foreground();
        let definition = Arc::clone(&self.definition.read());
        let index_of = |field: &str| definition.searching(field);
        let snapshot = self.snapshot();
        self.shared.pool.install(|| exec::hybrid_search(&snapshot, &self.schema, &index_of, request))
    }
}
