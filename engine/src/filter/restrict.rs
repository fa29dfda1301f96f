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
        Self::hidden(schema, column, ColumnTest::IntSet(IntegerSet::new(numbers)))
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
        Self::hidden(schema, column, test)
    }

    /// How many keys the filter names, if it does nothing else.
    pub fn named_keys(&self) -> Option<usize> {
        let only = matches!(self.0.predicate, Predicate::Column { .. }) && self.0.sample.is_none();
        self.0.keys.as_ref().filter(|_| only).map(Keys::len)
    }

    /// Rows whose integer in `column` is `number` or smaller.
    pub(crate) fn at_most(schema: &Schema, column: usize, number: i64) -> Self {
        Self::hidden(schema, column, ColumnTest::IntRange(Some((i64::MIN, number))))
    }

    /// Rows whose integer in `column` is larger than `number`.
    pub fn above(schema: &Schema, column: usize, number: i64) -> Self {
        let range = number.checked_add(1).map(|least| (least, i64::MAX));
        Self::hidden(schema, column, ColumnTest::IntRange(range))
    }

    fn hidden(schema: &Schema, column: usize, test: ColumnTest) -> Self {
        let predicate = Predicate::Column { source: Source::Column(column), test };
        let key = schema.column_of(&schema.primary().name);
        Self(Arc::new(Compiled {
            expression: String::new(),
            keys: key.and_then(|key| predicate.key_candidates(key)),
            predicate,
            sample: None,
            layouts: vec![schema.arrow()],
            cancel: None,
        }))
    }

    /// The same without a random sample: every row that the rest matches.
    pub(crate) fn unsampled(&self) -> Self {
        Self(Arc::new(Compiled { sample: None, ..Compiled::clone(&self.0) }))
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
        one.cancel = one.cancel.or(other.cancel);
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
