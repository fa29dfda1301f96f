//! Whether memory stays flat while many photos are embedded: the same folder is imported again and again, each time into
//! a new collection that is removed afterwards, so that what stays is what embedding leaves behind.

use std::path::Path;

use elanus_benches::Result;
use elanus_benches::program::Memory;
use serde::Serialize;

use crate::server::Server;

/// Where the photos go.
const COLLECTION: &str = "steady";
/// Points of the curve that are kept.
const POINTS: u64 = 200;

/// Memory over the number of photos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Steady {
    pub(crate) photos: u64,
    /// Photos embedded so far, and what was held in memory.
    pub(crate) curve: Vec<(u64, Memory)>,
    /// The most that was resident during the first tenth of the curve, in bytes.
    pub(crate) first_tenth: u64,
    /// During the last tenth.
    pub(crate) last_tenth: u64,
}

/// Imports the folder until at least `wanted` photos are embedded.
///
/// # Errors
/// When an import fails, no photo of the folder can be embedded, or the system does not tell the memory.
pub(crate) fn watch(server: &Server, images: &Path, wanted: u64) -> Result<Steady> {
    let step = (wanted / POINTS).max(1);
    let (mut photos, mut due, mut curve) = (0, 0, Vec::new());
    while photos < wanted {
        let import = server.import(images, COLLECTION, |done| {
            if photos + done >= due {
                curve.push((photos + done, server.program().memory()?));
                due = photos + done + step;
            }
            Ok(())
        })?;
        if import.stored == 0 {
            return Err("no photo of the folder can be embedded".into());
        }
        photos += import.stored;
        server.drop_collection(COLLECTION)?;
    }
    curve.push((photos, server.program().memory()?));
    let (first_tenth, last_tenth) = ends(&curve);
    Ok(Steady { photos, curve, first_tenth, last_tenth })
}

/// The most that was resident in the first and in the last tenth of a curve.
fn ends(curve: &[(u64, Memory)]) -> (u64, u64) {
    let tenth = curve.len().div_ceil(10);
    let most =
        |part: &[(u64, Memory)]| part.iter().map(|(_, memory)| memory.resident).max().unwrap_or_default();
    (most(&curve[..tenth]), most(&curve[curve.len() - tenth..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_curve_are_its_tenths() {
        let memory = |resident| Memory { resident, anonymous: 0, peak: 0 };
        let curve: Vec<(u64, Memory)> = (1..=20).map(|i| (i, memory(i * 100))).collect();
        assert_eq!(ends(&curve), (200, 2000));
        assert_eq!(ends(&curve[..1]), (100, 100));
    }
}
