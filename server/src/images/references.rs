//! What is referred to: originals by rows, which name them by content, and reductions by collections, whose stamps name
//! them. Whoever removes originals asks here. A row names its original in the field `sha256` or under that key of the
//! dynamic field, under both where the field was declared later. What other fields there are does not matter: a
//! collection can lose the shape that new images need while it holds photos.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use elanus_engine::row::{DynamicKeys, OutputValue, Projection, Rows};
use elanus_engine::schema::{DataType, Schema};
use elanus_engine::{Engine, EngineError, Result};
use elanus_storage::Digest;

use super::layout::{MODEL_PROPERTY, SHA256};
use super::reductions;

/// The columns in which rows of a schema name originals; `None` where they can't.
pub(crate) fn projection(schema: &Schema) -> Option<Projection> {
    let declared = schema.field(SHA256).filter(|(_, field)| field.data_type == DataType::VarChar);
    if declared.is_none() && !schema.dynamic() {
        return None;
    }
    let declared = declared.map(|(_, field)| field.id);
    let fields = schema.fields().iter().filter(|field| field.primary || Some(field.id) == declared);
    let dynamic = match schema.dynamic() {
        true => DynamicKeys::Only(vec![SHA256.to_owned()]),
        false => DynamicKeys::None,
    };
    Some(Projection { fields: fields.map(|field| field.id).collect(), dynamic, partitions: false })
}

/// The contents that a row names, whose answer has the columns of [`projection`]: the declared field's first.
pub(crate) fn contents(rows: &Rows, row: usize) -> impl Iterator<Item = Digest> {
    let declared = rows.column(SHA256).and_then(|column| match column.value(row) {
        OutputValue::Text(text) => text.parse().ok(),
        _ => None,
    });
    declared.into_iter().chain(rows.dynamic_json(row).and_then(undeclared))
}

fn undeclared(object: &str) -> Option<Digest> {
    // Most rows have no such key: those need no parsing. It may be written with escapes.
    if !object.contains(SHA256) && !object.contains('\\') {
        return None;
    }
    let object: serde_json::Value = serde_json::from_str(object).ok()?;
    object.get(SHA256)?.as_str()?.parse().ok()
}

/// What may not be removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Referred {
    pub(super) originals: HashSet<Digest>,
    pub(super) reductions: HashSet<Digest>,
}

/// What the answer is when all collections are asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Known(Referred),
    /// A collection holds photos and can't say which, for the reason.
    Unknowable(String),
    /// A collection was not found under the name that it had: it has another one by now. To be asked again.
    Moved,
}

/// Asks all rows, those that have lived as long as they may included. What is stored while this runs may be missing.
///
/// # Errors
/// Engine errors: then nobody knows.
pub(super) fn ask(engine: &Engine) -> Result<Answer> {
    let before = engine.numbers();
    let (mut referred, mut asked) = (Referred::default(), BTreeSet::new());
    for name in before.keys() {
        let rows = match engine.collection(name) {
            Ok(rows) => rows,
            // Dropped, or called otherwise: told apart at the end.
            Err(EngineError::CollectionNotFound { .. }) => continue,
            Err(error) => return Err(error),
        };
        let properties = rows.properties();
        referred
            .reductions
            .extend(reductions::of_properties(&properties).as_ref().and_then(reductions::digest));
        match projection(&rows.schema()) {
            Some(projection) => {
                let visited = rows.scan_stored(&projection, &mut |rows| {
                    (0..rows.len).for_each(|row| referred.originals.extend(contents(&rows, row)));
                    Ok(())
                });
                match visited {
                    Err(EngineError::SchemaChanged) => return Ok(Answer::Moved),
                    other => other?,
                }
            }
            None if properties.contains_key(MODEL_PROPERTY) && rows.snapshot().live() > 0 => {
                return Ok(Answer::Unknowable(format!(
                    "the collection {name} has no field {SHA256} any more"
                )));
            }
            None => {}
        }
        asked.insert(rows.id());
    }
    Ok(match is_complete(&before, &asked, &engine.numbers()) {
        true => Answer::Known(referred),
        false => Answer::Moved,
    })
}

/// Whether every collection that was there before and still is was asked, whatever it is called.
fn is_complete(before: &BTreeMap<String, u64>, asked: &BTreeSet<u64>, now: &BTreeMap<String, u64>) -> bool {
    before.values().all(|id| asked.contains(id) || !now.values().any(|other| other == id))
}
