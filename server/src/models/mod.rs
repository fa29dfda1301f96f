//! Weights files of models that are not carried inside the program: a folder, and how files come into it. `elanus model`
//! puts them there, [`crate::images`] opens them. A file has its architecture and SHA-256 for a name
//! (`resnet50-<64 digits>.weights`) and gets it only when it was read to its end, fits a network and is durable: what lies
//! there under such a name is whole.

mod part;
pub(crate) mod pull;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use elanus_embed::{Architecture, MAX_FILE_BYTES, ModelKey, ModelName, Network, Sha256, WeightsError};

use part::Part;

const EXTENSION: &str = "weights";
/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// Where weights files are. It need not be there: then there are none.
#[derive(Debug, Clone)]
pub(crate) struct ModelFolder {
    path: PathBuf,
}

/// A weights file of the folder.
#[derive(Debug, Clone)]
pub(crate) struct ModelFile {
    /// Which networks it can be run with.
    pub(crate) architecture: Architecture,
    /// Its hash, by its name.
    pub(crate) sha256: Sha256,
    /// Its size.
    pub(crate) bytes: u64,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl ModelFile {
    /// The models that it can be used for. One that can't be read counts for all of its architecture: whoever opens it
    /// gets the reason.
    pub(crate) fn models(&self) -> Vec<ModelKey> {
        let read = File::open(&self.path).map_err(WeightsError::from);
        let networks = read.and_then(|file| elanus_embed::networks_of(self.architecture, file));
        let networks = networks.unwrap_or_else(|_| self.architecture.networks().collect());
        networks.into_iter().map(|network| ModelKey { network, sha256: self.sha256 }).collect()
    }
}

/// Size and time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Why a model can't be had or a file not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ModelError {
    /// No file for it.
    #[error(
        "there is no weights file for the model {name}: get one with \"elanus model pull {network}\", or put one there \
         with \"elanus model add FILE --as {network}\"", network = name.network
    )]
    Absent {
        /// What was asked for.
        name: ModelName,
    },
    /// More than one.
    #[error("there are several weights files for the model {name}: say which one, {names}")]
    Ambiguous {
        /// What was asked for.
        name: ModelName,
        /// Longer names, separated by commas.
        names: String,
    },
    /// The carried network has no file.
    #[error("{} is carried inside the program", Network::Carried)]
    Carried,
    /// The file is no such model.
    #[error("{path}: {reason}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: WeightsError,
    },
    /// A folder, a pipe or a device.
    #[error("{path}: it is no regular file")]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// Another process writes the same file.
    #[error("{path}: another \"elanus model\" is at work on this file")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A download failed; what came stays for the next try.
    #[error("{url}: {reason}")]
    Download {
        /// From where.
        url: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// A download is larger than any weights file; it was removed.
    #[error("{url}: no weights file has more than {limit} bytes, and this one has: it was removed")]
    TooLarge {
        /// From where.
        url: String,
        /// The most bytes.
        limit: u64,
    },
    /// A download is not what it should be; it was removed.
    #[error("{url}: the file's SHA-256 is {found}, and it should begin with {expected}: it was removed")]
    WrongHash {
        /// From where.
        url: String,
        /// Of what came.
        found: Sha256,
        /// The digits that were expected.
        expected: String,
    },
}

type Result<T> = std::result::Result<T, ModelError>;

/// Adds the path to an error of the disk.
fn at(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
    let path = path.to_owned();
    move |source| ModelError::Io { path, source }
}

impl ModelFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The files of the folder, by name. Others are not looked at.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub(crate) fn files(&self) -> Result<Vec<ModelFile>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(at(&self.path))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&self.path))?;
            let path = entry.path();
            if let Some((architecture, sha256)) = parse(&path) {
                let bytes = entry.metadata().map_err(at(&path))?.len();
                files.push(ModelFile { architecture, sha256, bytes, path });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// The model of this name.
    ///
    /// # Errors
    /// `Absent`, `Ambiguous`, and when the folder can't be read.
    pub(crate) fn find(&self, name: ModelName) -> Result<ModelKey> {
        if name.fits(ModelKey::CARRIED) {
            return Ok(ModelKey::CARRIED);
        }
        let of_name = |file: &ModelFile| {
            let model = ModelKey { network: name.network, sha256: file.sha256 };
            let named = file.architecture == name.network.architecture() && name.fits(model);
            (named && file.models().contains(&model)).then_some(model)
        };
        let found: Vec<ModelKey> = self.files()?.iter().filter_map(of_name).collect();
        match found[..] {
            [model] => Ok(model),
            [] => Err(ModelError::Absent { name }),
            _ => {
                let names = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(ModelError::Ambiguous { name, names })
            }
        }
    }

    /// Every model that there is, the carried one first.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub(crate) fn all(&self) -> Result<Vec<ModelKey>> {
        let of_files = self.files()?.into_iter().flat_map(|file| file.models());
        Ok(std::iter::once(ModelKey::CARRIED).chain(of_files).collect())
    }

    /// Opens the file of a model that is not the carried one.
    ///
    /// # Errors
    /// `Absent`, and when it can't be read.
    pub(crate) fn open(&self, model: ModelKey) -> Result<File> {
        let path = self.place(model.network.architecture(), model.sha256);
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(ModelError::Absent { name: model.into() })
            }
            file => file.map_err(at(&path)),
        }
    }

    /// What tells the file of a model from another one that was put in its place; `None` where there is none.
    pub(crate) fn stamp(&self, model: ModelKey) -> Option<Stamp> {
        let metadata = std::fs::metadata(self.place(model.network.architecture(), model.sha256)).ok()?;
        Some(Stamp { bytes: metadata.len(), modified: metadata.modified().ok() })
    }

    /// Takes a copy of a file for a network, durable when it returns. Nothing is left of one that does not fit.
    ///
    /// # Errors
    /// `Unfit`, `NoFile`, `Carried`, `Busy`, and what the disk says.
    pub(crate) fn add(&self, file: &Path, network: Network) -> Result<ModelKey> {
        // To open a pipe would wait for somebody who writes to it.
        if !std::fs::metadata(file).map_err(at(file))?.is_file() {
            return Err(ModelError::NoFile { path: file.to_owned() });
        }
        let mut source = File::open(file).map_err(at(file))?;
        let mut part = Part::open(&self.path, network, "add")?;
        part.clear()?;
        let to = part.path().to_owned();
        let copied = copy((&mut source, file), (part.file(), &to));
        match copied.and_then(|()| self.keep(&mut part, network)) {
            Ok(model) => Ok(model),
            Err(error) => {
                part.remove();
                Err(match error {
                    ModelError::Unfit { reason, .. } => ModelError::Unfit { path: file.to_owned(), reason },
                    error => error,
                })
            }
        }
    }

    /// Gives a part that is complete its name, if it fits the network.
    fn keep(&self, part: &mut Part, network: Network) -> Result<ModelKey> {
        if network == Network::Carried {
            return Err(ModelError::Carried);
        }
        let model = elanus_embed::check_model(network, part.file())
            .map_err(|reason| ModelError::Unfit { path: part.path().to_owned(), reason })?;
        part.rename(&self.place(network.architecture(), model.sha256))?;
        Ok(model)
    }

    fn place(&self, architecture: Architecture, sha256: Sha256) -> PathBuf {
        self.path.join(format!("{architecture}-{sha256}.{EXTENSION}"))
    }
}

/// Copies a file that may grow meanwhile.
///
/// # Errors
/// `Unfit` when it is too large; what the disk says of the one or the other.
fn copy((source, from): (&mut impl Read, &Path), (target, to): (&mut impl Write, &Path)) -> Result<()> {
    let (mut piece, mut bytes) = (vec![0; PIECE], 0);
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count.map_err(at(from))?,
        };
        bytes += count as u64;
        if bytes > MAX_FILE_BYTES {
            let reason = WeightsError::TooLarge { bytes, limit: MAX_FILE_BYTES };
            return Err(ModelError::Unfit { path: from.to_owned(), reason });
        }
        target.write_all(&piece[..count]).map_err(at(to))?;
    }
}

/// What a file's name says it is.
fn parse(path: &Path) -> Option<(Architecture, Sha256)> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let (name, digits) = path.file_stem()?.to_str()?.split_once('-')?;
    let architecture = Architecture::ALL.into_iter().find(|architecture| architecture.name() == name)?;
    Some((architecture, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(Architecture, u8)]) -> (tempfile::TempDir, ModelFolder) {
        let place = tempfile::tempdir().unwrap();
        let folder = ModelFolder::new(place.path().to_owned());
        for (architecture, byte) in files {
            std::fs::write(folder.place(*architecture, Sha256::new([*byte; 32])), b"x").unwrap();
        }
        (place, folder)
    }

    fn find(folder: &ModelFolder, name: &str) -> std::result::Result<ModelKey, String> {
        folder.find(name.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn models_are_found_by_network_and_hash() {
        let (_place, folder) =
            folder(&[(Architecture::Vgg16, 1), (Architecture::Resnet50, 1), (Architecture::Resnet50, 2)]);
        std::fs::write(folder.path.join("resnet50-12.weights"), b"x").unwrap();
        std::fs::write(folder.path.join("notes.txt"), b"x").unwrap();
        assert_eq!(folder.files().unwrap().len(), 3);
        let of = |network, byte| Ok(ModelKey { network, sha256: Sha256::new([byte; 32]) });
        assert_eq!(find(&folder, "vgg16-fc7"), of(Network::Vgg16Fc7, 1));
        assert_eq!(find(&folder, "resnet50@02020202"), of(Network::Resnet50, 2));
        assert_eq!(find(&folder, "vgg16-imagenet-notop"), Ok(ModelKey::CARRIED));
        let several = find(&folder, "resnet50").unwrap_err();
        assert!(several.contains("resnet50@01010101, resnet50@02020202"), "{several}");
        let absent = find(&folder, "vgg19").unwrap_err();
        assert!(absent.contains("elanus model pull vgg19"), "{absent}");
        assert!(find(&folder, "resnet50@03030303").is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        let folder = ModelFolder::new("/none/such".into());
        assert!(folder.files().unwrap().is_empty() && find(&folder, "vgg19").is_err());
    }

    #[test]
    fn a_copy_ends_at_the_limit_and_says_which_side_failed() {
        let (from, to) = (Path::new("from"), Path::new("to"));
        let told = |source: &mut dyn Read, target: &mut dyn Write| {
            copy((&mut { source }, from), (&mut { target }, to)).unwrap_err()
        };
        let endless = told(&mut io::repeat(0), &mut io::sink());
        assert!(
            matches!(endless, ModelError::Unfit { reason: WeightsError::TooLarge { .. }, .. }),
            "{endless}"
        );
        let full = told(&mut io::repeat(0), &mut &mut [0u8; 10][..]);
        assert!(matches!(full, ModelError::Io { ref path, .. } if path == to), "{full}");
        let folder = tempfile::tempdir().unwrap();
        // A folder can be opened and not be read.
        let unread = told(&mut File::open(folder.path()).unwrap(), &mut io::sink());
        assert!(matches!(unread, ModelError::Io { ref path, .. } if path == from), "{unread}");
    }

    #[test]
    fn only_regular_files_are_taken() {
        let (place, folder) = folder(&[]);
        for other in [place.path(), Path::new("/dev/zero")] {
            let error = folder.add(other, Network::Vgg19).unwrap_err();
            assert!(matches!(error, ModelError::NoFile { .. }), "{error}");
        }
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_does_not_fit() {
        let (place, folder) = folder(&[]);
        let other = place.path().join("other.pth");
        std::fs::write(&other, b"not weights").unwrap();
        let error = folder.add(&other, Network::Vgg19).unwrap_err().to_string();
        assert!(error.contains("other.pth") && error.contains("no weights file"), "{error}");
        assert!(matches!(folder.add(&other, Network::Carried), Err(ModelError::Carried)));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
