//! Examining a data directory that no server uses: the engine's part, the originals of images with the rows that refer to
//! them, and the reductions with the collections that name them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_engine::Result;
use elanus_engine::check::{Examined, Quarantine, Report, Severity, check};
use elanus_storage::{Digest, DiskVfs, Vfs, data_dir};

use crate::images::layout::MODEL_PROPERTY;
use crate::images::{reductions, references};

/// Most missing originals that are told one by one.
const MOST_TOLD: usize = 10;

/// Examines all of it; with `repair` puts right what can be. Blocking.
///
/// # Errors
/// When there is no data directory, a server uses it, or the disk fails. What is wrong with the data is in the report.
pub(crate) fn examine(root: &Path, repair: bool) -> Result<Report> {
    let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
    let data = data_dir::open_to_examine(Arc::clone(&vfs), root)?;
    let (mut wanted, mut reduced) = (Vec::new(), Vec::new());
    let mut report = check(&data, repair, &mut |examined| {
        let name = &examined.definition.name;
        let photos = examined.definition.properties.contains_key(MODEL_PROPERTY);
        wanted.push((name.clone(), photos, contents(examined)?));
        let identity = reductions::of_properties(&examined.definition.properties);
        reduced.extend(identity.as_ref().and_then(reductions::digest).map(|digest| (name.clone(), digest)));
        Ok(())
    })?;
    if let Err(error) = crate::auth::examine(vfs.as_ref(), root) {
        report.add(Severity::Damage, &root.join("auth"), error.to_string(), None);
    }
    let learned = named_by_content(vfs.as_ref(), root, reductions::FOLDER, repair, &mut report)?;
    for (name, digest) in reduced.iter().filter(|(_, digest)| !learned.contains(digest)) {
        let path = path_of(root, reductions::FOLDER, digest);
        let what =
            format!("missing; the vectors of {name} were reduced with it, and no photo can become one");
        report.add(Severity::Missing, &path, what, None);
    }
    let stored = named_by_content(vfs.as_ref(), root, "images", repair, &mut report)?;
    // Other collections may have hashes of their own in a field of that name.
    for (name, _, contents) in wanted.iter().filter(|(_, photos, _)| *photos) {
        let missing: Vec<&Digest> = contents.difference(&stored).collect();
        for digest in missing.iter().take(MOST_TOLD) {
            let path = path_of(root, "images", digest);
            report.add(Severity::Missing, &path, format!("missing; a row of {name} refers to it"), None);
        }
        if missing.len() > MOST_TOLD {
            let what = format!("{} more originals of {name} are missing", missing.len() - MOST_TOLD);
            report.add(Severity::Missing, &root.join("images"), what, None);
        }
    }
    let unused = stored.iter().filter(|digest| !wanted.iter().any(|(_, _, c)| c.contains(*digest))).count();
    if unused > 0 {
        let what = format!("{unused} originals that no row refers to; the server removes them");
        report.add(Severity::Note, &root.join("images"), what, None);
    }
    let unused = learned.iter().filter(|digest| !reduced.iter().any(|(_, other)| other == *digest)).count();
    if unused > 0 {
        let what = format!("{unused} reductions that no collection names; the server removes them");
        report.add(Severity::Note, &root.join(reductions::FOLDER), what, None);
    }
    Ok(report)
}

/// Every content that a row names.
fn contents(examined: &Examined<'_>) -> Result<HashSet<Digest>> {
    let mut contents = HashSet::new();
    if let Some(projection) = references::projection(&examined.definition.schema) {
        examined.scan(&projection, &mut |rows| {
            (0..rows.len).for_each(|row| contents.extend(references::contents(&rows, row)));
            Ok(())
        })?;
    }
    Ok(contents)
}

/// Every file of a folder whose content is what its name says.
fn named_by_content(
    vfs: &dyn Vfs,
    root: &Path,
    folder: &str,
    repair: bool,
    report: &mut Report,
) -> Result<HashSet<Digest>> {
    let mut sound = HashSet::new();
    let files = root.join(folder);
    if !vfs.exists(&files)? {
        return Ok(sound);
    }
    let quarantine = Quarantine::new(vfs, root, repair);
    for below in vfs.list(&files)?.iter().filter(|entry| entry.is_dir) {
        for entry in vfs.list(&files.join(&below.name))? {
            let path = files.join(&below.name).join(&entry.name);
            let Ok(digest) = entry.name.parse::<Digest>() else {
                report.add(Severity::Note, &path, "no file named by its content; a left-over", None);
                continue;
            };
            report.bytes += entry.len;
            if Digest::of(&vfs.read(&path)?) == digest {
                sound.insert(digest);
                continue;
            }
            quarantine.take(&path)?;
            let done = repair.then(|| "moved to the quarantine".to_owned());
            report.add(Severity::Damage, &path, "the content does not match its name", done);
        }
    }
    Ok(sound)
}

fn path_of(root: &Path, folder: &str, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    root.join(folder).join(&name[..2]).join(name)
}
