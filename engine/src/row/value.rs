//! One value of one row: what a client gives ([`Value`]) and what it gets ([`OutputValue`]). Both borrow; neither
//! copies text or vectors.

/// A scalar as a client gives it, before it is checked against the field's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Absent on purpose.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer; range-checked against the field.
    Int(i64),
    /// A float; must be finite.
    Float(f64),
    /// Text for a VarChar, or the JSON text of a JSON field.
    Text(&'a str),
}

impl Value<'_> {
    /// The kind in words, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "integer",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
        }
    }
}

/// A stored value on its way out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutputValue<'a> {
    /// The row has no value here.
    Null,
    /// Bool
    Bool(bool),
    /// Int8 to Int32
    Int(i64),
    /// Int64: kept apart because clients may ask for it as a string
    Int64(i64),
    /// Float
    Float(f32),
    /// Double
    Double(f64),
    /// VarChar
    Text(&'a str),
    /// JSON text
    Json(&'a str),
    /// FloatVector
    Vector(&'a [f32]),
}
