//! Undeclared keys as columns: a key that recurs with values of one type is read out of the rows' JSON once, so that a
//! filter on it costs what one on a declared field does. (Like the shredding of S. Melnik et al., "Dremel", 2010, for one
//! level and without repetition.)

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use crate::filter::json_value_of;
use crate::row::Scalar;

/// Keys of one segment that get a column at most: each takes memory.
const MOST_KEYS: usize = 32;
/// Keys that are looked at, at most.
const MOST_CANDIDATES: usize = 1024;
/// A key gets a column when at least one of so many rows has it.
const RECURS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Mixed,
}

/// Columns of the keys that recur in a column of JSON objects. A key that holds null anywhere is as if it was not there.
pub(super) fn shred(objects: &ArrayRef) -> HashMap<String, ArrayRef> {
    let Some(objects) = objects.as_string_opt::<i32>() else { return HashMap::new() };
    let mut seen: HashMap<String, (Kind, usize)> = HashMap::new();
    for object in objects.iter().flatten() {
        json_value_of(object, &mut |key, value| {
            let Some(kind) = kind_of(value.as_ref()) else { return };
            if let Some((known, count)) = seen.get_mut(key) {
                *count += 1;
                if *known != kind {
                    *known = Kind::Mixed;
                }
            } else if seen.len() < MOST_CANDIDATES {
                seen.insert(key.to_owned(), (kind, 1));
            }
        });
    }
    let recurs = |(kind, count): &(Kind, usize)| *kind != Kind::Mixed && count * RECURS >= objects.len();
    let mut chosen: Vec<(String, Kind, usize)> =
        seen.into_iter().filter(|(_, found)| recurs(found)).map(|(key, (kind, n))| (key, kind, n)).collect();
    chosen.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    chosen.truncate(MOST_KEYS);
    let mut columns: HashMap<String, Column> =
        chosen.into_iter().map(|(key, kind, _)| (key, Column::new(kind))).collect();
    for (row, object) in objects.iter().enumerate() {
        json_value_of(object.unwrap_or_default(), &mut |key, value| {
            if let Some(column) = columns.get_mut(key) {
                column.set(row, value);
            }
        });
    }
    columns.into_iter().map(|(key, column)| (key, column.finish(objects.len()))).collect()
}

/// What no column holds makes the key one of several types.
fn kind_of(value: Option<&Scalar<'_>>) -> Option<Kind> {
    Some(match value {
        Some(Scalar::Null) => return None,
        Some(Scalar::Bool(_)) => Kind::Bool,
        Some(Scalar::Int(_)) => Kind::Int,
        Some(Scalar::Float(_)) => Kind::Float,
        Some(Scalar::Text(_)) => Kind::Text,
        None => Kind::Mixed,
    })
}

/// A column under construction.
struct Column {
    builder: Builder,
    rows: usize,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl Column {
    fn new(kind: Kind) -> Self {
        let builder = match kind {
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Int => Builder::Int(Int64Builder::new()),
            Kind::Float => Builder::Float(Float64Builder::new()),
            Kind::Text | Kind::Mixed => Builder::Text(StringBuilder::new()),
        };
        Self { builder, rows: 0 }
    }

    fn fill(&mut self, rows: usize) {
        while self.rows < rows {
            match &mut self.builder {
                Builder::Bool(b) => b.append_null(),
                Builder::Int(b) => b.append_null(),
                Builder::Float(b) => b.append_null(),
                Builder::Text(b) => b.append_null(),
            }
            self.rows += 1;
        }
    }

    fn set(&mut self, row: usize, value: Option<Scalar<'_>>) {
        // Of members with the same key the first counts, as for a filter without this column.
        if row < self.rows {
            return;
        }
        self.fill(row);
        match (&mut self.builder, value) {
            (Builder::Bool(b), Some(Scalar::Bool(v))) => b.append_value(v),
            (Builder::Int(b), Some(Scalar::Int(v))) => b.append_value(v),
            (Builder::Float(b), Some(Scalar::Float(v))) => b.append_value(v),
            (Builder::Text(b), Some(Scalar::Text(v))) => b.append_value(v),
            _ => return self.fill(row + 1),
        }
        self.rows += 1;
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        match self.builder {
            Builder::Bool(mut b) => Arc::new(b.finish()),
            Builder::Int(mut b) => Arc::new(b.finish()),
            Builder::Float(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) => Arc::new(b.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_array::types::Int64Type;

    use super::*;

    #[test]
    fn keys_of_one_type_become_columns() {
        let objects: ArrayRef = Arc::new(StringArray::from(vec![
            Some(r#"{"a":1,"b":"x","m":1,"n":null,"o":[1]}"#),
            None,
            Some(r#"{"b":"y","a":null,"m":"1","f":1.5,"o":[1]}"#),
            Some(r#"{"a":9007199254740993,"big":18446744073709551615,"t":true}"#),
        ]));
        let columns = shred(&objects);
        let mut names: Vec<&str> = columns.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "f", "t"]);
        let a: Vec<Option<i64>> = columns["a"].as_primitive::<Int64Type>().iter().collect();
        assert_eq!(a, [Some(1), None, None, Some(9_007_199_254_740_993)]);
    }
}
