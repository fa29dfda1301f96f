//! `Annotations/<id>.xml`: the objects of a photo, each with its class and whether it is difficult to see.

use std::path::{Path, PathBuf};

use crate::Result;
use roxmltree::{Document, Node, ParsingOptions};

use super::labels::Labels;

/// The annotations of a folder; none where it has no such folder.
pub(super) fn files(voc: &Path) -> Result<Vec<PathBuf>> {
    let folder = voc.join("Annotations");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    Ok(super::files(&folder)?.into_iter().filter(|file| super::id(file, &["xml"]).is_some()).collect())
}

/// Adds what the annotations tell.
///
/// # Errors
/// When one is damaged, with its path.
pub(super) fn read(files: &[PathBuf], labels: &mut Labels) -> Result<()> {
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let classes = classes(&text).map_err(|reason| format!("{}: {reason}", file.display()))?;
        if let Some(id) = super::id(file, &["xml"]) {
            labels.looked_at(&id).extend(classes);
        }
    }
    Ok(())
}

/// The classes of objects that are not difficult.
fn classes(text: &str) -> Result<Vec<String>, roxmltree::Error> {
    // LabelMe and its kin begin their files with a document type.
    let document =
        Document::parse_with_options(text, ParsingOptions { allow_dtd: true, ..Default::default() })?;
    let objects = document.root_element().children().filter(|node| node.has_tag_name("object"));
    let plain = objects.filter(|object| said(*object, "difficult").is_none_or(|value| value != "1"));
    Ok(plain.filter_map(|object| said(object, "name")).map(str::to_owned).collect())
}

/// The text of a child.
fn said<'a>(object: Node<'a, '_>, name: &str) -> Option<&'a str> {
    object.children().find(|child| child.has_tag_name(name))?.text().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_object_are_no_objects() {
        let text = "<annotation><source><name>x</name></source>\
            <object><part><name>head</name></part><name> person </name><difficult>0</difficult></object>\
            <object><name>dog</name><difficult>1</difficult></object><object><name>cat</name></object></annotation>";
        assert_eq!(classes(text).unwrap(), ["person", "cat"]);
        assert!(classes("<annotation").is_err());
    }
}
