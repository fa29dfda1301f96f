//! Grouping: of the rows with one value of a field only the best are hits, and groups are ordered by their best row. The
//! nearest rows may all be of a few groups, so the search is repeated for more rows until there are groups enough.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType as Type;

use super::rank::Hits;
use super::request::GroupBy;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::exec::RowAddress;
use crate::exec::gather::gather_column;
use crate::filter::JsonPath;
use crate::index::scalar::Single;
use crate::limits::MAX_GROUP_SIZE;
use crate::schema::{DataType, Schema};

/// Rows looked at for each row wanted, at first.
const FIRST_FACTOR: usize = 4;
/// And how many times more each time they do not suffice.
const NEXT_FACTOR: usize = 4;

/// A value that makes a group. Rows without one are a group, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    /// The bits of a number in JSON that is no integer.
    Float(u64),
}

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
    let addresses: Vec<RowAddress> = found.iter().map(|(_, address)| *address).collect();
    let column = match by {
        By::Column(column) => *column,
        By::Json(path) => path.column(),
    };
    let values = gather_column(snapshot, column, &addresses)?;
    let mut places: HashMap<Value, usize> = HashMap::new();
    let mut groups: Vec<Hits> = Vec::new();
    for (row, hit) in found.iter().enumerate() {
        let next = groups.len();
        let place = *places.entry(by.value_at(&values, row)?).or_insert(next);
        if place == next {
            groups.push(Vec::with_capacity(group.size));
        }
        if groups[place].len() < group.size {
            groups[place].push(*hit);
        }
    }
    let enough = groups.len() >= window.end;
    let full = groups.iter().take(window.end).all(|g| g.len() == group.size);
    let kept = groups.into_iter().take(window.end).skip(window.start);
    Ok(Grouped { hits: kept.flatten().collect(), complete: enough && (full || !group.strict) })
}

impl By {
    fn value_at(&self, column: &ArrayRef, row: usize) -> Result<Value> {
        if column.is_null(row) {
            return Ok(Value::Null);
        }
        let unexpected = || EngineError::Internal(format!("grouping by a column of {}", column.data_type()));
        let text = || column.as_string_opt::<i32>().map(|c| c.value(row)).ok_or_else(unexpected);
        let int = |value: i64| Ok(Value::Int(value));
        match (self, column.data_type()) {
            (Self::Json(path), _) => Ok(json_value(path.value(text()?))),
            (_, Type::Boolean) => {
                column.as_boolean_opt().map(|c| Value::Bool(c.value(row))).ok_or_else(unexpected)
            }
            (_, Type::Int8) => int(column.as_primitive::<Int8Type>().value(row).into()),
            (_, Type::Int16) => int(column.as_primitive::<Int16Type>().value(row).into()),
            (_, Type::Int32) => int(column.as_primitive::<Int32Type>().value(row).into()),
            (_, Type::Int64) => int(column.as_primitive::<Int64Type>().value(row)),
            _ => text().map(|value| Value::Text(value.to_owned())),
        }
    }
}

/// Objects, arrays and numbers beyond 64 bits make no groups: they are with the rows that have no value.
fn json_value(value: Single) -> Value {
    match value {
        Single::Null | Single::Other => Value::Null,
        Single::Bool(value) => Value::Bool(value),
        Single::Int(value) => Value::Int(value),
        Single::Float(value) => Value::Float(value.to_bits()),
        Single::Text(value) => Value::Text(value),
    }
}
