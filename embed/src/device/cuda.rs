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
use burn_tensor::backend::Backend;
use cudarc::driver::CudaContext;
use half::{bf16, f16};

use super::backend::BackendNetwork;
use super::{DeviceReport, Embedder, Precision, parts};
use crate::error::EmbedError;
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::Input;
use crate::weights::WeightsFile;

/// Images of 224x224 in one run: as many as fill a large GPU, and fewer where they would take more than a quarter of its
/// memory, at so many bytes an image: the largest maps of two layers in f32 and room for what a convolution unfolds.
const MAX_BATCH: usize = 128;
const IMAGE_BYTES: usize = 64 << 20;

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
        let wanted = Wanted { network, report, max_batch: batch_for(free) };
        match precision {
            Precision::F32 => wanted.on::<Cuda<f32>, R>(device, file),
            Precision::F16 => wanted.on::<Cuda<f16>, R>(device, file),
            Precision::Bf16 => wanted.on::<Cuda<bf16>, R>(device, file),
        }
    })
}

/// What is to be opened on the GPU, in whatever precision.
struct Wanted {
    network: Network,
    report: Arc<DeviceReport>,
    max_batch: usize,
}

impl Wanted {
    fn on<B: Backend<Device = CudaDevice>, R: Read + Seek>(
        self,
        device: CudaDevice,
        file: &mut WeightsFile<R>,
    ) -> Result<Arc<dyn Embedder>, String>
    where
        BackendNetwork<B>: Send + Sync + 'static,
    {
        let Self { network, report, max_batch } = self;
        let network = BackendNetwork::<B>::load(network, file, device).map_err(|error| error.to_string())?;
        Ok(Arc::new(Gpu { network, report, max_batch }))
    }
}

/// Images in one run on a GPU with so many bytes of free memory.
fn batch_for(free: usize) -> usize {
    (free / 4 / IMAGE_BYTES).clamp(1, MAX_BATCH)
}

/// Runs a step whose libraries panic when something is missing; `what` then says what failed.
fn guarded<T>(what: &str, step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| Err(what.to_string()))
}

/// An [`Embedder`] on a burn backend.
struct Gpu<B: Backend> {
    network: BackendNetwork<B>,
    report: Arc<DeviceReport>,
    /// Images of 224x224 in one forward pass, see [`parts`].
    max_batch: usize,
}

impl<B: Backend> Embedder for Gpu<B>
where
    BackendNetwork<B>: Send + Sync,
{
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let mut maps = Vec::with_capacity(inputs.len());
        for part in parts(inputs, self.max_batch) {
            maps.extend(self.network.feature_maps(part)?);
        }
        Ok(maps)
    }

    fn preferred_batch(&self) -> usize {
        self.max_batch
    }

    fn patience(&self) -> Duration {
        // Far less than a run of a full batch takes.
        Duration::from_millis(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_the_memory() {
        assert_eq!([0, 8, 24, 141].map(|gib| batch_for(gib << 30)), [1, 32, 96, 128]);
    }
}
