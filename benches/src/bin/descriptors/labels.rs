//! Which photos there are and which classes they show. Only objects marked +1 count; difficult ones (0) are ignored on both
//! sides, as VOC's own evaluation does.

use std::collections::BTreeMap;
use std::path::Path;

use elanus_benches::Result;

/// Photos in the order of their names, with their classes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// File names without `.jpg`.
    pub(crate) photos: Vec<String>,
    /// For each photo one bit for each class that it shows.
    pub(crate) classes: Vec<u64>,
}

impl Labels {
    /// Reads `ImageSets/Main/<class>_trainval.txt` below `voc`, of at most so many photos.
    ///
    /// # Errors
    /// When there are no such files, or more than 64, with the path in the message.
    pub(crate) fn read(voc: &Path, most: usize) -> Result<Self> {
        let sets = voc.join("ImageSets").join("Main");
        let failed = |error: std::io::Error| format!("{}: {error}", sets.display());
        let mut classes = Vec::new();
        for entry in std::fs::read_dir(&sets).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("_trainval.txt")) {
                classes.push(std::fs::read_to_string(&path).map_err(failed)?);
            }
        }
        match classes.len() {
            0 => Err(format!("{}: no <class>_trainval.txt with labels", sets.display()).into()),
            65.. => Err(format!("{}: more than 64 classes", sets.display()).into()),
            _ => Ok(Self::of(&classes, most)),
        }
    }

    /// From the texts of the files, one for each class.
    fn of(classes: &[String], most: usize) -> Self {
        let mut shown: BTreeMap<&str, u64> = BTreeMap::new();
        for (class, text) in classes.iter().enumerate() {
            for line in text.lines() {
                let mut words = line.split_whitespace();
                if let (Some(photo), Some(value)) = (words.next(), words.next()) {
                    *shown.entry(photo).or_default() |= u64::from(value == "1") << class;
                }
            }
        }
        let (photos, classes) =
            shown.into_iter().take(most).map(|(photo, classes)| (photo.to_owned(), classes)).unzip();
        Self { photos, classes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plus_one_counts() {
        let texts = ["b 1\na  1\nc -1\nd  0\n", "a -1\nb  1\nc -1\nd  1\n"].map(str::to_owned);
        let labels = Labels::of(&texts, 9);
        assert_eq!(
            labels,
            Labels { photos: ["a", "b", "c", "d"].map(str::to_owned).into(), classes: vec![1, 3, 0, 2] }
        );
        assert_eq!(Labels::of(&texts, 2).classes, [1, 3]);
    }
}
