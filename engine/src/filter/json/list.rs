//! Arrays inside JSON text: their items, how many there are, and whether they equal or hold constants.

use super::super::constant::Constant;
use super::super::number::Number;
use super::{JsonValue, next_item, opened, read, skip_value};

/// The items of an array; `None` if the text is no array.
pub(in super::super) fn items(array: &str) -> Option<impl Iterator<Item = &str>> {
    let bytes = array.as_bytes();
    let mut next = opened(bytes, b'[');
    next?;
    Some(std::iter::from_fn(move || {
        let start = next?;
        let end = skip_value(bytes, start);
        next = next_item(bytes, end);
        array.get(start..end).filter(|item| !item.is_empty())
    }))
}

/// Number of items; `None` if the text is no array.
pub(in super::super) fn count(array: &str) -> Option<usize> {
    items(array).map(Iterator::count)
}

/// Whether a JSON value equals a constant: numbers as numbers, arrays item by item.
pub(in super::super) fn same(json: &str, constant: &Constant) -> bool {
    if let Constant::List(list) = constant {
        return same_list(json, list) == Some(true);
    }
    match (read(json), constant) {
        (Some(JsonValue::Bool(value)), Constant::Bool(other)) => value == *other,
        (Some(JsonValue::Text(value)), Constant::Text(other)) => value == other.as_str(),
        (Some(JsonValue::Number(value)), other) => {
            other.number().is_some_and(|number| number.compare(value).is_eq())
        }
        _ => false,
    }
}

/// Whether a JSON array is this list; `None` if the text is no array.
pub(in super::super) fn same_list(json: &str, list: &[Constant]) -> Option<bool> {
    let mut items = items(json)?;
    let equal = list.iter().all(|constant| items.next().is_some_and(|item| same(item, constant)));
    Some(equal && items.next().is_none())
}

/// Constants of any kind, to be looked for among the items of arrays.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct ValueSet {
    /// Sorted.
    numbers: Vec<Number>,
    /// Sorted.
    texts: Vec<String>,
    /// Sorted.
    booleans: Vec<bool>,
    lists: Vec<Vec<Constant>>,
}

impl ValueSet {
    /// Without repetitions (but of lists).
    pub(in super::super) fn new(constants: Vec<Constant>) -> Self {
        let mut set = Self::default();
        for constant in constants {
            match constant {
                Constant::Bool(value) => set.booleans.push(value),
                Constant::Text(text) => set.texts.push(text),
                Constant::List(list) => set.lists.push(list),
                other => set.numbers.extend(other.number()),
            }
        }
        set.numbers.sort_by(|a, b| a.compare(*b));
        set.numbers.dedup_by(|a, b| a.compare(*b).is_eq());
        set.texts.sort_unstable();
        set.texts.dedup();
        set.booleans.sort_unstable();
        set.booleans.dedup();
        set
    }

    fn len(&self) -> usize {
        self.numbers.len() + self.texts.len() + self.booleans.len() + self.lists.len()
    }

    /// Whether an item of the array is in the set; `None` if the text is no array.
    pub(in super::super) fn any_in(&self, array: &str) -> Option<bool> {
        Some(
            items(array)?.any(|item| self.position(item).is_some() || self.lists_like(item).next().is_some()),
        )
    }

    /// Whether every member is an item of the array; `None` if the text is no array.
    pub(in super::super) fn all_in(&self, array: &str) -> Option<bool> {
        let mut missing = self.len();
        let mut seen = vec![false; missing];
        let mut note = |position: usize| {
            if let Some(seen) = seen.get_mut(position)
                && !std::mem::replace(seen, true)
            {
                missing -= 1;
            }
        };
        for item in items(array)? {
            if let Some(position) = self.position(item) {
                note(position);
            }
            self.lists_like(item).for_each(&mut note);
        }
        Some(missing == 0)
    }

    /// Position of a scalar, counting through all kinds.
    fn position(&self, item: &str) -> Option<usize> {
        match read(item)? {
            JsonValue::Number(value) => self.numbers.binary_search_by(|n| n.compare(value)).ok(),
            JsonValue::Text(text) => {
                let found = self.texts.binary_search_by(|t| t.as_str().cmp(&text)).ok()?;
                Some(self.numbers.len() + found)
            }
            JsonValue::Bool(value) => {
                let found = self.booleans.binary_search(&value).ok()?;
                Some(self.numbers.len() + self.texts.len() + found)
            }
            JsonValue::Null | JsonValue::Container => None,
        }
    }

    /// Positions of the lists that an array equals.
    fn lists_like(&self, item: &str) -> impl Iterator<Item = usize> {
        let before = self.numbers.len() + self.texts.len() + self.booleans.len();
        let lists = if item.starts_with('[') { self.lists.as_slice() } else { &[] };
        lists
            .iter()
            .enumerate()
            .filter(move |(_, list)| same_list(item, list) == Some(true))
            .map(move |(position, _)| before + position)
    }
}
