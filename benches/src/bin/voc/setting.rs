//! The indexes that are measured, with their parameters and the efforts that searches over them take.

use clap::ValueEnum;
use serde_json::{Value, json};

/// Rows that a list needs at least: fewer lists than asked for are made where there are not as many (`COMPAT.md`).
const ROWS_OF_A_LIST: usize = 39;
/// `nprobe`, as far as there are lists.
const PROBES: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// `ef`.
const POOLS: [usize; 7] = [16, 24, 32, 64, 128, 256, 512];
/// What the classic image-search demo asked of Milvus.
const CLASSIC: (usize, usize) = (2048, 16);

/// Indexes by the names that the command line has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Family {
    /// No index: every row is compared.
    Flat,
    /// Lists around centres.
    IvfFlat,
    /// A graph.
    Hnsw,
}

/// An index, and how hard searches over it try.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Of its collection, and in reports.
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// Whether these are the classic demo's settings, not ours.
    pub(crate) classic: bool,
    /// Of the index, as Milvus calls them.
    pub(crate) params: Value,
    /// Of searches; none: what the server takes by itself.
    pub(crate) efforts: Vec<Option<usize>>,
}

impl Setting {
    /// What is measured for so many rows: all, or one family; with at most so many efforts of each.
    pub(crate) fn all(rows: usize, only: Option<Family>, most: usize) -> Vec<Self> {
        let mut settings = vec![Self::flat(), Self::lists(rows), Self::graph(), Self::classic()];
        settings.retain(|setting| only.is_none_or(|family| family == setting.family));
        for setting in &mut settings {
            setting.efforts.truncate(most);
        }
        settings
    }

    /// Every row is compared: the answers are the right ones.
    pub(crate) fn flat() -> Self {
        Self { name: "flat", family: Family::Flat, classic: false, params: json!({}), efforts: vec![None] }
    }

    /// As many lists as Faiss advises, 4 √rows, where each gets enough rows.
    fn lists(rows: usize) -> Self {
        let most = (rows / ROWS_OF_A_LIST).max(1);
        let lists = ((rows as f64).sqrt() * 4.0).round() as usize;
        let lists = lists.clamp(1, most);
        let probes = PROBES.into_iter().filter(|probes| *probes <= lists).map(Some);
        Self {
            name: "ivf_flat",
            family: Family::IvfFlat,
            classic: false,
            params: json!({"nlist": lists}),
            efforts: std::iter::once(None).chain(probes).collect(),
        }
    }

    fn graph() -> Self {
        Self {
            name: "hnsw",
            family: Family::Hnsw,
            classic: false,
            params: json!({"M": 16, "efConstruction": 200}),
            efforts: std::iter::once(None).chain(POOLS.into_iter().map(Some)).collect(),
        }
    }

    fn classic() -> Self {
        let (lists, probes) = CLASSIC;
        Self {
            name: "ivf_flat_classic",
            family: Family::IvfFlat,
            classic: true,
            params: json!({"nlist": lists}),
            efforts: vec![Some(probes)],
        }
    }

    /// Milvus's name of the index.
    pub(crate) fn index_type(&self) -> &'static str {
        match self.family {
            Family::Flat => "FLAT",
            Family::IvfFlat => "IVF_FLAT",
            Family::Hnsw => "HNSW",
        }
    }

    /// `nprobe` or `ef`.
    pub(crate) fn effort_name(&self) -> Option<&'static str> {
        match self.family {
            Family::Flat => None,
            Family::IvfFlat => Some("nprobe"),
            Family::Hnsw => Some("ef"),
        }
    }

    /// The name of an effort for people.
    pub(crate) fn effort_label(&self, effort: Option<usize>) -> String {
        match (self.effort_name(), effort) {
            (Some(name), Some(effort)) => format!("{name} {effort}"),
            (Some(_), None) => "by itself".into(),
            (None, _) => "every row".into(),
        }
    }

    /// `searchParams` of an effort.
    pub(crate) fn search_params(&self, effort: Option<usize>) -> Value {
        match (self.effort_name(), effort) {
            (Some(name), Some(effort)) => json!({"params": {name: effort}}),
            _ => json!({}),
        }
    }

    /// Whether a search for so many rows may take this effort: `ef` must not be below them, as in Milvus.
    pub(crate) fn may_take(&self, effort: Option<usize>, limit: usize) -> bool {
        self.family != Family::Hnsw || effort.is_none_or(|effort| effort >= limit)
    }

    /// What differs from what was asked for at so many rows, as `COMPAT.md` says it; empty when nothing does.
    pub(crate) fn shortfall(&self, rows: usize) -> String {
        let most = (rows / ROWS_OF_A_LIST).max(1);
        match self.params["nlist"].as_u64() {
            Some(lists) if lists > most as u64 => format!(
                "nlist {lists} was asked for; {rows} rows give at most {most} lists of {ROWS_OF_A_LIST} rows or more"
            ),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_suit_the_rows() {
        let names = |only| Setting::all(17_125, only, 99).iter().map(|s| s.name).collect::<Vec<_>>();
        assert_eq!(names(None), ["flat", "ivf_flat", "hnsw", "ivf_flat_classic"]);
        assert_eq!(names(Some(Family::IvfFlat)), ["ivf_flat", "ivf_flat_classic"]);
        let lists = |rows| Setting::lists(rows).params["nlist"].as_u64();
        assert_eq!([17_125, 850, 12].map(lists), [Some(439), Some(21), Some(1)]);
        assert_eq!(Setting::lists(12).efforts, [None, Some(1)], "no more probes than lists");

        let classic = Setting::classic();
        assert_eq!(
            (&classic.params, classic.search_params(Some(16))),
            (&json!({"nlist": 2048}), json!({"params": {"nprobe": 16}}))
        );
        assert!(classic.shortfall(850).contains("at most 21 lists"));
        assert_eq!(classic.shortfall(100_000), "");
        assert!(!Setting::graph().may_take(Some(64), 101) && Setting::graph().may_take(None, 101));
        assert!(Setting::lists(850).may_take(Some(1), 101));
        assert!(Setting::all(850, None, 2).iter().all(|setting| (1..=2).contains(&setting.efforts.len())));
    }
}
