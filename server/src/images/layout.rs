//! Which fields of a collection hold an image: its vector, name, content hash and size. Collections that the server
//! makes have all of them declared; one made through the Milvus API may leave some to the dynamic field. Everything
//! that reads or writes image rows goes through a [`Layout`] and never assumes a position.

use elanus_engine::collection::Definition;
use elanus_engine::row::{BatchBuilder, Rows, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{EngineError, Metric};

/// Key of the collection property that names the embedding model.
pub(crate) const MODEL_PROPERTY: &str = "elanus.model";
/// Primary key of collections made here.
pub(crate) const ID: &str = "id";
/// Vector field of collections made here.
pub(crate) const VECTOR: &str = "vector";
/// The client's name of the image.
pub(crate) const NAME: &str = "name";
/// SHA-256 of the original bytes, 64 lower-case hexadecimal digits.
pub(crate) const SHA256: &str = "sha256";
/// Width in pixels, after EXIF orientation.
pub(crate) const WIDTH: &str = "width";
/// Height in pixels, after EXIF orientation.
pub(crate) const HEIGHT: &str = "height";
/// Longest name in bytes, in collections made here.
const NAME_BYTES: usize = 4096;
/// Digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// Where one value of an image row lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A declared field, by position.
    Field(usize),
    /// The dynamic field, under the value's own name.
    Dynamic,
}

/// The places of an image's values in the rows of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    vector: usize,
    vector_name: String,
    name: Place,
    name_bytes: usize,
    sha256: Place,
    width: Place,
    height: Place,
}

/// The values of an image row that the server itself fills.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageValues<'a> {
    pub(crate) name: &'a str,
    pub(crate) sha256: &'a str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) vector: &'a [f32],
}

/// The definition of a collection for images of one model.
///
/// # Errors
/// What the engine says about the schema; there is nothing to say unless `dimension` is out of range.
pub(crate) fn definition(name: &str, dimension: usize, model: &str) -> Result<Definition, EngineError> {
    let fields = vec![
        Field::new(ID, DataType::Int64).primary(true),
        Field::new(VECTOR, DataType::FloatVector).dim(dimension),
        Field::new(NAME, DataType::VarChar).max_length(NAME_BYTES),
        Field::new(SHA256, DataType::VarChar).max_length(SHA256_DIGITS),
        Field::new(WIDTH, DataType::Int32),
        Field::new(HEIGHT, DataType::Int32),
    ];
    let mut definition = Definition::new(name, Schema::new(fields, true, "")?).index(VECTOR, Metric::Cosine);
    definition.properties.insert(MODEL_PROPERTY.to_owned(), model.to_owned());
    Ok(definition)
}

/// Whether a field name belongs to the server: clients may not set it on an upload.
pub(crate) fn is_reserved(layout: &Layout, schema: &Schema, name: &str) -> bool {
    [NAME, SHA256, WIDTH, HEIGHT].contains(&name)
        || layout.vector_name == name
        || schema.primary().name == name
}

impl Layout {
    /// Finds the places for images whose vectors have `dimension` values; `None` accepts any dimension, for reading.
    ///
    /// # Errors
    /// A sentence that says what the schema lacks.
    pub(crate) fn of(schema: &Schema, dimension: Option<usize>) -> Result<Self, String> {
        if !schema.primary().auto_id {
            return Err(format!("its primary key {} is not autoID", schema.primary().name));
        }
        let (vector, field) = vector_field(schema, dimension)?;
        let (name, name_bytes) = match text_place(schema, NAME, 1)? {
            (place, Some(max)) => (place, max),
            (place, None) => (place, NAME_BYTES),
        };
        Ok(Self {
            vector,
            vector_name: field.name.clone(),
            name,
            name_bytes,
            sha256: text_place(schema, SHA256, SHA256_DIGITS)?.0,
            width: size_place(schema, WIDTH)?,
            height: size_place(schema, HEIGHT)?,
        })
    }

    /// Name of the vector field.
    pub(crate) fn vector_name(&self) -> &str {
        &self.vector_name
    }

    /// Longest name that fits, in bytes.
    pub(crate) fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    /// Fills the server's own values of the row under construction.
    ///
    /// # Errors
    /// The engine's `InvalidRow` when a value does not fit the field.
    pub(crate) fn fill(&self, batch: &mut BatchBuilder, image: ImageValues<'_>) -> Result<(), EngineError> {
        batch.set_vector(self.vector, |matrix| {
            matrix.extend_from_slice(image.vector);
            Ok(())
        })?;
        set_text(batch, self.name, NAME, image.name)?;
        set_text(batch, self.sha256, SHA256, image.sha256)?;
        set_number(batch, self.width, WIDTH, image.width)?;
        set_number(batch, self.height, HEIGHT, image.height)
    }

    /// The content hash of a row whose answer contains the field `sha256`.
    pub(crate) fn sha256(&self, rows: &Rows, row: usize) -> Option<String> {
        read_text(rows, row, self.sha256, SHA256)
    }

    /// The name of a row whose answer contains the field `name`.
    pub(crate) fn name(&self, rows: &Rows, row: usize) -> Option<String> {
        read_text(rows, row, self.name, NAME)
    }
}

fn vector_field(schema: &Schema, dimension: Option<usize>) -> Result<(usize, &Field), String> {
    let fits = |field: &Field| field.data_type.is_vector() && dimension.is_none_or(|d| field.dim == Some(d));
    let mut fields = schema.fields().iter().enumerate();
    if schema.vector_fields().count() == 1 {
        fields.find(|(_, field)| fits(field))
    } else {
        fields.find(|(_, field)| field.name == VECTOR && fits(field))
    }
    .ok_or_else(|| match dimension {
        Some(dimension) => {
            format!("it has no vector field of dimension {dimension} (or several, none called {VECTOR})")
        }
        None => format!("it has several vector fields, none called {VECTOR}"),
    })
}

/// The place of a text and the longest it may be where that is declared.
fn text_place(schema: &Schema, name: &str, at_least: usize) -> Result<(Place, Option<usize>), String> {
    match schema.field(name) {
        Some((index, Field { data_type: DataType::VarChar, max_length, .. })) => match max_length {
            Some(max) if *max < at_least => {
                Err(format!("its field {name} holds {max} bytes, not {at_least}"))
            }
            max => Ok((Place::Field(index), *max)),
        },
        Some((_, field)) => Err(format!("its field {name} is {}, not VarChar", field.data_type)),
        None => dynamic_place(schema, name).map(|place| (place, None)),
    }
}

fn size_place(schema: &Schema, name: &str) -> Result<Place, String> {
    match schema.field(name) {
        Some((index, Field { data_type: DataType::Int32 | DataType::Int64, .. })) => Ok(Place::Field(index)),
        Some((_, field)) => Err(format!("its field {name} is {}, not Int32 or Int64", field.data_type)),
        None => dynamic_place(schema, name),
    }
}

fn dynamic_place(schema: &Schema, name: &str) -> Result<Place, String> {
    if schema.dynamic() {
        Ok(Place::Dynamic)
    } else {
        Err(format!("it has neither a field {name} nor a dynamic field"))
    }
}

fn set_text(batch: &mut BatchBuilder, place: Place, name: &str, value: &str) -> Result<(), EngineError> {
    match place {
        Place::Field(index) => batch.set(index, Value::Text(value)),
        Place::Dynamic => batch.set_dynamic(name, &serde_json::Value::from(value).to_string()),
    }
}

fn set_number(batch: &mut BatchBuilder, place: Place, name: &str, value: u32) -> Result<(), EngineError> {
    match place {
        Place::Field(index) => batch.set(index, Value::Int(value.into())),
        Place::Dynamic => batch.set_dynamic(name, &value.to_string()),
    }
}

fn read_text(rows: &Rows, row: usize, place: Place, name: &str) -> Option<String> {
    use elanus_engine::row::OutputValue;
    match place {
        Place::Field(_) => match rows.column(name)?.value(row) {
            OutputValue::Text(text) => Some(text.to_owned()),
            _ => None,
        },
        Place::Dynamic => {
            let object: serde_json::Value = serde_json::from_str(rows.dynamic_json(row)?).ok()?;
            object.get(name)?.as_str().map(str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: Vec<Field>, dynamic: bool) -> Schema {
        Schema::new(fields, dynamic, "").unwrap()
    }

    fn key() -> Field {
        Field::new("pk", DataType::Int64).primary(true)
    }

    fn vector(name: &str, dim: usize) -> Field {
        Field::new(name, DataType::FloatVector).dim(dim)
    }

    #[test]
    fn own_collections_fit_and_carry_the_model() {
        let definition = definition("images", 512, "vgg16").unwrap();
        let layout = Layout::of(&definition.schema, Some(512)).unwrap();
        assert_eq!(layout.vector_name(), "vector");
        assert_eq!(layout.name_bytes(), 4096);
        assert_eq!(definition.properties[MODEL_PROPERTY], "vgg16");
        assert_eq!(definition.metric(VECTOR), Some(elanus_engine::MetricType::Cosine));
        assert!(definition.schema.dynamic());
    }

    #[test]
    fn collections_of_the_milvus_api_fit_when_they_can_hold_everything() {
        let quick = schema(vec![key(), vector("embedding", 512)], true);
        let layout = Layout::of(&quick, Some(512)).unwrap();
        assert_eq!(layout.sha256, Place::Dynamic);
        assert!(is_reserved(&layout, &quick, "pk") && is_reserved(&layout, &quick, "embedding"));
        assert!(is_reserved(&layout, &quick, "width") && !is_reserved(&layout, &quick, "year"));

        let refused = |fields, dynamic| Layout::of(&schema(fields, dynamic), Some(512)).unwrap_err();
        assert!(refused(vec![key(), vector("v", 512)], false).contains("field name"));
        assert!(refused(vec![key(), vector("v", 128)], true).contains("dimension 512"));
        assert!(refused(vec![key(), vector("a", 512), vector("b", 512)], true).contains("several"));
        let given = Field::new("id", DataType::Int64).primary(false);
        assert!(refused(vec![given, vector("v", 512)], true).contains("autoID"));
        let short = Field::new("sha256", DataType::VarChar).max_length(32);
        assert!(refused(vec![key(), vector("v", 512), short], true).contains("32 bytes"));
        let wrong = Field::new("width", DataType::VarChar).max_length(32);
        assert!(refused(vec![key(), vector("v", 512), wrong], true).contains("not Int32"));
    }

    #[test]
    fn reading_takes_any_dimension() {
        assert!(Layout::of(&schema(vec![key(), vector("v", 7)], true), None).is_ok());
    }
}
