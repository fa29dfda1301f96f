//! The read path: every read takes the published snapshot and never waits for a writer.

use std::sync::Arc;

use super::write::now_ms;
use super::{Collection, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec;
use crate::filter::Filter;
use crate::plan::Effort;
use crate::row::{Keys, Projection, Rows};
use crate::schema::STORED_COLUMN;

impl Collection {
    /// The state that readers see now; it stays as it is for as long as it is held.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read())
    }

    /// Live rows.
    pub fn count(&self) -> u64 {
        let snapshot = self.snapshot();
        let visible = self.visible(&snapshot, None).ok().flatten();
        let counted = visible.map(|visible| exec::count(&snapshot, &visible));
        counted.and_then(Result::ok).unwrap_or_else(|| snapshot.live())
    }

    /// The filter without rows that have lived as long as they may. None: every row.
    pub(super) fn visible(&self, snapshot: &Snapshot, filter: Option<Filter>) -> Result<Option<Filter>> {
        let Some(least) = self.least_stored()? else { return Ok(filter) };
        let schema = snapshot.schema();
        let Some(column) = schema.hidden_column(STORED_COLUMN) else { return Ok(filter) };
        let young = Filter::above(schema, column, least);
        Ok(Some(filter.map_or(young.clone(), |filter| filter.and(young))))
    }

    /// The rows that have.
    pub(super) fn expired(&self, snapshot: &Snapshot) -> Result<Option<Filter>> {
        let Some(least) = self.least_stored()? else { return Ok(None) };
        let schema = snapshot.schema();
        Ok(schema.hidden_column(STORED_COLUMN).map(|column| Filter::at_most(schema, column, least)))
    }

    /// Rows stored at this moment or before, in milliseconds since 1970, have lived as long as they may.
    fn least_stored(&self) -> Result<Option<i64>> {
        let life = self.definition.read().time_to_live()?;
        Ok(life.map(|life| now_ms().saturating_sub(life.as_millis() as i64)))
    }

    /// Live rows that match.
    ///
    /// # Errors
    /// Filter errors.
    pub fn count_where(&self, filter: &Filter) -> Result<u64> {
        let snapshot = self.snapshot();
        let visible = self.visible(&snapshot, Some(filter.clone()))?;
        exec::count(&snapshot, visible.as_ref().unwrap_or(filter))
    }

    /// Rows that match, in ascending key order.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad window; filter errors.
    pub fn query(&self, request: &exec::QueryRequest) -> Result<Rows> {
        let _foreground = self.shared.pace.foreground();
        let snapshot = self.snapshot();
        let filter = self.visible(&snapshot, request.filter.clone())?;
        exec::query(&snapshot, &exec::QueryRequest { filter, ..request.clone() })
    }

    /// Numbers over the rows that match, in ascending order of their groups.
    ///
    /// # Errors
    /// `FieldNotFound`; `InvalidParameter` for a field that does not fit; filter errors.
    pub fn aggregate(&self, request: &exec::AggregateRequest) -> Result<Vec<exec::Group>> {
        let _foreground = self.shared.pace.foreground();
        let snapshot = self.snapshot();
        let filter = self.visible(&snapshot, request.filter.clone())?;
        exec::aggregate(&snapshot, &exec::AggregateRequest { filter, ..request.clone() })
    }

    /// Rows of these keys, in their order; unknown keys are left out, repeated ones repeat.
    ///
    /// # Errors
    /// `InvalidParameter` for keys of the wrong kind.
    pub fn get(&self, keys: &Keys, projection: &Projection) -> Result<Rows> {
        let snapshot = self.snapshot();
        if !keys.fits(snapshot.schema().primary().data_type) {
            return Err(EngineError::invalid("keys are not of the type of the primary key"));
        }
        exec::get(&snapshot, self.visible(&snapshot, None)?.as_ref(), keys, projection)
    }

    /// Visits all live rows of one snapshot in chunks, in no particular order.
    ///
    /// # Errors
    /// What `visit` returns.
    pub fn scan(&self, projection: &Projection, visit: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        let snapshot = self.snapshot();
        let visible = self.visible(&snapshot, None)?;
        exec::scan(&snapshot, visible.as_ref(), projection, visit)
    }

    /// The same with rows that have lived as long as they may and are still there: with a longer time to live they are
    /// seen again.
    ///
    /// # Errors
    /// As [`Collection::scan`].
    pub fn scan_stored(
        &self,
        projection: &Projection,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<()> {
        exec::scan(&self.snapshot(), None, projection, visit)
    }

    /// The nearest rows to each query vector.
    ///
    /// # Errors
    /// `FieldNotFound`, `InvalidQueryVector`, `InvalidParameter` for metric, window, effort or range; filter errors;
    /// `Busy`; `Cancelled`.
    pub fn search(&self, request: &exec::SearchRequest) -> Result<exec::SearchHits> {
        let _place = self.shared.enter_search()?;
        let _foreground = self.shared.pace.foreground();
        let definition = self.definition();
        let index_of = |field: &str| definition.searching(field);
        let snapshot = self.snapshot();
        let filter = self.visible(&snapshot, request.filter.clone())?;
        let request = exec::SearchRequest { filter, ..request.clone() };
        let search = || exec::search(&snapshot, &index_of, &request);
        match exec::is_small(&snapshot, &request) {
            true => search(),
            false => self.shared.pool.install(search),
        }
    }

    /// Whether [`Collection::search`] would answer a search without a filter where it is called, on no other thread, because it
    /// is so small that to wake one would take longer.
    pub fn is_small_search(&self, field: &str, queries: usize, wanted: usize, effort: Effort) -> bool {
        let snapshot = self.snapshot();
        let size = exec::Size { field, queries, wanted, effort };
        self.visible(&snapshot, None).is_ok_and(|filter| filter.is_none()) && size.is_small(&snapshot)
    }

    /// The best rows of several searches together.
    ///
    /// # Errors
    /// As [`Collection::search`]; `InvalidParameter` for a fusion that does not fit.
    pub fn hybrid_search(&self, request: &exec::HybridRequest) -> Result<exec::SearchHits> {
        let _place = self.shared.enter_search()?;
        let _foreground = self.shared.pace.foreground();
        let definition = self.definition();
        let index_of = |field: &str| definition.searching(field);
        let snapshot = self.snapshot();
        let mut request = request.clone();
        for search in &mut request.searches {
            search.filter = self.visible(&snapshot, search.filter.take())?;
        }
        self.shared.pool.install(|| exec::hybrid_search(&snapshot, &index_of, &request))
    }
}
