//! Grouping: of the rows with one value of a field only the best are hits, and groups are ordered by their best row. The
//! nearest rows may all be of a few groups, so the search is repeated for more rows until there are groups enough.

use std::borrow::Cow;
use std::collections::HashMap;

use super::rank::Hits;
use super::request::GroupBy;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::exec::{Columns, RowAddress};
use crate::filter::JsonPath;
use crate::limits::MAX_GROUP_SIZE;
use crate::row::Scalar;
use crate::schema::{DataType, Schema};

/// Rows looked at for each row wanted, at first.
const FIRST_FACTOR: usize = 4;
/// And how many times more each time they do not suffice.
const NEXT_FACTOR: usize = 4;

/// Where the values are.
enum By {
    Column(usize),
    Json(JsonPath),
}

/// Hits of one query, and whether more rows would add to them.
struct Grouped {
    hits: Hits,
    complete: bool,
}

/// Checks that rows can be grouped so.
pub(super) fn check(schema: &Schema, group: &GroupBy) -> Result<()> {
    place(schema, group).map(|_| ())
}

fn place(schema: &Schema, group: &GroupBy) -> Result<By> {
    if !(1..=MAX_GROUP_SIZE).contains(&group.size) {
        return Err(EngineError::invalid(format!(
            "input group size:{} is illegal, it should be in range [1, {MAX_GROUP_SIZE}]",
            group.size
        )));
    }
    let unknown = || EngineError::GroupFieldNotFound { name: group.field.clone() };
    let Some((_, field)) = schema.field(&group.field) else {
        return JsonPath::parse(&group.field, schema).map(By::Json).ok_or_else(unknown);
    };
    match field.data_type {
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::VarChar => schema.column_of(&field.name).map(By::Column).ok_or_else(unknown),
        other => Err(EngineError::invalid(format!("unsupported data type {other} for group by operator"))),
    }
}

/// What was ranked for one round.
pub(super) struct Round<T> {
    /// The best rows of each query.
    pub(super) hits: Vec<Hits>,
    /// Whether there are no more, of each query.
    pub(super) exhausted: Vec<bool>,
    pub(super) rest: T,
}

/// Searches, by `rank`, for more and more rows until each query has its groups; for `most` rows of each at most. Gives back
/// the groups `offset..end` of each query.
pub(super) fn grouped<T>(
    snapshot: &Snapshot,
    group: &GroupBy,
    window: std::ops::Range<usize>,
    most: usize,
    mut rank: impl FnMut(usize) -> Result<Round<T>>,
) -> Result<(Vec<Hits>, T)> {
    let all = usize::try_from(snapshot.live()).unwrap_or(usize::MAX).clamp(1, most.max(1));
    let by = place(snapshot.schema(), group)?;
    let mut wanted = (window.end * group.size * FIRST_FACTOR).min(all);
    loop {
        let round = rank(wanted)?;
        let mut hits = Vec::with_capacity(round.hits.len());
        let mut complete = true;
        for (found, exhausted) in round.hits.into_iter().zip(round.exhausted) {
            let exhausted = exhausted || wanted == all;
            let grouped = group_hits(snapshot, group, &by, window.clone(), &found)?;
            complete &= grouped.complete || exhausted;
            hits.push(grouped.hits);
        }
        if complete {
            return Ok((hits, round.rest));
        }
        wanted = wanted.saturating_mul(NEXT_FACTOR).min(all);
    }
}

fn group_hits(
    snapshot: &Snapshot,
    group: &GroupBy,
    by: &By,
    window: std::ops::Range<usize>,
    found: &Hits,
) -> Result<Grouped> {
    let columns = Columns::new(snapshot, by.column())?;
    let mut places: HashMap<Scalar<'_>, usize> = HashMap::new();
    let mut groups: Vec<Hits> = Vec::new();
    for hit in found {
        let value = by.value(&columns, hit.1);
        let place = match places.get(&value) {
            Some(&place) => place,
            // Groups are found best first: later ones are not asked for.
            None if groups.len() == window.end => continue,
            None => {
                places.insert(value, groups.len());
                groups.push(Vec::with_capacity(group.size));
                groups.len() - 1
            }
        };
        if groups[place].len() < group.size {
            groups[place].push(*hit);
        }
    }
    let enough = groups.len() == window.end;
    let full = groups.iter().all(|group_hits| group_hits.len() == group.size);
    let kept = groups.into_iter().skip(window.start);
    Ok(Grouped { hits: kept.flatten().collect(), complete: enough && (full || !group.strict) })
}

impl By {
    fn column(&self) -> usize {
        match self {
            Self::Column(column) => *column,
            Self::Json(path) => path.column(),
        }
    }

    /// The value that makes the group of a row. In JSON, objects, arrays and numbers beyond 64 bits make none: such rows are
    /// with those that have no value.
    fn value<'a>(&self, columns: &Columns<'a>, address: RowAddress) -> Scalar<'a> {
        match (self, columns.get(address)) {
            (Self::Json(path), Scalar::Text(Cow::Borrowed(json))) => path.value(json),
            (_, value) => value,
        }
    }
}
