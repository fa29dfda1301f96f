//! Terms that ask whether one value is one of some constants, joined: `a == 1 or a == 2 or a in [3, 4]` becomes
//! `a in [1, 2, 3, 4]`, so that the column is read once and not once for each term.

use std::collections::HashMap;
use std::ops::Bound;

use super::ast::Step;
use super::condition::{ColumnTest, NumberTest, TextTest, ValueTest};
use super::number::Number;
use super::predicate::{Predicate, Source};
use super::set::IntegerSet;

/// The terms of an `or`, with those about one value as a single one. What is UNKNOWN for one of these is so for all: a
/// declared value that is null, a value in JSON that is of another type.
pub(super) fn join_equalities(terms: Vec<Predicate>) -> Vec<Predicate> {
    let mut places: HashMap<Subject, usize> = HashMap::new();
    let mut groups: Vec<(Subject, Vec<Predicate>)> = Vec::new();
    let mut joined = Vec::new();
    for term in terms {
        let Some(subject) = Subject::of(&term) else {
            joined.push(term);
            continue;
        };
        let next = groups.len();
        let place = *places.entry(subject.clone()).or_insert(next);
        if place == next {
            groups.push((subject, Vec::new()));
        }
        groups[place].1.push(term);
    }
    for (subject, mut terms) in groups {
        match terms.len() {
            1 => joined.append(&mut terms),
            _ => joined.push(subject.among(terms)),
        }
    }
    joined
}

/// Which value is asked for, and in which type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Declared(Source, Kind),
    Json { column: usize, path: Vec<Step>, counted: bool, kind: Kind },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Integer,
    Single,
    Double,
    Number,
    Text,
}

impl Subject {
    /// That of a term that is an equality or a set; none for any other.
    fn of(term: &Predicate) -> Option<Self> {
        match term {
            Predicate::Column { source, test } => Some(Self::Declared(*source, column_kind(test)?)),
            Predicate::Json { column, path, counted, arithmetic: None, test } => {
                let kind = value_kind(test)?;
                Some(Self::Json { column: *column, path: path.clone(), counted: *counted, kind })
            }
            _ => None,
        }
    }

    /// One term for several about it.
    fn among(self, terms: Vec<Predicate>) -> Predicate {
        let mut members = Members::default();
        terms.into_iter().for_each(|term| members.take(term));
        match self {
            Self::Declared(source, kind) => {
                let test = match kind {
                    Kind::Integer => ColumnTest::IntSet(IntegerSet::new(members.integers)),
                    Kind::Single => ColumnTest::SingleSet(sorted(members.singles, f32::total_cmp)),
                    Kind::Double => ColumnTest::DoubleSet(sorted(members.doubles, f64::total_cmp)),
                    Kind::Number | Kind::Text => ColumnTest::Text(members.texts()),
                };
                Predicate::Column { source, test }
            }
            Self::Json { column, path, counted, kind } => {
                let mut test = ValueTest::default();
                match kind {
                    Kind::Text => test.text = Some(members.texts()),
                    _ => {
                        let numbers = sorted(members.numbers, |a, b| a.compare(*b));
                        test.number = Some(NumberTest::Set(numbers));
                    }
                }
                Predicate::Json { column, path, counted, arithmetic: None, test }
            }
        }
    }
}

fn column_kind(test: &ColumnTest) -> Option<Kind> {
    match test {
        ColumnTest::IntSet(_) => Some(Kind::Integer),
        ColumnTest::IntRange(Some((low, high))) if low == high => Some(Kind::Integer),
        ColumnTest::SingleSet(_) => Some(Kind::Single),
        ColumnTest::SingleRange(low, high) if low == high => Some(Kind::Single),
        ColumnTest::DoubleSet(_) => Some(Kind::Double),
        ColumnTest::DoubleRange(low, high) if low == high => Some(Kind::Double),
        ColumnTest::Text(test) if is_equality(test) => Some(Kind::Text),
        _ => None,
    }
}

fn value_kind(test: &ValueTest) -> Option<Kind> {
    match (&test.number, &test.text, test.boolean) {
        (None, Some(test), None) if is_equality(test) => Some(Kind::Text),
        (Some(NumberTest::Set(_)), None, None) => Some(Kind::Number),
        (Some(NumberTest::Range(range)), None, None) => match (range.low, range.high) {
            (Bound::Included(low), Bound::Included(high)) if low.compare(high).is_eq() => Some(Kind::Number),
            _ => None,
        },
        _ => None,
    }
}

fn is_equality(test: &TextTest) -> bool {
    match test {
        TextTest::Set(_) => true,
        TextTest::Range(Bound::Included(low), Bound::Included(high)) => low == high,
        _ => false,
    }
}

/// The constants of terms of one kind.
#[derive(Default)]
struct Members {
    integers: Vec<i64>,
    singles: Vec<f32>,
    doubles: Vec<f64>,
    numbers: Vec<Number>,
    texts: Vec<String>,
}

impl Members {
    fn take(&mut self, term: Predicate) {
        match term {
            Predicate::Column { test, .. } => match test {
                ColumnTest::IntSet(set) => self.integers.extend_from_slice(set.as_slice()),
                ColumnTest::IntRange(range) => self.integers.extend(range.map(|(value, _)| value)),
                ColumnTest::SingleSet(set) => self.singles.extend(set),
                ColumnTest::SingleRange(value, _) => self.singles.push(value),
                ColumnTest::DoubleSet(set) => self.doubles.extend(set),
                ColumnTest::DoubleRange(value, _) => self.doubles.push(value),
                ColumnTest::Text(test) => self.take_text(test),
                ColumnTest::Bool(_) => {}
            },
            Predicate::Json { test, .. } => {
                match test.number {
                    Some(NumberTest::Set(numbers)) => self.numbers.extend(numbers),
                    Some(NumberTest::Range(range)) => {
                        if let Bound::Included(value) = range.low {
                            self.numbers.push(value);
                        }
                    }
                    None => {}
                }
                if let Some(test) = test.text {
                    self.take_text(test);
                }
            }
            _ => {}
        }
    }

    fn take_text(&mut self, test: TextTest) {
        match test {
            TextTest::Set(texts) => self.texts.extend(texts),
            TextTest::Range(Bound::Included(text), _) => self.texts.push(text),
            _ => {}
        }
    }

    fn texts(self) -> TextTest {
        TextTest::Set(sorted(self.texts, String::cmp))
    }
}

fn sorted<T>(mut values: Vec<T>, compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Vec<T> {
    values.sort_unstable_by(&compare);
    values.dedup_by(|a, b| compare(a, b).is_eq());
    values
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::super::tests::schema;
    use super::*;

    fn predicate(expression: &str) -> Predicate {
        Filter::compile(expression, &schema(true)).unwrap().0.predicate.clone()
    }

    #[test]
    fn equalities_on_one_value_become_one_set() {
        let texts: Vec<String> = (0..500).map(|i| format!("name == 't{i}'")).collect();
        let Predicate::Column { test: ColumnTest::Text(TextTest::Set(set)), .. } =
            predicate(&texts.join(" or "))
        else {
            panic!("no set")
        };
        assert_eq!(set.len(), 500);
        let Predicate::Not(inner) = predicate("name != 'a' and name != 'b' and name not in ['c']") else {
            panic!("no negation")
        };
        assert!(matches!(*inner, Predicate::Column { test: ColumnTest::Text(TextTest::Set(set)), .. }
            if set == ["a", "b", "c"]));
        // Of several values each keeps its own; so do types of a value in JSON.
        let Predicate::Or(parts) = predicate(
            "age == 1 or name == 'a' or age in [2, 3] or j['a'] == 1 or j['a'] == 'x' or j['a'] == 2.5",
        ) else {
            panic!("no or")
        };
        assert_eq!(parts.len(), 4, "{parts:?}");
    }

    #[test]
    fn keys_of_a_long_or_are_sorted_once() {
        // Quadratic, this takes minutes without optimisation.
        let terms: Vec<String> = (0..60_000).map(|i| format!("id=={}", 60_000 - i)).collect();
        let filter = Filter::compile(&terms.join("||"), &schema(true)).unwrap();
        assert_eq!(filter.key_candidates().unwrap().len(), 60_000);
        let mixed: Vec<String> = (0..20_000).map(|i| format!("(id=={i} and age>{i})")).collect();
        let filter = Filter::compile(&mixed.join("||"), &schema(true)).unwrap();
        assert_eq!(filter.key_candidates().unwrap().len(), 20_000);
    }
}
