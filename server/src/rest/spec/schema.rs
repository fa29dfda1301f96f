//! `collections/create`: a collection in Milvus's two forms, and the fields and functions of its schema.

use super::keys::{IN_DATABASE, INTEGER_OR_TEXT, LEVEL, TEXTS};
use super::{INDEX_PARAM, Key, Kind, Request, optional, required, unsupported};

const QUICK: &[Key] = &[
    optional(
        "dimension",
        Kind::Integer,
        "Quick form: length of the vector. Needed there, but for SparseFloatVector.",
    ),
    optional("vectorFieldType", VECTOR_TYPE, "Quick form: type of the vector; default: FloatVector."),
    optional(
        "metricType",
        Kind::Text,
        "Quick form: the metric; default: that of the type, COSINE for FloatVector.",
    ),
    optional(
        "idType",
        Kind::Word(&["Int64", "VarChar"]),
        "Quick form: type of the primary key; default: Int64.",
    ),
    optional("autoID", Kind::Boolean, "Quick form: whether the server makes the keys; default: false."),
    optional("primaryFieldName", Kind::Text, "Quick form: name of the primary key; default: `id`."),
    optional("vectorFieldName", Kind::Text, "Quick form: name of the vector; default: `vector`."),
    optional(
        "enableDynamicField",
        Kind::Boolean,
        "Quick form: whether rows may have undeclared keys; default: true.",
    ),
];

const VECTOR_TYPE: Kind = Kind::Word(&[
    "FloatVector",
    "BinaryVector",
    "Float16Vector",
    "BFloat16Vector",
    "SparseFloatVector",
    "Int8Vector",
]);

const DATA_TYPE: Kind = Kind::Word(&[
    "Bool",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Float",
    "Double",
    "VarChar",
    "JSON",
    "Array",
    "Timestamptz",
    "Text",
    "FloatVector",
    "BinaryVector",
    "Float16Vector",
    "BFloat16Vector",
    "SparseFloatVector",
    "Int8Vector",
]);

/// A collection to be made.
pub(crate) static COLLECTION: Request = Request::new(
    "CollectionReq",
    &[
        IN_DATABASE,
        &[
            required("collectionName", Kind::Text, "Its name."),
            optional("description", Kind::Text, "What it is for."),
            optional("schema", Kind::Object(&SCHEMA), "Schema form: the fields."),
            optional("indexParams", Kind::Array(&Kind::Object(&INDEX_PARAM)), "Schema form: the indexes."),
            optional("params", Kind::Object(&COLLECTION_PARAMS), "Further options."),
            optional(
                "properties",
                Kind::Map,
                "Such as `collection.ttl.seconds`, `timezone`, `mmap.enabled`.",
            ),
            optional("consistencyLevel", LEVEL, "Kept and told; every read sees every acknowledged write."),
        ],
        QUICK,
        &[unsupported("externalSource"), unsupported("externalSpec"), unsupported("structFields")],
    ],
    r#"{"collectionName":"books","dimension":4,"metricType":"COSINE"}"#,
);

static COLLECTION_PARAMS: Request = Request::within(
    "CollectionParams",
    "Further options of a collection.",
    &[&[
        optional("shardsNum", INTEGER_OR_TEXT, "1 to 16; kept and told."),
        optional(
            "partitionsNum",
            INTEGER_OR_TEXT,
            "Partitions of a collection with a partition key; default: 16.",
        ),
        optional("partitionKeyIsolation", Kind::Boolean, "Kept and told."),
        optional("max_length", INTEGER_OR_TEXT, "Quick form: longest VarChar key, in bytes."),
        optional("enableDynamicField", Kind::Boolean, "Quick form: as outside."),
        optional("ttlSeconds", INTEGER_OR_TEXT, "Age after which rows die."),
        optional("consistencyLevel", LEVEL, "As outside; both must agree."),
        optional("mmap.enabled", Kind::Any, "Kept and told: data is always mapped."),
        unsupported("ttlField"),
    ]],
);

static SCHEMA: Request = Request::within(
    "CollectionSchema",
    "The fields of a collection.",
    &[&[
        optional(
            "fields",
            Kind::Array(&Kind::Object(&FIELD_SCHEMA)),
            "The fields. Without any, the quick form is meant.",
        ),
        optional(
            "functions",
            Kind::Array(&Kind::Object(&FUNCTION_SCHEMA)),
            "Functions that make fields of others.",
        ),
        optional("autoID", Kind::Boolean, "Whether the server makes the keys; default: false."),
        optional(
            "enableDynamicField",
            Kind::Boolean,
            "Whether rows may have undeclared keys; default: false.",
        ),
        optional("description", Kind::Text, "What it is for, if that is not said outside."),
        unsupported("structFields"),
    ]],
);

/// A field.
pub(crate) static FIELD_SCHEMA: Request = Request::within(
    "FieldSchema",
    "A field of a schema.",
    &[&[
        optional("fieldName", Kind::Text, "Its name."),
        optional("dataType", DATA_TYPE, "Its type; upper and lower case matter."),
        optional("elementDataType", Kind::Text, "Type of the elements of an Array."),
        optional("elementTypeParams", Kind::Object(&TYPE_PARAMS), "Its sizes and further parameters."),
        optional("isPrimary", Kind::Boolean, "Whether it is the primary key."),
        optional("autoID", Kind::Boolean, "Whether the server makes the keys."),
        optional("isPartitionKey", Kind::Boolean, "Whether rows are spread over partitions by it."),
        optional("isClusteringKey", Kind::Boolean, "Kept and told."),
        optional("nullable", Kind::Boolean, "Whether values may be null."),
        optional("defaultValue", Kind::Any, "The value of rows that have none."),
        optional("description", Kind::Text, "What it is."),
        unsupported("externalField"),
    ]],
);

static TYPE_PARAMS: Request = Request::within(
    "TypeParams",
    "Sizes of a field. Other names are kept and told.",
    &[&[
        optional("dim", INTEGER_OR_TEXT, "Length of a vector."),
        optional("max_length", INTEGER_OR_TEXT, "Longest text, in bytes."),
        optional("max_capacity", INTEGER_OR_TEXT, "Most elements of an Array."),
        optional("enable_analyzer", Kind::Any, "Whether the text is split into words."),
        optional("enable_match", Kind::Any, "Whether filters may look for words."),
        optional("analyzer_params", Kind::Any, "How the text is split."),
    ]],
)
.open();

/// A function.
pub(crate) static FUNCTION_SCHEMA: Request = Request::within(
    "FunctionSchema",
    "A function that makes one field of another.",
    &[&[
        required("name", Kind::Text, "Its name."),
        optional("type", Kind::Word(&["BM25"]), "What it does."),
        optional("inputFieldNames", TEXTS, "The one field it reads."),
        optional("outputFieldNames", TEXTS, "The one field it makes."),
        optional("description", Kind::Text, "What it is for."),
    ]],
);
