//! What a layer has stored, and which positions of it changed in this frame.

use super::layout::{BitLayout, Layout};

/// A stored tensor.
pub(super) struct Tensor {
    pub(super) layout: Layout,
    /// What its bytes are xored with.
    pub(super) flip: u8,
    pub(super) data: Vec<u8>,
    pub(super) bit_layout: BitLayout,
    /// A bit for each position: whether it changed in this frame.
    pub(super) bits: Vec<u8>,
    /// Whether any bit is set.
    pub(super) any: bool,
}

impl Tensor {
    /// All nought, borders included.
    pub(super) fn new(layout: Layout, flip: u8) -> Self {
        let bit_layout = BitLayout::of(&layout);
        Self { layout, flip, data: vec![flip; layout.len()], bit_layout, bits: vec![0; bit_layout.len()], any: false }
    }

    /// Takes all bits back.
    pub(super) fn clear(&mut self) {
        if self.any {
            self.bits.fill(0);
            self.any = false;
        }
    }

    /// Its rows, left and right border included, top and bottom left out: bytes and bits.
    pub(super) fn rows_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        let Layout { border, height, .. } = self.layout;
        let (pitch, bit_pitch) = (self.layout.pitch(), self.bit_layout.pitch());
        (&mut self.data[border * pitch..][..height * pitch], &mut self.bits[border * bit_pitch..][..height * bit_pitch])
    }
}
