//! The shape of a generator as trainer and engine agree on it: which 3×3 convolutions, at which scale, added to what.

/// One step: [space-to-depth 2] → 3×3 convolution (zero padding 1) → [depth-to-space 2] → [+ an earlier tensor] → ReLU.
///
/// The last layer of a [`Topology`] has no ReLU: it is the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerShape {
    /// The tensor it reads: 0 is the image, `i + 1` the output of layer `i`.
    pub input: usize,
    /// Whether a space-to-depth by 2 (DCR order) stands before the convolution.
    pub space_to_depth: bool,
    /// Input channels of the convolution, after space-to-depth.
    pub in_channels: usize,
    /// Output channels of the convolution, before depth-to-space.
    pub out_channels: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Whether a depth-to-space by 2 (DCR order) stands behind the convolution.
    pub depth_to_space: bool,
    /// The earlier tensor (shortcut or skip) that is added before the ReLU.
    pub add: Option<usize>,
}

/// A generator's layers in the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// At least one; the last one gives the image (3 or 4 channels).
    pub layers: Vec<LayerShape>,
}
