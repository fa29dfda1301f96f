//! The metrics that dashboards made for Milvus look at, under Milvus's names. What is counted is what this server does;
//! where Milvus counts for each of its services, there is one here, and its number (`node_id`) is 1.

use std::collections::HashSet;
use std::time::Duration;

use elanus_engine::Engine;
use elanus_engine::catalog::{qualified, split};
use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::version::{COMMIT, VERSION};

/// Labels of counters that are kept for each collection.
const DATABASE: &str = "db_name";
const COLLECTION: &str = "collection_name";
/// The one node there is.
const NODE: &str = "1";
/// Upper bounds of latencies in milliseconds, as Milvus has them.
const MILLISECONDS: [f64; 17] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0,
    32_768.0, 65_536.0,
];

/// Counters of what clients ask for, and gauges that are read from the engine.
#[derive(Debug)]
pub(super) struct MilvusMetrics {
    requests: IntCounterVec,
    latency: HistogramVec,
    rest_requests: IntCounterVec,
    rest_latency: HistogramVec,
    reads: HistogramVec,
    writes: HistogramVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    searched: IntCounterVec,
    inserted: IntCounterVec,
    upserted: IntCounterVec,
    deleted: IntCounterVec,
    slow: IntCounterVec,
    ddl: IntCounterVec,
    gauges: Gauges,
}

#[derive(Debug)]
struct Gauges {
    collections: IntGaugeVec,
    partitions: IntGauge,
    databases: IntGauge,
    entities: IntGaugeVec,
    indexed: IntGaugeVec,
    segments: IntGaugeVec,
    stored_rows: IntGaugeVec,
    stored_bytes: IntGaugeVec,
    index_bytes: IntGaugeVec,
    loaded: IntGaugeVec,
    query_segments: IntGaugeVec,
    query_rows: IntGaugeVec,
    query_bytes: IntGaugeVec,
    index_builds: IntGaugeVec,
    index_build_ms: IntGaugeVec,
}

/// How a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over REST.
    Rest,
    /// Over gRPC.
    Grpc,
}

/// A call as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// How it came.
    pub protocol: Protocol,
    /// What it is: its path below `/v2/vectordb`, or that of the call over REST that does the same.
    pub path: &'a str,
    /// Whether it was answered as asked.
    pub succeeded: bool,
    /// How long it took.
    pub took: Duration,
    /// Bytes of its body.
    pub received: usize,
    /// Bytes of its answer.
    pub sent: usize,
}

struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<T: Collector + Clone + 'static>(&self, metric: T) -> prometheus::Result<T> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, "As in Milvus"), labels)?)
    }

    fn gauges(&self, name: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, "As in Milvus"), labels)?)
    }

    fn histograms(&self, name: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, "As in Milvus, in milliseconds");
        self.add(HistogramVec::new(options.buckets(MILLISECONDS.to_vec()), labels)?)
    }
}

impl MilvusMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker(registry);
        let build = make.gauges("milvus_build_info", &["version", "built", "git_commit"])?;
        build.with_label_values(&[VERSION, "", COMMIT]).set(1);
        let proxies: IntGauge = make.add(IntGauge::new("milvus_rootcoord_proxy_num", "As in Milvus")?)?;
        proxies.set(1);
        let vectors = ["node_id", DATABASE, COLLECTION];
        Ok(Self {
            requests: make.counters("milvus_proxy_req_count", &["node_id", "function_name", "status"])?,
            latency: make.histograms("milvus_proxy_req_latency", &["node_id", "function_name"])?,
            rest_requests: make.counters("milvus_proxy_restful_api_req_count", &["path", "status"])?,
            rest_latency: make.histograms("milvus_proxy_restful_api_req_latency", &["path"])?,
            reads: make.histograms("milvus_proxy_sq_latency", &["node_id", "query_type"])?,
            writes: make.histograms("milvus_proxy_mutation_latency", &["node_id", "msg_type"])?,
            received: make.counters("milvus_proxy_receive_bytes_count", &["node_id", "msg_type"])?,
            sent: make.counters("milvus_proxy_send_bytes_count", &["node_id"])?,
            searched: make.counters("milvus_proxy_search_vectors_count", &vectors)?,
            inserted: make.counters("milvus_proxy_insert_vectors_count", &vectors)?,
            upserted: make.counters("milvus_proxy_upsert_vectors_count", &vectors)?,
            deleted: make.counters("milvus_proxy_delete_vectors_count", &vectors)?,
            slow: make.counters("milvus_proxy_slow_query_count", &["node_id", "msg_type"])?,
            ddl: make.counters("milvus_rootcoord_ddl_req_count", &["function_name", "status"])?,
            gauges: Gauges::new(&make)?,
        })
    }

    /// Counts a call.
    pub(super) fn request(&self, call: Counted<'_>) {
        let name = function_name(call.path);
        let outcome = if call.succeeded { "success" } else { "fail" };
        let took = call.took.as_secs_f64() * 1e3;
        for status in ["total", outcome] {
            self.requests.with_label_values(&[NODE, &name, status]).inc();
        }
        self.latency.with_label_values(&[NODE, &name]).observe(took);
        if call.protocol == Protocol::Rest {
            let path = format!("/v2/vectordb/{}", call.path);
            self.rest_requests.with_label_values(&[path.as_str(), outcome]).inc();
            self.rest_latency.with_label_values(&[path.as_str()]).observe(took);
        }
        self.sent.with_label_values(&[NODE]).inc_by(call.sent as u64);
        let received = |kind: &str| {
            self.received.with_label_values(&[NODE, kind]).inc_by(call.received as u64);
        };
        match call.path.strip_prefix("entities/") {
            Some(kind @ ("search" | "query" | "get")) => {
                let kind = if kind == "get" { "query" } else { kind };
                self.reads.with_label_values(&[NODE, kind]).observe(took);
                received(kind);
            }
            Some("hybrid_search" | "advanced_search") => {
                self.reads.with_label_values(&[NODE, "hybrid_search"]).observe(took);
                received("hybrid_search");
            }
            Some(kind @ ("insert" | "upsert" | "delete")) => {
                self.writes.with_label_values(&[NODE, kind]).observe(took);
                received(kind);
            }
            Some(_) => {}
            None => {
                for status in ["total", outcome] {
                    self.ddl.with_label_values(&[name.as_str(), status]).inc();
                }
            }
        }
    }

    /// Counts rows or queries of a collection.
    pub(super) fn vectors(&self, kind: VectorCount, collection: &str, count: usize) {
        let (database, name) = split(collection);
        let counter: IntCounter = match kind {
            VectorCount::Searched => &self.searched,
            VectorCount::Inserted => &self.inserted,
            VectorCount::Upserted => &self.upserted,
            VectorCount::Deleted => &self.deleted,
        }
        .with_label_values(&[NODE, database, name]);
        counter.inc_by(count as u64);
    }

    /// Counts a slow search.
    pub(super) fn slow_search(&self) {
        self.slow.with_label_values(&[NODE, "search"]).inc();
    }

    /// Forgets the counts of collections that are gone: there could be any number of them.
    pub(super) fn forget_dropped(&self, engine: &Engine) {
        for counters in [&self.searched, &self.inserted, &self.upserted, &self.deleted] {
            let counted: Vec<MetricFamily> = counters.collect();
            // Taken after the counts: whatever has come since is among them.
            let names: HashSet<String> = engine.names().into_iter().collect();
            for metric in counted.iter().flat_map(MetricFamily::get_metric) {
                let label = |name| metric.get_label().iter().find(|l| l.name() == name).map(LabelPair::value);
                let (Some(database), Some(name)) = (label(DATABASE), label(COLLECTION)) else { continue };
                if !names.contains(&qualified(database, name)) {
                    // One that somebody else has removed meanwhile is as well removed.
                    let _ = counters.remove_label_values(&[NODE, database, name]);
                }
            }
        }
    }

    /// Reads what the engine holds.
    pub(super) fn read(&self, engine: &Engine) {
        self.forget_dropped(engine);
        self.gauges.read(engine);
    }
}

/// Which vectors are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorCount {
    /// Query vectors.
    Searched,
    /// Rows inserted.
    Inserted,
    /// Rows upserted.
    Upserted,
    /// Rows deleted.
    Deleted,
}

impl Gauges {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let plain = |name: &str| make.add(IntGauge::new(name, "As in Milvus")?);
        let of_collection = ["db_name", "collection_name"];
        Ok(Self {
            collections: make.gauges("milvus_rootcoord_collection_num", &["db_name"])?,
            partitions: plain("milvus_rootcoord_partition_num")?,
            databases: plain("milvus_rootcoord_database_num")?,
            entities: make
                .gauges("milvus_rootcoord_entity_num", &["db_name", "collection_name", "status"])?,
            indexed: make.gauges("milvus_rootcoord_indexed_entity_num", &of_collection)?,
            segments: make.gauges("milvus_datacoord_segment_num", &["segment_state"])?,
            stored_rows: make.gauges("milvus_datacoord_stored_rows_num", &of_collection)?,
            stored_bytes: make.gauges("milvus_datacoord_stored_binlog_size", &of_collection)?,
            index_bytes: make.gauges("milvus_datacoord_stored_index_files_size", &of_collection)?,
            loaded: make.gauges("milvus_querynode_collection_num", &["node_id"])?,
            query_segments: make.gauges("milvus_querynode_segment_num", &["node_id", "segment_state"])?,
            query_rows: make
                .gauges("milvus_querynode_entity_num", &["node_id", "db_name", "collection_name"])?,
            query_bytes: make.gauges("milvus_querynode_entity_size", &["node_id"])?,
            index_builds: make.gauges("milvus_datacoord_index_task_count", &["index_task_status"])?,
            index_build_ms: make.gauges("milvus_datanode_build_index_latency_sum", &["node_id"])?,
        })
    }

    fn read(&self, engine: &Engine) {
        // What was dropped must not stay.
        for gauges in [&self.collections, &self.entities, &self.indexed, &self.stored_rows] {
            gauges.reset();
        }
        for gauges in [&self.stored_bytes, &self.index_bytes, &self.query_rows] {
            gauges.reset();
        }
        for database in engine.databases().into_keys() {
            let names = engine.names_in(&database).map_or(0, |names| names.len());
            self.collections.with_label_values(&[database.as_str()]).set(names as i64);
        }
        self.databases.set(engine.databases().len() as i64);
        let (mut partitions, mut loaded, mut sealed, mut growing) = (0, 0, 0, 0);
        let (mut bytes, mut builds, mut build_ms) = (0, 0, 0);
        for collection in engine.open_collections() {
            let stats = collection.stats();
            let (database, name) = split(collection.name());
            let of = [database, name];
            let rows = stats.rows as i64;
            let is_loaded = collection.definition().is_loaded(&[]).unwrap_or(true);
            partitions += collection.partitions().len() as i64;
            loaded += i64::from(is_loaded);
            sealed += stats.sealed_segments as i64;
            growing += i64::from(stats.growing_rows > 0);
            bytes += stats.segment_bytes as i64;
            builds += stats.indexing.finished as i64;
            build_ms += stats.indexing.build_ms as i64;
            self.entities.with_label_values(&[database, name, "total"]).set(rows);
            let shown = if is_loaded { rows } else { 0 };
            self.entities.with_label_values(&[database, name, "loaded"]).set(shown);
            self.indexed.with_label_values(&of).set(stats.indexing.indexed_rows as i64);
            self.stored_rows.with_label_values(&of).set(rows);
            self.stored_bytes.with_label_values(&of).set(stats.disk_bytes as i64);
            self.index_bytes.with_label_values(&of).set(stats.indexing.bytes as i64);
            self.query_rows.with_label_values(&[NODE, database, name]).set(rows);
        }
        self.partitions.set(partitions);
        self.loaded.with_label_values(&[NODE]).set(loaded);
        for (state, count) in [("Flushed", sealed), ("Growing", growing)] {
            self.segments.with_label_values(&[state]).set(count);
        }
        for (state, count) in [("Sealed", sealed), ("Growing", growing)] {
            self.query_segments.with_label_values(&[NODE, state]).set(count);
        }
        self.query_bytes.with_label_values(&[NODE]).set(bytes);
        self.index_builds.with_label_values(&["finished"]).set(builds);
        self.index_build_ms.with_label_values(&[NODE]).set(build_ms);
    }
}

/// Milvus's name of a call: `collections/get_stats` is `GetCollectionStatistics` there, `entities/search` is `Search`.
fn function_name(path: &str) -> String {
    let (group, action) = path.split_once('/').unwrap_or(("", path));
    let known = match path {
        "collections/get_stats" => "GetCollectionStatistics",
        "collections/list" => "ShowCollections",
        "collections/load" | "collections/refresh_load" => "LoadCollection",
        "collections/release" => "ReleaseCollection",
        "collections/has" => "HasCollection",
        "collections/flush" => "Flush",
        "collections/compact" => "ManualCompaction",
        "entities/search" => "Search",
        "entities/query" | "entities/get" => "Query",
        "entities/hybrid_search" | "entities/advanced_search" => "HybridSearch",
        "entities/insert" => "Insert",
        "entities/upsert" => "Upsert",
        "entities/delete" => "Delete",
        "indexes/describe" | "indexes/list" => "DescribeIndex",
        "partitions/list" => "ShowPartitions",
        "partitions/get_stats" => "GetPartitionStatistics",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let thing = match group {
        "indexes" => "index",
        "aliases" => "alias",
        group => group.strip_suffix('s').unwrap_or(group),
    };
    // `create` on `collections` is `CreateCollection`.
    let words = action.split(['_', '/']).chain(thing.split(['_', '/']));
    words
        .map(|word| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use elanus_engine::EngineOptions;
    use elanus_engine::collection::Definition;
    use elanus_engine::schema::{DataType, Field, Schema};
    use elanus_storage::data_dir;

    use super::*;

    #[test]
    fn calls_have_the_names_that_dashboards_know() {
        for (path, name) in [
            ("collections/create", "CreateCollection"),
            ("indexes/drop", "DropIndex"),
            ("aliases/alter", "AlterAlias"),
            ("databases/list", "ListDatabase"),
            ("entities/advanced_search", "HybridSearch"),
            ("collections/get_stats", "GetCollectionStatistics"),
        ] {
            assert_eq!(function_name(path), name);
        }
    }

    #[test]
    fn counts_of_collections_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let data = data_dir::open(folder.path()).unwrap();
        let engine = Engine::open(data, EngineOptions::default()).unwrap();
        engine.create_database("d", BTreeMap::new()).unwrap();
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("v", DataType::FloatVector).dim(2),
        ];
        let schema = Schema::new(fields, false, "").unwrap();
        let mut definition = Definition::new("kept", schema);
        definition.database = "d".into();
        engine.create(definition).unwrap();
        let registry = Registry::new();
        let metrics = MilvusMetrics::new(&registry).unwrap();
        for name in ["kept", "d/kept", "d/gone"] {
            metrics.vectors(VectorCount::Inserted, name, 3);
        }
        metrics.read(&engine);
        let counted = metrics.inserted.collect();
        assert_eq!(counted[0].get_metric().len(), 1);
        assert_eq!(metrics.inserted.with_label_values(&[NODE, "d", "kept"]).get(), 3);
    }

    #[test]
    fn calls_are_counted_by_name_and_outcome() {
        let registry = Registry::new();
        let metrics = MilvusMetrics::new(&registry).unwrap();
        let took = Duration::from_millis(3);
        let protocol = Protocol::Rest;
        let call =
            Counted { protocol, path: "entities/search", succeeded: true, took, received: 10, sent: 20 };
        metrics.request(call);
        metrics.request(Counted { succeeded: false, ..call });
        let count = |status| metrics.requests.with_label_values(&[NODE, "Search", status]).get();
        assert_eq!((count("total"), count("success"), count("fail")), (2, 1, 1));
        assert_eq!(metrics.reads.with_label_values(&[NODE, "search"]).get_sample_count(), 2);
    }
}
