//! The processor, through burn's flex backend: pure Rust, instruction sets found at run time, convolutions spread
//! over rayon's global pool. Always available.

use std::sync::Arc;

use burn_flex::{Flex, FlexDevice};

use super::{DeviceReport, Embedder, Network};
use crate::error::EmbedError;
use crate::identity::ModelIdentity;
use crate::vgg16::{Pooling, Vgg16};

/// Measured on two cores: 1.35 images/s one by one, 1.64 in pairs (the backend reorders the weights once per call),
/// and nothing gained beyond. A small batch also lets a person's search wait less behind an import.
const MAX_BATCH: usize = 2;

pub(super) fn open(pooling: Pooling, reason: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
    let network = Vgg16::<Flex>::load(FlexDevice)?;
    let report = DeviceReport {
        device: "cpu".to_string(),
        detail: format!("burn flex, {} threads", rayon::current_num_threads()),
        reason: reason.to_string(),
    };
    Ok(Arc::new(Network { network, identity: ModelIdentity::vgg16(pooling), report, max_batch: MAX_BATCH }))
}
