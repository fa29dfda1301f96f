//! Numbers over the rows that match, all together or by groups: count, sum, average, smallest and largest.

use std::collections::HashMap;
use std::rc::Rc;

use arrow_array::Array;

use super::matches::matches;
use super::{Columns, RowAddress, check_once};
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::row::Scalar;
use crate::schema::{DataType, Field, Schema};
use crate::segment::SegmentView;

/// Bytes of the groups of one answer at most (ours: all are held in memory).
const MAX_GROUP_BYTES: usize = 256 << 20;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateKind {
    /// Rows whose field is not null.
    Count,
    /// Sum of the values that are not null; null where there are none.
    Sum,
    /// Their mean.
    Average,
    /// The smallest.
    Least,
    /// The largest.
    Greatest,
}

/// One number to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// What.
    pub kind: AggregateKind,
    /// Over which field; none, for a count: all rows.
    pub field: Option<String>,
}

/// Numbers to compute over rows.
#[derive(Debug, Clone)]
pub struct AggregateRequest {
    /// None: every row.
    pub filter: Option<Filter>,
    /// Rows that agree in these fields are a group; none: all rows are one.
    pub group_by: Vec<String>,
    /// The numbers.
    pub aggregates: Vec<Aggregate>,
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// There is none.
    Null,
    /// Of a Bool field.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction, or a sum beyond 64 bits.
    Float(f64),
    /// Of a VarChar field.
    Text(String),
}

/// One group: the values that its rows agree in, and the numbers over them.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// In the order of [`AggregateRequest::group_by`].
    pub values: Vec<Cell>,
    /// In the order of [`AggregateRequest::aggregates`].
    pub numbers: Vec<Cell>,
}

impl From<Scalar<'_>> for Cell {
    fn from(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Null => Self::Null,
            Scalar::Bool(v) => Self::Bool(v),
            Scalar::Int(v) => Self::Int(v),
            Scalar::Float(v) => Self::Float(v),
            Scalar::Text(v) => Self::Text(v.into_owned()),
        }
    }
}

/// What is known of one number so far. Values are borrowed from their columns.
#[derive(Debug, Clone)]
enum Running<'a> {
    Count(u64),
    Ints { count: u64, sum: i128 },
    Floats { count: u64, sum: f64 },
    Least(Scalar<'a>),
    Greatest(Scalar<'a>),
}

impl<'a> Running<'a> {
    fn new(kind: AggregateKind, input: &Input<'_>) -> Self {
        match kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::Least => Self::Least(Scalar::Null),
            AggregateKind::Greatest => Self::Greatest(Scalar::Null),
            _ if input.is_float() => Self::Floats { count: 0, sum: 0.0 },
            _ => Self::Ints { count: 0, sum: 0 },
        }
    }

    fn add(&mut self, input: &Input<'a>, address: RowAddress) {
        let value = match input {
            Input::Rows => return self.count(),
            Input::Present(nulls) => match nulls[address.view as usize].is_null(address.row as usize) {
                true => return,
                false => return self.count(),
            },
            Input::Values { columns, .. } => columns.get(address),
        };
        match (self, &value) {
            (_, Scalar::Null) => {}
            (Self::Ints { count, sum }, Scalar::Int(v)) => {
                *count += 1;
                *sum += i128::from(*v);
            }
            (Self::Floats { count, sum }, Scalar::Float(v)) => {
                *count += 1;
                *sum += v;
            }
            (Self::Least(least), _) if *least == Scalar::Null || value < *least => *least = value,
            (Self::Greatest(greatest), _) if value > *greatest => *greatest = value,
            _ => {}
        }
    }

    fn count(&mut self) {
        if let Self::Count(count) = self {
            *count += 1;
        }
    }

    fn finish(self, kind: AggregateKind) -> Cell {
        let average = kind == AggregateKind::Average;
        match self {
            Self::Count(count) => Cell::Int(count as i64),
            Self::Least(value) | Self::Greatest(value) => value.into(),
            Self::Ints { count: 0, .. } | Self::Floats { count: 0, .. } => Cell::Null,
            Self::Ints { count, sum } if average => Cell::Float(sum as f64 / count as f64),
            Self::Ints { sum, .. } => i64::try_from(sum).map_or(Cell::Float(sum as f64), Cell::Int),
            Self::Floats { count, sum } if average => Cell::Float(sum / count as f64),
            Self::Floats { sum, .. } => Cell::Float(sum),
        }
    }

    /// Bytes that its number takes on the heap.
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Least(value) | Self::Greatest(value) => value.heap_bytes(),
            _ => 0,
        }
    }
}

/// Rows that agree in some values.
struct Grouped<'a> {
    values: Rc<[Scalar<'a>]>,
    numbers: Box<[Running<'a>]>,
}

/// What the groups take, counted before it is taken.
struct Room {
    left: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            EngineError::invalid(format!(
                "the groups would take more than {MAX_GROUP_BYTES} bytes: group fewer rows, or by fewer fields"
            ))
        })?;
        Ok(())
    }
}

/// Groups in ascending order of their values.
pub(crate) fn aggregate(snapshot: &Snapshot, request: &AggregateRequest) -> Result<Vec<Group>> {
    check_once("group by", request.group_by.iter().map(String::as_str))?;
    let keys = request.group_by.iter().map(|name| groupable(snapshot, name));
    let keys: Vec<Columns<'_>> = keys.collect::<Result<_>>()?;
    let inputs = request.aggregates.iter().map(|aggregate| Input::of(snapshot, aggregate));
    let inputs: Vec<Input<'_>> = inputs.collect::<Result<_>>()?;
    let numbers = || -> Box<[Running<'_>]> {
        let kinds = request.aggregates.iter().map(|aggregate| aggregate.kind);
        kinds.zip(&inputs).map(|(kind, input)| Running::new(kind, input)).collect()
    };
    let mut places: HashMap<Rc<[Scalar<'_>]>, usize> = HashMap::new();
    let mut groups: Vec<Grouped<'_>> = Vec::new();
    let mut room = Room { left: MAX_GROUP_BYTES };
    let one = size_of::<Grouped<'_>>() + 2 * size_of::<(Rc<[Scalar<'_>]>, usize)>();
    let one = one + keys.len() * size_of::<Scalar<'_>>() + inputs.len() * size_of::<Running<'_>>();
    if keys.is_empty() {
        groups.push(Grouped { values: Rc::new([]), numbers: numbers() });
        places.insert(Rc::new([]), 0);
    }
    let mut values = Vec::with_capacity(keys.len());
    for (view, rows) in (0..).zip(matches(snapshot, request.filter.as_ref())?) {
        for row in rows.iter() {
            let address = RowAddress { view, row: row as u32 };
            values.clear();
            values.extend(keys.iter().map(|column| column.get(address)));
            let place = match places.get(values.as_slice()) {
                Some(&place) => place,
                None => {
                    room.take(one + values.iter().map(Scalar::heap_bytes).sum::<usize>())?;
                    let values: Rc<[Scalar<'_>]> = values.as_slice().into();
                    places.insert(Rc::clone(&values), groups.len());
                    groups.push(Grouped { values, numbers: numbers() });
                    groups.len() - 1
                }
            };
            for (running, input) in groups[place].numbers.iter_mut().zip(&inputs) {
                running.add(input, address);
            }
        }
    }
    drop(places);
    groups.iter().flat_map(|group| &group.numbers).try_for_each(|number| room.take(number.heap_bytes()))?;
    groups.sort_by(|a, b| a.values.cmp(&b.values));
    let finish = |group: Grouped<'_>| {
        let kinds = request.aggregates.iter().map(|aggregate| aggregate.kind);
        Group {
            values: group.values.iter().cloned().map(Cell::from).collect(),
            numbers: group.numbers.into_iter().zip(kinds).map(|(number, kind)| number.finish(kind)).collect(),
        }
    };
    Ok(groups.into_iter().map(finish).collect())
}

/// What a number is computed from.
enum Input<'a> {
    /// The rows themselves.
    Rows,
    /// Whether a field of any type has a value, in each segment.
    Present(Vec<&'a dyn Array>),
    Values {
        columns: Columns<'a>,
        float: bool,
    },
}

impl<'a> Input<'a> {
    fn of(snapshot: &'a Snapshot, aggregate: &Aggregate) -> Result<Self> {
        let Some(name) = &aggregate.field else { return Ok(Self::Rows) };
        let place = place(snapshot.schema(), name)?;
        let data_type = place.field.data_type;
        let fits = match aggregate.kind {
            AggregateKind::Count => {
                let column = |view: &'a SegmentView| view.segment.scalars().column(place.column).as_ref();
                return Ok(Self::Present(snapshot.views().iter().map(column).collect()));
            }
            AggregateKind::Sum | AggregateKind::Average => data_type.is_numeric(),
            AggregateKind::Least | AggregateKind::Greatest => {
                data_type.is_numeric() || matches!(data_type, DataType::VarChar | DataType::Timestamptz)
            }
        };
        if !fits {
            return Err(EngineError::invalid(format!(
                "aggregation {:?} is not supported on field {name}, which is {data_type}",
                aggregate.kind
            )));
        }
        let float = matches!(data_type, DataType::Float | DataType::Double);
        Ok(Self::Values { columns: Columns::new(snapshot, place.column)?, float })
    }

    fn is_float(&self) -> bool {
        matches!(self, Self::Values { float: true, .. })
    }
}

/// A field with the position of its column.
struct Place<'a> {
    field: &'a Field,
    column: usize,
}

fn place<'a>(schema: &'a Schema, name: &str) -> Result<Place<'a>> {
    let unknown = || EngineError::FieldNotFound { name: name.to_owned() };
    let (_, field) = schema.field(name).ok_or_else(unknown)?;
    if field.data_type.is_vector() {
        return Err(EngineError::invalid(format!("aggregation on vector field {name} is not supported")));
    }
    Ok(Place { field, column: schema.column_of(name).ok_or_else(unknown)? })
}

fn groupable<'a>(snapshot: &'a Snapshot, name: &str) -> Result<Columns<'a>> {
    let place = place(snapshot.schema(), name)?;
    match place.field.data_type {
        DataType::Json | DataType::Array | DataType::Float | DataType::Double => Err(EngineError::invalid(
            format!("group by field {name} has unsupported data type {}", place.field.data_type),
        )),
        _ => Columns::new(snapshot, place.column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_no_more_room_than_there_is() {
        let mut room = Room { left: 100 };
        room.take(60).unwrap();
        assert!(room.take(41).unwrap_err().to_string().contains("the groups would take more"));
        room.take(40).unwrap();
        room.take(1).unwrap_err();
    }
}
