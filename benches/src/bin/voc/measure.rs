//! One index: recall against the exact answers, and what clients see, for each effort.

use elanus_benches::Result;
use elanus_benches::load::Load;
use serde::Serialize;
use serde_json::Value;

use crate::collection::{Built, Collection, Explained};
use crate::filtered::{self, Filtered};
use crate::options::Scale;
use crate::photos::Rows;
use crate::questions::{DEPTHS, Questions};

/// What so many clients at once saw.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) clients: usize,
    pub(crate) requests: usize,
    pub(crate) qps: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl From<Load> for Seen {
    fn from(load: Load) -> Self {
        let ms = |percent| load.percentile(percent).as_secs_f64() * 1e3;
        Self {
            clients: load.clients,
            requests: load.times.len(),
            qps: load.per_second(),
            p50_ms: ms(50),
            p95_ms: ms(95),
            p99_ms: ms(99),
        }
    }
}

/// One effort.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    /// `nprobe` or `ef`; none: nothing was said.
    pub(crate) effort: Option<usize>,
    pub(crate) label: String,
    /// Of the ten nearest rows; none when there is no other row.
    pub(crate) recall_at_10: Option<f64>,
    /// Of the hundred nearest; none also where the effort is too small to ask for as many.
    pub(crate) recall_at_100: Option<f64>,
    /// How the server searched.
    pub(crate) explained: Explained,
    /// For ten rows, by the number of clients.
    pub(crate) loads: Vec<Seen>,
}

/// Everything about one index.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IndexFigures {
    pub(crate) name: &'static str,
    pub(crate) index_type: &'static str,
    /// Whether these are the classic demo's settings.
    pub(crate) classic: bool,
    pub(crate) params: Value,
    pub(crate) rows: usize,
    pub(crate) built: Built,
    /// What differs from what was asked for, in words; empty when nothing does.
    pub(crate) note: String,
    pub(crate) points: Vec<Point>,
    /// By class; none when nothing is labelled.
    pub(crate) filtered: Option<Filtered>,
}

/// Measures every effort of an index, and searches by class.
///
/// # Errors
/// When the server refuses something.
pub(crate) fn index(
    collection: &Collection<'_>,
    built: Built,
    rows: &Rows<'_>,
    questions: &Questions,
    scale: &Scale,
) -> Result<IndexFigures> {
    let setting = &collection.setting;
    let efforts = setting.efforts.iter();
    let points: Vec<Point> =
        efforts.map(|effort| point(collection, rows, questions, scale, *effort)).collect::<Result<_>>()?;
    let mut notes = vec![setting.shortfall(rows.len())];
    if setting.index_type() != "FLAT" && points.iter().all(|point| point.explained.path == "rows") {
        notes.push(format!(
            "{} rows are too few for an index of this kind: the server compares every row, whatever was asked for",
            rows.len()
        ));
    }
    notes.retain(|note| !note.is_empty());
    Ok(IndexFigures {
        name: setting.name,
        index_type: setting.index_type(),
        classic: setting.classic,
        params: setting.params.clone(),
        rows: rows.len(),
        built,
        note: notes.join("; "),
        points,
        filtered: filtered::measure(collection, rows, questions, scale)?,
    })
}

fn point(
    collection: &Collection<'_>,
    rows: &Rows<'_>,
    questions: &Questions,
    scale: &Scale,
    effort: Option<usize>,
) -> Result<Point> {
    let searches = |k: usize| -> Vec<Vec<u8>> {
        questions.photos.iter().map(|photo| collection.search(*photo, k, effort, None)).collect()
    };
    let recall =
        |searches: &[Vec<u8>], k| recall(collection, rows, (&questions.photos, &questions.best), searches, k);
    let [ten, hundred] = DEPTHS;
    let first = searches(ten);
    let recall_at_10 = recall(&first, ten)?;
    // The photo itself is found, too.
    let deep_enough = collection.setting.may_take(effort, hundred + 1);
    let recall_at_100 = if deep_enough { recall(&searches(hundred), hundred)? } else { None };
    Ok(Point {
        effort,
        label: collection.setting.effort_label(effort),
        recall_at_10,
        recall_at_100,
        explained: collection.explain(questions.photos[0], ten, effort)?,
        loads: loads(collection.address(), &first, scale)?,
    })
}

/// Mean share of the right `k` rows that searches with photos find, beside the best scores of each photo; none when there
/// was nothing to find.
pub(crate) fn recall(
    collection: &Collection<'_>,
    rows: &Rows<'_>,
    (photos, best): (&[usize], &[Vec<f32>]),
    searches: &[Vec<u8>],
    k: usize,
) -> Result<Option<f64>> {
    let mut connection = collection.connect()?;
    let mut shares = Vec::with_capacity(searches.len());
    for ((photo, best), search) in photos.iter().zip(best).zip(searches) {
        let found = collection.found(&mut connection, *photo, search)?;
        shares.extend(rows.recall(*photo, &found, best, k));
    }
    Ok((!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64))
}

/// The same requests from each number of clients.
pub(crate) fn loads(address: &str, requests: &[Vec<u8>], scale: &Scale) -> Result<Vec<Seen>> {
    let seen = |clients: &usize| Ok(Load::run(address, requests, *clients, scale.seconds)?.into());
    scale.clients.iter().map(seen).collect()
}
