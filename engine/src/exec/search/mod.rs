//! Nearest-neighbour search over one snapshot: check the request, find the rows that may be returned, plan each segment,
//! rank, group or fuse, and gather the columns of the answer.

mod group;
mod hybrid;
mod rank;
mod request;

use std::sync::Arc;

use super::RowAddress;
use super::gather::{gather, vector_position};
use crate::collection::{Searching, Snapshot};
use crate::error::Result;
use crate::index::SearchStats;
use crate::row::Projection;
use crate::schema::Schema;

pub(crate) use hybrid::hybrid_search;
pub use hybrid::{Fusion, HybridRequest};
use rank::{Hits, Ranker};
pub use request::{Explained, GroupBy, SearchHits, SearchRequest, SegmentPlan};

pub(crate) fn search(
    snapshot: &Snapshot,
    schema: &Arc<Schema>,
    index_of: &dyn Fn(&str) -> Searching,
    request: &SearchRequest,
) -> Result<SearchHits> {
    let (position, dim) = vector_position(schema, &request.field)?;
    let checked = request::check(request, dim, index_of(&request.field))?;
    let window = request.offset..checked.end;
    let rank = |wanted: usize| {
        let ranked = Ranker::new(snapshot, position, request, &checked, wanted)?.run()?;
        Ok((ranked.hits, vec![ranked.explained]))
    };
    let (hits, explained) = match &request.group_by {
        Some(group) => {
            group::check(schema, group)?;
            group::grouped(snapshot, schema, group, window, rank)?
        }
        None => {
            let (mut hits, explained) = rank(checked.end)?;
            hits.iter_mut().for_each(|hits| drop(hits.drain(..window.start.min(hits.len()))));
            (hits, explained)
        }
    };
    finish(snapshot, schema, &request.projection, hits, explained)
}

/// Gathers the columns of the hits.
fn finish(
    snapshot: &Snapshot,
    schema: &Arc<Schema>,
    projection: &Projection,
    hits: Vec<Hits>,
    explained: Vec<Explained>,
) -> Result<SearchHits> {
    let places: Vec<RowAddress> = hits.iter().flatten().map(|(_, address)| *address).collect();
    let mut stats = SearchStats::default();
    explained.iter().for_each(|one| stats.add(&one.stats));
    Ok(SearchHits {
        topks: hits.iter().map(Vec::len).collect(),
        scores: hits.iter().flatten().map(|(score, _)| *score).collect(),
        rows: gather(snapshot, schema, projection, &places)?,
        explained,
        stats,
    })
}
