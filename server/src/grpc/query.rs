//! Queries: rows by filter or key, and numbers over them.

use elanus_engine::exec::{Group, OrderBy};
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::Projection;
use elanus_engine::row::moment::Zone;
use elanus_engine::schema::DataType;
use elanus_engine::{Collection, Filter, QueryRequest};

use super::call::Call;
use super::columns::{self, Shown, columns};
use super::common::KeyValuePair;
use super::messages::{self, QueryResults};
use super::params::{find, is_true};
use super::search::{asked_zone, check_same_collection, expanded, whole};
use super::status::success;
use super::{templates, time};
use crate::auth::Privilege as P;
use crate::error::ApiError;
use crate::service::numbers::Numbers;
use crate::service::{Narrowing, order, window, zone};

/// The first rows of an answer that are shown: none stands for all, as many as a message can hold.
struct Window {
    limit: Option<usize>,
    offset: usize,
}

/// Rows that match a filter, in ascending order of keys; or numbers over them.
pub(super) fn query(call: &Call<'_>, request: messages::QueryRequest) -> Result<QueryResults, ApiError> {
    let collection = call.readable(P::Query, &request.db_name, &request.collection_name)?;
    let params = &request.query_params;
    check_same_collection(&collection, params)?;
    // Without output fields the keys alone are answered.
    let asked = request.output_fields;
    let groups = list(find(params, "group_by_fields").unwrap_or_default());
    let numbers = Numbers::read(&asked, groups)?;
    let order_by = list(find(params, "order_by_fields").unwrap_or_default());
    let order_by = order_by.iter().map(|item| order::read(item)).collect::<Result<Vec<OrderBy>, _>>()?;
    let window = Window::read(params, request.expr.trim().is_empty() && numbers.is_none())?;
    let narrowing = Narrowing {
        expression: request.expr,
        templates: templates::read(request.expr_template_values)?,
        partitions: request.partition_names,
        zone: asked_zone(params)?,
    };
    if find(params, "time_fields").is_some_and(|fields| !fields.is_empty()) {
        return Err(ApiError::unsupported("time_fields"));
    }
    let filter = narrowing.filter(&call.context.cancel, &collection, &collection.schema(), "query")?;
    match numbers {
        Some(numbers) => computed(&collection, &numbers, filter, &window),
        None => rows(&collection, &asked, filter, &window, order_by, narrowing.zone),
    }
}

/// Names that come as one text, separated by commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Window {
    /// # Errors
    /// 1100 when too much is asked for, and when nothing says which of all rows.
    fn read(params: &[KeyValuePair], of_all: bool) -> Result<Self, ApiError> {
        let number = |name: &str| find(params, name).map(|text| whole(name, text)).transpose();
        let offset = number("offset")?.unwrap_or(0);
        match number("limit")?.filter(|limit| *limit != -1) {
            Some(limit) => {
                let (limit, offset) = window::of_query(limit, offset)?;
                Ok(Self { limit: Some(limit), offset })
            }
            None if of_all && !is_true(params, "iterator") => {
                Err(ApiError::invalid("empty expression should be used with limit: invalid parameter"))
            }
            // Without a limit there is nothing to skip in, as in Milvus.
            None => Ok(Self { limit: None, offset: 0 }),
        }
    }
}

fn rows(
    collection: &Collection,
    asked: &[String],
    filter: Option<Filter>,
    window: &Window,
    order_by: Vec<OrderBy>,
    shown_in: Option<Zone>,
) -> Result<QueryResults, ApiError> {
    let schema = collection.schema();
    let projection = Projection::resolve(&schema, asked)?;
    let limit = window.limit.unwrap_or(match order_by.is_empty() {
        // As many as there are; an answer that is too large for a message is refused when it is gathered.
        true => usize::try_from(collection.count()).unwrap_or(usize::MAX).max(1),
        false => MAX_RESULT_WINDOW,
    });
    let request = QueryRequest { filter, projection, limit, offset: window.offset, order_by };
    let rows = collection.query(&request)?;
    let zone = shown_in.unwrap_or_else(|| zone(collection));
    let mut names = expanded(&schema, asked);
    let key = &schema.primary().name;
    if !names.contains(key) {
        names.insert(0, key.clone());
    }
    let mut fields_data = columns(&Shown { schema: &schema, zone: &zone, key: true }, rows);
    fields_data.retain(|field| field.is_dynamic || names.contains(&field.field_name));
    Ok(results(collection, fields_data, names))
}

fn computed(
    collection: &Collection,
    numbers: &Numbers,
    filter: Option<Filter>,
    window: &Window,
) -> Result<QueryResults, ApiError> {
    let groups = numbers.compute(collection, filter)?;
    let shown: Vec<&Group> = match (numbers.is_single(), window.limit) {
        (false, Some(limit)) => groups.iter().skip(window.offset).take(limit).collect(),
        _ => groups.iter().collect(),
    };
    let schema = collection.schema();
    let column = |(position, (name, field)): (usize, (&str, Option<&str>))| {
        let cells =
            shown.iter().filter_map(move |group| numbers.cells(group).nth(position).map(|(_, cell)| cell));
        let data_type =
            field.and_then(|name| schema.field(name)).map_or(DataType::Int64, |(_, f)| f.data_type);
        columns::cells(name, cells, data_type)
    };
    let fields = numbers.columns().enumerate().map(column).collect();
    let names = numbers.columns().map(|(name, _)| name.to_owned()).collect();
    Ok(results(collection, fields, names))
}

fn results(
    collection: &Collection,
    fields_data: Vec<super::wire_schema::FieldData>,
    output_fields: Vec<String>,
) -> QueryResults {
    let definition = collection.definition();
    QueryResults {
        status: Some(success()),
        fields_data,
        output_fields,
        session_ts: time::now(),
        primary_field_name: definition.schema.primary().name.clone(),
        collection_name: definition.name.clone(),
        ..QueryResults::default()
    }
}
