//! The footer of a Parquet file: what its columns are and where their pages lie. It is walked before the decoder sees it,
//! which recurses through the schema and makes room for every list. What the fields mean:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::Fault;
use super::thrift::{Fields, Seen, Shape, Stopped, Thrift};

/// Largest footer.
const MAX_FOOTER: u64 = 4 << 20;
/// Most columns; collections have at most 256 fields.
const MAX_COLUMNS: usize = 1024;
/// Most nodes of the schema. A list is three.
const MAX_NODES: u64 = 4 * MAX_COLUMNS as u64;
/// Deepest nesting of the schema. A list in the root is four.
const MAX_DEPTH: usize = 8;
/// Most groups of rows times columns.
const MAX_CHUNKS: u64 = 65_536;
/// Longest name in bytes: each column has those of all nodes that lead to it.
const MAX_NAME: u64 = 1024;
/// Longest value of a fixed length in bytes: more than any vector of halves has.
const MAX_FIXED: i64 = 128 << 10;

const BYTES: Shape = Shape::Binary(MAX_FOOTER);
const NOTHING: Shape = Shape::Struct(&[]);
const TIME: Shape =
    Shape::Struct(&[(1, Shape::Bool), (2, Shape::Struct(&[(1, NOTHING), (2, NOTHING), (3, NOTHING)]))]);
/// A union: what a value means beyond its physical type.
const LOGICAL_TYPE: Fields = &[
    (1, NOTHING),
    (2, NOTHING),
    (3, NOTHING),
    (4, NOTHING),
    (5, Shape::Struct(&[(1, Shape::I32), (2, Shape::I32)])),
    (6, NOTHING),
    (7, TIME),
    (8, TIME),
    (10, Shape::Struct(&[(1, Shape::Byte), (2, Shape::Bool)])),
    (11, NOTHING),
    (12, NOTHING),
    (13, NOTHING),
    (14, NOTHING),
    (15, NOTHING),
    (16, Shape::Struct(&[(1, Shape::Byte)])),
    (17, Shape::Struct(&[(1, BYTES)])),
    (18, Shape::Struct(&[(1, BYTES), (2, Shape::I32)])),
    (19, NOTHING),
];
const NODE: Fields = &[
    (1, Shape::I32),
    (2, Shape::I32),
    (3, Shape::I32),
    (4, Shape::Binary(MAX_NAME)),
    (5, Shape::I32),
    (6, Shape::I32),
    (7, Shape::I32),
    (8, Shape::I32),
    (9, Shape::I32),
    (10, Shape::Struct(LOGICAL_TYPE)),
];
const STATISTICS: Fields = &[
    (1, BYTES),
    (2, BYTES),
    (3, Shape::I64),
    (4, Shape::I64),
    (5, BYTES),
    (6, BYTES),
    (7, Shape::Bool),
    (8, Shape::Bool),
    (9, Shape::I64),
];
const BOX: Shape = Shape::Struct(&[
    (1, Shape::Double),
    (2, Shape::Double),
    (3, Shape::Double),
    (4, Shape::Double),
    (5, Shape::Double),
    (6, Shape::Double),
    (7, Shape::Double),
    (8, Shape::Double),
]);
const NUMBERS: Shape = Shape::List(MAX_CHUNKS, &Shape::I64);
const PAIRS: Shape = Shape::List(MAX_CHUNKS, &Shape::Struct(&[(1, BYTES), (2, BYTES)]));
const CHUNK: Fields = &[
    (1, Shape::I32),
    (2, Shape::List(MAX_CHUNKS, &Shape::I32)),
    (3, Shape::List(MAX_NODES, &BYTES)),
    (4, Shape::I32),
    (5, Shape::I64),
    (6, Shape::I64),
    (7, Shape::I64),
    (8, PAIRS),
    (9, Shape::I64),
    (10, Shape::I64),
    (11, Shape::I64),
    (12, Shape::Struct(STATISTICS)),
    (13, Shape::List(MAX_CHUNKS, &Shape::Struct(&[(1, Shape::I32), (2, Shape::I32), (3, Shape::I32)]))),
    (14, Shape::I64),
    (15, Shape::I32),
    (16, Shape::Struct(&[(1, Shape::I64), (2, NUMBERS), (3, NUMBERS)])),
    (17, Shape::Struct(&[(1, BOX), (2, Shape::List(MAX_CHUNKS, &Shape::I32))])),
];
const COLUMN: Fields = &[
    (1, BYTES),
    (2, Shape::I64),
    (3, Shape::Struct(CHUNK)),
    (4, Shape::I64),
    (5, Shape::I32),
    (6, Shape::I64),
    (7, Shape::I32),
];
const SORTED_BY: Shape = Shape::Struct(&[(1, Shape::I32), (2, Shape::Bool), (3, Shape::Bool)]);
const GROUP: Fields = &[
    (1, Shape::List(MAX_CHUNKS, &Shape::Struct(COLUMN))),
    (2, Shape::I64),
    (3, Shape::I64),
    (4, Shape::List(MAX_NODES, &SORTED_BY)),
    (5, Shape::I64),
    (6, Shape::I64),
    (7, Shape::I16),
];
const ORDER: Shape = Shape::Struct(&[(1, NOTHING), (2, NOTHING), (3, NOTHING)]);
const FOOTER: Fields = &[
    (1, Shape::I32),
    (2, Shape::List(MAX_NODES, &Shape::Struct(NODE))),
    (3, Shape::I64),
    (4, Shape::List(MAX_CHUNKS, &Shape::Struct(GROUP))),
    (5, PAIRS),
    (6, BYTES),
    (7, Shape::List(MAX_NODES, &ORDER)),
];
/// Ways to what matters of it.
const NODES: [i16; 1] = [2];
const TYPE_LENGTH: [i16; 2] = [2, 2];
const CHILDREN: [i16; 2] = [2, 5];
const COLUMNS: [i16; 2] = [4, 1];

/// The bytes of the footer, which the decoder may read.
///
/// # Errors
/// A file that has none, or one that is broken, too large or too deep.
pub(super) fn read(file: &File) -> Result<Vec<u8>, Fault> {
    let len = file.metadata().map_err(|error| Fault::io(&error))?.len();
    let at = len.checked_sub(8).ok_or_else(|| Fault::File("it is no Parquet file".into()))?;
    let mut end = [0; 8];
    file.read_exact_at(&mut end, at).map_err(|error| Fault::io(&error))?;
    let [size @ .., _, _, _, _] = end;
    if !end.ends_with(b"PAR1") {
        return Err(Fault::File("it is no Parquet file, is cut off, or is encrypted".into()));
    }
    let (size, most) = (u64::from(u32::from_le_bytes(size)), MAX_FOOTER.min(at));
    if size > most {
        return Err(Fault::File(format!("its footer is longer than {most} bytes")));
    }
    let mut footer = vec![0; size as usize];
    file.read_exact_at(&mut footer, at - size).map_err(|error| Fault::io(&error))?;
    check(&footer).map_err(Fault::File)?;
    Ok(footer)
}

fn check(footer: &[u8]) -> Result<(), String> {
    let (mut schema, mut children, mut chunks) = (Schema::default(), 0, 0);
    let mut visit = |path: &[i16], seen: Seen| match (path, seen) {
        (path, Seen::Number(number)) if path == CHILDREN => {
            children = number;
            Ok(())
        }
        (path, Seen::Number(number)) if path == TYPE_LENGTH && number > MAX_FIXED => {
            Err(format!("its schema has values of {number} bytes, more than {MAX_FIXED}"))
        }
        (path, Seen::End) if path == NODES => schema.add(std::mem::take(&mut children)),
        (path, Seen::End) if path == COLUMNS => {
            chunks += 1;
            match chunks > MAX_CHUNKS {
                true => Err(format!("its groups of rows have more than {MAX_CHUNKS} columns together")),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    };
    Thrift::new(footer).read(FOOTER, &mut visit).map_err(|stopped| match stopped {
        Stopped::Broken => "its footer is broken, or is larger than any that writers make".to_owned(),
        Stopped::Refused(reason) => reason,
    })?;
    if schema.is_whole() { Ok(()) } else { Err("its schema is not whole".to_owned()) }
}

/// A tree of nodes that come one by one, parents first.
#[derive(Debug, Default)]
struct Schema {
    /// For each node that is being filled, how many of its children are still to come.
    open: Vec<i64>,
    nodes: usize,
    leaves: usize,
}

impl Schema {
    /// The next node has so many children.
    fn add(&mut self, children: i64) -> Result<(), String> {
        match self.open.last_mut() {
            Some(missing) => *missing -= 1,
            None if self.nodes > 0 => return Err("its schema has several roots".to_owned()),
            None => {}
        }
        self.nodes += 1;
        if !(0..=MAX_NODES as i64).contains(&children) {
            return Err(format!("its schema has more than {MAX_NODES} nodes"));
        }
        self.leaves += usize::from(children == 0);
        if self.leaves > MAX_COLUMNS {
            return Err(format!("it has more than {MAX_COLUMNS} columns"));
        }
        self.open.push(children);
        if self.open.len() > MAX_DEPTH {
            return Err(format!("its schema is more than {MAX_DEPTH} levels deep"));
        }
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.nodes > 0 && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_trees_of_bounded_depth() {
        let schema = |nodes: &[i64]| {
            let mut schema = Schema::default();
            nodes.iter().try_for_each(|&children| schema.add(children)).map(|()| schema.is_whole())
        };
        assert_eq!(schema(&[]), Ok(false));
        assert_eq!(schema(&[0]), Ok(true));
        assert_eq!(schema(&[2, 0, 1, 1, 0]), Ok(true));
        assert_eq!(schema(&[2, 0, 1, 1]), Ok(false));
        assert_eq!(schema(&[1, 1, 1, 1, 1, 1, 1, 0]), Ok(true));
        assert!(schema(&[1, 1, 1, 1, 1, 1, 1, 1, 0]).is_err());
        assert!(schema(&[1, 0, 0]).is_err());
        assert!(schema(&[-1]).is_err());
        assert!(schema(&[i32::MAX.into()]).is_err());
        assert!(schema(&[&[2000][..], &[0; 2000]].concat()).is_err());
    }
}
