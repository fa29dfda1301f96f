//! The limits a client can run into, as named constants: Milvus's values where Milvus has one, ours where it has none.
//! Checked where data enters the engine (schema, batches, requests); the server repeats none of them.

/// Longest collection name or field name in bytes (Milvus: 255).
pub const MAX_NAME_BYTES: usize = 255;
/// Most fields in a schema (Milvus 3.0: 256).
pub const MAX_FIELDS: usize = 256;
/// Most vector fields in a schema (Milvus 3.0: 10).
pub const MAX_VECTOR_FIELDS: usize = 10;
/// Smallest dimension of a float vector (Milvus: 2).
pub const MIN_DIMENSION: usize = 2;
/// Largest dimension of a float vector (Milvus: 32,768).
pub const MAX_DIMENSION: usize = 32_768;
/// Largest dimension of a binary vector, in bits (Milvus: 262,144).
pub const MAX_BINARY_DIMENSION: usize = 262_144;
/// Most elements of an array (Milvus: 4,096).
pub const MAX_ARRAY_ELEMENTS: usize = 4096;
/// Most pairs of a sparse vector (ours).
pub const MAX_SPARSE_PAIRS: usize = 65_536;
/// Most partitions of a collection (Milvus: 1,024).
pub const MAX_PARTITIONS: usize = 1024;
/// Partitions of a collection with a partition key that does not say how many (Milvus: 16).
pub const DEFAULT_KEY_PARTITIONS: usize = 16;
/// Most databases (Milvus: 64).
pub const MAX_DATABASES: usize = 64;
/// Most aliases of a database (ours).
pub const MAX_ALIASES: usize = 65_536;
/// Largest `max_length` of a VarChar in bytes (Milvus: 65,535).
pub const MAX_VARCHAR_BYTES: usize = 65_535;
/// Largest JSON value in bytes, also of one row's dynamic keys together (Milvus: 65,536).
pub const MAX_JSON_BYTES: usize = 65_536;
/// Largest limit, offset + limit, and number of queries of one search (Milvus: 16,384).
pub const MAX_RESULT_WINDOW: usize = 16_384;
/// Most hits of one search over all its queries (ours: each is held in memory until all are known).
pub const MAX_HITS: usize = 1 << 22;
/// Largest answer in bytes of values (ours; Milvus bounds the message). As JSON it is up to three times as long.
pub const MAX_ANSWER_BYTES: usize = 192 << 20;
/// Largest number of rows of a group (Milvus: 10).
pub const MAX_GROUP_SIZE: usize = 10;
/// Most searches of a hybrid search (Milvus: 1,024).
pub const MAX_HYBRID_SEARCHES: usize = 1024;
/// Most collections (Milvus: 65,536).
pub const MAX_COLLECTIONS: usize = 65_536;
/// Most properties of one collection (ours).
pub const MAX_PROPERTIES: usize = 256;
/// Most rows that one insert, upsert or delete may carry (ours: a batch is one log record).
pub const MAX_BATCH_ROWS: usize = 1_000_000;
/// Largest insert or upsert in bytes of column data (ours: it has to fit one log record).
pub const MAX_BATCH_BYTES: usize = 192 << 20;
/// Most bytes that a field may take, when it is added, in the rows that are there (ours: its default is held in memory for
/// each of them, and compaction writes them into one column, which has less than 2 GiB).
pub const MAX_DEFAULT_BYTES: u64 = 1 << 30;
/// Largest key that may be given to a collection that generates keys (ours: generated ones go on above it).
pub const MAX_GIVEN_AUTO_ID: i64 = i64::MAX >> 1;
/// Longest filter expression in bytes (ours).
pub const MAX_FILTER_BYTES: usize = 1 << 20;
/// Deepest nesting of a filter expression (ours).
pub const MAX_FILTER_DEPTH: usize = 128;
/// Bytes that a collection without rows takes on the disk, about (ours: asked of the quota).
pub const EMPTY_COLLECTION_BYTES: u64 = 16 << 10;
