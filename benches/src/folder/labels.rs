//! Which photos show which classes. Only objects marked +1 count; difficult ones (0) are ignored on both sides, as VOC's
//! own evaluation does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::Result;
use serde::Serialize;

use super::{annotation, lists};

/// Where labels come from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `ImageSets/Main/<class>_trainval.txt`, or `_train` and `_val`.
    ClassLists,
    /// `Annotations/<id>.xml`: there are no lists.
    Annotations,
    /// There is neither.
    #[default]
    Nothing,
}

/// Photos with the classes they show. A photo that nobody labelled is not in it.
#[derive(Debug, Default)]
pub struct Labels {
    /// Where they come from.
    pub source: Source,
    photos: BTreeMap<String, BTreeSet<String>>,
}

/// Reads the labels of a folder.
///
/// # Errors
/// When a file of labels is damaged, with its path and what is wrong.
pub(super) fn read(voc: &Path, annotations: &[PathBuf]) -> Result<Labels> {
    let mut labels = Labels::default();
    lists::read(voc, &mut labels)?;
    if !labels.photos.is_empty() {
        labels.source = Source::ClassLists;
        return Ok(labels);
    }
    annotation::read(annotations, &mut labels)?;
    if !labels.photos.is_empty() {
        labels.source = Source::Annotations;
    }
    Ok(labels)
}

impl Labels {
    /// Somebody looked at the photo.
    pub(super) fn looked_at(&mut self, id: &str) -> &mut BTreeSet<String> {
        self.photos.entry(id.to_owned()).or_default()
    }

    /// The classes that a photo shows; none when nobody labelled it.
    pub fn of(&self, id: &str) -> Option<&BTreeSet<String>> {
        self.photos.get(id)
    }

    /// Whether a photo shows a class.
    pub fn shows(&self, id: &str, class: &str) -> bool {
        self.of(id).is_some_and(|classes| classes.contains(class))
    }

    /// All classes that a photo shows, in order.
    pub fn names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.photos.values().flatten().map(String::as_str).collect();
        names.into_iter().collect()
    }

    /// How many photos show a class.
    pub fn count(&self, class: &str) -> usize {
        self.photos.values().filter(|classes| classes.contains(class)).count()
    }

    /// For each photo one bit for each class that it shows.
    ///
    /// # Errors
    /// When there are more than 64 classes.
    pub fn bits(&self, ids: &[String]) -> Result<Vec<u64>> {
        let names = self.names();
        if names.len() > 64 {
            return Err(format!("{} classes, and at most 64 can be compared", names.len()).into());
        }
        let bit = |id: &str, place: usize, class: &str| u64::from(self.shows(id, class)) << place;
        let of_one = |id: &String| names.iter().enumerate().map(|(place, class)| bit(id, place, class)).sum();
        Ok(ids.iter().map(of_one).collect())
    }

    /// How many photos are labelled.
    pub fn photos(&self) -> usize {
        self.photos.len()
    }
}

/// Whether two photos with these classes are relevant to each other: they share one.
pub fn relevant(a: Option<&BTreeSet<String>>, b: Option<&BTreeSet<String>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if !a.is_disjoint(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficult_objects_count_for_nobody() {
        let mut labels = Labels::default();
        lists::add(&mut labels, "cat", "a  1\nb -1\nc  0\nd  1\n").unwrap();
        lists::add(&mut labels, "dog", "a -1\nb  1\nc -1\nd  1\n").unwrap();
        let relevant = |a, b| relevant(labels.of(a), labels.of(b));
        assert!(relevant("a", "d") && relevant("b", "d"));
        assert!(!relevant("a", "b") && !relevant("a", "c") && !relevant("a", "unknown"));
        assert!(labels.of("c").is_some_and(BTreeSet::is_empty) && labels.of("unknown").is_none());
        assert_eq!((labels.photos(), labels.count("dog"), labels.names()), (4, 2, vec!["cat", "dog"]));
        assert_eq!(labels.bits(&["a", "b", "c", "d"].map(str::to_owned)).unwrap(), [1, 2, 0, 3]);
    }
}
