//! NVIDIA GPUs through burn-cuda, which loads the driver and compiles its kernels (NVRTC) at run time. Everything
//! that can be missing is asked for before burn is touched and comes back as a sentence, so that `auto` can fall
//! back: the kernel driver, the driver and compiler libraries, a device, and that a first kernel really runs. (Whether the
//! network computes what the processor does is tried by `super::spare`.)

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use burn_cuda::{Cuda, CudaDevice};
use burn_tensor::Tensor;
use cudarc::driver::CudaContext;
use parking_lot::Mutex;

use super::backend::BackendNetwork;
use super::batches::{largest_batch, room_for};
use super::{DeviceReport, Embedder, Precision, Spent, images_of, parts};
use crate::error::EmbedError;
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::Input;
use crate::weights::WeightsFile;

/// What a loaded kernel driver leaves in the file system (the last one under WSL).
const DRIVER_FILES: [&str; 3] = ["/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg"];

/// The first GPU's name, or why there is none. Loads the driver libraries, but creates nothing on a device.
pub(super) fn probe() -> Result<String, String> {
    // Without this cheap question first, cudarc would panic on every machine that has no driver.
    if cfg!(target_os = "linux") && !DRIVER_FILES.iter().any(|file| Path::new(file).exists()) {
        return Err("no NVIDIA driver is loaded".to_string());
    }
    let count = guarded("the CUDA driver library could not be loaded", || {
        CudaContext::device_count().map_err(|error| format!("the CUDA driver refuses to start: {error}"))
    })?;
    if count < 1 {
        return Err("the CUDA driver finds no GPU".to_string());
    }
    guarded("the CUDA kernel compiler (NVRTC) could not be loaded", || {
        cudarc::nvrtc::compile_ptx("extern \"C\" __global__ void probe() {}")
            .map_err(|error| format!("the CUDA kernel compiler fails: {error:?}"))
    })?;
    guarded("the GPU's name could not be read", || {
        let device = cudarc::driver::result::device::get(0).map_err(|error| error.to_string())?;
        cudarc::driver::result::device::get_name(device).map_err(|error| error.to_string())
    })
}

/// Opens the first GPU; the error says why it cannot be used.
pub(super) fn open<R: Read + Seek>(
    network: Network,
    file: &mut WeightsFile<R>,
    gpu: String,
    reason: &str,
    precision: Precision,
) -> Result<Arc<dyn Embedder>, String> {
    guarded("the first computation on the GPU failed", || {
        let memory = CudaContext::new(0).and_then(|context| context.mem_get_info());
        let (free, _) = memory.map_err(|error| format!("the GPU's memory is unknown: {error}"))?;
        let device = CudaDevice::default();
        // Compiles and runs one small kernel: shows that the compiler and its headers fit the driver.
        let probe = Tensor::<Cuda, 1>::ones([4], &device).add_scalar(1.0);
        let values = probe.try_into_data().map_err(|error| error.to_string())?;
        if values.as_slice::<f32>().ok() != Some(&[2.0; 4]) {
            return Err("the GPU computes wrong values".to_string());
        }
        let report = Arc::new(DeviceReport {
            device: "cuda".to_string(),
            detail: format!("burn cuda, {gpu}"),
            precision: precision.to_string(),
            reason: reason.to_string(),
        });
        let network = BackendNetwork::<Cuda>::load(network, file, device, precision);
        let network = network.map_err(|error| error.to_string())?;
        Ok(Arc::new(Gpu { network, report, max_batch: largest_batch(free), spent: Mutex::default() })
            as Arc<dyn Embedder>)
    })
}

/// Runs a step whose libraries panic when something is missing; `what` then says what failed.
fn guarded<T>(what: &str, step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| Err(what.to_string()))
}

/// An [`Embedder`] on a GPU.
struct Gpu {
    network: BackendNetwork<Cuda>,
    report: Arc<DeviceReport>,
    /// Images of 224x224 in one forward pass, see [`parts`].
    max_batch: usize,
    spent: Mutex<Spent>,
}

impl Embedder for Gpu {
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let mut maps = Vec::with_capacity(inputs.len());
        for part in parts(inputs, self.max_batch) {
            let (most, mut spent) = (images_of(part[0].side(), self.max_batch), Spent::default());
            maps.extend(self.network.feature_maps(part, room_for(part.len(), most), &mut spent)?);
            *self.spent.lock() += spent;
        }
        Ok(maps)
    }

    fn preferred_batch(&self) -> usize {
        self.max_batch
    }

    fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    fn patience(&self) -> Duration {
        // Far less than a run of a full batch takes.
        Duration::from_millis(2)
    }
}
