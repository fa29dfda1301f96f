//! Queries for numbers instead of rows: `count(*)`, `sum(f)` and their kin, all together or by groups.

use elanus_engine::exec::{Aggregate, AggregateKind, AggregateRequest, Cell, Group};
use elanus_engine::{Collection, Filter};

use crate::error::ApiError;

/// The output field that asks for the number of rows instead of the rows.
const COUNT: &str = "count(*)";

/// What to compute, and under which names it is answered.
#[derive(Debug)]
pub(crate) struct Numbers {
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
    pub(crate) fn read(names: &[String], group_by: Vec<String>) -> Result<Option<Self>, ApiError> {
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
    pub(crate) fn is_single(&self) -> bool {
        self.group_by.is_empty()
    }

    /// Computes them.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn compute(
        &self,
        collection: &Collection,
        filter: Option<Filter>,
    ) -> Result<Vec<Group>, ApiError> {
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
            return Ok(vec![Group { values: Vec::new(), numbers: vec![count; aggregates.len()] }]);
        }
        let request = AggregateRequest { filter, group_by: self.group_by.clone(), aggregates };
        Ok(collection.aggregate(&request)?)
    }

    /// The cells of a group under their names, in the order of the output fields.
    pub(crate) fn cells<'g>(&'g self, group: &'g Group) -> impl Iterator<Item = (&'g str, &'g Cell)> {
        let mut numbers = group.numbers.iter();
        self.columns.iter().map(move |(name, column)| {
            let cell = match column {
                Column::Value(position) => group.values.get(*position),
                Column::Number(_) => numbers.next(),
            };
            (name.as_str(), cell.unwrap_or(&Cell::Null))
        })
    }

    /// Each answered name, with the field whose values it shows, if it shows values.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.columns.iter().map(|(name, column)| match column {
            Column::Value(position) => (name.as_str(), self.group_by.get(*position).map(String::as_str)),
            Column::Number(_) => (name.as_str(), None),
        })
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
