//! Labels of a folder in the PASCAL VOC layout: which photos show which classes. Only objects marked +1 count;
//! difficult ones (0) are ignored on both sides, as VOC's own evaluation does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Photos with the classes they show.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Classes of each photo, by the photo's id (its file name without `.jpg`).
    pub(crate) classes: BTreeMap<String, BTreeSet<String>>,
}

impl Labels {
    /// Reads `ImageSets/Main/<class>_trainval.txt` below `voc` (the folder that holds `JPEGImages`).
    ///
    /// # Errors
    /// When the folder has no such files, with the path in the message.
    pub(crate) fn read(voc: &Path) -> Result<Self, String> {
        let sets = voc.join("ImageSets").join("Main");
        let entries = std::fs::read_dir(&sets).map_err(|e| format!("{}: {e}", sets.display()))?;
        let mut labels = Self::default();
        for entry in entries {
            let path = entry.map_err(|e| format!("{}: {e}", sets.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(class) = name.strip_suffix("_trainval.txt") else { continue };
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            labels.add(class, &text);
        }
        if labels.classes.is_empty() {
            return Err(format!("{}: no <class>_trainval.txt with labels", sets.display()));
        }
        Ok(labels)
    }

    fn add(&mut self, class: &str, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some(id), Some(value)) = (words.next(), words.next()) {
                let classes = self.classes.entry(id.to_owned()).or_default();
                if value == "1" {
                    classes.insert(class.to_owned());
                }
            }
        }
    }

    /// Whether two photos share a class.
    pub(crate) fn relevant(&self, a: &str, b: &str) -> bool {
        match (self.classes.get(a), self.classes.get(b)) {
            (Some(a), Some(b)) => !a.is_disjoint(b),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficult_objects_count_for_nobody() {
        let mut labels = Labels::default();
        labels.add("cat", "a  1\nb -1\nc  0\nd  1\n");
        labels.add("dog", "a -1\nb  1\nc -1\nd  1\n");
        assert!(labels.relevant("a", "d") && labels.relevant("b", "d"));
        assert!(!labels.relevant("a", "b") && !labels.relevant("a", "c") && !labels.relevant("a", "unknown"));
    }
}
