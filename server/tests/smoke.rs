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
        Self::started(&mut command(data), data)
    }

    fn started(command: &mut Command, data: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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
fn requests_are_what_the_openapi_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder.path().canonicalize().unwrap().join("data"));
    let read = |path: &str| ureq::get(format!("{}/{path}", program.url)).call().unwrap();
    let document: Value = read("v2/openapi.json").body_mut().read_json().unwrap();
    let page = read("v2/docs").body_mut().read_to_string().unwrap();
    let example = |path: &str| {
        let operation = &document["paths"][format!("/v2/vectordb/{path}")]["post"];
        operation["requestBody"]["content"]["application/json"]["example"].clone()
    };
    // The examples work, one after the other.
    for path in [
        "collections/create",
        "entities/insert",
        "entities/upsert",
        "entities/get",
        "entities/query",
        "entities/search",
        "entities/hybrid_search",
        "collections/describe",
        "partitions/create",
        "aliases/create",
        "users/create",
        "roles/create",
        "roles/grant_privilege",
        "roles/grant_privilege_v2",
        "users/grant_role",
        "privilege_groups/create",
        "privilege_groups/add_privileges_to_group",
        "databases/create",
    ] {
        program.ok(path, &example(path));
    }
    // What they must have, they must have.
    for (path, operation) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/v2/vectordb/").unwrap();
        assert!(page.contains(&format!("id=\"{}\"", path.replace('/', "_"))), "{path} is not on the page");
        let body = &operation["post"]["requestBody"]["content"]["application/json"];
        let pointer = body["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
        let Some(required) = document.pointer(pointer).unwrap()["required"].as_array() else { continue };
        for key in required.iter().filter_map(Value::as_str) {
            let mut lacking = body["example"].clone();
            lacking.as_object_mut().unwrap().remove(key);
            let answer = program.v2(path, &lacking);
            let named = format!(".{}{}'", key[..1].to_ascii_uppercase(), &key[1..]);
            let named = if key == "id" { ".ID'".to_owned() } else { named };
            let words = answer["message"].as_str().unwrap_or_default();
            assert!(answer["code"] == 1802 && words.contains(&named), "{path} without {key}: {answer}");
        }
    }
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

/// Asks as somebody; the status and the answer.
fn ask(program: &Program, who: &str, path: &str, body: &Value) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("{}/v2/vectordb/{path}", program.url));
    let mut answer = request.header("Authorization", format!("Bearer {who}")).send_json(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

#[test]
fn with_authorization_on_users_do_what_their_roles_allow() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().canonicalize().unwrap().join("data");
    let mut exposed = Command::new(PROGRAM);
    exposed.args(["serve", "--auth", "--listen", "0.0.0.0:0", "--admin-listen", "127.0.0.1:0", "--data"]);
    let (code, _, words) = run(exposed.arg(&data).env("ELANUS_LOG", "warn"));
    assert!(code == Some(1) && words.contains("root_password"), "{words}");
    let mut with_users = command(&data);
    with_users.arg("--auth").env("ELANUS_ROOT_PASSWORD", "rootpass");
    let program = Program::started(&mut with_users, &data);
    for (who, path) in
        [("root:Milvus", "collections/list"), ("nobody:rootpass", "users/list"), ("", "users/list")]
    {
        let refused = json!({"code": 1800, "message": "user hasn't authenticated"});
        assert_eq!(ask(&program, who, path, &json!({})), (401, refused), "{who}");
    }
    let root = |path: &str, body: Value| {
        let (status, mut answer) = ask(&program, "root:rootpass", path, &body);
        assert_eq!((status, &answer["code"]), (200, &json!(0)), "{path}: {answer}");
        answer["data"].take()
    };
    root("collections/create", json!({"collectionName": "c", "dimension": 2}));
    assert_eq!(root("users/describe", json!({"userName": "root"})), json!(["admin"]));
    assert_eq!(root("users/create", json!({"userName": "u", "password": "password"})), json!({}));
    root("roles/create", json!({"roleName": "r"}));
    root("users/grant_role", json!({"userName": "u", "roleName": "r"}));
    let right =
        json!({"roleName": "r", "privilege": "CollectionReadOnly", "dbName": "*", "collectionName": "c"});
    root("roles/grant_privilege_v2", right.clone());
    let grants = root("roles/describe", json!({"roleName": "r"}));
    assert_eq!(grants[0]["privilege"], "CollectionReadOnly");

    let query = json!({"collectionName": "c", "filter": "id > 0"});
    let user = |path: &str, body: &Value| ask(&program, "u:password", path, body);
    assert_eq!(user("entities/query", &query).0, 200);
    let (status, answer) = user("entities/insert", &json!({"collectionName": "c", "data": []}));
    assert_eq!((status, &answer["code"]), (403, &json!(65535)));
    assert_eq!(answer["message"], "PrivilegeInsert: permission deny to u in the `default` database");
    assert_eq!(user("users/describe", &json!({"userName": "u"})).1["data"], json!(["r"]));
    assert_eq!(user("users/describe", &json!({"userName": "root"})).0, 403);
    assert_eq!(user("users/create", &json!({"userName": "v", "password": "password"})).0, 403);
    let change = json!({"userName": "u", "password": "password", "newPassword": "password2"});
    assert_eq!(user("users/update_password", &change).1, json!({"code": 0, "data": {}}));
    assert_eq!(user("entities/query", &query).0, 401);
    root("roles/revoke_privilege_v2", right);
    assert_eq!(ask(&program, "u:password2", "entities/query", &query).0, 403);
    assert_eq!(root("roles/describe", json!({"roleName": "r"})), json!([]));
    let page = ureq::get(&program.url).call().unwrap_err();
    assert!(matches!(page, ureq::Error::StatusCode(401)), "{page}");
}

#[test]
fn users_roles_and_groups_can_be_kept_with_authorization_off() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder.path().canonicalize().unwrap().join("data"));
    let code = |path: &str, body: Value| program.v2(path, &body)["code"].as_i64().unwrap();
    assert_eq!(program.ok("users/list", &json!({})), json!(["root"]));
    program.ok("users/create", &json!({"userName": "u", "password": "password", "description": "d"}));
    assert_eq!(
        program.v2("users/describe", &json!({"userName": "u"})),
        json!({"code": 0, "data": [], "description": "d"})
    );
    assert_eq!(code("users/create", json!({"userName": "u", "password": "password"})), 1100);
    assert_eq!(code("users/create", json!({"userName": "v", "password": "short"})), 1100);
    assert_eq!(code("users/create", json!({"userName": "v"})), 1802);
    assert_eq!(code("users/drop", json!({"userName": "root"})), 1401);
    let wrong = json!({"userName": "u", "password": "passwor", "newPassword": "password2"});
    assert_eq!(code("users/update_password", wrong), 1400);
    assert_eq!(code("users/update_password", json!({"userName": "u", "description": "e"})), 0);
    assert_eq!(code("roles/describe", json!({"roleName": "none"})), 65535);
    program.ok("roles/create", &json!({"roleName": "r"}));
    program.ok("roles/alter", &json!({"roleName": "r", "description": "looks"}));
    let grant =
        json!({"roleName": "r", "objectType": "Collection", "objectName": "*", "privilege": "Search"});
    program.ok("roles/grant_privilege", &grant);
    let described = program.v2("roles/describe", &json!({"roleName": "r"}));
    let shown = json!([{"objectType": "Collection", "objectName": "*", "privilege": "Search", "dbName": "default", "grantor": "root"}]);
    assert_eq!(described, json!({"code": 0, "data": shown, "description": "looks"}));
    assert_eq!(code("roles/drop", json!({"roleName": "r"})), 65535);
    program.ok("roles/revoke_privilege", &grant);
    program.ok("roles/drop", &json!({"roleName": "r"}));
    assert_eq!(program.ok("roles/list", &json!({})), json!(["admin", "public"]));
    let group = json!({"privilegeGroupName": "g", "privileges": ["Search", "Query"]});
    program.ok("privilege_groups/create", &group);
    program.ok("privilege_groups/add_privileges_to_group", &group);
    let groups = program.ok("privilege_groups/list", &json!({}));
    assert_eq!(groups, json!([{"privilegeGroupName": "g", "privileges": "Query,Search"}]));
    program.ok("privilege_groups/remove_privileges_from_group", &group);
    program.ok("privilege_groups/drop", &group);
}
