//! Folders that may be read, and the files in them that may be images. A folder lies below one of the operator's roots
//! after all links are resolved; a link inside it counts only when it leads to a file inside it. What looks like no
//! image is passed over in silence, what looks like one and is none is reported by whoever decodes it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::ApiError;

/// Files with these extensions are taken for images, also those of kinds that can't be decoded: the person who named
/// them so should hear why they are missing.
const EXTENSIONS: [&str; 33] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "svg", "svgz",
    "heic", "heif", "avif", "jxl", "jp2", "j2k", "ico", "psd", "tga", "hdr", "exr", "cr2", "cr3", "nef",
    "arw", "dng", "orf", "rw2", "raf",
];
/// Bytes at the start of a file that tell what it is.
const MAGIC_BYTES: u64 = 64;
/// Folders deeper than this are not entered.
const MAX_DEPTH: usize = 128;

/// A file that may be an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path below the folder, with `/` between the parts.
    pub(super) name: String,
}

/// Something in the folder that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Its path below the folder.
    pub(super) name: String,
    /// Why.
    pub(super) reason: String,
}

/// The absolute path of a folder that a request names: absolute, or relative to one of the roots.
///
/// # Errors
/// 403 when it is outside of the roots, 404 when it is not there, 400 when it is no folder.
pub(super) fn resolve(folder: &str, roots: &[PathBuf]) -> Result<PathBuf, ApiError> {
    if folder.trim().is_empty() || folder.contains('\0') {
        return Err(ApiError::invalid("name the folder to import"));
    }
    if roots.is_empty() {
        return Err(ApiError::forbidden(
            "this server imports no folders: name those it may read with --images or --image-root when you start it",
        ));
    }
    let given = Path::new(folder);
    let places: Vec<PathBuf> = if given.is_absolute() {
        vec![given.to_owned()]
    } else {
        roots.iter().map(|root| root.join(given)).collect()
    };
    let found = places.iter().filter_map(|place| place.canonicalize().ok());
    match found.into_iter().find(|path| is_below(path, roots)) {
        Some(path) if path.is_dir() => Ok(path),
        Some(_) => Err(ApiError::invalid(format!("{folder} is not a folder"))),
        // Outside of the roots nobody learns what is there and what is not.
        None if places.iter().any(|place| is_plain(place) && is_below(place, roots) && !place.exists()) => {
            Err(ApiError::not_found(format!("there is no folder {folder}")))
        }
        None => Err(ApiError::forbidden(format!(
            "{folder} is not below a folder that this server may read (--images, --image-root)"
        ))),
    }
}

fn is_below(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| !matches!(part, Component::ParentDir))
}

/// The files of a folder that may be images, in the order of their names; hidden ones are left out.
///
/// `folder` must be canonical, as [`resolve`] gives it.
pub(super) fn candidates(
    folder: &Path,
) -> impl Iterator<Item = Result<Candidate, Unreadable>> + Send + use<> {
    let root = folder.to_owned();
    WalkDir::new(folder)
        .follow_links(false)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry))
        .filter_map(move |entry| match entry {
            Ok(entry) => candidate(&root, &entry).map(Ok),
            Err(error) => Some(Err(unreadable(&root, &error))),
        })
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn candidate(root: &Path, entry: &DirEntry) -> Option<Candidate> {
    let kind = entry.file_type();
    let path = if kind.is_file() {
        entry.path().to_owned()
    } else if kind.is_symlink() {
        let target = entry.path().canonicalize().ok()?;
        (target.starts_with(root) && target.is_file()).then_some(target)?
    } else {
        return None;
    };
    let may_be_image = has_image_extension(entry.path()) || starts_like_image(&path);
    may_be_image.then(|| Candidate { name: name_below(root, entry.path()), path })
}

fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

fn starts_like_image(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC_BYTES).read_to_end(&mut start));
    read.is_ok() && elanus_embed::sniff(&start).is_some()
}

fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn unreadable(root: &Path, error: &walkdir::Error) -> Unreadable {
    let name = error.path().map(|path| name_below(root, path)).unwrap_or_default();
    let reason =
        error.io_error().map_or_else(|| error.to_string(), |error| format!("it can't be read: {error}"));
    Unreadable { name, reason }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree {
        _temporary: tempfile::TempDir,
        top: PathBuf,
    }

    fn tree(files: &[(&str, &[u8])]) -> Tree {
        let temporary = tempfile::tempdir().unwrap();
        let top = temporary.path().canonicalize().unwrap();
        for (name, content) in files {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Tree { _temporary: temporary, top }
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    fn names(folder: &Path) -> Vec<String> {
        candidates(folder).map(|c| c.unwrap().name).collect()
    }

    #[test]
    fn picks_what_is_named_or_starts_like_an_image() {
        let tree = tree(&[
            ("b/2.JPG", b"not an image, but called one"),
            ("b/1.png", PNG),
            ("a.txt", PNG),
            ("drawing.svg", b"<svg/>"),
            ("phone.heic", b""),
            ("README.md", b"# text"),
            ("Annotations/1.xml", b"<xml/>"),
            ("list.txt", b"1.jpg"),
            (".hidden.jpg", PNG),
            (".git/x.png", PNG),
            ("图片 1.jpeg", b""),
        ]);
        assert_eq!(
            names(&tree.top),
            ["a.txt", "b/1.png", "b/2.JPG", "drawing.svg", "phone.heic", "图片 1.jpeg"]
        );
        let odd = tree.top.join(std::ffi::OsStr::from_bytes(b"caf\xe9.jpg"));
        fs::write(&odd, PNG).unwrap();
        assert!(
            names(&tree.top).contains(&"caf\u{fffd}.jpg".to_owned()),
            "a name that is not UTF-8 is shown as near as can be"
        );
    }

    #[test]
    fn links_count_only_when_they_stay_inside() {
        let tree = tree(&[("in/real.jpg", PNG), ("out/secret.jpg", PNG), ("out/more/x.jpg", PNG)]);
        let inside = tree.top.join("in");
        symlink(inside.join("real.jpg"), inside.join("again.jpg")).unwrap();
        symlink(tree.top.join("out/secret.jpg"), inside.join("stolen.jpg")).unwrap();
        symlink("../out/secret.jpg", inside.join("relative.jpg")).unwrap();
        symlink(tree.top.join("out"), inside.join("folder")).unwrap();
        symlink(&inside, inside.join("loop")).unwrap();
        symlink("nowhere", inside.join("dangling.jpg")).unwrap();
        assert_eq!(names(&inside), ["again.jpg", "real.jpg"]);
    }

    #[test]
    fn folders_lie_below_a_root() {
        let tree = tree(&[("root/photos/a.jpg", PNG), ("other/b.jpg", PNG), ("rootless/c.jpg", PNG)]);
        let root = tree.top.join("root");
        symlink(tree.top.join("other"), root.join("escape")).unwrap();
        symlink(root.join("photos"), root.join("alias")).unwrap();
        let roots = [root.clone()];
        let ask = |folder: &str| resolve(folder, &roots);
        let path = |p: &Path| p.to_str().unwrap().to_owned();
        assert_eq!(ask(&path(&root)).unwrap(), root);
        assert_eq!(ask(&path(&root.join("photos/../photos"))).unwrap(), root.join("photos"));
        assert_eq!(ask("photos").unwrap(), root.join("photos"), "relative to a root");
        assert_eq!(ask("alias").unwrap(), root.join("photos"));

        let status = |folder: &str| ask(folder).unwrap_err().status.as_u16();
        assert_eq!(status("missing"), 404);
        assert_eq!(status("photos/a.jpg"), 400);
        assert_eq!(status(""), 400);
        assert_eq!(status("a\0b"), 400);
        for outside in ["/", "/etc", "/no/such/folder", "..", "../other", "escape", "photos/../../other"] {
            assert_eq!(status(outside), 403, "{outside}");
        }
        // A name that begins like the root's is not below it.
        assert_eq!(status(&path(&tree.top.join("rootless"))), 403);
        assert_eq!(status(&path(&root.join("../other"))), 403);
        assert_eq!(resolve("photos", &[]).unwrap_err().status.as_u16(), 403);
    }

    #[test]
    fn what_can_not_be_entered_is_reported() {
        let tree = tree(&[("a.jpg", PNG)]);
        let missing: Vec<_> = candidates(&tree.top.join("gone")).collect();
        assert!(matches!(&missing[..], [Err(Unreadable { reason, .. })] if reason.contains("can't be read")));
    }
}
