//! Which image pixels a position of a tensor depends on: receptive-field arithmetic, along one axis.

/// Position `i` of a tensor depends on the pixels `i·scale + first ..= i·scale + last` of the image, wherever those
/// exist, and on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Image pixels per position, at least 1.
    pub scale: i64,
    /// The first pixel, relative to `i·scale`; mostly negative.
    pub first: i64,
    /// The last pixel, relative to `i·scale`.
    pub last: i64,
}

impl Reach {
    /// The image itself.
    pub const IMAGE: Self = Self { scale: 1, first: 0, last: 0 };

    /// A convolution or pooling window: position `i` reads `i·stride − pad + t·dilation` for `t` in `0..kernel`.
    pub fn window(self, kernel: i64, stride: i64, dilation: i64, pad: i64) -> Self {
        let last_tap = (kernel - 1) * dilation - pad;
        Self {
            scale: self.scale * stride,
            first: self.first - pad * self.scale,
            last: self.last + last_tap * self.scale,
        }
    }

    /// Space-to-depth by `block`.
    pub fn space_to_depth(self, block: i64) -> Self {
        self.window(block, block, 1, 0)
    }

    /// Depth-to-space by `block`: position `i` comes from `i / block`. `None` where positions would become finer than
    /// pixels.
    pub fn depth_to_space(self, block: i64) -> Option<Self> {
        let fine = self.finer(block)?;
        Some(Self { first: fine.first - (block - 1) * fine.scale, ..fine })
    }

    /// A transposed convolution: position `i` takes from every `j` with `i = j·stride − pad + t·dilation`.
    pub fn transposed(self, kernel: i64, stride: i64, dilation: i64, pad: i64) -> Option<Self> {
        let fine = self.finer(stride)?;
        let span = (kernel - 1) * dilation;
        // j lies within (i + pad − span)/stride and (i + pad)/stride, each rounded inward.
        Some(Self { first: fine.first + (pad - span) * fine.scale, last: fine.last + pad * fine.scale, ..fine })
    }

    /// Interpolation to `factor` times the size that reads `taps` positions to each side of the exact place.
    pub fn enlarged(self, factor: i64, taps: i64) -> Option<Self> {
        let fine = self.finer(factor)?;
        let margin = (taps + 1) * self.scale;
        Some(Self { first: fine.first - margin, last: fine.last + margin, ..fine })
    }

    /// Interpolation to 1/`factor` of the size, likewise.
    pub fn reduced(self, factor: i64, taps: i64) -> Self {
        Self {
            scale: self.scale * factor,
            first: self.first - (taps + 1) * self.scale,
            last: self.last + (factor + taps) * self.scale,
        }
    }

    /// A border of `before` positions put in front: position `i` reads `i − before`.
    pub fn padded(self, before: i64) -> Self {
        Self { first: self.first - before * self.scale, last: self.last - before * self.scale, ..self }
    }

    /// Both of two tensors of the same scale; `None` where their scales differ.
    pub fn join(self, other: Self) -> Option<Self> {
        (self.scale == other.scale).then(|| Self {
            scale: self.scale,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        })
    }

    /// The radius: how far a change of the image can be seen in a tensor of full size. `None` at any other scale.
    pub fn halo(self) -> Option<u32> {
        (self.scale == 1).then(|| u32::try_from((-self.first).max(self.last).max(0)).ok()).flatten()
    }

    fn finer(self, factor: i64) -> Option<Self> {
        (factor >= 1 && self.scale % factor == 0).then(|| Self { scale: self.scale / factor, ..self })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn convolutions_widen_by_their_kernel_at_their_scale() {
        let one = Reach::IMAGE.window(3, 1, 1, 1);
        assert_eq!(one.halo(), Some(1));
        assert_eq!(one.window(7, 1, 1, 3).halo(), Some(4));
        assert_eq!(one.window(3, 1, 4, 4).halo(), Some(5));
    }

    #[test]
    fn down_and_up_again_is_full_size() {
        let down = Reach::IMAGE.window(3, 2, 1, 1).window(3, 1, 1, 1);
        assert_eq!(down.halo(), None);
        // Position 2p+1 comes from p, which reads 2p−3 ..= 2p+3.
        assert_eq!(down.depth_to_space(2).unwrap().halo(), Some(4));
        assert_eq!(Reach::IMAGE.depth_to_space(2), None);
    }

    #[test]
    fn a_padding_of_its_own_counts_like_the_convolutions() {
        let own = Reach::IMAGE.window(5, 1, 1, 2);
        assert_eq!(Reach::IMAGE.padded(2).window(5, 1, 1, 0), own);
    }
}
