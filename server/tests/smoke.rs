//! The shipped program from outside: it starts, stores, searches, stops, starts again with everything, and says what
//! is wrong when it cannot start. More about its answers is tested where they are made, and in `tests/`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_elanus");

/// A running program; killed when dropped.
struct Program {
    child: Child,
    /// Kept open: the program must not write into a closed pipe.
    output: BufReader<ChildStdout>,
    url: String,
    admin: String,
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    let addresses = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    command.args(["serve", "--device", "cpu", "--data"]).arg(data).args(addresses);
    command.env("ELANUS_LOG", "warn").stdin(Stdio::null());
    command
}

impl Program {
    fn start(data: &Path) -> Self {
        let mut child = command(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut url, mut admin) = (None, None);
        let mut banner = String::new();
        while url.is_none() || admin.is_none() {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "ended before it listened:\n{banner}");
            if let Some((_, address)) = line.trim().rsplit_once("http://") {
                match address.strip_suffix("/metrics") {
                    Some(address) => admin = Some(format!("http://{address}")),
                    None => url = Some(format!("http://{}", address.trim_end_matches('/'))),
                }
            }
            banner.push_str(&line);
        }
        assert!(banner.contains("cpu") && banner.contains(&data.display().to_string()), "{banner}");
        Self { child, output, url: url.unwrap(), admin: admin.unwrap() }
    }

    fn v2(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/v2/vectordb/{path}", self.url);
        ureq::post(&url).send_json(body).unwrap().body_mut().read_json().unwrap()
    }

    fn ok(&self, path: &str, body: &Value) -> Value {
        let mut answer = self.v2(path, body);
        assert_eq!(answer["code"], 0, "{path}: {answer}");
        answer["data"].take()
    }

    fn terminate(mut self) -> std::process::ExitStatus {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn stores_searches_stops_and_starts_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().canonicalize().unwrap().join("data");
    let program = Program::start(&data);
    program.ok("collections/create", &json!({"collectionName": "c", "dimension": 2, "metricType": "L2"}));
    let rows =
        json!([{"id": 1, "vector": [0, 0], "n": 9_007_199_254_740_993_i64}, {"id": 2, "vector": [3, 4]}]);
    let inserted = program.ok("entities/insert", &json!({"collectionName": "c", "data": rows}));
    assert_eq!(inserted, json!({"insertCount": 2, "insertIds": [1, 2]}));
    let search = json!({"collectionName": "c", "data": [[0, 0]], "outputFields": ["n"]});
    let found =
        json!([{"id": 1, "distance": 0.0, "n": 9_007_199_254_740_993_i64}, {"id": 2, "distance": 25.0}]);
    assert_eq!(program.ok("entities/search", &search), found);
    assert_eq!(program.terminate().code(), Some(0));

    let program = Program::start(&data);
    assert_eq!(program.ok("collections/list", &json!({})), json!(["c"]));
    assert_eq!(program.ok("entities/search", &search), found);
    let answer = program.v2("entities/search", &json!({"collectionName": "nowhere", "data": [[0, 0]]}));
    assert_eq!(answer["code"], 100, "{answer}");
}

#[test]
fn tells_what_it_is_and_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder.path().canonicalize().unwrap().join("data"));
    let status: Value =
        ureq::get(format!("{}/v1/status", program.url)).call().unwrap().body_mut().read_json().unwrap();
    assert_eq!(status["data"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["data"]["defaultCollection"], "images");
    let read = |path: &str| {
        ureq::get(format!("{}/{path}", program.admin)).call().unwrap().body_mut().read_to_string().unwrap()
    };
    assert_eq!(read("healthz"), "OK");
    assert_eq!(read("readyz"), "OK");
    let metrics = read("metrics");
    assert!(
        metrics.contains(r#"elanus_http_requests_total{method="GET",route="/v1/status",status="200"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("elanus_collections 0") && metrics.contains("process_resident_memory_bytes"));
}

#[test]
fn http_details_are_those_of_milvus() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder.path().canonicalize().unwrap().join("data"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let list = format!("{}/v2/vectordb/collections/list", program.url);
    let answer = agent.post(&list).send("{}").unwrap();
    let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(answer.status(), 200);
    assert_eq!(header("access-control-allow-origin"), "*");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert_eq!(agent.get(&list).call().unwrap().status(), 404);
    assert_eq!(agent.options(&list).call().unwrap().status(), 204);
    let mut unknown = agent.post(format!("{list}/more")).send("{}").unwrap();
    assert_eq!(unknown.status(), 404);
    assert_eq!(unknown.body_mut().read_to_string().unwrap(), "404 page not found");
    let mut other = agent.post(&list).header("DB-Name", "elsewhere").send("{}").unwrap();
    let other: Value = other.body_mut().read_json().unwrap();
    assert_eq!(other["code"], 800, "{other}");
    let grpc = agent.post(&program.url).header("Content-Type", "application/grpc").send("").unwrap();
    assert_eq!(grpc.headers().get("grpc-status").unwrap(), "12");
}

#[test]
fn a_second_process_on_the_same_data_or_port_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().canonicalize().unwrap().join("data");
    let program = Program::start(&data);
    let (code, _, words) = run(&mut command(&data));
    assert_eq!(code, Some(1), "{words}");
    assert!(words.lines().count() == 1 && words.contains("another"), "{words}");
    let address = program.url.trim_start_matches("http://");
    let mut second = Command::new(PROGRAM);
    second
        .args(["serve", "--listen", address, "--admin-listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("b"));
    let (code, _, words) = run(second.env("ELANUS_LOG", "warn"));
    assert!(code == Some(1) && words.contains("another program listens there"), "{words}");
}

#[test]
fn a_wrong_command_line_is_explained() {
    let (code, version, _) = run(Command::new(PROGRAM).arg("--version"));
    assert_eq!(code, Some(0));
    for word in ["elanus", env!("CARGO_PKG_VERSION"), "commit", "scalar", "cpu", "cuda"] {
        assert!(version.contains(word), "{word} is not in {version}");
    }
    for wrong in [
        &["serve", "--listen", "nowhere"][..],
        &["serve", "--nonsense"],
        &["serve", "--device", "abacus"],
        &["fly"],
    ] {
        let (code, _, words) = run(Command::new(PROGRAM).args(wrong));
        assert!(code == Some(2) && !words.trim().is_empty(), "{wrong:?}: {code:?} {words}");
    }
}
