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
use crate::limits::MAX_HITS;
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
    let (hits, explained) = match &request.group_by {
        Some(group) => grouped(snapshot, schema, position, request, &checked, group)?,
        None => {
            let ranked = Ranker::new(snapshot, position, request, &checked, checked.end)?.run()?;
            let mut hits = ranked.hits;
            hits.iter_mut().for_each(|hits| drop(hits.drain(..window.start.min(hits.len()))));
            (hits, vec![ranked.explained])
        }
    };
    finish(snapshot, schema, &request.projection, hits, explained)
}

/// Each query by itself: how many rows it takes to find its groups is its own.
fn grouped(
    snapshot: &Snapshot,
    schema: &Arc<Schema>,
    position: usize,
    request: &SearchRequest,
    checked: &request::Checked,
    group: &GroupBy,
) -> Result<(Vec<Hits>, Vec<Explained>)> {
    group::check(schema, group)?;
    let (mut hits, mut explained) = (Vec::new(), Vec::new());
    for query in checked.queries.chunks_exact(checked.dim) {
        let one = checked.only(query);
        let rank = |wanted: usize| {
            let ranked = Ranker::new(snapshot, position, request, &one, wanted)?.run()?;
            let exhausted = ranked.hits.iter().map(|hits| hits.len() < wanted).collect();
            Ok(group::Round { hits: ranked.hits, exhausted, rest: ranked.explained })
        };
        let window = request.offset..checked.end;
        let (found, how) = group::grouped(snapshot, schema, group, window, MAX_HITS, rank)?;
        hits.extend(found);
        if explained.is_empty() {
            explained.push(how);
        } else {
            explained.iter_mut().for_each(|first: &mut Explained| first.stats.add(&how.stats));
        }
    }
    Ok((hits, explained))
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
