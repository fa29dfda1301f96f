//! Restrictions that no client writes: on hidden columns (the partition of a row, when it was stored), joined with the
//! client's filter.

use std::sync::Arc;

use super::condition::{ColumnTest, TextTest};
use super::predicate::{Predicate, Source};
use super::set::IntegerSet;
use super::{Compiled, Filter};
use crate::row::Keys;
use crate::schema::Schema;

impl Filter {
    /// Rows whose integer in `column` (a position in [`Schema::arrow`]) is one of `numbers`.
    pub fn among(schema: &Schema, column: usize, numbers: Vec<i64>) -> Self {
        let test = ColumnTest::IntSet(IntegerSet::new(numbers));
        let mut filter = Self::hidden(column, test);
        let key_column = schema.column_of(&schema.primary().name);
        if let Some(compiled) = Arc::get_mut(&mut filter.0) {
            compiled.keys = key_column.and_then(|key| compiled.predicate.key_candidates(key));
            compiled.layouts.push(schema.arrow());
        }
        filter
    }

    /// The rows of these primary keys.
    pub fn keys(schema: &Schema, keys: &Keys) -> Self {
        let column = schema.column_of(&schema.primary().name).unwrap_or(usize::MAX);
        let test = match keys {
            Keys::Int(keys) => ColumnTest::IntSet(IntegerSet::new(keys.clone())),
            Keys::Text(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                keys.dedup();
                ColumnTest::Text(TextTest::Set(keys))
            }
        };
        let mut filter = Self::hidden(column, test);
        if let Some(compiled) = Arc::get_mut(&mut filter.0) {
            compiled.keys = compiled.predicate.key_candidates(column);
            compiled.layouts.push(schema.arrow());
        }
        filter
    }

    /// How many keys the filter names, if it does nothing else.
    pub fn named_keys(&self) -> Option<usize> {
        let only = matches!(self.0.predicate, Predicate::Column { .. }) && self.0.sample.is_none();
        self.0.keys.as_ref().filter(|_| only).map(Keys::len)
    }

    /// Rows whose integer in `column` is `number` or smaller.
    pub(crate) fn at_most(column: usize, number: i64) -> Self {
        Self::hidden(column, ColumnTest::IntRange(Some((i64::MIN, number))))
    }

    /// Rows whose integer in `column` is larger than `number`.
    pub fn above(column: usize, number: i64) -> Self {
        Self::hidden(column, ColumnTest::IntRange(number.checked_add(1).map(|least| (least, i64::MAX))))
    }

    fn hidden(column: usize, test: ColumnTest) -> Self {
        Self(Arc::new(Compiled {
            expression: String::new(),
            predicate: Predicate::Column { source: Source::Column(column), test },
            keys: None,
            sample: None,
            layouts: Vec::new(),
        }))
    }

    /// Rows that both filters match. A random sample of either is taken of the rows that match all the rest.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (mut one, other) = (Arc::unwrap_or_clone(self.0), Arc::unwrap_or_clone(other.0));
        one.predicate = Predicate::all(vec![one.predicate, other.predicate]);
        one.keys = [one.keys, other.keys].into_iter().flatten().min_by_key(Keys::len);
        one.sample = match (one.sample, other.sample) {
            (Some(a), Some(b)) => Some(a * b),
            (a, b) => a.or(b),
        };
        for layout in other.layouts {
            if !one.layouts.contains(&layout) {
                one.layouts.push(layout);
            }
        }
        one.expression = match (one.expression.trim_ascii(), other.expression.trim_ascii()) {
            (_, "") => one.expression,
            ("", _) => other.expression,
            (a, b) => format!("({a}) and ({b})"),
        };
        Self(Arc::new(one))
    }
}
