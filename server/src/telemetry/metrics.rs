//! The metrics of one server, with one method for each thing that happens. Labels are bounded: routes are templates,
//! methods and reasons come from short lists.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use elanus_engine::{CollectionStats, Engine, SearchStats};
use elanus_storage::Resource;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::milvus::{Counted, MilvusMetrics, VectorCount};
use crate::version::{COMMIT, VERSION};

/// Upper bounds of latencies in seconds, from a point read to a slow import.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// Upper bounds of batch sizes.
const SIZES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Longest label that a caller may give.
const MAX_LABEL: usize = 40;

/// All metrics. Shared; every method is cheap and never fails.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    embed_seconds: HistogramVec,
    embed_batch: Histogram,
    devices_lost: IntCounterVec,
    embedded: IntCounter,
    decode_seconds: Histogram,
    embed_queue: IntGauge,
    embed_models: IntGauge,
    stored: IntCounter,
    refused: IntCounterVec,
    jobs_running: IntGauge,
    searches: Searches,
    collections: Collections,
    milvus: MilvusMetrics,
}

/// What searches did; the same counters that `explain` gives.
#[derive(Debug)]
struct Searches {
    seconds: Histogram,
    segments: IntCounterVec,
    work: IntCounterVec,
    bytes: IntCounter,
}

/// Read from the engine when metrics are asked for.
#[derive(Debug)]
struct Collections {
    count: IntGauge,
    failed: IntGauge,
    rows: IntGaugeVec,
    growing_rows: IntGaugeVec,
    log_bytes: IntGaugeVec,
    segment_bytes: IntGaugeVec,
    dead_rows: IntGaugeVec,
    disk_bytes: IntGaugeVec,
    replayed_bytes: IntGaugeVec,
    read_only: IntGaugeVec,
    compacting: IntGaugeVec,
    compaction_written: IntGaugeVec,
    compaction_expected: IntGaugeVec,
    compactions: IntGaugeVec,
    dropped_rows: IntGaugeVec,
    indexed_rows: IntGaugeVec,
    pending_rows: IntGaugeVec,
    index_bytes: IntGaugeVec,
    index_builds: IntGaugeVec,
    loading: IntGauge,
    data_bytes: IntGauge,
    exhausted: IntGaugeVec,
}

impl Metrics {
    /// Metrics that all stand at zero.
    ///
    /// # Errors
    /// The registry's, which only a mistake in this file can cause.
    pub fn new() -> prometheus::Result<Arc<Self>> {
        let make = Maker { registry: Registry::new() };
        #[cfg(target_os = "linux")]
        make.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let build = make.gauges(
            "build_info",
            "Always 1; the labels say what runs",
            &["version", "commit", "kernel"],
        )?;
        build.with_label_values(&[VERSION, COMMIT, elanus_engine::kernel::active().name()]).set(1);
        let collection = &["collection"];
        Ok(Arc::new(Self {
            milvus: MilvusMetrics::new(&make.registry)?,
            requests: make.counters(
                "http_requests_total",
                "Requests answered",
                &["method", "route", "status"],
            )?,
            request_seconds: make.histograms(
                "http_request_seconds",
                "Time from the headers of a request to those of its answer",
                &["method", "route"],
                &SECONDS,
            )?,
            in_flight: make.gauge("http_requests_in_flight", "Requests being answered")?,
            embed_seconds: make.histograms(
                "embed_seconds",
                "Time of one batch through the network",
                &["device"],
                &SECONDS,
            )?,
            embed_batch: make.histogram("embed_batch_size", "Images in one batch", &SIZES)?,
            devices_lost: make.counters(
                "embed_devices_lost_total",
                "Devices that failed while the network ran, and that the processor replaces",
                &["device"],
            )?,
            embedded: make.counter("images_embedded_total", "Images turned into vectors")?,
            decode_seconds: make.histogram("decode_seconds", "Time to decode one image", &SECONDS)?,
            embed_queue: make.gauge("embed_queue_depth", "Images that wait for a network")?,
            embed_models: make.gauge("embed_models", "Models that are open")?,
            stored: make.counter("images_stored_total", "Images stored in collections")?,
            refused: make.counters("images_refused_total", "Files that gave no image", &["reason"])?,
            jobs_running: make.gauge("jobs_running", "Imports under way")?,
            searches: Searches {
                seconds: make.histogram("search_seconds", "Time of one search in the engine", &SECONDS)?,
                segments: make.counters(
                    "search_segments_total",
                    "Segments searched, by an index or row by row",
                    &["by"],
                )?,
                work: make.counters(
                    "search_work_total",
                    "What searches did: vectors scored in full precision, codes compared, filter questions, lists \
                     scanned, hops over a graph",
                    &["what"],
                )?,
                bytes: make.counter("search_read_bytes_total", "Bytes of vectors and codes read by searches")?,
            },
            collections: Collections {
                count: make.gauge("collections", "Collections")?,
                failed: make.gauge("collections_failed", "Collections out of service")?,
                rows: make.gauges("collection_rows", "Live rows", collection)?,
                growing_rows: make.gauges(
                    "collection_growing_rows",
                    "Live rows not yet in segment files",
                    collection,
                )?,
                log_bytes: make.gauges("collection_log_bytes", "Bytes in the log", collection)?,
                segment_bytes: make.gauges(
                    "collection_segment_bytes",
                    "Bytes of vectors and columns",
                    collection,
                )?,
                dead_rows: make.gauges("collection_dead_rows", "Dead rows in segment files", collection)?,
                disk_bytes: make.gauges(
                    "collection_disk_bytes",
                    "Bytes of log and segment files",
                    collection,
                )?,
                replayed_bytes: make.gauges(
                    "collection_replayed_bytes",
                    "Bytes of the log replayed when the collection was opened",
                    collection,
                )?,
                read_only: make.gauges(
                    "collection_read_only",
                    "1 when a sync has failed: no more writes until a restart",
                    collection,
                )?,
                compacting: make.gauges(
                    "collection_compacting",
                    "1 while segments are rewritten",
                    collection,
                )?,
                compaction_written: make.gauges(
                    "collection_compaction_written_bytes",
                    "Bytes written by the compaction under way, or the last one",
                    collection,
                )?,
                compaction_expected: make.gauges(
                    "collection_compaction_expected_bytes",
                    "Bytes it will have written",
                    collection,
                )?,
                compactions: make.gauges(
                    "collection_compactions_total",
                    "Compactions finished since the start",
                    collection,
                )?,
                dropped_rows: make.gauges(
                    "collection_compaction_dropped_rows_total",
                    "Dead rows that compactions left behind",
                    collection,
                )?,
                indexed_rows: make.gauges(
                    "collection_indexed_rows",
                    "Live rows that searches reach through an index, or whose segments need none",
                    collection,
                )?,
                pending_rows: make.gauges(
                    "collection_index_pending_rows",
                    "Live rows in segments that wait for an index",
                    collection,
                )?,
                index_bytes: make.gauges("collection_index_bytes", "Bytes of indexes", collection)?,
                index_builds: make.gauges(
                    "collection_index_builds_total",
                    "Indexes built or opened since the start",
                    collection,
                )?,
                loading: make.gauge("collections_loading", "Collections still being opened")?,
                data_bytes: make.gauge("data_bytes", "Bytes of logs, segments and originals")?,
                exhausted: make.gauges(
                    "quota_exceeded",
                    "1 while there is too little of it for the data to grow",
                    &["resource"],
                )?,
            },
            registry: make.registry,
        }))
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn request_begins(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an answered request. `route` is a template or `other`.
    pub(crate) fn request_ends(&self, method: &Method, route: &str, status: StatusCode, taken: Duration) {
        let method = match *method {
            Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD | Method::OPTIONS => {
                method.as_str()
            }
            _ => "other",
        };
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.request_seconds.with_label_values(&[method, route]).observe(taken.as_secs_f64());
    }

    /// One batch of `batch` images went through the network of `device`.
    pub fn embed_seconds(&self, device: &str, seconds: f64, batch: usize) {
        self.embed_seconds.with_label_values(&[label(device)]).observe(seconds);
        self.embed_batch.observe(batch as f64);
        self.embedded.inc_by(batch as u64);
    }

    /// A device has failed, and another has taken over.
    pub fn device_lost(&self, device: &str) {
        self.devices_lost.with_label_values(&[label(device)]).inc();
    }

    /// One image was decoded.
    pub fn decode_seconds(&self, seconds: f64) {
        self.decode_seconds.observe(seconds);
    }

    /// A model is ready.
    pub fn model_opened(&self) {
        self.embed_models.inc();
    }

    /// A model was put away.
    pub fn model_closed(&self) {
        self.embed_models.dec();
    }

    /// How many images wait.
    pub fn embed_queue(&self, depth: usize) {
        self.embed_queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// So many images were stored.
    pub fn images_stored(&self, count: u64) {
        self.stored.inc_by(count);
    }

    /// A file was refused; `reason` is a short word of a fixed list.
    pub fn images_refused(&self, reason: &str) {
        self.refused.with_label_values(&[label(reason)]).inc();
    }

    /// A search was done.
    pub(crate) fn searched(&self, stats: &SearchStats, took: Duration) {
        self.searches.seconds.observe(took.as_secs_f64());
        let rows = stats.segments.saturating_sub(stats.indexed_segments);
        for (by, count) in [("index", stats.indexed_segments), ("rows", rows)] {
            self.searches.segments.with_label_values(&[by]).inc_by(count);
        }
        for (what, count) in [
            ("scored", stats.scored),
            ("compared", stats.compared),
            ("checked", stats.checked),
            ("lists", stats.lists),
            ("hops", stats.hops),
        ] {
            self.searches.work.with_label_values(&[what]).inc_by(count);
        }
        self.searches.bytes.inc_by(stats.bytes);
    }

    /// Counts a call of Milvus's API under Milvus's names.
    pub(crate) fn called(&self, call: Counted<'_>) {
        self.milvus.request(call);
    }

    /// Counts rows or queries of a collection under Milvus's names.
    pub(crate) fn vectors(&self, kind: VectorCount, collection: &str, count: usize) {
        self.milvus.vectors(kind, collection, count);
    }

    /// Counts a slow search under Milvus's name.
    pub(crate) fn slow_search(&self) {
        self.milvus.slow_search();
    }

    /// Forgets the counts of collections that are gone.
    pub(crate) fn forget_dropped(&self, engine: &Engine) {
        self.milvus.forget_dropped(engine);
    }

    /// So many imports are under way.
    pub fn jobs_running(&self, count: i64) {
        self.jobs_running.set(count);
    }

    /// Everything as Prometheus text; reads the numbers of collections from the engine, which may wait for a lock.
    ///
    /// # Errors
    /// The encoder's.
    pub(crate) fn text(&self, engine: Option<&Engine>) -> prometheus::Result<Vec<u8>> {
        if let Some(engine) = engine {
            self.collections.read(engine);
            self.milvus.read(engine);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// One number of a collection.
type Reading = fn(&CollectionStats) -> u64;

impl Collections {
    fn read(&self, engine: &Engine) {
        let names = engine.names();
        self.count.set(number(names.len() as u64));
        self.failed.set(number(engine.failed().len() as u64));
        self.loading.set(number(engine.loading().map_or(0, |l| (l.total - l.done) as u64)));
        self.data_bytes.set(number(engine.data_bytes()));
        let exhausted = engine.exhausted();
        for resource in [Resource::Disk, Resource::Memory] {
            let exceeded = exhausted.contains(&resource);
            self.exhausted.with_label_values(&[&resource.to_string()]).set(exceeded.into());
        }
        // Dropped collections must not stay.
        self.by_collection().iter().for_each(|(gauges, _)| gauges.reset());
        for collection in engine.open_collections() {
            let stats = collection.stats();
            for (gauges, value) in self.by_collection() {
                gauges.with_label_values(&[collection.name()]).set(number(value(&stats)));
            }
            let read_only = i64::from(collection.poisoned().is_some());
            self.read_only.with_label_values(&[collection.name()]).set(read_only);
        }
    }

    fn by_collection(&self) -> [(&IntGaugeVec, Reading); 17] {
        [
            (&self.rows, |s| s.rows),
            (&self.growing_rows, |s| s.growing_rows),
            (&self.log_bytes, |s| s.log_bytes),
            (&self.segment_bytes, |s| s.segment_bytes),
            (&self.dead_rows, |s| s.dead_rows),
            (&self.disk_bytes, |s| s.disk_bytes),
            (&self.replayed_bytes, |s| s.replayed_bytes),
            (&self.compacting, |s| s.compaction.running.into()),
            (&self.compaction_written, |s| s.compaction.written_bytes),
            (&self.compaction_expected, |s| s.compaction.expected_bytes),
            (&self.compactions, |s| s.compaction.finished),
            (&self.dropped_rows, |s| s.compaction.dropped_rows),
            (&self.indexed_rows, |s| s.indexing.indexed_rows),
            (&self.pending_rows, |s| s.indexing.pending_rows),
            (&self.index_bytes, |s| s.indexing.bytes),
            (&self.index_builds, |s| s.indexing.finished),
            // Set by its own rule; here so that it is emptied with the others.
            (&self.read_only, |_| 0),
        ]
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A label from a caller, or `other` when it is not a short word.
fn label(text: &str) -> &str {
    let short = !text.is_empty() && text.len() <= MAX_LABEL;
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if short && word { text } else { "other" }
}

/// Makes metrics named `elanus_...` and registers them.
struct Maker {
    registry: Registry,
}

impl Maker {
    fn add<T: prometheus::core::Collector + Clone + 'static>(&self, metric: T) -> prometheus::Result<T> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::with_opts(options(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(options(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::with_opts(options(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(options(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::from(options(name, help)).buckets(buckets.to_vec()))?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(
            HistogramOpts::from(options(name, help)).buckets(buckets.to_vec()),
            labels,
        )?)
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("elanus")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_in_the_text() {
        let metrics = Metrics::new().unwrap();
        metrics.request_ends(&Method::POST, "/v2/x", StatusCode::OK, Duration::from_millis(2));
        metrics.request_ends(
            &Method::from_bytes(b"BREW").unwrap(),
            "other",
            StatusCode::NOT_FOUND,
            Duration::ZERO,
        );
        metrics.embed_seconds("cpu", 0.5, 3);
        metrics.images_refused("not-an-image");
        metrics.images_refused("../../etc/passwd");
        let in_flight = metrics.request_begins();
        let text = String::from_utf8(metrics.text(None).unwrap()).unwrap();
        for line in [
            r#"elanus_http_requests_total{method="POST",route="/v2/x",status="200"} 1"#,
            r#"elanus_http_requests_total{method="other",route="other",status="404"} 1"#,
            r#"elanus_http_request_seconds_bucket{method="POST",route="/v2/x",le="0.0025"} 1"#,
            "elanus_images_embedded_total 3",
            r#"elanus_images_refused_total{reason="not-an-image"} 1"#,
            r#"elanus_images_refused_total{reason="other"} 1"#,
            "elanus_http_requests_in_flight 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        drop(in_flight);
        let text = String::from_utf8(metrics.text(None).unwrap()).unwrap();
        assert!(text.contains("elanus_http_requests_in_flight 0") && text.contains("elanus_build_info{"));
    }
}
