//! Primary keys: 64-bit integers or text, single, borrowed, or in lists of one kind. Order is integer order or byte
//! order; it also decides ties between equal scores.

use std::fmt;

use crate::schema::DataType;

/// One primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Int64 key
    Int(i64),
    /// VarChar key
    Text(String),
}

/// One primary key, borrowed from a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyRef<'a> {
    /// Int64 key
    Int(i64),
    /// VarChar key
    Text(&'a str),
}

impl KeyRef<'_> {
    /// An owned copy.
    pub fn to_key(self) -> Key {
        match self {
            KeyRef::Int(i) => Key::Int(i),
            KeyRef::Text(s) => Key::Text(s.to_owned()),
        }
    }
}

impl Key {
    /// Borrows it.
    pub fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Key::Int(i) => KeyRef::Int(*i),
            Key::Text(s) => KeyRef::Text(s),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Int(i) => write!(f, "{i}"),
            Key::Text(s) => f.write_str(s),
        }
    }
}

/// A list of keys of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Int64 keys
    Int(Vec<i64>),
    /// VarChar keys
    Text(Vec<String>),
}

impl Keys {
    /// An empty list for a key field of this type.
    pub fn empty(data_type: DataType) -> Self {
        if data_type == DataType::VarChar { Keys::Text(Vec::new()) } else { Keys::Int(Vec::new()) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Keys::Int(v) => v.len(),
            Keys::Text(v) => v.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the kind is that of a key field of this type.
    pub fn fits(&self, data_type: DataType) -> bool {
        matches!((self, data_type), (Keys::Int(_), DataType::Int64) | (Keys::Text(_), DataType::VarChar))
    }

    /// Each key, borrowed, in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = KeyRef<'_>> + '_> {
        match self {
            Keys::Int(v) => Box::new(v.iter().map(|&i| KeyRef::Int(i))),
            Keys::Text(v) => Box::new(v.iter().map(|s| KeyRef::Text(s))),
        }
    }

    /// Appends a key of the same kind; a key of the other kind is ignored (the schema allows one kind only).
    pub fn push(&mut self, key: KeyRef<'_>) {
        match (self, key) {
            (Keys::Int(v), KeyRef::Int(i)) => v.push(i),
            (Keys::Text(v), KeyRef::Text(s)) => v.push(s.to_owned()),
            _ => debug_assert!(false, "keys of two kinds in one list"),
        }
    }
}
