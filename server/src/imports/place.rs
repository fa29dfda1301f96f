//! Where files to import may lie: below the folder of uploads, and below the operator's folders. What a request names is
//! followed through all links before it is compared.

use std::path::{Component, Path, PathBuf};

/// Longest name of a file in bytes.
const MAX_NAME: usize = 512;

/// The real path of a file that a request names: absolute, or relative to one of the roots, which are canonical.
///
/// # Errors
/// A sentence. Outside of the roots nobody learns what is there and what is not.
pub(super) fn resolve(name: &str, roots: &[PathBuf]) -> Result<PathBuf, String> {
    if name.trim().is_empty() || name.contains('\0') {
        return Err("a file has no name".to_owned());
    }
    if name.len() > MAX_NAME {
        return Err(format!("a file's name has {} bytes, more than {MAX_NAME}", name.len()));
    }
    let given = Path::new(name);
    let places: Vec<PathBuf> = roots.iter().map(|root| root.join(given)).collect();
    let found: Vec<PathBuf> = places.iter().filter_map(|place| place.canonicalize().ok()).collect();
    let plain = |place: &PathBuf| is_plain(place) && is_below(place, roots);
    match found.iter().find(|path| is_below(path, roots)) {
        Some(path) if path.is_file() => Ok(path.clone()),
        Some(_) => Err(format!("{name} is no file")),
        None if found.is_empty() && places.iter().any(plain) => {
            Err(format!("there is no file {name}: upload it with POST /v1/imports/{{name}}"))
        }
        None => Err(format!("{name} is not below a folder that this server imports from (--import-root)")),
    }
}

fn is_below(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| !matches!(part, Component::ParentDir))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_lie_below_a_root_after_all_links() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for name in ["uploads/a.json", "root/deep/b.json", "other/secret.json", "rootless/c.json"] {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "[]").unwrap();
        }
        let root = top.join("root");
        symlink(top.join("other/secret.json"), root.join("stolen.json")).unwrap();
        symlink(top.join("other"), root.join("escape")).unwrap();
        symlink(root.join("deep/b.json"), root.join("alias.json")).unwrap();
        let roots = [top.join("uploads"), root.clone()];
        let ask = |name: &str| resolve(name, &roots);
        let path = |name: &str| top.join(name).to_str().unwrap().to_owned();
        assert_eq!(ask("a.json").unwrap(), top.join("uploads/a.json"));
        assert_eq!(ask("deep/b.json").unwrap(), root.join("deep/b.json"));
        assert_eq!(ask("alias.json").unwrap(), root.join("deep/b.json"));
        assert_eq!(ask(&path("root/deep/b.json")).unwrap(), root.join("deep/b.json"));
        for (name, words) in [
            ("", "no name"),
            ("a\0b.json", "no name"),
            ("deep", "no file"),
            ("missing.json", "there is no file"),
            ("stolen.json", "not below"),
            ("escape/secret.json", "not below"),
            ("../other/secret.json", "not below"),
            ("../missing.json", "not below"),
            ("/etc/passwd", "not below"),
            ("/no/such/file.json", "not below"),
        ] {
            let refused = ask(name).unwrap_err();
            assert!(refused.contains(words), "{name}: {refused}");
        }
        assert_eq!(ask(&format!("{}a.json", "./".repeat(250))).unwrap(), top.join("uploads/a.json"));
        assert!(ask(&format!("{}a.json", "./".repeat(260))).unwrap_err().contains("more than 512"));
        assert!(ask(&path("rootless/c.json")).unwrap_err().contains("not below"));
    }
}
