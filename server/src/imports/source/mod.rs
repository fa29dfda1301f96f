//! Files with rows, in the formats that Milvus imports. Each hands its rows over one by one, in order, holding a bounded
//! piece of the file at a time whatever the file says about itself.
//!
//! ```text
//!   .json .jsonl .ndjson ─ json ──────────┐
//!   .npy, one for each field ─ npy ───────┼─► RowReader (the rules of inserts) ─► batches
//!   .parquet ─ parquet (checks first) ────┘
//! ```

mod cell;
mod contents;
mod element;
mod footer;
mod header;
#[cfg(test)]
mod hostile;
mod json;
mod npy;
mod pages;
mod parquet;
mod scan;
mod thrift;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::ApiError;
use crate::rest::RowReader;

/// Rows of one group of files.
pub(super) trait Source {
    /// Hands the next row to the reader; false when there is none left.
    ///
    /// # Errors
    /// What is wrong with the file or the row; see [`Fault`].
    fn next(&mut self, rows: &mut RowReader<'_>) -> Result<bool, Fault>;

    /// About how many bytes of the files have been read.
    fn position(&self) -> u64;
}

/// Whether somebody asked for the end: what may take long looks now and then.
pub(super) type Stopped<'a> = &'a dyn Fn() -> bool;

/// Why a row can't be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is not what it should be.
    File(String),
    /// The row does not fit the collection.
    Row(ApiError),
}

impl Fault {
    /// Ends what may take long when somebody asked for it.
    fn unless(stopped: Stopped<'_>) -> Result<(), Self> {
        if stopped() { Err(Self::File("it was not read to its end".to_owned())) } else { Ok(()) }
    }

    fn io(error: &std::io::Error) -> Self {
        Self::File(format!("it can't be read: {error}"))
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Row(error)
    }
}

/// A format, by the end of a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// An array of rows, alone or as the member `rows` of an object.
    Json,
    /// Rows one after another, a line each.
    Lines,
    /// One array for each field.
    Npy,
    /// Columns.
    Parquet,
}

impl Format {
    /// The format of a file of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Lines),
            "npy" => Some(Self::Npy),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The format of files that together hold some rows.
    ///
    /// # Errors
    /// A sentence: no files, an unknown suffix, several files where one holds whole rows, two files of one field.
    pub(super) fn of_group(names: &[String]) -> Result<Self, String> {
        let first = names.first().ok_or("a group of files is empty")?;
        let mut fields = HashSet::new();
        for name in names {
            let format = Self::of(name).ok_or_else(|| {
                format!(
                    "unexpected file type of {name}: files end in .json, .jsonl, .ndjson, .npy or .parquet"
                )
            })?;
            if names.len() > 1 && format != Self::Npy {
                return Err(format!("{name} must be a group of its own: only .npy files belong together"));
            }
            if !fields.insert(stem(Path::new(name))) {
                return Err(format!(
                    "two files are named {}: the name is that of the field",
                    stem(Path::new(name))
                ));
            }
        }
        Self::of(first).ok_or_else(|| format!("unexpected file type of {first}"))
    }

    /// Opens a group of files at their first row.
    ///
    /// # Errors
    /// What is wrong with a file, with its name; that it was stopped.
    pub(super) fn open(self, paths: &[PathBuf], stopped: Stopped<'_>) -> Result<Box<dyn Source>, Fault> {
        let first = || paths.first().ok_or_else(|| Fault::File("a group of files is empty".into()));
        Ok(match self {
            Self::Json => Box::new(json::Rows::new(open(first()?)?, json::Layout::Array)),
            Self::Lines => Box::new(json::Rows::new(open(first()?)?, json::Layout::Lines)),
            Self::Npy => Box::new(npy::Columns::open(paths)?),
            Self::Parquet => Box::new(parquet::Table::open(open(first()?)?, stopped)?),
        })
    }
}

/// Opens a file, which must not be a pipe or the like: those can wait for ever.
fn open(path: &Path) -> Result<File, Fault> {
    let file = File::open(path).map_err(|error| Fault::io(&error))?;
    if !file.metadata().map_err(|error| Fault::io(&error))?.is_file() {
        return Err(Fault::File("it is no file".into()));
    }
    Ok(file)
}

/// A file's name without folders and suffix: the field of an array.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Rows for the tests of the formats.
#[cfg(test)]
mod test_rows {
    use std::sync::Arc;

    use elanus_engine::schema::{DataType, Field, Schema};

    use super::*;

    pub(super) fn reader() -> RowReader<'static> {
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("v", DataType::FloatVector).dim(2),
            Field::new("b", DataType::BinaryVector).dim(16).nullable(),
            Field::new("h", DataType::Float16Vector).dim(2).nullable(),
            Field::new("name", DataType::VarChar).max_length(8).nullable(),
            Field::new("small", DataType::Int8).nullable(),
            Field::new("ratio", DataType::Double).nullable(),
            Field::new("flag", DataType::Bool).nullable(),
            Field::new("meta", DataType::Json).nullable(),
            Field::new("tags", DataType::Array).elements(DataType::Int32, 4).nullable(),
            Field::new("sparse", DataType::SparseFloatVector).nullable(),
        ];
        RowReader::of_file(
            &Arc::new(Schema::new(fields, true, "").unwrap()),
            &elanus_engine::row::moment::Zone::utc(),
            0,
        )
    }

    /// How many rows there are, or what is wrong with one.
    pub(super) fn read_all(source: &mut dyn Source) -> Result<usize, String> {
        let mut rows = reader();
        loop {
            match source.next(&mut rows) {
                Ok(true) => {}
                Ok(false) => return Ok(rows.finish().unwrap().rows()),
                Err(Fault::File(reason)) => return Err(reason),
                Err(Fault::Row(error)) => return Err(error.message),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_one_file_or_arrays_of_fields() {
        let group =
            |names: &[&str]| Format::of_group(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(group(&["x/a.JSON"]), Ok(Format::Json));
        assert_eq!(group(&["a.ndjson"]), Ok(Format::Lines));
        assert_eq!(group(&["a.parquet"]), Ok(Format::Parquet));
        assert_eq!(group(&["id.npy", "x/v.npy"]), Ok(Format::Npy));
        for wrong in [
            &[][..],
            &["a.csv"],
            &["a"],
            &["json"],
            &["a.json", "b.json"],
            &["id.npy", "b.parquet"],
            &["x/id.npy", "y/id.npy"],
        ] {
            assert!(group(wrong).is_err(), "{wrong:?}");
        }
    }
}
