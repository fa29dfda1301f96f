//! The room as a whole: from a data directory and requests to answers.

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{any, get};
use elanus_engine::collection::Definition;
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Engine, EngineOptions};
use elanus_storage::data_dir;
use tower::ServiceExt as _;

use super::*;

const ROOT_ASKS: fn() -> Asker = || Asker::User(ROOT.into());

fn config(enabled: bool, root_password: Option<&str>) -> AuthConfig {
    AuthConfig { enabled, root_password: root_password.map(Secret::new) }
}

fn open(folder: &Path, config: &AuthConfig, exposed: bool) -> std::result::Result<Arc<Auth>, StartError> {
    Auth::open(&data_dir::open(folder).unwrap(), config, exposed).map(Arc::new)
}

/// Authorization is on, and root's password is `rootpass`.
fn on() -> (tempfile::TempDir, Arc<Auth>) {
    let folder = tempfile::tempdir().unwrap();
    let auth = open(folder.path(), &config(true, Some("rootpass")), true).unwrap();
    (folder, auth)
}

async fn who(auth: &Arc<Auth>, text: &str) -> std::result::Result<Asker, i32> {
    auth.authenticate(Credentials::of_text(text), None).await.map_err(|error| error.code)
}

fn v2<'a>(privilege: &'a str, db: &'a str, collection: &'a str) -> GrantRequest<'a> {
    GrantRequest::V2 { privilege, db, collection }
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_none_are_one_answer() {
    let (_folder, auth) = on();
    for text in ["root:Milvus", "root:", "nobody:rootpass", "Root:rootpass", ":rootpass", ""] {
        assert_eq!(who(&auth, text).await, Err(1800), "{text}");
    }
    assert_eq!(auth.authenticate(None, None).await.unwrap_err().message, "user hasn't authenticated");
    assert_eq!(who(&auth, "root:rootpass").await, Ok(ROOT_ASKS()));
    assert_eq!(who(&auth, "root:rootpasS").await, Err(1800), "also once the right one is remembered");
}

#[tokio::test]
async fn with_authorization_off_anybody_may_everything_and_users_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let auth = open(folder.path(), &config(false, None), true).unwrap();
    let asker = who(&auth, "root:wrong").await.unwrap();
    assert_eq!(asker, Asker::Anybody);
    auth.authorize(&asker, Privilege::DropCollection, Target::Cluster).unwrap();
    auth.create_user("u", "password", "a person").unwrap();
    drop(auth);
    let auth = open(folder.path(), &config(true, Some("rootpass")), true).unwrap();
    assert!(who(&auth, "u:password").await.is_ok() && who(&auth, "root:rootpass").await.is_ok());
    assert_eq!(auth.describe_user("u").unwrap().description, "a person");
}

#[test]
fn an_exposed_server_does_not_start_with_the_password_everybody_knows() {
    let folder = tempfile::tempdir().unwrap();
    for given in [None, Some("Milvus")] {
        let message = open(folder.path(), &config(true, given), true).unwrap_err().to_string();
        assert!(message.contains("root_password") && message.contains("127.0.0.1"), "{message}");
    }
    assert!(open(folder.path(), &config(true, None), false).unwrap().has_default_password());
    let auth = open(folder.path(), &config(true, Some("rootpass")), true).unwrap();
    assert!(!auth.has_default_password());
    let back = auth.update_password(ROOT, "rootpass", "Milvus", None);
    assert!(matches!(back, Err(AuthError::Invalid(_))));
}

#[tokio::test]
async fn the_configured_password_never_replaces_a_chosen_one() {
    let (folder, auth) = on();
    auth.update_password(ROOT, "rootpass", "chosen", None).unwrap();
    drop(auth);
    let auth = open(folder.path(), &config(true, Some("another")), true).unwrap();
    assert!(who(&auth, "root:chosen").await.is_ok() && who(&auth, "root:another").await.is_err());
}

#[test]
fn a_damaged_file_stops_the_start_with_what_to_do() {
    let (folder, auth) = on();
    drop(auth);
    let path = folder.path().join("auth");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let message = open(folder.path(), &config(true, None), false).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()) && message.contains("remove it"), "{message}");
}

#[tokio::test]
async fn a_changed_password_and_a_dropped_user_are_forgotten_at_once() {
    let (folder, auth) = on();
    auth.create_user("u", "password", "").unwrap();
    assert!(who(&auth, "u:password").await.is_ok() && who(&auth, "u:password").await.is_ok());
    let asker = Asker::User("u".into());
    let wrong = auth.update_password("u", "passwore", "password2", None).unwrap_err();
    assert_eq!(wrong.to_string(), "old password not correct for u: not authenticated");
    let unknown = auth.update_password("x", "password", "password2", None).unwrap_err();
    assert!(matches!(unknown, AuthError::WrongPassword { .. }));
    auth.update_password("u", "password", "password2", None).unwrap();
    assert_eq!(who(&auth, "u:password").await, Err(1800));
    assert!(who(&auth, "u:password2").await.is_ok());
    assert!(auth.update_password("u", "", "password3", None).is_err(), "not even by root");
    auth.update_password("u", "password2", "password3", None).unwrap();
    assert!(who(&auth, "u:password3").await.is_ok() && who(&auth, "u:password2").await.is_err());
    auth.drop_user("u").unwrap();
    assert_eq!(who(&auth, "u:password3").await, Err(1800));
    assert!(auth.authorize(&asker, Privilege::DescribeCollection, Target::Cluster).is_err());
    let text = std::fs::read(folder.path().join("auth")).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("rootpass"));
}

#[test]
fn users_follow_milvus_rules() {
    let (_folder, auth) = on();
    auth.create_user("u", "password", "").unwrap();
    let again = auth.create_user("u", "password", "").unwrap_err();
    assert_eq!(again.to_string(), "user already exists: u");
    assert!(auth.create_user("1u", "password", "").is_err() && auth.create_user("v", "short", "").is_err());
    assert!(matches!(auth.drop_user("root"), Err(AuthError::NotPermitted(_))));
    auth.drop_user("nobody").unwrap();
    assert_eq!(auth.list_users(), ["root", "u"]);
    assert_eq!(auth.describe_user("root").unwrap().roles, ["admin"]);
    assert_eq!(auth.describe_user("v").unwrap_err().to_string(), "user v not found");
    auth.describe_user_as("u", "writes").unwrap();
    assert_eq!(auth.describe_user("u").unwrap().description, "writes");
    let filled = auth.store.change(|table| {
        for n in table.users.len()..100 {
            let user = table.users["u"].clone();
            table.users.insert(format!("u{n}"), user);
        }
        Ok(())
    });
    filled.unwrap();
    assert!(auth.create_user("more", "password", "").unwrap_err().to_string().contains("limit"));
}

#[test]
fn roles_are_made_given_and_dropped() {
    let (folder, auth) = on();
    auth.create_user("u", "password", "").unwrap();
    auth.create_role("reader", "looks").unwrap();
    assert_eq!(auth.create_role("reader", "").unwrap_err().to_string(), "role [reader] already exists");
    assert_eq!(auth.list_roles(), ["admin", "public", "reader"]);
    assert!(auth.grant_role("u", "nobody").is_err() && auth.grant_role("nobody", "reader").is_err());
    auth.grant_role("u", "reader").unwrap();
    auth.grant_role("u", "reader").unwrap();
    assert!(auth.has_role(&Asker::User("u".into()), "reader"));
    auth.grant(&ROOT_ASKS(), "reader", v2("Search", "", "c")).unwrap();
    assert!(auth.drop_role("reader", false).unwrap_err().to_string().contains("REVOKE"));
    drop(auth);
    let auth = open(folder.path(), &config(true, None), true).unwrap();
    assert_eq!(auth.describe_user("u").unwrap().roles, ["reader"]);
    assert_eq!(auth.describe_role("reader").unwrap().description, "looks");
    auth.drop_role("reader", true).unwrap();
    assert!(auth.describe_user("u").unwrap().roles.is_empty());
    for built_in in ["admin", "public"] {
        assert!(matches!(auth.drop_role(built_in, true), Err(AuthError::NotPermitted(_))));
    }
    for n in 0..10 {
        auth.create_role(&format!("r{n}"), "").unwrap();
    }
    assert!(auth.create_role("r10", "").unwrap_err().to_string().contains("limit"));
}

#[test]
fn grants_are_checked_shown_and_revoked() {
    let (_folder, auth) = on();
    auth.create_role("r", "").unwrap();
    let v1 = |object_type, privilege| GrantRequest::V1 { object_type, object_name: "c", privilege, db: "" };
    let root = ROOT_ASKS();
    for _ in 0..2 {
        auth.grant(&root, "r", v1("Collection", "Insert")).unwrap();
        auth.grant(&root, "r", v2("CollectionReadOnly", "*", "*")).unwrap();
    }
    let grants = auth.describe_role("r").unwrap().grants;
    assert_eq!(
        serde_json::to_value(&grants).unwrap(),
        serde_json::json!([
            {"objectType": "Collection", "objectName": "c", "privilege": "Insert", "dbName": "default",
             "grantor": "root"},
            {"objectType": "Global", "objectName": "*", "privilege": "CollectionReadOnly", "dbName": "*",
             "grantor": "root"},
        ])
    );
    auth.revoke(&Asker::Anybody, "r", v1("Collection", "Insert")).unwrap();
    auth.revoke(&root, "r", v1("Collection", "Insert")).unwrap();
    auth.revoke(&root, "r", v2("CollectionReadOnly", "*", "*")).unwrap();
    assert!(auth.describe_role("r").unwrap().grants.is_empty());
    for wrong in [
        v1("collection", "Insert"),
        v1("Global", "Insert"),
        v1("Collection", "Fly"),
        v1("Collection", "CollectionAdmin"),
        v2("Fly", "*", "*"),
        v2("ClusterAdmin", "default", "*"),
        v2("DatabaseAdmin", "default", "c"),
        v2("Search", "*", ""),
    ] {
        assert!(auth.grant(&root, "r", wrong).is_err(), "{wrong:?}");
    }
    let unknown = auth.grant(&root, "nobody", v2("Search", "*", "*")).unwrap_err().to_string();
    assert!(unknown.starts_with("not found the role"), "{unknown}");
}

#[test]
fn groups_are_made_granted_and_kept_while_in_use() {
    let (_folder, auth) = on();
    auth.create_role("r", "").unwrap();
    auth.create_group("mine").unwrap();
    for taken in ["mine", "Search", "ClusterAdmin", "All", "1x"] {
        assert!(auth.create_group(taken).is_err(), "{taken}");
    }
    auth.add_to_group("mine", &["Search".into(), "DatabaseReadOnly".into()]).unwrap();
    auth.remove_from_group("mine", &["DescribeDatabase".into()]).unwrap();
    let held = vec!["Search".to_owned(), "ShowCollections".to_owned()];
    assert_eq!(auth.list_groups(), [("mine".to_owned(), held)]);
    assert!(auth.add_to_group("mine", &["Fly".into()]).is_err());
    assert!(auth.add_to_group("other", &[]).is_err() && auth.add_to_group("ClusterAdmin", &[]).is_err());
    auth.grant(&ROOT_ASKS(), "r", v2("mine", "*", "*")).unwrap();
    assert!(auth.drop_group("mine").unwrap_err().to_string().contains("[r]"));
    auth.revoke(&ROOT_ASKS(), "r", v2("mine", "*", "*")).unwrap();
    auth.drop_group("mine").unwrap();
    auth.drop_group("mine").unwrap();
    assert!(auth.drop_group("ClusterAdmin").is_err() && auth.list_groups().is_empty());
}

/// An engine in a folder of its own.
fn engine() -> (tempfile::TempDir, Arc<Engine>) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(folder.path()).unwrap(), EngineOptions::default()).unwrap();
    (folder, engine)
}

/// Some routes behind the door; each answers with who asked.
fn behind_the_door(auth: &Arc<Auth>) -> Router {
    behind(auth, engine().1)
}

fn behind(auth: &Arc<Auth>, engine: Arc<Engine>) -> Router {
    let name = |Extension(asker): Extension<Asker>| async move { format!("{asker:?}") };
    let router = Router::new()
        .route("/", get(name))
        .route("/v1/images/{collection}", any(name))
        .route("/v2/vectordb/users/list", any(name))
        .fallback(|| async { StatusCode::NOT_FOUND });
    checked(router, Arc::clone(auth), engine)
}

async fn answer(router: &Router, method: Method, path: &str, credentials: &str) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    if !credentials.is_empty() {
        request = request.header("authorization", format!("Bearer {credentials}"));
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn nobody_passes_the_door_without_a_name() {
    let (_folder, auth) = on();
    let router = behind_the_door(&auth);
    for path in ["/", "/v1/images/c", "/v2/vectordb/users/list", "/none"] {
        for credentials in ["", "root:wrong", "x:rootpass"] {
            let (status, headers, body) = answer(&router, Method::GET, path, credentials).await;
            assert_eq!(status, 401, "{path}");
            assert_eq!(body, r#"{"code":1800,"message":"user hasn't authenticated"}"#);
            let browser = !path.starts_with("/v2");
            assert_eq!(headers.contains_key("www-authenticate"), browser, "{path}");
        }
    }
    let (status, _, body) = answer(&router, Method::POST, "/v2/vectordb/users/list", "root:rootpass").await;
    assert_eq!((status, body.as_str()), (200, "User(\"root\")"));
    assert_eq!(answer(&router, Method::GET, "/none", "root:rootpass").await.0, 404);
}

#[tokio::test]
async fn other_routes_take_a_privilege() {
    let (_folder, auth) = on();
    auth.create_user("u", "password", "").unwrap();
    auth.create_role("r", "").unwrap();
    auth.grant_role("u", "r").unwrap();
    auth.grant(&ROOT_ASKS(), "r", v2("CollectionReadOnly", "default", "c")).unwrap();
    let router = behind_the_door(&auth);
    let status = async |method, path| answer(&router, method, path, "u:password").await.0;
    assert_eq!(status(Method::GET, "/").await, 200);
    assert_eq!(status(Method::GET, "/v1/images/c").await, 200);
    assert_eq!(status(Method::GET, "/v1/images/d").await, 403);
    assert_eq!(status(Method::GET, "/none").await, 403);
    let (status, _, body) = answer(&router, Method::POST, "/v1/images/c", "u:password").await;
    assert_eq!(status, 403);
    assert!(body.contains("PrivilegeInsert: permission deny to u in the `default` database"), "{body}");
    assert_eq!(answer(&router, Method::POST, "/v1/images/c", "root:rootpass").await.0, 200);
}

#[tokio::test]
async fn the_door_judges_a_collection_and_not_its_alias() {
    let (_folder, auth) = on();
    auth.create_user("u", "password", "").unwrap();
    auth.create_role("r", "").unwrap();
    auth.grant_role("u", "r").unwrap();
    auth.grant(&ROOT_ASKS(), "r", v2("CollectionReadOnly", "default", "open")).unwrap();
    let (_data, engine) = engine();
    let fields = || {
        vec![Field::new("id", DataType::Int64).primary(false), Field::new("v", DataType::FloatVector).dim(2)]
    };
    for name in ["secret", "mine"] {
        let schema = Schema::new(fields(), false, "").unwrap();
        engine.create(Definition::new(name, schema)).unwrap();
    }
    engine.set_alias("default", "secret", "open", false).unwrap();
    let router = behind(&auth, Arc::clone(&engine));
    let status = async |path| answer(&router, Method::GET, path, "u:password").await.0;
    assert_eq!(status("/v1/images/open").await, 403, "the right is one on another's former name");
    auth.grant(&ROOT_ASKS(), "r", v2("CollectionReadOnly", "default", "mine")).unwrap();
    engine.set_alias("default", "mine", "current", false).unwrap();
    assert_eq!(status("/v1/images/current").await, 200);
    assert_eq!(status("/v1/images/secret").await, 403);
}

#[test]
fn a_description_against_the_rules_leaves_the_password() {
    let (_folder, auth) = on();
    auth.create_user("u", "password", "before").unwrap();
    let long = "x".repeat(5000);
    let refused = auth.update_password("u", "password", "password2", Some(&long));
    assert!(matches!(refused, Err(AuthError::Invalid(_))));
    auth.update_password("u", "password", "password2", Some("after")).unwrap();
    assert_eq!(auth.describe_user("u").unwrap().description, "after");
}

#[tokio::test]
async fn without_authorization_the_door_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let auth = open(folder.path(), &config(false, None), true).unwrap();
    let router = behind_the_door(&auth);
    for credentials in ["", "root:wrong"] {
        let (status, _, body) = answer(&router, Method::POST, "/v1/images/c", credentials).await;
        assert_eq!((status, body.as_str()), (200, "Anybody"));
    }
}
