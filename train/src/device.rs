//! Back ends of Burn: the only place that names them.

use anyhow::{Result, bail};
use burn::backend::Autodiff;
#[cfg(feature = "tch")]
use burn::backend::libtorch::TchTensor;
use burn::tensor::backend::AutodiffBackend;
#[cfg(feature = "tch")]
use burn::tensor::ops::FloatTensor;
use clap::ValueEnum;

use crate::net::conv::ConvBackend;
#[cfg(feature = "tch")]
use crate::net::conv::{BlockGradients, BlockRun, BlockShape, Wanted};

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
            bail!(
                "this nijigen-train was built without '{name}'; rebuild it with `--no-default-features --features {name}`"
            )
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
    /// Where the processor has no instructions for it, LibTorch computes in bfloat16 as well, but many times slower than in
    /// 32 bits.
    fn half_precision() -> Option<burn::tensor::FloatDType> {
        computes_in_bfloat16().then_some(burn::tensor::FloatDType::BF16)
    }

    fn block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: Option<FloatTensor<Self>>,
        shape: BlockShape,
    ) -> FloatTensor<Self> {
        finished(torch_convolution(&x.tensor, &weight.tensor, &bias.tensor, shape.stride), shortcut, shape)
    }

    /// Burn's general way to the weights' gradient is a convolution with a kernel as large as the picture; LibTorch's
    /// own backward pass is several times faster. It can be had only through LibTorch's autograd, for which the
    /// convolution is kept with its inputs: weight, bias, input.
    fn block_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: Option<FloatTensor<Self>>,
        shape: BlockShape,
        wanted: Wanted,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>) {
        let leaf = |tensor: TchTensor, wanted: bool| tensor.tensor.detach().set_requires_grad(wanted);
        let (weight, bias) = (leaf(weight, wanted.parameters), leaf(bias, wanted.parameters));
        let x = leaf(x, wanted.input);
        let convolved = tch::with_grad(|| torch_convolution(&x, &weight, &bias, shape.stride));
        // What follows writes into the convolution's output, which its backward pass does not read.
        let y = finished(convolved.detach(), shortcut, shape);
        (y, [convolved, weight, bias, x].map(TchTensor::new).into())
    }

    fn block_backward(
        run: BlockRun<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        _: BlockShape,
        wanted: Wanted,
    ) -> BlockGradients<FloatTensor<Self>> {
        let grad = match run.y {
            Some(y) => y.tensor.threshold_backward(&grad.tensor, 0.0),
            None => grad.tensor,
        };
        let (convolved, leaves) = run.kept.split_first().unzip();
        let leaves: Vec<_> =
            leaves.into_iter().flatten().map(|leaf| &leaf.tensor).filter(|leaf| leaf.requires_grad()).collect();
        let gradients = match convolved {
            Some(convolved) if !leaves.is_empty() => {
                // The gradient of this product is that of its factor times `grad`.
                let product = tch::with_grad(|| &convolved.tensor * &grad);
                tch::Tensor::run_backward(&[product], &leaves, false, false)
            }
            _ => Vec::new(),
        };
        // One per leaf, in their order.
        let mut gradients = gradients.into_iter().map(TchTensor::new);
        let parameters = if wanted.parameters { gradients.next().zip(gradients.next()) } else { None };
        BlockGradients { input: gradients.next(), parameters, shortcut: TchTensor::new(grad) }
    }
}

/// Whether this processor multiplies numbers in bfloat16.
#[cfg(feature = "tch")]
fn computes_in_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

/// What stands behind a block's convolution, in the convolution's memory.
#[cfg(feature = "tch")]
fn finished(mut y: tch::Tensor, shortcut: Option<TchTensor>, shape: BlockShape) -> TchTensor {
    if let Some(shortcut) = shortcut {
        y = y.g_add_(&shortcut.tensor);
    }
    if shape.relu {
        y = y.relu_();
    }
    TchTensor::new(y)
}

#[cfg(feature = "tch")]
fn torch_convolution(x: &tch::Tensor, weight: &tch::Tensor, bias: &tch::Tensor, stride: usize) -> tch::Tensor {
    let stride = if stride == 2 { 2 } else { 1 };
    x.conv2d(weight, Some(bias), [stride, stride], [1, 1], [1, 1], 1)
}
