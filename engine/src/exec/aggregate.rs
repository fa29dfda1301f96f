//! Numbers over the rows that match, all together or by groups: count, sum, average, smallest and largest.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::matches::matches;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::row::{OutputValue, value_at};
use crate::schema::{DataType, Field, Schema};

/// Groups of one answer at most (ours: each is held in memory).
const MAX_GROUPS: usize = 1 << 20;

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

impl Cell {
    fn of(value: &OutputValue<'_>) -> Self {
        match value {
            OutputValue::Bool(v) => Self::Bool(*v),
            OutputValue::Int(v) | OutputValue::Int64(v) | OutputValue::Moment(v) => Self::Int(*v),
            OutputValue::Float(v) => Self::Float((*v).into()),
            OutputValue::Double(v) => Self::Float(*v),
            OutputValue::Text(v) => Self::Text((*v).to_owned()),
            _ => Self::Null,
        }
    }

    /// Order of two values of one field; null comes first.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

/// A value as part of a key: floats by their bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Null,
    Bool(bool),
    Int(i64),
    Bits(u64),
    Text(String),
}

impl From<&Cell> for Part {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Bool(v) => Self::Bool(*v),
            Cell::Int(v) => Self::Int(*v),
            // Two zeros are one value.
            Cell::Float(v) => Self::Bits((v + 0.0).to_bits()),
            Cell::Text(v) => Self::Text(v.clone()),
        }
    }
}

/// What is known of one number so far.
#[derive(Debug, Clone, Default)]
struct Running {
    count: u64,
    ints: i128,
    floats: f64,
    least: Option<Cell>,
    greatest: Option<Cell>,
}

impl Running {
    fn add(&mut self, kind: AggregateKind, value: Option<Cell>) {
        let Some(value) = value else {
            self.count += 1;
            return;
        };
        if value == Cell::Null {
            return;
        }
        self.count += 1;
        match (kind, &value) {
            (AggregateKind::Sum | AggregateKind::Average, Cell::Int(v)) => self.ints += i128::from(*v),
            (AggregateKind::Sum | AggregateKind::Average, Cell::Float(v)) => self.floats += v,
            (AggregateKind::Least, _)
                if self.least.as_ref().is_none_or(|least| value.compare(least).is_lt()) =>
            {
                self.least = Some(value);
            }
            (AggregateKind::Greatest, _)
                if self.greatest.as_ref().is_none_or(|greatest| value.compare(greatest).is_gt()) =>
            {
                self.greatest = Some(value);
            }
            _ => {}
        }
    }

    fn finish(self, kind: AggregateKind, integers: bool) -> Cell {
        match kind {
            AggregateKind::Count => Cell::Int(self.count as i64),
            AggregateKind::Least => self.least.unwrap_or(Cell::Null),
            AggregateKind::Greatest => self.greatest.unwrap_or(Cell::Null),
            _ if self.count == 0 => Cell::Null,
            AggregateKind::Sum if integers => {
                i64::try_from(self.ints).map_or(Cell::Float(self.ints as f64), Cell::Int)
            }
            AggregateKind::Sum => Cell::Float(self.floats),
            AggregateKind::Average if integers => Cell::Float(self.ints as f64 / self.count as f64),
            AggregateKind::Average => Cell::Float(self.floats / self.count as f64),
        }
    }
}

/// Groups in ascending order of their values.
pub(crate) fn aggregate(snapshot: &Snapshot, request: &AggregateRequest) -> Result<Vec<Group>> {
    let schema = snapshot.schema();
    let keys: Vec<Place<'_>> =
        request.group_by.iter().map(|name| groupable(schema, name)).collect::<Result<_>>()?;
    let inputs: Vec<Option<Place<'_>>> =
        request.aggregates.iter().map(|aggregate| input(schema, aggregate)).collect::<Result<_>>()?;
    let mut places: HashMap<Vec<Part>, usize> = HashMap::new();
    let mut groups: Vec<(Vec<Cell>, Vec<Running>)> = Vec::new();
    if keys.is_empty() {
        places.insert(Vec::new(), 0);
        groups.push((Vec::new(), vec![Running::default(); inputs.len()]));
    }
    for (view, rows) in snapshot.views().iter().zip(matches(snapshot, request.filter.as_ref())?) {
        let columns = view.segment.scalars().columns();
        let cell = |place: &Place<'_>, row: usize| {
            let array = columns[place.column].as_ref();
            Cell::of(&value_at(array, place.field.data_type, None, row))
        };
        for row in rows.iter() {
            let values: Vec<Cell> = keys.iter().map(|place| cell(place, row)).collect();
            let next = groups.len();
            let place = *places.entry(values.iter().map(Part::from).collect()).or_insert(next);
            if place == next {
                if next >= MAX_GROUPS {
                    return Err(EngineError::invalid(format!("more than {MAX_GROUPS} groups")));
                }
                groups.push((values, vec![Running::default(); inputs.len()]));
            }
            for ((running, input), aggregate) in
                groups[place].1.iter_mut().zip(&inputs).zip(&request.aggregates)
            {
                running.add(aggregate.kind, input.as_ref().map(|input| cell(input, row)));
            }
        }
    }
    let finish = |(values, running): (Vec<Cell>, Vec<Running>)| {
        let numbers = running.into_iter().zip(&inputs).zip(&request.aggregates);
        let number = |((running, input), aggregate): ((Running, &Option<Place<'_>>), &Aggregate)| {
            let integers = input.as_ref().is_none_or(|input| !is_float(input.field));
            running.finish(aggregate.kind, integers)
        };
        Group { values, numbers: numbers.map(number).collect() }
    };
    let mut groups: Vec<Group> = groups.into_iter().map(finish).collect();
    groups.sort_by(|a, b| {
        let orders = a.values.iter().zip(&b.values).map(|(a, b)| a.compare(b));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    Ok(groups)
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

fn is_float(field: &Field) -> bool {
    matches!(field.data_type, DataType::Float | DataType::Double)
}

fn groupable<'a>(schema: &'a Schema, name: &str) -> Result<Place<'a>> {
    let place = place(schema, name)?;
    match place.field.data_type {
        DataType::Json | DataType::Array | DataType::Float | DataType::Double => Err(EngineError::invalid(
            format!("group by field {name} has unsupported data type {}", place.field.data_type),
        )),
        _ => Ok(place),
    }
}

fn input<'a>(schema: &'a Schema, aggregate: &Aggregate) -> Result<Option<Place<'a>>> {
    let Some(name) = &aggregate.field else { return Ok(None) };
    let place = place(schema, name)?;
    let data_type = place.field.data_type;
    let fits = match aggregate.kind {
        AggregateKind::Count => true,
        AggregateKind::Sum | AggregateKind::Average => data_type.is_numeric(),
        AggregateKind::Least | AggregateKind::Greatest => {
            data_type.is_numeric() || matches!(data_type, DataType::VarChar | DataType::Timestamptz)
        }
    };
    if fits {
        return Ok(Some(place));
    }
    Err(EngineError::invalid(format!(
        "aggregation {:?} is not supported on field {name}, which is {data_type}",
        aggregate.kind
    )))
}
