//! NVIDIA GPUs through burn-cuda, which loads the driver and compiles its kernels (NVRTC) at run time. Everything
//! that can be missing is asked for before burn is touched and comes back as a sentence, so that `auto` can fall
//! back: the kernel driver, the driver and compiler libraries, a device, and that a first kernel really runs. (Whether the
//! network computes what the processor does is tried by `super::spare`.)

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use burn_cuda::{Cuda, CudaDevice};
use burn_tensor::Tensor;
use cubecl_runtime::config::cache::CacheConfig;
use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig as _};
use cudarc::driver::CudaContext;

use super::backend::BackendNetwork;
use super::{DeviceReport, Embedder, Precision, images_of, parts};
use crate::error::EmbedError;
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::Input;
use crate::weights::WeightsFile;

/// Images of 224x224 in one run: as many as fill a large GPU, and fewer where they would take more than a quarter of its
/// memory, at so many bytes an image: the largest maps of two layers in f32 and room for what a convolution unfolds.
const MAX_BATCH: usize = 128;
const IMAGE_BYTES: usize = 64 << 20;

/// Each size of a batch is so many times the one below.
const BATCH_STEP: usize = 4;

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
        keep_kernels();
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
        Ok(Arc::new(Gpu { network, report, max_batch: batch_for(free) }) as Arc<dyn Embedder>)
    })
}

/// Has compiled kernels kept on the disk, beside the choices among them that burn keeps anyway: to compile all of them takes
/// far longer than to read them. A `cubecl.toml` that says where is obeyed.
fn keep_kernels() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
        config.compilation.cache.get_or_insert_with(CacheConfig::default);
        CubeClRuntimeConfig::set(config);
    });
}

/// Images in one run on a GPU with so many bytes of free memory: a power of two, so that a little less memory at the next
/// start is no new size.
fn batch_for(free: usize) -> usize {
    1 << (free / 4 / IMAGE_BYTES).clamp(1, MAX_BATCH).ilog2()
}

/// Images in the run that takes so many. Burn tries several kernels for each new size of a batch, which takes seconds: there
/// are only a few sizes, and places that stay empty cost a GPU less.
fn room_for(count: usize, most: usize) -> usize {
    let sizes = std::iter::successors(Some(1), |size| Some(size * BATCH_STEP));
    sizes.take_while(|size| *size < most).find(|size| *size >= count).unwrap_or(most)
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
}

impl Embedder for Gpu {
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let mut maps = Vec::with_capacity(inputs.len());
        for part in parts(inputs, self.max_batch) {
            let most = images_of(part[0].side(), self.max_batch);
            maps.extend(self.network.feature_maps(part, room_for(part.len(), most))?);
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
        assert_eq!([0, 8, 24, 141].map(|gib| batch_for(gib << 30)), [1, 32, 64, 128]);
    }

    #[test]
    fn batches_have_few_sizes() {
        let sizes =
            |most: usize| [1, 2, 4, 5, 16, 17, 62, 65, 128].map(|count| room_for(count.min(most), most));
        assert_eq!(sizes(128), [1, 4, 4, 16, 16, 64, 64, 128, 128]);
        assert_eq!(sizes(62), [1, 4, 4, 16, 16, 62, 62, 62, 62]);
        assert_eq!(sizes(1), [1; 9]);
    }
}
