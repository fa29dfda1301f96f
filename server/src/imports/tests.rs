//! Imports from the request to the stored rows, without HTTP.

use std::time::{Duration, Instant};

use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Definition, EngineOptions};
use elanus_storage::data_dir;

use super::*;

pub(super) struct Place {
    _folder: tempfile::TempDir,
    config: Config,
    pub(super) engine: Arc<Engine>,
    imports: Arc<Imports>,
}

/// A server's imports into a collection `c`.
pub(super) fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: folder.path().join("data"), ..Config::default() };
    let options = EngineOptions { background: false, ..EngineOptions::default() };
    let engine = Engine::open(data_dir::open(&config.data).unwrap(), options).unwrap();
    let imports = Imports::start(&config, &engine).unwrap();
    let place = Place { _folder: folder, config, engine, imports };
    place.create("c");
    place
}

impl Place {
    fn create(&self, name: &str) {
        let id = Field::new("id", DataType::Int64).primary(false);
        let schema = Schema::new(vec![id, Field::new("v", DataType::FloatVector).dim(2)], true, "").unwrap();
        self.engine.create(Definition::new(name, schema)).unwrap();
    }

    /// As if the thread were busy with another job.
    fn hold(&self) {
        self.imports.table.lock().working = true;
    }

    /// The thread goes on with a job that waits.
    fn go_on(&self, job: &Job) {
        let mut table = self.imports.table.lock();
        table.working = false;
        self.imports.schedule(&mut table).unwrap();
        drop(table);
        self.wait(job);
    }

    /// A job that waits.
    pub(super) fn waiting(&self, collection: &str, files: &[&str]) -> Arc<Job> {
        self.hold();
        self.imports.create(self.request(collection, files)).unwrap()
    }

    fn upload(&self, name: &str, text: &'static str) -> Result<u64, ApiError> {
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        sender.try_send(Piece::Bytes(text.into())).unwrap();
        sender.try_send(Piece::End).unwrap();
        self.imports.receive(name, None, pieces)
    }

    pub(super) fn put(&self, name: &str, text: &str) {
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
        self.wait(&job);
        job
    }

    fn wait(&self, job: &Job) {
        let begun = Instant::now();
        while job.state().is_active() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the import never ends");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn count(&self) -> u64 {
        self.count_of("c")
    }

    fn count_of(&self, name: &str) -> u64 {
        self.engine.collection_in("default", name).unwrap().count()
    }
}

pub(super) fn row(id: usize) -> String {
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
    assert!(place.imports.list("default", None).is_empty());
    let long = "./".repeat(300) + "a.json";
    assert_eq!(code("c", &[&long]), 2100);
    // Many names, each of them short enough.
    let name = "./".repeat(200) + "a.json";
    assert_eq!(code("c", &vec![name.as_str(); 700]), 2100);
    assert!(place.imports.create(place.request("c", &vec![name.as_str(); 600])).is_ok());
}

#[test]
fn rows_go_where_the_name_led_when_the_import_was_asked_for() {
    let place = place();
    place.create("other");
    place.put("a.json", &format!("[{}]", row(1)));
    place.engine.set_alias("default", "c", "now", false).unwrap();
    let job = place.waiting("now", &["a.json"]);
    assert_eq!((job.database(), job.collection()), ("default", "c"));
    place.engine.set_alias("default", "other", "now", true).unwrap();
    place.go_on(&job);
    assert_eq!(job.state(), State::Completed);
    assert_eq!((place.count_of("c"), place.count_of("other")), (1, 0));
    let id = |name: &str| place.engine.collection_in("default", name).unwrap().id();
    assert_eq!(place.imports.list("default", Some(id("c"))).len(), 1, "found by the collection's own name");
    assert!(place.imports.list("default", Some(id("now"))).is_empty());
}

#[test]
fn a_collection_that_takes_the_name_of_another_one_gets_none_of_its_rows() {
    let place = place();
    place.put("a.json", &format!("[{}]", row(1)));
    let job = place.waiting("c", &["a.json"]);
    place.engine.drop_collection("c").unwrap();
    place.create("c");
    place.go_on(&job);
    let view = serde_json::to_value(job.view()).unwrap();
    let reason = view["reason"].as_str().unwrap();
    assert!(reason.contains("not the collection any more"), "{reason}");
    assert_eq!(place.count(), 0);
}

#[test]
fn uploaded_files_stay_as_they_are_while_an_import_names_them() {
    let place = place();
    assert_eq!(place.upload("a.json", "[]"), Ok(2));
    let job = place.waiting("c", &["./a.json"]);
    for refused in [place.upload("a.json", "[{}]").unwrap_err(), place.imports.remove("a.json").unwrap_err()]
    {
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.message);
    }
    assert_eq!(place.upload("b.json", "[]"), Ok(2), "others may be");
    place.go_on(&job);
    assert_eq!(job.state(), State::Completed);
    assert_eq!(place.upload("a.json", "[ ]"), Ok(3));
    assert_eq!(place.imports.remove("a.json"), Ok(true));
}

#[test]
fn a_file_that_an_import_begins_to_name_while_it_is_uploaded_is_not_replaced() {
    let place = place();
    place.put("a.json", &format!("[{}]", row(1)));
    let (sender, pieces) = tokio::sync::mpsc::channel(2);
    sender.try_send(Piece::Bytes("[]".into())).unwrap();
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| place.imports.receive("a.json", None, pieces));
        // The first piece has been taken, so the upload is under way.
        while sender.capacity() < 2 {
            std::thread::yield_now();
        }
        let job = place.waiting("c", &["a.json"]);
        sender.blocking_send(Piece::End).unwrap();
        assert_eq!(upload.join().unwrap().unwrap_err().status, StatusCode::CONFLICT);
        place.go_on(&job);
    });
    assert_eq!(place.count(), 1);
}

#[test]
fn what_ended_jobs_take_is_bounded() {
    let place = place();
    place.put("a.json", "[]");
    let name = "./".repeat(200) + "a.json";
    let names = vec![name.as_str(); 600];
    for _ in 0..100 {
        place.imports.abort(&place.waiting("c", &names));
    }
    place.imports.abort(&place.waiting("c", &["a.json"]));
    let kept: usize = place.imports.table.lock().jobs.values().map(|job| job.bytes()).sum();
    assert!(kept <= MAX_ENDED_BYTES + MAX_NAMES + 1000, "{kept}");
    assert!(place.imports.list("default", None).len() > 50);
}

#[test]
fn too_many_that_wait_are_refused_and_aborted_ones_never_run() {
    let place = place();
    place.put("a.json", &format!("[{}]", row(1)));
    place.hold();
    let create = || place.imports.create(place.request("c", &["a.json"]));
    let jobs: Vec<Arc<Job>> = (0..MAX_QUEUED).map(|_| create().unwrap()).collect();
    assert_eq!(create().unwrap_err().code, code::RATE_LIMIT);
    jobs.iter().for_each(|job| place.imports.abort(job));
    place.imports.table.lock().working = false;
    assert_eq!(place.import(&["a.json"]).state(), State::Completed);
    assert!(jobs.iter().all(|job| job.state() == State::Failed));
    assert_eq!(place.imports.list("default", None).len(), MAX_QUEUED + 1);
    assert!(place.imports.list("other", None).is_empty());
}
