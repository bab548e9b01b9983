//! Back ends of Burn: the only place that names them.

use anyhow::{Result, bail};
use burn::backend::Autodiff;
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::ValueEnum;

use crate::net::conv::ConvBackend;

/// What computes. Each is a cargo feature of this crate; only those compiled in can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// Pure Rust with SIMD (feature `flex`, the default)
    Flex,
    /// Pure Rust reference, slow (feature `ndarray`)
    Ndarray,
    /// LibTorch on the CPU, the fastest there (feature `tch`)
    Tch,
    /// Any GPU with Vulkan, Metal or DirectX 12 (feature `wgpu`)
    Wgpu,
    /// An NVIDIA GPU (feature `cuda`)
    Cuda,
}

/// A back end that the trainer can train on.
pub trait TrainBackend: AutodiffBackend<InnerBackend: ConvBackend> + ConvBackend {}
impl<B: AutodiffBackend<InnerBackend: ConvBackend> + ConvBackend> TrainBackend for B {}

/// Something to run on whichever back end was picked.
pub trait Task {
    /// What it gives.
    type Output;

    /// Runs it on `device`.
    ///
    /// # Errors
    /// Its own.
    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Self::Output>;
}

/// The device used when none is named: the fastest of those compiled in.
pub const fn default_device() -> Device {
    if cfg!(feature = "tch") {
        Device::Tch
    } else if cfg!(feature = "cuda") {
        Device::Cuda
    } else if cfg!(feature = "flex") {
        Device::Flex
    } else if cfg!(feature = "wgpu") {
        Device::Wgpu
    } else {
        Device::Ndarray
    }
}

/// Runs `task` on `device`.
///
/// # Errors
/// When this program was built without that back end; otherwise the task's own.
pub fn dispatch<T: Task>(device: Device, task: T) -> Result<T::Output> {
    match device {
        #[cfg(feature = "flex")]
        Device::Flex => task.run::<Autodiff<burn::backend::Flex>>(Default::default()),
        #[cfg(feature = "ndarray")]
        Device::Ndarray => task.run::<Autodiff<burn::backend::NdArray>>(Default::default()),
        #[cfg(feature = "tch")]
        Device::Tch => task.run::<Autodiff<burn::backend::LibTorch>>(burn::backend::libtorch::LibTorchDevice::Cpu),
        #[cfg(feature = "wgpu")]
        Device::Wgpu => task.run::<Autodiff<burn::backend::Wgpu>>(Default::default()),
        #[cfg(feature = "cuda")]
        Device::Cuda => task.run::<Autodiff<burn::backend::Cuda>>(Default::default()),
        #[allow(unreachable_patterns, reason = "with every back end compiled in nothing is left")]
        other => {
            let _ = task;
            let name = format!("{other:?}").to_lowercase();
            bail!("this nijigen-train was built without '{name}'; rebuild it with `--features {name}`")
        }
    }
}

/// Plain defaults of the convolution are right for this back end.
macro_rules! default_convolution {
    ($($feature:literal => $backend:ty),* $(,)?) => {
        $(#[cfg(feature = $feature)] impl ConvBackend for $backend {})*
    };
}

default_convolution! {
    "flex" => burn::backend::Flex,
    "wgpu" => burn::backend::Wgpu,
    "cuda" => burn::backend::Cuda,
}

// The tests run on ndarray, whether or not the feature is on.
#[cfg(any(test, feature = "ndarray"))]
impl ConvBackend for burn::backend::NdArray {}

#[cfg(feature = "tch")]
impl ConvBackend for burn::backend::LibTorch {
    fn half_precision() -> Option<burn::tensor::FloatDType> {
        Some(burn::tensor::FloatDType::BF16)
    }

    /// Burn computes the weights' gradient as a convolution with a kernel as large as the picture; LibTorch's own
    /// backward pass is several times faster.
    fn conv3x3_weight_grad(
        x: burn::tensor::ops::FloatTensor<Self>,
        weight: burn::tensor::ops::FloatTensor<Self>,
        grad: burn::tensor::ops::FloatTensor<Self>,
        stride: usize,
    ) -> burn::tensor::ops::FloatTensor<Self> {
        let weight = weight.tensor.detach().set_requires_grad(true);
        let stride = i64::try_from(stride).unwrap_or(1);
        let gradient = tch::with_grad(|| {
            let y = x.tensor.conv2d(&weight, None::<&tch::Tensor>, [stride, stride], [1, 1], [1, 1], 1);
            let loss = (y * &grad.tensor).sum(tch::Kind::Float);
            tch::Tensor::run_backward(&[loss], &[&weight], false, false)
        });
        match gradient.into_iter().next() {
            Some(gradient) => burn::backend::libtorch::TchTensor::new(gradient),
            None => unreachable!("run_backward gives one gradient per input"),
        }
    }
}

/// Names of back ends in cards and logs.
pub fn name_of<B: Backend>(device: &B::Device) -> String {
    B::name(device)
}
