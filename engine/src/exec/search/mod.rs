//! Nearest-neighbour search over one snapshot: check the request, find the rows that may be returned, plan each segment,
//! rank, group or fuse, and gather the columns of the answer.

mod group;
mod hybrid;
mod queries;
mod rank;
mod request;
mod scan;
mod small;

use super::RowAddress;
use super::gather::{VectorPlace, gather, vector_place};
use crate::collection::{Searching, Snapshot};
use crate::error::Result;
use crate::index::SearchStats;
use crate::limits::MAX_HITS;
use crate::row::Projection;

pub(crate) use hybrid::hybrid_search;
pub use hybrid::{Fusion, HybridRequest};
pub use queries::QueryVectors;
use rank::{Hits, Ranker};
pub use request::{Explained, GroupBy, SearchHits, SearchRequest, SegmentPlan};
pub(crate) use small::{Size, is_small};

pub(crate) fn search(
    snapshot: &Snapshot,
    index_of: &dyn Fn(&str) -> Searching,
    request: &SearchRequest,
) -> Result<SearchHits> {
    let place = vector_place(snapshot.schema(), &request.field)?;
    let checked = request::check(snapshot.schema(), request, place.field, index_of(&request.field))?;
    let window = request.offset..checked.end;
    let (hits, explained) = match &request.group_by {
        Some(group) => grouped(snapshot, place, request, &checked, group)?,
        None => {
            let ranked = Ranker::new(snapshot, place, request, &checked, checked.end)?.run()?;
            let mut hits = ranked.hits;
            hits.iter_mut().for_each(|hits| drop(hits.drain(..window.start.min(hits.len()))));
            (hits, vec![ranked.explained])
        }
    };
    finish(snapshot, &request.projection, hits, explained)
}

/// Each query by itself: how many rows it takes to find its groups is its own.
fn grouped(
    snapshot: &Snapshot,
    place: VectorPlace<'_>,
    request: &SearchRequest,
    checked: &request::Checked,
    group: &GroupBy,
) -> Result<(Vec<Hits>, Vec<Explained>)> {
    group::check(snapshot.schema(), group)?;
    let (mut hits, mut explained) = (Vec::new(), Vec::new());
    for query in 0..checked.queries.len() {
        let one = checked.only(query);
        let rank = |wanted: usize| {
            let ranked = Ranker::new(snapshot, place, request, &one, wanted)?.run()?;
            let exhausted = ranked.hits.iter().map(|hits| hits.len() < wanted).collect();
            Ok(group::Round { hits: ranked.hits, exhausted, rest: ranked.explained })
        };
        let window = request.offset..checked.end;
        let (found, how) = group::grouped(snapshot, group, window, MAX_HITS, rank)?;
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
        rows: gather(snapshot, projection, &places)?,
        explained,
        stats,
    })
}
