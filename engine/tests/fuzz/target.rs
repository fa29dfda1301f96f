//! What is changed, and what is done with the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_engine::row::{KeySource, Keys, Projection};
use elanus_engine::{Definition, Engine, EngineOptions, Metric, check};
use elanus_storage::sim::{Random, SimVfs};
use elanus_storage::{Vfs, crc32c, data_dir};

use crate::model::{batch, request, schema};
use crate::mutate::mutate;
use crate::repair;

/// A data directory as its files.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// One kind of file.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Whether a path is of this kind.
    matches: fn(&str) -> bool,
    /// Puts its checksums right.
    repair: fn(&mut [u8]),
}

pub(crate) const TARGETS: [Target; 8] = [
    Target { name: "container", matches: |p| p.ends_with(".vectors"), repair: repair::container },
    Target { name: "deletes", matches: |p| p.ends_with(".deletes"), repair: repair::container },
    Target { name: "keys", matches: |p| p.ends_with(".keys"), repair: repair::container },
    Target { name: "log", matches: |p| p.ends_with(".log"), repair: repair::log },
    Target { name: "manifest", matches: |p| p.ends_with("MANIFEST"), repair: repair::manifest },
    Target { name: "catalog", matches: |p| p.ends_with("catalog"), repair: repair::manifest },
    Target { name: "columns", matches: |p| p.ends_with(".columns"), repair: |_| () },
    Target { name: "stamp", matches: |p| p.ends_with("FORMAT"), repair: |_| () },
];

const ROOT: &str = "data";

fn options() -> EngineOptions {
    EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..EngineOptions::default() }
}

fn open(vfs: &SimVfs) -> Result<Arc<Engine>, String> {
    let data = data_dir::open_on(Arc::new(vfs.clone()), Path::new(ROOT)).map_err(|e| e.to_string())?;
    Engine::open(data, options()).map_err(|e| e.to_string())
}

/// A collection with two segments, dead rows, an unsorted key order and records in the log.
pub(crate) fn corpus() -> Files {
    let vfs = SimVfs::new(1);
    let engine = open(&vfs).unwrap();
    let c = engine.create(Definition::new("c", schema(false)).index("vector", Metric::L2)).unwrap();
    let rows = |range: std::ops::Range<i64>| range.map(|i| ((i * 37) % 101, i)).collect::<Vec<_>>();
    let put = |range| c.insert(batch(&c.schema(), KeySource::Given, &rows(range))).unwrap();
    put(0..40);
    c.flush().unwrap();
    put(30..70);
    c.delete_keys(Keys::Int(vec![3, 5, 37])).unwrap();
    c.flush().unwrap();
    put(60..90);
    c.delete_keys(Keys::Int(vec![74, 11])).unwrap();
    engine.close();
    drop((c, engine));
    vfs.files().into_iter().map(|path| (path.clone(), vfs.read(&path).unwrap())).collect()
}

fn disk(files: &Files) -> SimVfs {
    let vfs = SimVfs::new(2);
    for (path, bytes) in files.iter().filter(|(path, _)| !path.ends_with("LOCK")) {
        vfs.create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = vfs.create(path).unwrap();
        file.write_all(bytes).unwrap();
        file.sync().unwrap();
    }
    vfs
}

/// Changes one file and uses the directory in every way.
pub(crate) fn run(target: &Target, corpus: &Files, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut files = corpus.clone();
    let paths: Vec<PathBuf> =
        files.keys().filter(|p| (target.matches)(&p.to_string_lossy())).cloned().collect();
    let path = paths[random.below(paths.len() as u64) as usize].clone();
    let bytes = files.get_mut(&path).unwrap();
    mutate(bytes, &mut random);
    if random.chance(750) {
        (target.repair)(bytes);
        if target.name == "columns" {
            accept_columns(&mut files, &path);
        }
    }
    let vfs = disk(&files);
    // Errors are answers; only panics and endless loops are findings, and what repair does not put right.
    let _ = examine(&vfs, false);
    if let Ok(engine) = open(&vfs) {
        use_all(&engine);
        engine.close();
    }
    let vfs = disk(&files);
    let Ok(report) = examine(&vfs, true) else { return Ok(()) };
    let engine = open(&vfs).map_err(|e| format!("after repair: {e}"))?;
    match engine.failed().first() {
        Some((name, reason)) if report.is_sound() => {
            Err(format!("repaired, but {name} does not open: {reason}"))
        }
        _ => {
            use_all(&engine);
            Ok(())
        }
    }
}

fn examine(vfs: &SimVfs, repair: bool) -> Result<check::Report, String> {
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let data = data_dir::open_to_examine(vfs, Path::new(ROOT)).map_err(|e| e.to_string())?;
    check::check(&data, repair, &mut |examined| {
        let schema = Arc::new(examined.definition.schema.clone());
        let projection = Projection::resolve::<&str>(&schema, &[])?;
        examined.scan(&projection, &mut |_| Ok(()))
    })
    .map_err(|e| e.to_string())
}

fn use_all(engine: &Engine) {
    for name in engine.names() {
        let Ok(c) = engine.collection(&name) else { continue };
        let Ok(projection) = Projection::resolve(&c.schema(), &["tag", "seed"]) else { continue };
        let _ = c.scan(&projection, &mut |_| Ok(()));
        if c.schema().fields() == schema(false).fields() {
            let _ = c.search(&request(&c, 5, 10, None));
            let _ = c.search(&request(&c, 5, 10, Some("tag == 3 and seed > 5")));
            let _ = c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1), (500, 2)]));
        }
        let _ = c.delete_keys(Keys::Int(vec![1, 2, 3]));
        let _ = c.get(&Keys::Int(vec![7, 8]), &projection);
        let _ = c.flush();
        let _ = c.compact();
        let _ = c.count();
    }
}

/// Makes the manifest expect the columns as they are.
fn accept_columns(files: &mut Files, columns: &Path) {
    let (len, crc) = (files[columns].len(), crc32c(&files[columns]));
    let name = columns.file_stem().unwrap().to_string_lossy().into_owned();
    let id = u64::from_str_radix(&name, 16).unwrap();
    let manifest = files.iter_mut().find(|(path, _)| path.ends_with("MANIFEST")).unwrap().1;
    let mut payload: serde_json::Value = serde_json::from_slice(&manifest[32..]).unwrap();
    for segment in payload["segments"].as_array_mut().unwrap() {
        if segment["id"] == id {
            segment["columns_bytes"] = len.into();
            segment["columns_crc"] = crc.into();
        }
    }
    manifest.truncate(32);
    manifest.extend(serde_json::to_vec(&payload).unwrap());
    repair::manifest(manifest);
}
