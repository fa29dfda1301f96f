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
        let mut names_any = false;
        if let Some(projection) = projection(&rows.schema()) {
            let visited = rows.scan_stored(&projection, &mut |rows| {
                for content in (0..rows.len).flat_map(|row| contents(&rows, row)) {
                    names_any = true;
                    referred.originals.insert(content);
                }
                Ok(())
            });
            match visited {
                Err(EngineError::SchemaChanged) => return Ok(Answer::Moved),
                other => other?,
            }
        }
        // Its field was dropped: what it holds is not known any more.
        if !names_any && properties.contains_key(MODEL_PROPERTY) && rows.snapshot().live() > 0 {
            return Ok(Answer::Unknowable(format!(
                "no row of the collection {name} has a {SHA256} any more"
            )));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use elanus_engine::collection::{Collection, Definition};
    use elanus_engine::row::{BatchBuilder, KeySource};
    use elanus_engine::schema::Field;
    use elanus_engine::{EngineOptions, Metric};
    use elanus_storage::data_dir;

    use super::super::layout::{self, ImageValues, Layout};
    use super::*;

    fn open(folder: &std::path::Path) -> Arc<Engine> {
        let options = EngineOptions { background: false, reserve_bytes: 0, ..EngineOptions::default() };
        Engine::open(data_dir::open(folder).unwrap(), options).unwrap()
    }

    /// As a client of the Milvus API makes one: only keys and vectors are declared.
    fn quick(engine: &Engine, name: &str) -> Arc<Collection> {
        let fields = vec![
            Field::new("pk", DataType::Int64).primary(true),
            Field::new("embedding", DataType::FloatVector).dim(2),
        ];
        let schema = Schema::new(fields, true, "").unwrap();
        engine.create(Definition::new(name, schema).index("embedding", Metric::Cosine)).unwrap()
    }

    fn store(collection: &Collection, content: Digest) {
        let schema = collection.schema();
        let mut batch = BatchBuilder::new(&schema, KeySource::Generated);
        let sha256 = &content.to_string();
        let values = ImageValues { name: "x", sha256, width: 1, height: 1, vector: &[1.0, 0.0] };
        Layout::of(&schema, None).unwrap().fill(&mut batch, values).unwrap();
        batch.end_row().unwrap();
        collection.insert(batch.finish().unwrap()).unwrap();
    }

    fn known(engine: &Engine) -> HashSet<Digest> {
        match ask(engine).unwrap() {
            Answer::Known(referred) => referred.originals,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_name_originals_whatever_fields_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path());
        let contents = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let own = engine.create(layout::definition("own", 2, "m").unwrap()).unwrap();
        store(&own, contents[0]);
        let added = [
            Field::new("width", DataType::VarChar).max_length(9).nullable(),
            Field::new("terms", DataType::SparseFloatVector).nullable(),
            Field::new("sha256", DataType::VarChar).max_length(64).nullable(),
        ];
        for (number, field) in added.into_iter().enumerate() {
            let collection = quick(&engine, &format!("c{number}"));
            store(&collection, contents[1]);
            collection.add_field(field).unwrap();
            assert_eq!(known(&engine), HashSet::from([contents[0], contents[1]]), "{number}");
            if number == 2 {
                store(&collection, contents[2]);
                assert_eq!(known(&engine), HashSet::from(contents), "declared and undeclared");
            }
            assert!(engine.drop_collection(collection.name()).unwrap());
        }
        assert_eq!(known(&engine), HashSet::from([contents[0]]));
    }

    #[test]
    fn where_photos_are_and_cannot_be_named_nobody_knows() {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path());
        for dynamic in [false, true] {
            let mut definition = layout::definition("own", 2, "m").unwrap();
            definition.schema = Schema::new(definition.schema.fields().to_vec(), dynamic, "").unwrap();
            let own = engine.create(definition).unwrap();
            assert_eq!(known(&engine).len(), 0);
            store(&own, Digest::of(b"a"));
            assert_eq!(known(&engine).len(), 1);
            own.drop_field(SHA256).unwrap();
            assert!(matches!(ask(&engine).unwrap(), Answer::Unknowable(reason) if reason.contains("own")));
            engine.drop_collection("own").unwrap();
        }
    }

    /// Two collections, of which each is called otherwise again and again while all are asked.
    #[test]
    fn a_collection_that_is_renamed_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path());
        let contents = [b"a", b"b"].map(|bytes| Digest::of(bytes));
        store(&quick(&engine, "c"), contents[0]);
        store(&quick(&engine, "d"), contents[1]);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..40 {
                    for (from, to) in [("c", "a"), ("d", "c"), ("c", "z"), ("a", "c"), ("z", "d")] {
                        engine.rename(("default", from), ("default", to)).unwrap();
                    }
                }
                over.store(true, Ordering::SeqCst);
            });
            while !over.load(Ordering::SeqCst) {
                if let Answer::Known(referred) = ask(&engine).unwrap() {
                    assert_eq!(referred.originals, HashSet::from(contents));
                }
            }
        });
        assert_eq!(known(&engine), HashSet::from(contents));
    }

    #[test]
    fn what_was_dropped_need_not_be_asked_and_what_was_renamed_must() {
        let names = |names: &[(&str, u64)]| {
            names.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<BTreeMap<_, _>>()
        };
        let before = names(&[("a", 1), ("b", 2)]);
        let asked = BTreeSet::from([2]);
        assert!(is_complete(&before, &asked, &names(&[("b", 2), ("new", 3)])), "1 was dropped");
        assert!(
            !is_complete(&before, &asked, &names(&[("a", 2), ("c", 1)])),
            "1 was renamed, and 2 after it"
        );
    }
}
