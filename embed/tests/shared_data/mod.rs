//! Where the data lies that is too large or not free enough for the repository: `../shared` beside the repository,
//! or the folder that `ELANUS_SHARED` names. Tests that need it say so and pass where it is absent.

use std::path::PathBuf;

/// A folder or file below the shared folder, or `None` with a line that says which test is skipped.
pub(crate) fn find(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ELANUS_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: {} is not there (set ELANUS_SHARED)", path.display());
    None
}
