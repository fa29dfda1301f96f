//! Imports from the request to the stored rows, without HTTP.

use std::time::{Duration, Instant};

use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Definition, EngineOptions};
use elanus_storage::data_dir;

use super::*;

struct Place {
    _folder: tempfile::TempDir,
    config: Config,
    engine: Arc<Engine>,
    imports: Arc<Imports>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: folder.path().join("data"), ..Config::default() };
    let options = EngineOptions { background: false, ..EngineOptions::default() };
    let engine = Engine::open(data_dir::open(&config.data).unwrap(), options).unwrap();
    let fields =
        vec![Field::new("id", DataType::Int64).primary(false), Field::new("v", DataType::FloatVector).dim(2)];
    engine.create(Definition::new("c", Schema::new(fields, true, "").unwrap())).unwrap();
    let imports = Imports::start(&config, &engine).unwrap();
    Place { _folder: folder, config, engine, imports }
}

impl Place {
    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.config.data.join("imports").join(name), text).unwrap();
    }

    fn request(&self, collection: &str, files: &[&str]) -> ImportRequest {
        ImportRequest {
            database: "default".into(),
            collection: collection.into(),
            partition: String::new(),
            files: files.iter().map(|&file| vec![file.to_owned()]).collect(),
        }
    }

    fn import(&self, files: &[&str]) -> Arc<Job> {
        let job = self.imports.create(self.request("c", files)).unwrap();
        let begun = Instant::now();
        while job.state().is_active() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the import never ends");
            std::thread::sleep(Duration::from_millis(5));
        }
        job
    }

    fn count(&self) -> u64 {
        self.engine.collection_in("default", "c").unwrap().count()
    }
}

fn row(id: usize) -> String {
    format!(r#"{{"id":{id},"v":[{id},1.5],"x":{id}}}"#)
}

#[test]
fn rows_of_all_files_are_stored() {
    let place = place();
    place.put("a.json", &format!("[{},{}]", row(1), row(2)));
    place.put("b.jsonl", &(3..3000).map(|id| row(id) + "\n").collect::<String>());
    let view = serde_json::to_value(place.import(&["a.json", "b.jsonl"]).view()).unwrap();
    assert_eq!((view["state"].as_str(), view["progress"].as_u64()), (Some("Completed"), Some(100)), "{view}");
    assert_eq!((view["importedRows"].as_u64(), view["totalRows"].as_u64()), (Some(2999), Some(2999)));
    assert_eq!(view["details"].as_array().unwrap().len(), 2);
    assert_eq!(place.count(), 2999);
    place.imports.close();
    assert!(place.imports.create(place.request("c", &["a.json"])).is_err(), "closed");
}

#[test]
fn a_wrong_row_anywhere_stores_nothing_and_is_named() {
    let place = place();
    place.put("good.json", &format!("[{}]", row(1)));
    for (name, text) in [
        ("dim.jsonl", format!("{}\n{}\n{{\"id\":3,\"v\":[1]}}", row(1), row(2))),
        ("cut.jsonl", format!("{}\n{}\n{{\"id\":3,", row(1), row(2))),
        ("word.jsonl", format!("{}\n{}\n3", row(1), row(2))),
    ] {
        place.put(name, &text);
        let view = serde_json::to_value(place.import(&["good.json", name]).view()).unwrap();
        let reason = view["reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("{name}: ")) && reason.contains("row number: 2"), "{reason}");
        assert_eq!((view["state"].as_str(), view["importedRows"].as_u64()), (Some("Failed"), Some(0)));
        assert_eq!(view["details"][1]["state"], "Failed");
        assert_eq!(place.count(), 0);
    }
}

#[test]
fn what_can_not_be_imported_is_refused_at_once() {
    let place = place();
    place.put("a.json", "[]");
    place.put("a.csv", "1,2");
    let code = |collection: &str, files: &[&str]| {
        place.imports.create(place.request(collection, files)).unwrap_err().code
    };
    assert_eq!(code("unknown", &["a.json"]), 100);
    for files in [&[][..], &["a.csv"], &["missing.json"], &["/etc/passwd"], &["../FORMAT"], &["../x.json"]] {
        assert_eq!(code("c", files), 2100, "{files:?}");
    }
    let nowhere = ImportRequest { partition: "p".into(), ..place.request("c", &["a.json"]) };
    assert_eq!(place.imports.create(nowhere).unwrap_err().code, 200);
    assert_eq!(place.imports.get("7").unwrap_err().code, 2100);
    assert_eq!(place.imports.get("x").unwrap_err().code, 2100);
    assert!(place.imports.list("default", "").is_empty());
}

#[test]
fn too_many_that_wait_are_refused_and_aborted_ones_never_run() {
    let place = place();
    place.put("a.json", &format!("[{}]", row(1)));
    // As if the thread were busy with another one.
    place.imports.table.lock().working = true;
    let create = || place.imports.create(place.request("c", &["a.json"]));
    let jobs: Vec<Arc<Job>> = (0..MAX_QUEUED).map(|_| create().unwrap()).collect();
    assert_eq!(create().unwrap_err().code, code::RATE_LIMIT);
    jobs.iter().for_each(|job| place.imports.abort(job));
    place.imports.table.lock().working = false;
    assert_eq!(place.import(&["a.json"]).state(), State::Completed);
    assert!(jobs.iter().all(|job| job.state() == State::Failed));
    assert_eq!(place.imports.list("default", "c").len(), MAX_QUEUED + 1);
    assert!(place.imports.list("other", "").is_empty());
}
