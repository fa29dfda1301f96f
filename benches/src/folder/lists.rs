//! `ImageSets/Main/<class>_trainval.txt`: a line for each photo, its id and 1 (shown), -1 (not shown) or 0 (shown, but only
//! where it is difficult to see).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Result;

use super::labels::Labels;

/// Reads the lists of all classes; adds nothing when there are none.
///
/// # Errors
/// When a list can't be read, or a line of it has another form.
pub(super) fn read(voc: &Path, labels: &mut Labels) -> Result<()> {
    let folder = voc.join("ImageSets").join("Main");
    if !folder.is_dir() {
        return Ok(());
    }
    let mut classes: BTreeMap<String, Vec<(&str, PathBuf)>> = BTreeMap::new();
    for path in super::files(&folder)? {
        let Some(name) = path.file_stem().and_then(|s| s.to_str()) else { continue };
        if let Some((class, part)) = name.rsplit_once('_')
            && let Some(part) = ["trainval", "train", "val"].into_iter().find(|known| *known == part)
        {
            classes.entry(class.to_owned()).or_default().push((part, path));
        }
    }
    for (class, lists) in classes {
        let whole = lists.iter().any(|(part, _)| *part == "trainval");
        // The other two hold the same lines.
        for (_, path) in lists.iter().filter(|(part, _)| !whole || *part == "trainval") {
            let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            add(labels, &class, &text).map_err(|reason| format!("{}, {reason}", path.display()))?;
        }
    }
    Ok(())
}

/// Adds the lines of one list.
pub(super) fn add(labels: &mut Labels, class: &str, text: &str) -> Result<(), String> {
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [id, "1"] => {
                labels.looked_at(id).insert(class.to_owned());
            }
            [id, "-1" | "0"] => {
                labels.looked_at(id);
            }
            _ => return Err(format!("line {}: {line:?} is no photo with 1, 0 or -1", number + 1)),
        }
    }
    Ok(())
}
