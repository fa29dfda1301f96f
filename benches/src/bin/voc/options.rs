//! The command line, and how much of everything is measured.

use std::path::PathBuf;

use clap::Parser;
use elanus_embed::Descriptor;

use crate::setting::Family;

/// How fast and how well photos are found, on a folder in the PASCAL VOC layout, through the real server over HTTP
#[derive(Parser, Debug)]
#[command(name = "voc")]
pub(crate) struct Options {
    /// Folder that holds JPEGImages, Annotations and ImageSets
    #[arg(long, value_name = "DIR")]
    pub(crate) voc: PathBuf,
    /// The one index to measure; all when left out
    #[arg(long, value_name = "INDEX")]
    pub(crate) index: Option<Family>,
    /// Device that embeds: auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    pub(crate) device: elanus_embed::DeviceChoice,
    /// How the network's input is made of a photo: keras, torchvision or 320
    #[arg(long, default_value = "keras")]
    input: elanus_embed::Recipe,
    /// Pooling of the last layer: max, avg, gem or rmac
    #[arg(long, default_value = "max")]
    pooling: elanus_embed::Pooling,
    /// Most photos to search with, evenly spread over the set
    #[arg(long, value_name = "N", default_value_t = 2000)]
    queries: usize,
    /// Photos to upload and search with
    #[arg(long, value_name = "N", default_value_t = 50)]
    uploads: usize,
    /// Numbers of clients that search at once
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,4,16",
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: Vec<u16>,
    /// Seconds that clients search for each number of them, each effort and each index
    #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// Fill the indexes up to so many rows with blends of the photos' vectors: recall and speed as in a larger set
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub(crate) grow: usize,
    /// Embed at least so many photos by importing the folder again and again, and watch the server's memory
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) memory_images: u64,
    /// A little of everything, to see that it works; its figures say nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder for voc.json and voc.html
    #[arg(long, value_name = "DIR", default_value = "target/voc")]
    pub(crate) out: PathBuf,
}

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// Photos to search with.
    pub(crate) queries: usize,
    /// Photos to upload and search with.
    pub(crate) uploads: usize,
    /// Photos that go through each stage in this process.
    pub(crate) staged: usize,
    /// Calls of the network for each batch size.
    pub(crate) calls: usize,
    /// Efforts of each index.
    pub(crate) efforts: usize,
    /// Of each load.
    pub(crate) seconds: f64,
    /// Clients at once.
    pub(crate) clients: Vec<usize>,
}

impl Options {
    /// What a vector describes.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::carried(self.input, self.pooling)
    }

    /// How much is measured.
    pub(crate) fn scale(&self) -> Scale {
        let clients = self.clients.iter().map(|clients| usize::from(*clients)).collect();
        if self.quick {
            return Scale {
                queries: 20,
                uploads: 2,
                staged: 3,
                calls: 1,
                efforts: 2,
                seconds: 0.05,
                clients,
            };
        }
        Scale {
            queries: self.queries.max(1),
            uploads: self.uploads.max(1),
            staged: 100,
            calls: 10,
            efforts: usize::MAX,
            seconds: self.seconds.into(),
            clients,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_of_the_readme_is_understood() {
        Options::command().debug_assert();
        let line = ["voc", "--voc", "a b", "--index", "ivf_flat", "--device", "cpu"];
        let options = Options::try_parse_from(line).unwrap();
        assert_eq!((options.index, options.scale().clients), (Some(Family::IvfFlat), vec![1, 4, 16]));
        assert!(Options::try_parse_from(["voc", "--voc", "a", "--index", "ivf"]).is_err());
        assert!(Options::try_parse_from(["voc", "--voc", "a", "--device", "tpu"]).is_err());
        assert!(Options::try_parse_from(["voc", "--voc", "a", "--clients", "0"]).is_err());
    }
}
