//! A photo that is restored before it is drawn: two networks, one behind the other.

use crate::config::Detail;
use crate::engine::fused::BlockMask;
use crate::engine::region::Region;
use crate::engine::{Generator, common_multiple};
use crate::error::Result;
use crate::frame::Size;
use crate::pixels::blend::blend;
use crate::style::held::blend_blocks;
use crate::style::large::{self, Progress};
use crate::style::low_light::Curve;

/// Restores a photo, and draws what came of it; all that is not drawn (a strength below 1, a region) is the restored photo.
/// A photo in [low light](Self::set_light) is lifted before.
///
/// What the first network leaves alone is byte for byte what it was, so one mask of blocks, found in the photo, says for
/// both what changed.
pub(super) struct Enhanced {
    restorer: Box<dyn Generator>,
    /// What draws it; without it the restored photo is the picture.
    style: Option<Box<dyn Generator>>,
    strength: f32,
    light: Option<Curve>,
    lifted: Vec<u8>,
    restored: Vec<u8>,
    /// The size of the restored photo, where it is whole.
    whole: Option<Size>,
}

impl Enhanced {
    pub(super) fn new(restorer: Box<dyn Generator>, style: Option<Box<dyn Generator>>, strength: f32) -> Self {
        Self { restorer, style, strength, light: None, lifted: Vec::new(), restored: Vec::new(), whole: None }
    }

    /// Mixes what is drawn with the restored photo at this strength.
    pub(super) fn set_strength(&mut self, strength: f32) {
        self.strength = strength;
    }

    /// Lifts photos by this curve from the next one on. Returns whether it is another than before.
    pub(super) fn set_light(&mut self, light: Option<Curve>) -> bool {
        std::mem::replace(&mut self.light, light) != light
    }

    /// The network that gives the picture its look: the style's, where there is one.
    pub(super) fn shown(&self) -> &dyn Generator {
        self.style.as_deref().unwrap_or(self.restorer.as_ref())
    }

    /// The detail with which [`Self::shown`] draws: a photo is restored at its own size, where its faults are.
    pub(super) fn detail(&self, detail: Detail) -> Detail {
        if self.style.is_some() { detail } else { Detail::Full }
    }

    /// The style's network, where it draws anything.
    fn drawing(&self) -> Option<&dyn Generator> {
        self.style.as_deref().filter(|_| self.strength > 0.0)
    }

    fn draw(&mut self, photo: &[u8], size: Size, blocks: Option<&BlockMask>, output: &mut [u8]) -> Result<u64> {
        // Where the restorer fails, what is kept is not known.
        let known = self.whole.take() == Some(size);
        self.restored.resize(size.rgb_len(), 0);
        let photo = match self.light {
            Some(curve) => {
                self.lifted.clear();
                self.lifted.extend_from_slice(photo);
                curve.lift(&mut self.lifted);
                &self.lifted
            }
            None => photo,
        };
        let mut macs = self.restorer.run_blocks(photo, size, blocks.filter(|_| known), &mut self.restored)?;
        self.whole = Some(size);
        let mut strength = 0.0;
        if let Some(style) = self.style.as_mut().filter(|_| self.strength > 0.0) {
            macs += style.run_blocks(&self.restored, size, blocks, output)?;
            strength = self.strength;
        }
        match blocks {
            _ if strength >= 1.0 => {}
            Some(blocks) => blend_blocks(blocks, size, &self.restored, output, strength),
            None => blend(&self.restored, output, strength),
        }
        Ok(macs)
    }

    /// As [`large::run_in_place`], each network with the detail that it wants: first all of the photo is restored.
    pub(super) fn run_in_place(
        &mut self,
        pixels: &mut [u8],
        size: Size,
        detail: Detail,
        progress: Progress<'_>,
    ) -> Result<()> {
        if let Some(curve) = self.light {
            curve.lift(pixels);
        }
        let of_restorer = self.restorer.macs(size) as f32;
        let of_style = self.drawing().map_or(0, |style| style.macs(detail.of(size))) as f32;
        let first = of_restorer / (of_restorer + of_style).max(1.0);
        let restorer = self.restorer.as_mut();
        large::run_in_place(restorer, pixels, size, 1.0, Detail::Full, &mut |share| progress(share * first))?;
        match self.style.as_mut().filter(|_| self.strength > 0.0) {
            Some(style) => large::run_in_place(style.as_mut(), pixels, size, self.strength, detail, &mut |share| {
                progress(first + share * (1.0 - first))
            }),
            None => Ok(()),
        }
    }
}

impl Generator for Enhanced {
    fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        self.draw(input, size, None, output).map(drop)
    }

    fn macs(&self, size: Size) -> u64 {
        self.restorer.macs(size) + self.drawing().map_or(0, |style| style.macs(size))
    }

    fn engine(&self) -> &'static str {
        self.shown().engine()
    }

    fn isa(&self) -> &'static str {
        self.shown().isa()
    }

    fn draws_blocks(&self) -> bool {
        self.restorer.draws_blocks() && self.style.as_ref().is_none_or(|style| style.draws_blocks())
    }

    fn run_blocks(&mut self, input: &[u8], size: Size, blocks: Option<&BlockMask>, output: &mut [u8]) -> Result<u64> {
        self.draw(input, size, blocks, output)
    }

    fn forget_sizes(&mut self) {
        self.restorer.forget_sizes();
        if let Some(style) = &mut self.style {
            style.forget_sizes();
        }
        (self.lifted, self.restored, self.whole) = (Vec::new(), Vec::new(), None);
    }

    fn halo(&self) -> Option<u32> {
        let of_style = self.style.as_ref().map_or(Some(0), |style| style.halo());
        Some(self.restorer.halo()?.saturating_add(of_style?))
    }

    fn multiple(&self) -> u32 {
        common_multiple(self.restorer.multiple(), self.style.as_ref().map_or(1, |style| style.multiple()))
    }

    fn has_person_mask(&self) -> bool {
        self.style.as_ref().is_some_and(|style| style.has_person_mask())
    }

    fn set_region(&mut self, region: Region) {
        if let Some(style) = &mut self.style {
            style.set_region(region);
        }
    }
}

#[cfg(test)]
mod tests;
