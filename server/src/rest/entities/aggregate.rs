//! Queries for numbers instead of rows: `count(*)`, `sum(f)` and their kin, all together or by groups.

use elanus_engine::exec::{Aggregate, AggregateKind, AggregateRequest, Cell, Group};
use elanus_engine::{Collection, Filter};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::reply::Form;

/// The output field that asks for the number of rows instead of the rows.
const COUNT: &str = "count(*)";

/// What to compute, and under which names it is answered.
#[derive(Debug)]
pub(super) struct Numbers {
    group_by: Vec<String>,
    /// In the order of the output fields.
    columns: Vec<(String, Column)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Column {
    /// Position in `group_by`.
    Value(usize),
    Number(Aggregate),
}

impl Numbers {
    /// Reads the output fields; none when they ask for rows.
    ///
    /// # Errors
    /// 1100 when they ask for both.
    pub(super) fn read(names: &[String], group_by: Vec<String>) -> Result<Option<Self>, ApiError> {
        if group_by.is_empty() && !names.iter().any(|name| aggregate(name).is_some()) {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(names.len() + group_by.len());
        for name in names.iter().filter(|name| name.as_str() != "*") {
            let column = match (aggregate(name), group_by.iter().position(|field| field == name)) {
                (Some(aggregate), _) => Column::Number(aggregate),
                (None, Some(position)) => Column::Value(position),
                (None, None) => {
                    return Err(ApiError::invalid(format!(
                        "output field {name} is neither an aggregation nor a group by field: invalid parameter"
                    )));
                }
            };
            columns.push((name.trim().to_owned(), column));
        }
        for (position, field) in group_by.iter().enumerate() {
            if !columns.iter().any(|(_, column)| *column == Column::Value(position)) {
                columns.insert(position.min(columns.len()), (field.clone(), Column::Value(position)));
            }
        }
        Ok(Some(Self { group_by, columns }))
    }

    /// Whether there is one answer over all rows.
    pub(super) fn is_single(&self) -> bool {
        self.group_by.is_empty()
    }

    /// Computes them, as JSON rows.
    ///
    /// # Errors
    /// The engine's.
    pub(super) fn compute(
        &self,
        collection: &Collection,
        filter: Option<Filter>,
        form: &Form,
    ) -> Result<Vec<Map<String, Value>>, ApiError> {
        let aggregates: Vec<Aggregate> = self
            .columns
            .iter()
            .filter_map(|(_, column)| match column {
                Column::Number(aggregate) => Some(aggregate.clone()),
                Column::Value(_) => None,
            })
            .collect();
        // The number of all rows is known without looking at them.
        if self.is_single() && filter.is_none() && aggregates.iter().all(|a| a.field.is_none()) {
            let count = Cell::Int(collection.count() as i64);
            let numbers = vec![count; aggregates.len()];
            return Ok(vec![self.row(&Group { values: Vec::new(), numbers }, form)]);
        }
        let request = AggregateRequest { filter, group_by: self.group_by.clone(), aggregates };
        Ok(collection.aggregate(&request)?.iter().map(|group| self.row(group, form)).collect())
    }

    fn row(&self, group: &Group, form: &Form) -> Map<String, Value> {
        let mut numbers = group.numbers.iter();
        let mut row = Map::new();
        for (name, column) in &self.columns {
            let cell = match column {
                Column::Value(position) => group.values.get(*position),
                Column::Number(_) => numbers.next(),
            };
            row.insert(name.clone(), json(cell.unwrap_or(&Cell::Null), form));
        }
        row
    }
}

fn json(cell: &Cell, form: &Form) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(v) => (*v).into(),
        Cell::Int(v) if form.int64_as_string => v.to_string().into(),
        Cell::Int(v) => (*v).into(),
        Cell::Float(v) => (*v).into(),
        Cell::Text(v) => v.clone().into(),
    }
}

/// `count(*)`, `sum(f)` and their kin; none for anything else.
fn aggregate(name: &str) -> Option<Aggregate> {
    let name = name.trim();
    if name.eq_ignore_ascii_case(COUNT) {
        return Some(Aggregate { kind: AggregateKind::Count, field: None });
    }
    let (word, rest) = name.split_once('(')?;
    let field = rest.strip_suffix(')')?.trim();
    let kind = match word.trim().to_ascii_lowercase().as_str() {
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "min" => AggregateKind::Least,
        "max" => AggregateKind::Greatest,
        _ => return None,
    };
    Some(Aggregate { kind, field: Some(field.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_fields_ask_for_rows_or_numbers() {
        let read = |names: &[&str], groups: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            Numbers::read(&names, groups.iter().map(|g| (*g).to_owned()).collect())
        };
        assert!(read(&["id", "a"], &[]).unwrap().is_none());
        assert!(read(&["count(*)"], &[]).unwrap().unwrap().is_single());
        let grouped = read(&["sum( price )", "Count(*)"], &["color"]).unwrap().unwrap();
        let names: Vec<&str> = grouped.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["color", "sum( price )", "Count(*)"]);
        assert_eq!(read(&["count(*)", "other"], &["color"]).unwrap_err().code, 1100);
    }
}
