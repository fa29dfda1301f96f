//! What `entities/search` and `entities/hybrid_search` take.

use super::keys::{
    BOOLEAN_OR_TEXT, CONSISTENCY, FILTER, IN_COLLECTION, INTEGER_OR_TEXT, NUMBER_OR_TEXT, PARTITIONS, TEXTS,
};
use super::{Key, Kind, Request, depends, optional, required, unsupported};

const VECTORS: Kind = Kind::Array(&Kind::Any);
const VECTORS_ABOUT: &str = "Query vectors, each in the form of its field's type; texts for a BM25 field.";
const FIELD: Key =
    optional("annsField", Kind::Text, "The vector field; may be left out when there is one only.");

const WINDOW: &[Key] = &[
    optional("limit", Kind::Integer, "Hits of each query, 1 to 16384; default: 100."),
    optional("offset", Kind::Integer, "Hits to skip; default: 0. Together at most 16384."),
];

const OUTPUT: &[Key] = &[
    optional(
        "outputFields",
        TEXTS,
        "Fields and undeclared keys of the hits; default: none but key and distance.",
    ),
    optional(
        "groupingField",
        Kind::Text,
        "A field of which no value may appear more than `groupSize` times.",
    ),
    optional("groupSize", Kind::Integer, "Default: 1."),
    optional(
        "strictGroupSize",
        Kind::Boolean,
        "Whether to look further until groups are full; default: false.",
    ),
];

/// A search.
pub(crate) static SEARCH: Request = Request::new(
    "SearchReqV2",
    &[
        IN_COLLECTION,
        &[
            depends("data", VECTORS, VECTORS_ABOUT),
            depends("ids", VECTORS, "Instead of `data`: keys of stored rows whose vectors are the queries."),
            FIELD,
        ],
        WINDOW,
        FILTER,
        OUTPUT,
        &[optional("searchParams", Kind::Object(&SEARCH_PARAMS), "How to search.")],
        PARTITIONS,
        &[
            CONSISTENCY,
            unsupported("functionScore"),
            unsupported("orderByFields"),
            unsupported("searchAggregation"),
            unsupported("functionChains"),
        ],
    ],
    r#"{"collectionName":"books","data":[[0.1,0.2,0.3,0.4]],"limit":3,"outputFields":["title"],"searchParams":{"params":{"ef":64}}}"#,
);

/// Several searches in one.
pub(crate) static HYBRID_SEARCH: Request = Request::new(
    "HybridSearchReq",
    &[
        IN_COLLECTION,
        &[
            required("search", Kind::Array(&Kind::Object(&SUB_SEARCH)), "The searches."),
            optional("rerank", Kind::Object(&RERANK), "How their hits are fused; default: rrf."),
        ],
        WINDOW,
        OUTPUT,
        PARTITIONS,
        &[
            CONSISTENCY,
            optional("explain", Kind::Boolean, "Of our own: whether the answer says how it was found."),
            unsupported("functionScore"),
        ],
    ],
    r#"{"collectionName":"books","search":[{"data":[[0.1,0.2,0.3,0.4]],"annsField":"vector","limit":10},{"data":[[0.4,0.3,0.2,0.1]],"annsField":"vector","limit":10}],"rerank":{"strategy":"rrf","params":{"k":60}},"limit":3}"#,
);

/// One of them.
pub(crate) static SUB_SEARCH: Request = Request::within(
    "SubSearchReq",
    "One of several searches.",
    &[
        &[required("data", VECTORS, VECTORS_ABOUT), FIELD],
        WINDOW,
        FILTER,
        PARTITIONS,
        &[
            optional("params", Kind::Object(&SEARCH_PARAMS), "How to search."),
            optional("metricType", Kind::Text, "The metric; it must be that of the field."),
            unsupported("ids"),
        ],
    ],
);

static RERANK: Request = Request::within(
    "Rerank",
    "How hits of several searches are fused.",
    &[&[
        optional(
            "strategy",
            Kind::Word(&["rrf", "weighted"]),
            "By ranks, or by weighted scores; default: rrf.",
        ),
        optional("params", Kind::Object(&RERANK_PARAMS), "Its parameters."),
    ]],
);

static RERANK_PARAMS: Request = Request::within(
    "RerankParams",
    "Parameters of a fusion.",
    &[&[
        optional("k", NUMBER_OR_TEXT, "rrf: how little the first ranks stand out; default: 60."),
        depends("weights", Kind::Array(&Kind::Number), "weighted: a weight in 0 to 1 for each search."),
        optional("norm_score", Kind::Boolean, "weighted: whether scores are brought to 0 to 1 first."),
    ]],
);

static SEARCH_PARAMS: Request = Request::within(
    "SearchParams",
    "How to search. Parameters may stand here, or under `params`, or both if they agree.",
    &[
        PARAMS,
        &[optional("params", Kind::Object(&INNER_PARAMS), "The same parameters, as some clients send them.")],
    ],
);

static INNER_PARAMS: Request = Request::within("InnerSearchParams", "How to search.", &[PARAMS]);

const PARAMS: &[Key] = &[
    optional("metric_type", Kind::Text, "The metric; it must be that of the field."),
    optional("ef", INTEGER_OR_TEXT, "HNSW: how many candidates to keep."),
    optional("search_list", INTEGER_OR_TEXT, "Another name for `ef`."),
    optional("nprobe", INTEGER_OR_TEXT, "IVF: how many lists to look through."),
    optional(
        "recall",
        NUMBER_OR_TEXT,
        "Of our own, instead of `ef` and `nprobe`: the share of the true nearest rows to be found.",
    ),
    optional("radius", NUMBER_OR_TEXT, "Only hits nearer than this."),
    optional("range_filter", NUMBER_OR_TEXT, "Only hits at least this far."),
    optional(
        "drop_ratio_search",
        NUMBER_OR_TEXT,
        "Of sparse vectors: the share of a query's smallest weights that need not find rows, 0 up to 1.",
    ),
    optional("round_decimal", INTEGER_OR_TEXT, "Digits after the point of distances, 0 to 6; -1: all."),
    optional("group_by_field", Kind::Text, "As `groupingField`."),
    optional("group_size", INTEGER_OR_TEXT, "As `groupSize`."),
    optional("strict_group_size", BOOLEAN_OR_TEXT, "As `strictGroupSize`."),
    optional("explain", BOOLEAN_OR_TEXT, "Of our own: whether the answer says how it was found."),
    unsupported("order_by_fields"),
    unsupported("iterator"),
    unsupported("search_iter_v2"),
    unsupported("search_iter_batch_size"),
    unsupported("search_iter_last_bound"),
    unsupported("search_iter_id"),
    unsupported("rank_group_scorer"),
];
