//! A collection with the vectors and the classes of the photos under one index, and searches in it.

use std::time::{Duration, Instant};

use elanus_benches::Result;
use elanus_benches::connection::{Connection, request};
use elanus_engine::limits::MAX_ARRAY_ELEMENTS;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::photos::Rows;
use crate::server::Server;
use crate::setting::Setting;
use elanus_benches::folder::Labels;

/// Rows of one insert.
const BATCH: usize = 500;
/// How often an index is asked whether it is ready.
const POLL: Duration = Duration::from_millis(10);
/// Most rows that one search gives.
pub(crate) const WINDOW: usize = 16_384;
/// Which rows are photos that somebody labelled.
pub(crate) const LABELLED: &str = "labelled == true";

/// A filled collection. Its keys are places in the list of photos.
pub(crate) struct Collection<'a> {
    server: &'a Server,
    rows: &'a Rows<'a>,
    /// Its index.
    pub(crate) setting: Setting,
}

/// What making it took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Built {
    /// From the first insert until every row is on the disk; the client's JSON included.
    pub(crate) insert_s: f64,
    /// From the wish for an index until it serves.
    pub(crate) index_s: f64,
    /// Of the index alone.
    pub(crate) index_bytes: u64,
    /// What is built under the index's name, in the server's words.
    pub(crate) built_as: String,
}

/// How one search was done, in the server's words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Explained {
    /// `index`, or `rows` where all of them are compared; several for segments that differ.
    pub(crate) path: String,
    /// Segments searched.
    pub(crate) segments: usize,
    /// The recall that the server expects.
    pub(crate) expected_recall: f64,
    /// Vectors and codes compared.
    pub(crate) compared: u64,
}

impl<'a> Collection<'a> {
    /// Makes the collection, fills it, and waits until its index serves.
    ///
    /// # Errors
    /// When the server refuses something, or can't build the index.
    pub(crate) fn build(
        server: &'a Server,
        rows: &'a Rows<'a>,
        labels: &Labels,
        setting: Setting,
    ) -> Result<(Self, Built)> {
        let collection = Self { server, rows, setting };
        let name = collection.setting.name;
        collection.create(labels)?;
        let began = Instant::now();
        collection.fill(labels)?;
        let insert_s = began.elapsed().as_secs_f64();
        let before = server.program().metrics()?;
        let began = Instant::now();
        let index = json!({
            "fieldName": "vector", "indexName": "vector", "metricType": "COSINE",
            "indexType": collection.setting.index_type(), "params": collection.setting.params
        });
        server.call("indexes/create", &json!({"collectionName": name, "indexParams": [index]}))?;
        let built_as = collection.wait_for_index()?;
        let index_s = began.elapsed().as_secs_f64();
        let bytes = server.program().metrics()?.since(&before, "elanus_collection_index_bytes");
        Ok((collection, Built { insert_s, index_s, index_bytes: bytes as u64, built_as }))
    }

    fn create(&self, labels: &Labels) -> Result<()> {
        let names = labels.names();
        let longest = names.iter().map(|name| name.len()).max().unwrap_or_default().max(1);
        let classes = json!({
            "fieldName": "classes", "dataType": "Array", "elementDataType": "VarChar",
            "elementTypeParams": {"max_capacity": names.len().clamp(1, MAX_ARRAY_ELEMENTS), "max_length": longest}
        });
        let schema = json!({"enableDynamicField": false, "fields": [
            {"fieldName": "id", "dataType": "Int64", "isPrimary": true},
            {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": self.rows.photos.dim}},
            {"fieldName": "labelled", "dataType": "Bool"},
            classes,
        ]});
        self.server
            .call("collections/create", &json!({"collectionName": self.setting.name, "schema": schema}))?;
        Ok(())
    }

    /// Inserts every row, and waits until the rows lie on the disk as they will stay.
    fn fill(&self, labels: &Labels) -> Result<()> {
        let row = |row: usize| {
            let photo = self.rows.photos.list.get(row);
            let classes = photo.and_then(|photo| labels.of(&photo.id));
            let names: Vec<&String> = classes.into_iter().flatten().collect();
            json!({"id": row, "vector": self.rows.vector(row), "labelled": classes.is_some(), "classes": names})
        };
        let name = self.setting.name;
        for start in (0..self.rows.len()).step_by(BATCH) {
            let rows: Vec<Value> = (start..self.rows.len().min(start + BATCH)).map(row).collect();
            self.server.call("entities/insert", &json!({"collectionName": name, "data": rows}))?;
        }
        compact(self.server, name)
    }

    fn wait_for_index(&self) -> Result<String> {
        let asked = json!({"collectionName": self.setting.name, "indexName": "vector"});
        loop {
            let state = self.server.call("indexes/describe", &asked)?;
            match state[0]["indexState"].as_str() {
                Some("Finished") if state[0]["pendingRows"] == 0 => {
                    return Ok(state[0]["builtAs"].as_str().unwrap_or_default().to_owned());
                }
                Some("Failed") => return Err(state.to_string().into()),
                _ => std::thread::sleep(POLL),
            }
        }
    }

    /// A search for the rows nearest to a photo, as JSON.
    fn body(&self, photo: usize, limit: usize, effort: Option<usize>, filter: Option<&str>) -> Value {
        let mut body = json!({
            "collectionName": self.setting.name, "data": [self.rows.photos.vector(photo)], "annsField": "vector",
            "limit": limit.min(WINDOW), "searchParams": self.setting.search_params(effort)
        });
        if let Some(filter) = filter {
            body["filter"] = filter.into();
        }
        body
    }

    /// A search for the `k` rows nearest to a photo and the photo itself, to be sent.
    pub(crate) fn search(
        &self,
        photo: usize,
        k: usize,
        effort: Option<usize>,
        filter: Option<&str>,
    ) -> Vec<u8> {
        request("entities/search", &self.body(photo, k + 1, effort, filter))
    }

    /// Rows that a search with a photo found, best first, the photo itself left out.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn found(
        &self,
        connection: &mut Connection,
        photo: usize,
        search: &[u8],
    ) -> Result<Vec<usize>> {
        let answer: Answer = serde_json::from_slice(connection.exchange(search)?)?;
        Ok(answer.data.iter().map(|hit| hit.id).filter(|row| *row != photo).collect())
    }

    /// A connection to its server.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(self.server.program().address())
    }

    /// `host:port` of its server.
    pub(crate) fn address(&self) -> &str {
        self.server.program().address()
    }

    /// How the server does such a search.
    ///
    /// # Errors
    /// When it refuses, or explains it in another form than expected.
    pub(crate) fn explain(&self, photo: usize, k: usize, effort: Option<usize>) -> Result<Explained> {
        let mut body = self.body(photo, k + 1, effort, None);
        body["searchParams"]["explain"] = true.into();
        let mut connection = self.connect()?;
        let answer: Value = serde_json::from_slice(connection.exchange(&request("entities/search", &body))?)?;
        let explained = &answer["explain"]["searches"][0];
        let segments = explained["segments"].as_array().ok_or("an explanation without segments")?;
        let mut paths: Vec<&str> = segments.iter().filter_map(|segment| segment["path"].as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        let stats = &explained["stats"];
        Ok(Explained {
            path: paths.join(", "),
            segments: segments.len(),
            expected_recall: explained["expected_recall"].as_f64().unwrap_or_default(),
            compared: stats["scored"].as_u64().unwrap_or_default()
                + stats["compared"].as_u64().unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: usize,
}

/// Rows that show a class, in Milvus's filter language.
pub(crate) fn shows(class: &str) -> String {
    format!("array_contains(classes, {})", Value::from(class))
}

/// Brings everything in memory to the disk, in as few files as will stay.
///
/// # Errors
/// When the server refuses.
pub(crate) fn compact(server: &Server, collection: &str) -> Result<()> {
    let job = server.call("collections/compact", &json!({"collectionName": collection}))?;
    let asked = json!({"jobID": job["compactionID"]});
    while server.call("collections/get_compaction_state", &asked)?["state"] == "Executing" {
        std::thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_classes_are_quoted() {
        assert_eq!(super::shows(r#"so"fa"#), r#"array_contains(classes, "so\"fa")"#);
    }
}
