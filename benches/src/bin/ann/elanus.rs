//! Elanus in process, through the same calls that the server makes: a collection with a key, a vector and a number that
//! filters ask for.

use std::sync::Arc;
use std::time::Instant;

use elanus_engine::collection::IndexDefinition;
use elanus_engine::row::{BatchBuilder, KeySource, OutputValue, Projection, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{
    Collection, Definition, Effort, Engine, EngineOptions, Filter, SearchHits, SearchRequest,
};
use elanus_storage::data_dir;

use crate::Result;
use crate::contender::{Built, Contender, Load, Pass};
use elanus_benches::data::{DataSet, K};

/// Rows of an insert.
const BATCH: usize = 5_000;
/// Queries sent one at a time.
const SINGLES: usize = 400;
/// One segment, however large: peers have one index, too.
const ONE_SEGMENT: usize = 8 << 30;

/// One kind of index over one data set.
pub(crate) struct Elanus<'a> {
    data: &'a DataSet,
    index_type: &'static str,
    params: Vec<(&'static str, usize)>,
    folder: Option<tempfile::TempDir>,
    /// An engine for each number of threads, over the same kind of index.
    open: Option<(usize, Arc<Engine>, Arc<Collection>)>,
}

impl<'a> Elanus<'a> {
    pub(crate) fn new(data: &'a DataSet, index_type: &'static str, params: &[(&'static str, usize)]) -> Self {
        Self { data, index_type, params: params.to_vec(), folder: None, open: None }
    }

    fn options(threads: usize) -> EngineOptions {
        EngineOptions {
            seal_bytes: ONE_SEGMENT,
            segment_bytes: ONE_SEGMENT as u64,
            search_threads: threads,
            index_threads: threads,
            background: false,
            ..EngineOptions::default()
        }
    }

    fn definition(&self) -> Result<Definition> {
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("bucket", DataType::Int64),
            Field::new("vector", DataType::FloatVector).dim(self.data.dim),
        ];
        let mut definition = Definition::new("bench", Schema::new(fields, false, "")?);
        definition.indexes.push(IndexDefinition {
            field: "vector".into(),
            name: "vector".into(),
            index_type: self.index_type.into(),
            metric: Some(self.data.metric.into()),
            params: self.params.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        });
        Ok(definition)
    }

    fn fill(&self, collection: &Collection) -> Result<()> {
        let dim = self.data.dim;
        for (part, rows) in self.data.base.chunks(BATCH * dim).enumerate() {
            let mut builder = BatchBuilder::new(&collection.schema(), KeySource::Given);
            for (i, row) in rows.chunks_exact(dim).enumerate() {
                let id = (part * BATCH + i) as i64;
                builder.set(0, Value::Int(id))?;
                builder.set(1, Value::Int(id % 100))?;
                builder.set_vector(2, |matrix| {
                    matrix.extend_from_slice(row);
                    Ok(())
                })?;
                builder.end_row()?;
            }
            collection.insert(builder.finish()?)?;
        }
        Ok(collection.flush()?)
    }

    /// The collection, searched by this many threads.
    fn with_threads(&mut self, threads: usize) -> Result<Arc<Collection>> {
        if let Some((open, _, collection)) = &self.open
            && *open == threads
        {
            return Ok(Arc::clone(collection));
        }
        if let Some((_, engine, _)) = self.open.take() {
            engine.close();
        }
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => tempfile::tempdir()?,
        };
        let engine = Engine::open(data_dir::open(folder.path())?, Self::options(threads))?;
        let collection = engine.create(self.definition()?)?;
        // After the first time the index is opened, not built.
        while collection.build_index()? {}
        self.folder = Some(folder);
        self.open = Some((threads, engine, Arc::clone(&collection)));
        Ok(collection)
    }

    fn request(&self, collection: &Collection, queries: &[f32], load: Load) -> Result<SearchRequest> {
        let filter =
            load.filter.map(|percent| Filter::compile(&format!("bucket < {percent}"), &collection.schema()));
        let effort = if self.index_type.starts_with("IVF") {
            Effort::Asked { ef: None, probes: Some(load.effort) }
        } else {
            Effort::Asked { ef: Some(load.effort.max(K)), probes: None }
        };
        let projection = Projection::resolve::<&str>(&collection.schema(), &[])?;
        Ok(SearchRequest {
            filter: filter.transpose()?,
            effort,
            ..SearchRequest::new("vector", queries.to_vec(), K, projection)
        })
    }
}

impl Contender for Elanus<'_> {
    fn name(&self) -> String {
        format!("elanus {}", self.index_type)
    }

    fn build(&mut self, threads: usize) -> Result<Built> {
        if let Some((_, engine, _)) = self.open.take() {
            engine.close();
        }
        let folder = tempfile::tempdir()?;
        let engine = Engine::open(data_dir::open(folder.path())?, Self::options(threads))?;
        let collection = engine.create(self.definition()?)?;
        self.fill(&collection)?;
        let started = Instant::now();
        while collection.build_index()? {}
        let seconds = started.elapsed().as_secs_f64();
        let index = collection.index_state("vector").map_or(0, |state| state.bytes);
        let bytes = index + (self.data.base.len() * size_of::<f32>()) as u64;
        self.folder = Some(folder);
        self.open = Some((threads, engine, collection));
        Ok(Built { seconds, bytes })
    }

    fn search(&mut self, load: Load) -> Result<Pass> {
        let collection = self.with_threads(load.threads)?;
        let dim = self.data.dim;
        let warm = self.request(&collection, &self.data.queries[..20 * dim], load)?;
        collection.search(&warm)?;
        if load.single {
            return self.singles(&collection, load);
        }
        let request = self.request(&collection, &self.data.queries, load)?;
        let started = Instant::now();
        let hits = collection.search(&request)?;
        let seconds = started.elapsed().as_secs_f64();
        let recall = self.data.recall(&ids(&hits), load.filter);
        Ok(Pass { seconds, queries: self.data.query_count(), recall, p50_us: None, p99_us: None })
    }
}

impl Elanus<'_> {
    fn singles(&self, collection: &Collection, load: Load) -> Result<Pass> {
        let queries: Vec<&[f32]> = self.data.queries.chunks_exact(self.data.dim).take(SINGLES).collect();
        let requests = queries.iter().map(|query| self.request(collection, query, load));
        let requests: Vec<SearchRequest> = requests.collect::<Result<_>>()?;
        let (mut took, mut found) = (Vec::with_capacity(requests.len()), Vec::new());
        for request in &requests {
            let started = Instant::now();
            let hits = collection.search(request)?;
            took.push(started.elapsed().as_secs_f64() * 1e6);
            found.extend(ids(&hits));
        }
        let seconds = took.iter().sum::<f64>() / 1e6;
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied();
        let recall = self.data.recall(&found, load.filter);
        Ok(Pass { seconds, queries: took.len(), recall, p50_us: at(0.5), p99_us: at(0.99) })
    }
}

/// [`K`] ids a query, -1 where there are fewer.
fn ids(hits: &SearchHits) -> Vec<i64> {
    let keys = hits.rows.columns.iter().find(|column| column.primary);
    let mut ids = Vec::with_capacity(hits.topks.len() * K);
    let mut row = 0;
    for &count in &hits.topks {
        for rank in 0..K {
            let key = keys.filter(|_| rank < count).map(|column| column.value(row + rank));
            ids.push(match key {
                Some(OutputValue::Int64(id)) => id,
                _ => -1,
            });
        }
        row += count;
    }
    ids
}
