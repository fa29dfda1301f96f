//! Search iterators of Milvus's second form: each page is a search for what lies behind the last row of the page before.
//!
//! The client sends back the distance of that row, and a token that stays the same. Several rows may be equally far;
//! which of them were given is remembered here for each token, for a limited number of iterators. One that was forgotten,
//! as all are at a restart, goes on with the rows that are strictly farther, as Milvus does.

use std::collections::{HashMap, VecDeque};

use elanus_engine::{Collection, MetricType, SearchHits};
use parking_lot::Mutex;

use super::common::KeyValuePair;
use super::params::{find, is_true};
use super::search::whole;
use super::time;
use super::wire_schema::SearchIteratorV2Results;
use crate::error::ApiError;
use crate::service::search::{Search, vector_field};

/// Iterators that are remembered.
const MOST: usize = 4096;
/// Bytes of a token at most. Those that are given out here are shorter.
const LONGEST_TOKEN: usize = 64;

/// Where iterators are.
#[derive(Debug, Default)]
pub(crate) struct Iterators {
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    begun: u64,
    by_token: HashMap<String, Place>,
    /// In the order in which they began.
    order: VecDeque<String>,
}

/// The end of a page.
#[derive(Debug, Clone, Copy)]
struct Place {
    bound: f32,
    /// Rows as far as that which were given.
    given: usize,
}

impl Iterators {
    fn begin(&self) -> String {
        let mut places = self.places.lock();
        places.begun += 1;
        format!("{:x}-{:x}", time::now(), places.begun)
    }

    fn place(&self, token: &str) -> Option<Place> {
        self.places.lock().by_token.get(token).copied()
    }

    fn put(&self, token: &str, place: Place) {
        let mut places = self.places.lock();
        if places.by_token.insert(token.to_owned(), place).is_none() {
            places.order.push_back(token.to_owned());
        }
        while places.order.len() > MOST {
            if let Some(oldest) = places.order.pop_front() {
                places.by_token.remove(&oldest);
            }
        }
    }
}

fn token(text: &str) -> Result<String, ApiError> {
    match text.len() <= LONGEST_TOKEN {
        true => Ok(text.to_owned()),
        false => {
            Err(ApiError::invalid("search_iter_id is longer than any that was given: invalid parameter"))
        }
    }
}

/// One page of an iterator.
pub(super) struct Iteration<'i> {
    iterators: &'i Iterators,
    /// None for the first page.
    token: Option<String>,
    last_bound: Option<f32>,
    batch: usize,
    /// Rows at the bound that are skipped.
    skipped: usize,
}

impl<'i> Iteration<'i> {
    /// What the parameters of a search say of it; none when it is no page of an iterator of this form.
    ///
    /// # Errors
    /// 1100.
    pub(super) fn read(iterators: &'i Iterators, params: &[KeyValuePair]) -> Result<Option<Self>, ApiError> {
        if !is_true(params, "search_iter_v2") {
            return Ok(None);
        }
        let given = |name: &str| find(params, name).filter(|text| !text.is_empty());
        let bound = |text: &str| {
            let wrong = || {
                ApiError::invalid(format!("search_iter_last_bound [{text}] is no number: invalid parameter"))
            };
            text.trim().parse::<f32>().ok().filter(|bound| !bound.is_nan()).ok_or_else(wrong)
        };
        let batch = given("search_iter_batch_size");
        let batch = batch.map(|text| whole("search_iter_batch_size", text)).transpose()?.unwrap_or(0);
        let batch = usize::try_from(batch).ok().filter(|batch| *batch > 0);
        Ok(Some(Self {
            iterators,
            token: given("search_iter_id").map(token).transpose()?,
            last_bound: given("search_iter_last_bound").map(bound).transpose()?,
            batch: batch.ok_or_else(|| {
                ApiError::invalid("batch size is not set for an iterator: invalid parameter")
            })?,
            skipped: 0,
        }))
    }

    /// Makes a search one for this page.
    ///
    /// # Errors
    /// 1100 where a search cannot be gone through page by page.
    pub(super) fn prepare(&mut self, collection: &Collection, search: &mut Search) -> Result<(), ApiError> {
        if search.offset > 0 || search.params.group_by.is_some() {
            return Err(ApiError::invalid(
                "an iterator can have neither an offset nor a group by field: invalid parameter",
            ));
        }
        let most = elanus_engine::limits::MAX_RESULT_WINDOW;
        search.limit = self.batch.min(most);
        // Pages continue at exact distances.
        search.params.round_decimal = None;
        let Some(bound) = self.last_bound else { return Ok(()) };
        let schema = collection.schema();
        let field = vector_field(&schema, &search.field)?;
        let metric = collection.definition().metric(&field.name).or(search.params.metric);
        let similarity = metric.unwrap_or_else(|| MetricType::default_of(field.data_type)).is_similarity();
        let remembered = self.token.as_deref().and_then(|token| self.iterators.place(token));
        let (inner, skipped) = match remembered.filter(|place| place.bound == bound) {
            Some(place) => (bound, place.given),
            None if similarity => (bound.next_down(), 0),
            None => (bound.next_up(), 0),
        };
        let outer = if similarity { f32::NEG_INFINITY } else { f32::INFINITY };
        search.params.radius = Some(search.params.radius.unwrap_or(outer));
        search.params.range_filter = Some(inner);
        self.skipped = skipped;
        search.offset = skipped;
        if skipped + search.limit > most {
            return Err(ApiError::invalid(format!(
                "{skipped} rows are equally far: an iterator goes through at most {most} such rows: invalid parameter"
            )));
        }
        Ok(())
    }

    /// Where this page ends.
    pub(super) fn page(self, hits: &SearchHits) -> SearchIteratorV2Results {
        let token = self.token.unwrap_or_else(|| self.iterators.begin());
        let Some(&bound) = hits.scores.last() else {
            return SearchIteratorV2Results { token, last_bound: self.last_bound.unwrap_or(0.0) };
        };
        let here = hits.scores.iter().rev().take_while(|score| **score == bound).count();
        let before = if self.last_bound == Some(bound) { self.skipped } else { 0 };
        self.iterators.put(&token, Place { bound, given: here + before });
        SearchIteratorV2Results { token, last_bound: bound }
    }
}
