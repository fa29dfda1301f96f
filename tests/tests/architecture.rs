//! The rule of the tree, checked against what cargo and the sources say: arrows between crates point down only, and
//! `unsafe` lives in its three rooms.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which crates of the house each crate may depend on (outside its tests).
const ALLOWED: [(&str, &[&str]); 6] = [
    ("elanus-storage", &[]),
    ("elanus-engine", &["elanus-storage"]),
    ("elanus-embed", &[]),
    ("elanus-server", &["elanus-engine", "elanus-embed", "elanus-storage"]),
    ("elanus-benches", &["elanus-engine", "elanus-embed", "elanus-storage", "elanus-server"]),
    ("elanus-tests", &["elanus-engine", "elanus-embed", "elanus-storage", "elanus-server"]),
];

/// What a crate must never see, however it comes: storage and engine know no async and no HTTP, engine no burn.
const FOREIGN: [(&str, &[&str]); 3] = [
    ("elanus-storage", &["tokio", "hyper", "burn", "arrow-array"]),
    ("elanus-engine", &["tokio", "hyper", "axum", "burn", "image"]),
    ("elanus-embed", &["tokio", "hyper", "axum", "arrow-array", "roaring"]),
];

/// The rooms where `unsafe` may appear.
const UNSAFE_ROOMS: [&str; 3] = ["storage/src/mmap.rs", "engine/src/kernel/", "embed/src/kernel/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn arrows_point_down_only() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    assert_eq!(metadata.packages.len(), allowed.len(), "a crate that the rule does not know");
    for package in &metadata.packages {
        let may = allowed[package.name.as_str()];
        let dependencies = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        for dependency in dependencies {
            if dependency.name.starts_with("elanus-") {
                assert!(
                    may.contains(&dependency.name.as_str()),
                    "{} must not know {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

#[test]
fn lower_crates_know_nothing_foreign() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    for (name, foreign) in FOREIGN {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == name).unwrap();
        let known: BTreeSet<_> = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development)
            .map(|d| d.name.as_str())
            .collect();
        for stranger in foreign {
            assert!(!known.contains(stranger), "{name} must not depend on {stranger}");
        }
    }
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let mut offenders = Vec::new();
    for folder in ["storage", "engine", "embed", "server", "benches", "tests"] {
        visit(&root().join(folder), &mut |path, text| {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            let in_room = UNSAFE_ROOMS.iter().any(|room| relative.starts_with(room));
            // Written apart so that this very file does not match.
            let keyword = concat!("uns", "afe ");
            let has =
                text.lines().map(|l| l.split("//").next().unwrap_or("")).any(|code| code.contains(keyword));
            if has && !in_room {
                offenders.push(relative);
            }
        });
    }
    assert!(offenders.is_empty(), "{offenders:?}");
}

fn visit(dir: &Path, found: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if name != "node_modules" && name != ".venv" {
                visit(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
