//! A folder in the PASCAL VOC layout: the photos in `JPEGImages`, and what they show by `ImageSets/Main` or, where there
//! are no such lists, by `Annotations`. Also says whether the photos can be VOC's own.

mod annotation;
mod labels;
mod lists;
mod origin;

use std::path::{Path, PathBuf};

pub use labels::{Labels, Source, relevant};
pub use origin::Origin;

use crate::Result;

/// The folder that holds the photos.
const IMAGES: &str = "JPEGImages";

/// A folder, read.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Ids of the photos, in order: names of the `.jpg` and `.jpeg` files without that ending.
    pub ids: Vec<String>,
    /// The file of each.
    files: Vec<PathBuf>,
    /// Bytes of these files.
    pub bytes: u64,
    /// What they show.
    pub labels: Labels,
    /// Files in `Annotations`.
    pub annotations: usize,
    /// Whose photos they are.
    pub origin: Origin,
}

impl Folder {
    /// Reads names and labels; no photo is opened.
    ///
    /// # Errors
    /// When the folder is not there, has no `JPEGImages`, no photo in it, or label files that are damaged: with the path.
    pub fn read(path: &Path) -> Result<Self> {
        // The server needs an absolute path, and messages are clearer with one.
        let path = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
        let images = path.join(IMAGES);
        if !images.is_dir() {
            return Err(no_images(&path).into());
        }
        let (mut photos, mut bytes) = (Vec::new(), 0);
        for file in files(&images)? {
            if let Some(id) = id(&file, &["jpg", "jpeg"]) {
                bytes += file.metadata().map_err(|e| format!("{}: {e}", file.display()))?.len();
                photos.push((id, file));
            }
        }
        photos.sort_unstable();
        let (ids, files): (Vec<String>, Vec<PathBuf>) = photos.into_iter().unzip();
        if ids.is_empty() {
            return Err(format!("{}: there is no .jpg file in it", images.display()).into());
        }
        let annotations = annotation::files(&path)?;
        let labels = labels::read(&path, &annotations)?;
        let origin = Origin::of(&ids, &labels);
        Ok(Self { ids, files, bytes, labels, annotations: annotations.len(), origin, path })
    }

    /// Ids and files of those photos that somebody labelled, at most so many.
    pub fn labelled(&self, most: usize) -> (Vec<String>, Vec<PathBuf>) {
        let photos = self.ids.iter().zip(&self.files);
        let labelled = photos.filter(|(id, _)| self.labels.of(id).is_some()).take(most);
        labelled.map(|(id, file)| (id.clone(), file.clone())).unzip()
    }

    /// The folder of the photos.
    pub fn images(&self) -> PathBuf {
        self.path.join(IMAGES)
    }
}

fn no_images(path: &Path) -> String {
    let mut hint = String::new();
    for below in ["VOC2012", "VOCdevkit/VOC2012"].map(|below| path.join(below)) {
        if below.join(IMAGES).is_dir() {
            hint = format!("; {} has one", below.display());
        }
    }
    format!(
        "{}: has no folder {IMAGES}{hint}: name the folder that holds {IMAGES}, Annotations and ImageSets",
        path.display()
    )
}

/// Files and folders in a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(broken)?;
    Ok(entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(broken)?)
}

/// The name of a file without its ending, if that is one of these in any case.
fn id(file: &Path, endings: &[&str]) -> Option<String> {
    let ending = file.extension()?.to_str()?;
    let fits = endings.iter().any(|wanted| ending.eq_ignore_ascii_case(wanted));
    (fits && file.is_file()).then(|| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()))?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const CAT: &str = "<annotation><object><name>cat</name><difficult>0</difficult></object></annotation>";

    #[test]
    fn lists_of_classes_come_before_annotations() {
        let folder = tree(&[
            ("JPEGImages/b.jpg", "12"),
            ("JPEGImages/a.JPG", "345"),
            ("JPEGImages/notes.txt", ""),
            ("Annotations/a.xml", CAT),
            ("ImageSets/Main/dog_trainval.txt", "a  1\nb -1\n"),
            ("ImageSets/Main/dog_train.txt", "b  1\n"),
            ("ImageSets/Main/trainval.txt", "a\nb\n"),
        ]);
        let read = Folder::read(folder.path()).unwrap();
        assert_eq!(
            (&read.ids[..], read.bytes, read.annotations),
            (&["a".to_owned(), "b".to_owned()][..], 5, 1)
        );
        assert_eq!(read.labelled(1).1, [read.images().join("a.JPG")], "whatever the ending");
        assert_eq!(read.labels.source, Source::ClassLists);
        assert_eq!(read.labels.names(), ["dog"]);
        assert!(read.labels.shows("a", "dog") && !read.labels.shows("b", "dog"));
        assert_eq!(read.origin, Origin::StandIn);
    }

    #[test]
    fn what_is_missing_is_made_up_for_or_told() {
        let photo = ("JPEGImages/a.jpg", "");
        let folder =
            tree(&[photo, ("ImageSets/Main/cat_train.txt", "a 1"), ("ImageSets/Main/cat_val.txt", "b 1")]);
        let labels = Folder::read(folder.path()).unwrap().labels;
        assert!(labels.shows("a", "cat") && labels.shows("b", "cat"), "train and val stand for trainval");

        let labels = Folder::read(tree(&[photo, ("Annotations/a.xml", CAT)]).path()).unwrap().labels;
        assert!(labels.source == Source::Annotations && labels.shows("a", "cat"));

        let labels = Folder::read(tree(&[photo]).path()).unwrap().labels;
        assert!(labels.source == Source::Nothing && labels.names().is_empty());

        let told = |files: &[(&str, &str)], words: &str| {
            let error = Folder::read(tree(files).path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        told(&[("VOC2012/JPEGImages/a.jpg", "")], "VOC2012 has one");
        told(&[("JPEGImages/readme.txt", "")], "there is no .jpg file");
        told(&[photo, ("ImageSets/Main/cat_trainval.txt", "a 1\nb yes\n")], "cat_trainval.txt, line 2");
        told(&[photo, ("Annotations/a.xml", "<annotation>")], "a.xml");
        assert!(
            Folder::read(Path::new("/no/such folder")).unwrap_err().to_string().contains("/no/such folder")
        );
    }
}
