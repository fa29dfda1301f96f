//! Errors inside of responses: Milvus's `Status`, which every response carries.

use axum::http::StatusCode;

use super::common::{ErrorCode, Status};
use crate::error::{ApiError, code};

/// A response that can say that nothing came of its request.
pub(super) trait Answer: prost::Message + Default {
    /// The response that says only this.
    fn with_status(status: Status) -> Self;
}

impl Answer for Status {
    fn with_status(status: Self) -> Self {
        status
    }
}

/// Implements [`Answer`] for messages that have a field `status`, and nothing else that must be set.
macro_rules! answers {
    ($($message:ident),+ $(,)?) => {
        $(impl Answer for super::messages::$message {
            #[allow(clippy::needless_update, reason = "some have nothing else")]
            fn with_status(status: Status) -> Self {
                Self { status: Some(status), ..Self::default() }
            }
        })+
    };
}

answers!(
    AllocTimestampResponse,
    BatchDescribeCollectionResponse,
    BoolResponse,
    CheckHealthResponse,
    ComponentStates,
    ConnectResponse,
    DescribeAliasResponse,
    DescribeCollectionResponse,
    DescribeDatabaseResponse,
    DescribeIndexResponse,
    FlushAllResponse,
    FlushResponse,
    GetCollectionStatisticsResponse,
    GetCompactionPlansResponse,
    GetCompactionStateResponse,
    GetFlushAllStateResponse,
    GetFlushStateResponse,
    GetImportStateResponse,
    GetIndexBuildProgressResponse,
    GetIndexStateResponse,
    GetIndexStatisticsResponse,
    GetLoadStateResponse,
    GetLoadingProgressResponse,
    GetMetricsResponse,
    GetPartitionStatisticsResponse,
    GetPersistentSegmentInfoResponse,
    GetQuerySegmentInfoResponse,
    GetReplicasResponse,
    GetVersionResponse,
    ImportResponse,
    ListAliasesResponse,
    ListCredUsersResponse,
    ListDatabasesResponse,
    ListImportTasksResponse,
    ListPrivilegeGroupsResponse,
    ManualCompactionResponse,
    MutationResult,
    QueryResults,
    RunAnalyzerResponse,
    SearchResults,
    SelectGrantResponse,
    SelectRoleResponse,
    SelectUserResponse,
    ShowCollectionsResponse,
    ShowPartitionsResponse,
    TruncateCollectionResponse,
);

impl Answer for super::messages::AlterCollectionSchemaResponse {
    fn with_status(status: Status) -> Self {
        Self { alter_status: Some(status) }
    }
}

/// Everything went well.
pub(super) fn success() -> Status {
    Status::default()
}

/// What went wrong. Codes that only REST has become those that Milvus's gRPC has for the same.
#[expect(deprecated, reason = "clients read the old code as well")]
pub(super) fn failure(error: &ApiError) -> Status {
    let code = match error.code {
        code::BAD_JSON | code::MISSING_FIELD | code::BAD_ROWS | code::BAD_KEYS => code::INVALID,
        other => other,
    };
    let mut status = Status {
        code,
        error_code: legacy(code).into(),
        reason: error.message.clone(),
        detail: error.message.clone(),
        retriable: matches!(code, code::RATE_LIMIT | code::UNAVAILABLE | code::SCHEMA_MISMATCH),
        ..Status::default()
    };
    if error.status.is_client_error() && error.status != StatusCode::REQUEST_TIMEOUT {
        status.extra_info.insert("is_input_error".to_owned(), "true".to_owned());
    }
    status
}

/// The code of Milvus before 2.3.
fn legacy(code: i32) -> ErrorCode {
    match code {
        0 => ErrorCode::Success,
        code::COLLECTION_NOT_FOUND => ErrorCode::CollectionNotExists,
        code::INVALID | code::MISSING | code::TOO_LARGE => ErrorCode::IllegalArgument,
        code::PARTITION_NOT_FOUND => ErrorCode::MetaFailed,
        code::RATE_LIMIT => ErrorCode::RateLimit,
        code::SCHEMA_MISMATCH => ErrorCode::SchemaMismatch,
        _ => ErrorCode::UnexpectedError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(deprecated, reason = "clients read the old code as well")]
    fn errors_have_both_codes_and_say_whose_fault_it_was() {
        let status = failure(&ApiError::not_found("can't find collection"));
        assert_eq!((status.code, status.error_code), (100, ErrorCode::CollectionNotExists as i32));
        assert_eq!(status.reason, "can't find collection");
        assert!(!status.retriable && status.extra_info.contains_key("is_input_error"));
        let rows = failure(&ApiError::new(code::BAD_ROWS, StatusCode::BAD_REQUEST, "x"));
        assert_eq!((rows.code, rows.error_code), (1100, ErrorCode::IllegalArgument as i32));
        let internal = failure(&ApiError::internal("x"));
        assert!(internal.error_code != 0 && internal.extra_info.is_empty());
        assert_eq!(success(), Status::default());
    }
}
