//! A bound expression: every name is a column, every constant has the column's type, every comparison is a range or a
//! set. Binding builds it, evaluation walks it, and the planner asks it which primary keys can match.

use super::ast::{CompareOp, Step};
use super::condition::{Arithmetic, ColumnTest, ValueTest};
use super::constant::Constant;
use super::join::join_equalities;
use super::json::ValueSet;
use super::number::NumberRange;
use crate::row::Keys;
use crate::row::moment::Interval;

/// A condition on rows. Columns are positions in `Schema::arrow`.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    /// The same for every row.
    Constant(bool),
    Not(Box<Predicate>),
    /// Cheap parts first.
    And(Vec<Predicate>),
    /// As [`Predicate::And`].
    Or(Vec<Predicate>),
    /// Declared values against constants.
    Column {
        source: Source,
        test: ColumnTest,
    },
    /// Arithmetic on declared numbers against constants.
    Computed {
        source: Source,
        arithmetic: Arithmetic,
        range: NumberRange,
    },
    /// Moments that are moved before they are compared: both bounds inclusive.
    Moved {
        source: Source,
        intervals: Vec<Interval>,
        range: Option<(i64, i64)>,
    },
    /// A value inside a JSON column, perhaps with arithmetic on it, against constants.
    Json {
        column: usize,
        path: Vec<Step>,
        counted: bool,
        arithmetic: Option<Arithmetic>,
        test: ValueTest,
    },
    /// An array inside a JSON column.
    JsonList {
        column: usize,
        path: Vec<Step>,
        test: JsonListTest,
    },
    /// A declared array.
    List {
        column: usize,
        test: ListTest,
    },
    /// Two declared columns of comparable types.
    Pair {
        left: usize,
        op: CompareOp,
        right: usize,
    },
    IsNull {
        source: Source,
    },
    /// The JSON path leads to something that is neither null nor empty.
    Exists {
        column: usize,
        path: Vec<Step>,
    },
}

/// Where declared values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A column as it is.
    Column(usize),
    /// The element at an index of an array column; null where the array is shorter.
    Element(usize, usize),
    /// The lengths of an array column.
    Length(usize),
}

impl Source {
    /// The column that is read.
    pub(super) fn column(self) -> usize {
        match self {
            Self::Column(column) | Self::Element(column, _) | Self::Length(column) => column,
        }
    }
}

/// What is asked of a declared array.
#[derive(Debug, Clone)]
pub(super) enum ListTest {
    /// Some element passes.
    Any(ColumnTest),
    /// Every one of these, which differ from each other and are sorted, is an element.
    All(Elements),
    /// It is this list.
    Same(Elements),
    /// FALSE, as no array of the type can be what is asked for.
    Never,
}

/// Constants in the type of an array's elements.
#[derive(Debug, Clone)]
pub(super) enum Elements {
    Bools(Vec<bool>),
    Ints(Vec<i64>),
    Singles(Vec<f32>),
    Doubles(Vec<f64>),
    Texts(Vec<String>),
}

impl Elements {
    /// Sorted, without repetitions.
    pub(super) fn sorted(mut self) -> Self {
        fn sort<T: PartialOrd>(values: &mut Vec<T>) {
            // No float is NaN: literals and templates are checked.
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            values.dedup_by(|a, b| a == b);
        }
        match &mut self {
            Self::Bools(values) => sort(values),
            Self::Ints(values) => sort(values),
            Self::Singles(values) => sort(values),
            Self::Doubles(values) => sort(values),
            Self::Texts(values) => sort(values),
        }
        self
    }
}

/// What is asked of an array in JSON.
#[derive(Debug, Clone)]
pub(super) enum JsonListTest {
    Any(ValueSet),
    All(ValueSet),
    Same(Vec<Constant>),
}

/// From this cost on a part is evaluated only on rows that the cheaper ones left open.
pub(super) const COSTLY: u32 = 2;

impl Predicate {
    /// Negates.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(other.into()),
        }
    }

    /// Joins with `and`. A constant false decides, also against UNKNOWN.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        // No value is one of some constants when it is none of each.
        let (mut denied, mut parts): (Vec<Self>, Vec<Self>) =
            parts.into_iter().partition(|part| matches!(part, Self::Not(_)));
        if denied.len() > 1 {
            let inner = denied.into_iter().map(Self::negated).collect();
            denied = join_equalities(inner).into_iter().map(Self::negated).collect();
        }
        parts.append(&mut denied);
        Self::join(parts, false, Self::And)
    }

    /// Joins with `or`. A constant true decides, also against UNKNOWN.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        Self::join(join_equalities(parts), true, Self::Or)
    }

    fn join(mut parts: Vec<Self>, decisive: bool, make: fn(Vec<Self>) -> Self) -> Self {
        if parts.iter().any(|p| matches!(p, Self::Constant(value) if *value == decisive)) {
            return Self::Constant(decisive);
        }
        parts.retain(|p| !matches!(p, Self::Constant(_)));
        // No part can fail or be felt by another: only the time depends on the order.
        parts.sort_by_cached_key(Self::cost);
        match parts.len() {
            0 => Self::Constant(!decisive),
            1 => parts.remove(0),
            _ => make(parts),
        }
    }

    /// Shows the position of each column that is read, perhaps more than once.
    pub(super) fn visit_columns(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Self::Constant(_) => {}
            Self::Not(inner) => inner.visit_columns(visit),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit_columns(visit)),
            Self::Column { source, .. }
            | Self::Computed { source, .. }
            | Self::Moved { source, .. }
            | Self::IsNull { source } => visit(source.column()),
            Self::Json { column, .. }
            | Self::JsonList { column, .. }
            | Self::List { column, .. }
            | Self::Exists { column, .. } => visit(*column),
            Self::Pair { left, right, .. } => {
                visit(*left);
                visit(*right);
            }
        }
    }

    /// How much a row costs, on a scale of its own.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Constant(_) => 0,
            Self::Not(inner) => inner.cost(),
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).max().unwrap_or(0),
            Self::Column { source: Source::Column(_), test } => test.cost(),
            Self::Column { test, .. } => test.cost() + 1,
            Self::Pair { .. } | Self::IsNull { .. } => 1,
            Self::Computed { .. } | Self::Moved { .. } => 2,
            Self::List { .. } => 5,
            Self::Json { .. } | Self::JsonList { .. } | Self::Exists { .. } => 6,
        }
    }

    /// Keys among which every matching row's primary key is; `None` if the predicate does not name them.
    pub(super) fn key_candidates(&self, key_column: usize) -> Option<Keys> {
        match self {
            Self::Column { source: Source::Column(column), test } if *column == key_column => {
                test.named_keys()
            }
            Self::And(parts) => {
                parts.iter().filter_map(|p| p.key_candidates(key_column)).min_by_key(Keys::len)
            }
            Self::Or(parts) => {
                let lists = parts.iter().map(|p| p.key_candidates(key_column));
                union(lists.collect::<Option<_>>()?)
            }
            _ => None,
        }
    }
}

/// All keys of some lists, each once. They are sorted together: list by list it would take quadratic time.
fn union(lists: Vec<Keys>) -> Option<Keys> {
    let mut lists = lists.into_iter();
    let mut all = lists.next()?;
    for list in lists {
        match (&mut all, list) {
            (Keys::Int(all), Keys::Int(list)) => all.extend(list),
            (Keys::Text(all), Keys::Text(list)) => all.extend(list),
            _ => return None,
        }
    }
    match &mut all {
        Keys::Int(keys) => {
            keys.sort_unstable();
            keys.dedup();
        }
        Keys::Text(keys) => {
            keys.sort_unstable();
            keys.dedup();
        }
    }
    Some(all)
}
