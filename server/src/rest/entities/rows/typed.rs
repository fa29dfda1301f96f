//! Rows that come value by value from a file with typed columns, under the rules that rows of a request have.

use elanus_engine::row::moment::Zone;
use elanus_engine::row::{Batch, Value, packed};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field};
use serde_json::value::RawValue;

use super::*;

impl Reader<'_> {
    /// A reader of rows for an insert that come from files. `before` is the number of rows in earlier batches.
    pub(crate) fn of_file(schema: &Arc<Schema>, zone: &Zone, before: usize) -> Reader<'static> {
        Reader { before, takes_meta: true, ..Reader::new(schema, Write::Insert, zone, None) }
    }

    /// Rows so far, also those of earlier batches: the number of the row under construction.
    pub(crate) fn rows(&self) -> usize {
        self.before + self.builder.rows()
    }

    /// Bytes of the values of this batch.
    pub(crate) fn bytes(&self) -> usize {
        self.builder.bytes()
    }

    /// Completes the row under construction.
    ///
    /// # Errors
    /// 1804 when a field that needs a value has none.
    pub(crate) fn end(&mut self) -> Result<(), ApiError> {
        self.end_row()
    }

    /// The finished batch.
    ///
    /// # Errors
    /// 1100 when a function cannot read its input.
    pub(crate) fn finish(self) -> Result<Batch, ApiError> {
        Ok(self.builder.finish()?)
    }

    /// Sets a field, or an undeclared key, to a value of a file. Bytes are whatever the field's type has as bytes: a
    /// vector, or small integers; text is JSON where the type has no plain text.
    ///
    /// # Errors
    /// 1804 when it does not fit.
    pub(crate) fn cell(&mut self, name: &str, value: Value<'_>) -> Result<(), ApiError> {
        let Some(position) = self.positions.get(name).copied() else {
            return match (name, value) {
                (_, Value::Null) => Ok(()),
                (DYNAMIC_FIELD, Value::Text(text)) => self.undeclared(name, text),
                _ => self.undeclared(name, &json_of(&value)),
            };
        };
        let schema = Arc::clone(self.builder.schema());
        let Some(field) = schema.fields().get(position) else { return Ok(()) };
        match (field.data_type, value) {
            (_, Value::Null) => self.carry(position),
            (data_type, _) if data_type.is_dense() => self.dense(position, field, value),
            (DataType::BinaryVector, Value::List(items)) => {
                let bytes = bytes_of(items).map_err(|reason| self.refuse(name, reason))?;
                self.plain(position, field, Value::Bytes(&bytes))
            }
            (DataType::BinaryVector | DataType::SparseFloatVector, Value::Bytes(_)) => {
                self.plain(position, field, value)
            }
            (DataType::SparseFloatVector | DataType::Array, Value::Text(text)) => {
                self.json(position, field, text)
            }
            (DataType::VarChar | DataType::Json, Value::Bytes(bytes)) => {
                let text =
                    std::str::from_utf8(bytes).map_err(|_| self.refuse(name, "it is not UTF-8".into()))?;
                self.cell(name, Value::Text(text))
            }
            (DataType::Json, Value::Text(text)) => self.json(position, field, text),
            (DataType::Json, _) => self.json(position, field, &json_of(&value)),
            (DataType::Timestamptz, Value::Text(_)) => self.json(position, field, &json_of(&value)),
            (DataType::Array, Value::Bytes(bytes)) => {
                let items: Vec<Value<'_>> = bytes.iter().map(|&byte| Value::Int(byte.into())).collect();
                self.plain(position, field, Value::List(&items))
            }
            _ => self.plain(position, field, value),
        }
    }

    /// A value that the engine takes as it is.
    fn plain(&mut self, position: usize, field: &Field, value: Value<'_>) -> Result<(), ApiError> {
        self.carry(position)?;
        if field.primary && field.auto_id {
            self.key(&field.name, true, &Scalar::Null)?;
        }
        self.builder.set(position, value).map_err(self.told())
    }

    /// A value that is text of JSON.
    fn json(&mut self, position: usize, field: &Field, text: &str) -> Result<(), ApiError> {
        let text = valid(text).map_err(|reason| self.refuse(&field.name, reason))?;
        self.scalar(position, text)
    }

    fn dense(&mut self, position: usize, field: &Field, value: Value<'_>) -> Result<(), ApiError> {
        self.carry(position)?;
        let (name, row) = (field.name.clone(), self.builder.rows());
        let fill = |matrix: &mut Vec<f32>| {
            append(field.data_type, matrix, value).map_err(|reason| EngineError::InvalidRow {
                field: name,
                row,
                reason,
            })
        };
        self.builder.set_vector(position, fill).map_err(self.told())
    }

    /// Undeclared keys that came together, as an object or as the text of one.
    pub(super) fn meta(&mut self, json: &str) -> Result<(), ApiError> {
        let refuse = |reader: &Self, reason: String| reader.refuse(DYNAMIC_FIELD, reason);
        let unquoted: String;
        let mut object = valid(json).map_err(|reason| refuse(self, reason))?;
        if object.starts_with('"') {
            unquoted = serde_json::from_str(object).map_err(|error| refuse(self, error.to_string()))?;
            object = valid(&unquoted).map_err(|reason| refuse(self, reason))?;
        }
        if object == "null" {
            return Ok(());
        }
        let members = json::members(object)
            .ok_or_else(|| refuse(self, "expected an object with the undeclared keys".into()))?;
        for (key, value) in members {
            let key = key.ok_or_else(|| refuse(self, "a key is no text".into()))?;
            if key == DYNAMIC_FIELD || self.positions.contains_key(key.as_ref()) {
                return Err(refuse(self, format!("{key} is the name of a field, and no undeclared key")));
            }
            self.undeclared(&key, value)?;
        }
        Ok(())
    }
}

/// The text without blanks around it, if it is a JSON value.
fn valid(text: &str) -> Result<&str, String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))?;
    Ok(raw.get())
}

/// Appends the values of a dense vector.
fn append(data_type: DataType, matrix: &mut Vec<f32>, value: Value<'_>) -> Result<(), String> {
    match value {
        Value::List(items) => {
            for item in items {
                matrix.push(match item {
                    Value::Float(v) => *v as f32,
                    Value::Int(v) => *v as f32,
                    other => return Err(format!("expected a number in a vector, got {}", other.kind())),
                });
            }
            Ok(())
        }
        Value::Bytes(bytes) if packed::unpack(data_type, bytes, matrix) => Ok(()),
        Value::Bytes(bytes) => {
            Err(format!("{} bytes are no whole number of values of {data_type}", bytes.len()))
        }
        Value::Text(text) => vector::append_dense(data_type, matrix, valid(text)?),
        other => Err(format!("expected {data_type}, got {}", other.kind())),
    }
}

fn bytes_of(items: &[Value<'_>]) -> Result<Vec<u8>, String> {
    let byte = |item: &Value<'_>| match item {
        Value::Int(v) => u8::try_from(*v).ok(),
        _ => None,
    };
    let bytes = items.iter().map(|item| byte(item).ok_or("expected bytes from 0 to 255 in a binary vector"));
    bytes.collect::<Result<_, _>>().map_err(str::to_owned)
}

/// A value of a file as JSON, for where there is no type.
fn json_of(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        // What is no number becomes null, which JSON has.
        Value::Float(v) => serde_json::Value::from(*v).to_string(),
        Value::Text(text) => serde_json::Value::from(*text).to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(json_of).collect::<Vec<_>>().join(",")),
        Value::Bytes(bytes) => serde_json::Value::from(*bytes).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader<'static> {
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("v", DataType::Float16Vector).dim(2),
            Field::new("b", DataType::BinaryVector).dim(16).nullable(),
            Field::new("j", DataType::Json).nullable(),
            Field::new("a", DataType::Array).elements(DataType::Int8, 3).nullable(),
        ];
        Reader::of_file(&Arc::new(Schema::new(fields, true, "").unwrap()), &Zone::utc(), 40)
    }

    fn cell(name: &str, value: Value<'_>) -> Result<(), ApiError> {
        reader().cell(name, value)
    }

    #[test]
    fn each_field_takes_its_forms() {
        let mut reader = reader();
        for (name, value) in [
            ("id", Value::Int(i64::MAX)),
            ("v", Value::List(&[Value::Float(0.5), Value::Int(2)])),
            ("b", Value::List(&[Value::Int(255), Value::Int(0)])),
            ("j", Value::Text(r#" {"a":1} "#)),
            ("a", Value::Bytes(&[1, 2])),
            ("$meta", Value::Text(r#"{"x":18446744073709551615}"#)),
            ("y", Value::Text("plain")),
        ] {
            reader.cell(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        reader.end().unwrap();
        reader.cell("id", Value::Int(1)).unwrap();
        reader.cell("v", Value::Bytes(&[0, 0x3c, 0, 0x40])).unwrap();
        reader.end().unwrap();
        assert_eq!(reader.rows(), 42);
        let batch = reader.finish().unwrap();
        assert_eq!(batch.rows(), 2);
        let dynamic = format!("{batch:?}");
        assert!(dynamic.contains("18446744073709551615") && dynamic.contains("plain"), "{dynamic}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_row_in_the_file() {
        for (name, value) in [
            ("id", Value::Text("1")),
            ("id", Value::Float(1.0)),
            ("v", Value::List(&[Value::Int(1)])),
            ("v", Value::List(&[Value::Text("1"), Value::Int(1)])),
            ("v", Value::List(&[Value::Float(f64::NAN), Value::Int(1)])),
            ("v", Value::Bytes(&[1, 2, 3])),
            ("v", Value::Int(1)),
            ("b", Value::List(&[Value::Int(256), Value::Int(0)])),
            ("b", Value::Bytes(&[1])),
            ("j", Value::Text("{")),
            ("a", Value::List(&[Value::Int(128)])),
            ("a", Value::List(&[Value::Int(1); 4])),
            ("$meta", Value::Text("[]")),
            ("$meta", Value::Text("no json")),
            ("$meta", Value::Text(r#"{"id":1}"#)),
            ("$meta", Value::Text(r#"{"$meta":{}}"#)),
        ] {
            let error = cell(name, value).unwrap_err();
            assert!(error.code == 1804 && error.message.contains("row number: 40"), "{name}: {error}");
        }
    }
}
