//! Scalar fields that a client gives along with its images: checked once a request, written into every new row, and
//! merged into the rows of images that were there already.

use std::sync::Arc;

use elanus_engine::EngineError;
use elanus_engine::row::{BatchBuilder, KeyRef, KeySource, Projection, Rows, Value};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field, Schema};
use serde_json::{Map, Value as Json};

use super::layout::{Layout, is_reserved};

/// The fields of one request, by name, typed for one schema.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// By name: a field's position changes when one before it is dropped.
    declared: Vec<(String, Json)>,
    dynamic: Map<String, Json>,
}

impl Fields {
    /// Checks names, and reads text as the declared type demands. Undeclared fields keep the JSON type they came with:
    /// a form knows only text, so they are strings unless given as JSON.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub(crate) fn new(
        layout: &Layout,
        schema: &Schema,
        given: impl IntoIterator<Item = (String, Json)>,
    ) -> Result<Self, String> {
        let mut fields = Self::default();
        for (name, value) in given {
            if is_reserved(layout, schema, &name) {
                return Err(format!("the field {name} is filled by the server and can't be given"));
            }
            match schema.field(&name) {
                Some((_, field)) if field.data_type.is_vector() => {
                    return Err(format!("the field {name} is a vector and can't be given with an image"));
                }
                Some((_, field)) => fields.set_declared(name.clone(), typed(field, value)?)?,
                None if name == DYNAMIC_FIELD || name.is_empty() => {
                    return Err(format!("a field can't be called {name:?}"));
                }
                None if !schema.dynamic() => {
                    return Err(format!("the collection has no field {name} and takes no undeclared ones"));
                }
                None => {
                    if fields.dynamic.insert(name.clone(), value).is_some() {
                        return Err(format!("the field {name} is given twice"));
                    }
                }
            }
        }
        Ok(fields)
    }

    /// Whether the request gave none.
    pub(crate) fn is_empty(&self) -> bool {
        self.declared.is_empty() && self.dynamic.is_empty()
    }

    /// Sets them in the row under construction.
    ///
    /// # Errors
    /// The engine's `InvalidRow` when a value does not fit; `FieldNotFound` for a field that was dropped meanwhile.
    pub(crate) fn fill(&self, batch: &mut BatchBuilder) -> Result<(), EngineError> {
        self.fill_declared(batch)?;
        self.dynamic.iter().try_for_each(|(name, value)| batch.set_dynamic(name, &value.to_string()))
    }

    fn fill_declared(&self, batch: &mut BatchBuilder) -> Result<(), EngineError> {
        for (name, value) in &self.declared {
            let found = batch.schema().field(name).map(|(index, _)| index);
            let index = found.ok_or_else(|| EngineError::FieldNotFound { name: name.clone() })?;
            set_json(batch, index, value)?;
        }
        Ok(())
    }

    /// A batch of one row: the stored `row` of `rows`, which are [`whole`], with these fields replaced.
    ///
    /// # Errors
    /// As [`Fields::fill`]; `Internal` when `rows` is not complete.
    pub(crate) fn merged(
        &self,
        schema: &Arc<Schema>,
        rows: &Rows,
        row: usize,
    ) -> Result<BatchBuilder, EngineError> {
        let mut batch = BatchBuilder::new(schema, KeySource::Given);
        let given = |field: &Field| self.declared.iter().any(|(name, _)| *name == field.name);
        copy_declared(&mut batch, rows, row, &|field| !given(field))?;
        self.fill_declared(&mut batch)?;
        let mut dynamic = dynamic(rows, row);
        dynamic.extend(self.dynamic.iter().map(|(name, value)| (name.clone(), value.clone())));
        for (name, value) in &dynamic {
            batch.set_dynamic(name, &value.to_string())?;
        }
        batch.end_row()?;
        Ok(batch)
    }

    fn set_declared(&mut self, name: String, value: Json) -> Result<(), String> {
        if self.declared.iter().any(|(other, _)| *other == name) {
            return Err(format!("the field {name} is given twice"));
        }
        self.declared.push((name, value));
        Ok(())
    }
}

/// Text becomes what the field holds; values of other JSON types are left for the batch to check.
fn typed(field: &Field, value: Json) -> Result<Json, String> {
    let Json::String(text) = value else { return Ok(value) };
    let wrong = || format!("the field {} is {}: {text:?} is not one", field.name, field.data_type);
    match field.data_type {
        DataType::VarChar => Ok(Json::String(text)),
        DataType::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Json::Bool(true)),
            "false" | "0" => Ok(Json::Bool(false)),
            _ => Err(wrong()),
        },
        // JSON has no number for what is not finite, and null is another value.
        DataType::Float | DataType::Double => {
            let number = text.trim().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Json::Number).ok_or_else(wrong)
        }
        DataType::Json => serde_json::from_str(&text).map_err(|_| wrong()),
        other if other.is_integer() => text.trim().parse::<i64>().map(Json::from).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn set_json(batch: &mut BatchBuilder, index: usize, value: &Json) -> Result<(), EngineError> {
    let json_field = batch.schema().fields().get(index).is_some_and(|f| f.data_type == DataType::Json);
    let text;
    let value = match value {
        Json::Null => Value::Null,
        _ if json_field => {
            text = value.to_string();
            Value::Text(&text)
        }
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => {
            n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int)
        }
        Json::String(s) => Value::Text(s),
        other => {
            text = other.to_string();
            Value::Text(&text)
        }
    };
    batch.set(index, value)
}

/// All that a row has, with the partition that it is in.
///
/// # Errors
/// None that a schema gives reason to.
pub(super) fn whole(schema: &Schema) -> Result<Projection, EngineError> {
    let mut names = vec!["*"];
    names.extend(schema.dynamic().then_some(DYNAMIC_FIELD));
    Ok(Projection { partitions: true, ..Projection::resolve(schema, &names)? })
}

/// Sets those of the declared fields that are wanted to what a stored row has, which `rows` holds with every field.
///
/// # Errors
/// `Internal` when `rows` is not complete.
pub(super) fn copy_declared(
    batch: &mut BatchBuilder,
    rows: &Rows,
    row: usize,
    wanted: &dyn Fn(&Field) -> bool,
) -> Result<(), EngineError> {
    let schema = Arc::clone(batch.schema());
    // What functions fill they fill again.
    let fields = schema.fields().iter().enumerate().filter(|(_, field)| !field.function_output);
    fields
        .filter(|(_, field)| wanted(field))
        .try_for_each(|(index, field)| copy_value(batch, index, field, rows, row))
}

/// The undeclared keys of a stored row with their values.
pub(super) fn dynamic(rows: &Rows, row: usize) -> Map<String, Json> {
    let stored = rows.dynamic_json(row).map(serde_json::from_str);
    stored.and_then(Result::ok).unwrap_or_default()
}

fn copy_value(
    batch: &mut BatchBuilder,
    index: usize,
    field: &Field,
    rows: &Rows,
    row: usize,
) -> Result<(), EngineError> {
    let incomplete = || EngineError::Internal(format!("the row to merge has no field {}", field.name));
    if field.primary {
        return match rows.key(row).ok_or_else(incomplete)? {
            KeyRef::Int(key) => batch.set(index, Value::Int(key)),
            KeyRef::Text(key) => batch.set(index, Value::Text(key)),
        };
    }
    batch.set_stored(index, &rows.column(&field.name).ok_or_else(incomplete)?.value(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layout;
    use super::*;

    fn schema() -> (Layout, Arc<Schema>) {
        let own = layout::definition("images", 2, "m").unwrap().schema;
        let mut fields = own.fields().to_vec();
        fields.push(Field::new("year", DataType::Int16).nullable());
        fields.push(Field::new("public", DataType::Bool).nullable());
        fields.push(Field::new("tags", DataType::Json).nullable());
        let schema = Arc::new(Schema::new(fields, true, "").unwrap());
        (Layout::of(&schema, Some(2)).unwrap(), schema)
    }

    fn fields(given: Json) -> Result<Fields, String> {
        let (layout, schema) = schema();
        let Json::Object(given) = given else { panic!("an object") };
        Fields::new(&layout, &schema, given)
    }

    #[test]
    fn text_takes_the_declared_type() {
        let given =
            fields(json!({"year": "2007", "public": "true", "tags": "[1, 2]", "zip": "00123", "n": 3}))
                .unwrap();
        let declared: Vec<&Json> = given.declared.iter().map(|(_, value)| value).collect();
        assert_eq!(declared, [&json!(2007), &json!(true), &json!([1, 2])]);
        assert_eq!(given.dynamic["zip"], "00123", "undeclared text stays text");
        assert_eq!(given.dynamic["n"], 3);
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_not_stored_as_null() {
        let mut open = schema().1.fields().to_vec();
        open.push(Field::new("weight", DataType::Double).nullable());
        let schema = Arc::new(Schema::new(open, true, "").unwrap());
        let layout = Layout::of(&schema, Some(2)).unwrap();
        let weight = |text: &str| Fields::new(&layout, &schema, [("weight".to_owned(), json!(text))]);
        for wrong in ["NaN", "inf", "-Infinity", "1e999", ""] {
            assert!(weight(wrong).unwrap_err().contains("weight is Double"), "{wrong}");
        }
        assert_eq!(weight(" 1.5 ").unwrap().declared, [("weight".to_owned(), json!(1.5))]);
    }

    #[test]
    fn a_field_that_was_dropped_before_it_moves_no_value_into_another() {
        let (_, before) = schema();
        let given = fields(json!({"year": 2007, "public": true})).unwrap();
        let after = Arc::new(before.without_field("year").unwrap());
        let mut batch = BatchBuilder::new(&after, KeySource::Generated);
        let error = given.fill(&mut batch).unwrap_err();
        assert!(matches!(&error, EngineError::FieldNotFound { name } if name == "year"), "{error}");
        let after = Arc::new(before.without_field("public").unwrap());
        let mut batch = BatchBuilder::new(&after, KeySource::Generated);
        fields(json!({"year": 2007, "tags": [1]})).unwrap().fill(&mut batch).unwrap();
    }

    #[test]
    fn refuses_in_words() {
        assert!(fields(json!({"year": "last"})).unwrap_err().contains("year is Int16"));
        assert!(fields(json!({"id": 1})).unwrap_err().contains("id is filled by the server"));
        assert!(fields(json!({"sha256": "x"})).unwrap_err().contains("filled by the server"));
        assert!(fields(json!({"$meta": "x"})).unwrap_err().contains("$meta"));
        let (layout, open) = schema();
        let twice = [("a".to_owned(), json!(1)), ("a".to_owned(), json!(2))];
        assert!(Fields::new(&layout, &open, twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_the_batch() {
        let (_, schema) = schema();
        let mut batch = BatchBuilder::new(&schema, KeySource::Generated);
        let error = fields(json!({"year": 70_000})).unwrap().fill(&mut batch).unwrap_err();
        assert!(error.to_string().contains("year"), "{error}");
    }
}
