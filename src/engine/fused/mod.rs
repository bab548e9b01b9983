//! The fused engine: a quantized generator on u8 pixels, in bands of rows, computing only what changed.
//!
//! [`FusedGenerator`] holds a network packed for a [kernel](crate::engine::kernels) and a plan for each size that it was
//! given: one buffer for each layer's output. What a layer stores stays there, so that the next frame needs to compute
//! only those tiles that read a value that has changed. Nothing but the layers' outputs is ever written: space-to-depth,
//! depth-to-space, bias, shortcut, ReLU and rounding happen in the kernel's loads and stores.

mod changed;
mod driver;
mod intake;
mod layer;
mod layout;
mod network;
mod pack;
mod picture;
mod plan;
mod tensor;
#[cfg(test)]
pub(in crate::engine) mod tests;

use std::sync::Arc;

pub use changed::{BLOCK, BlockMask, Changed};

use self::driver::{Driver, Task};
use self::network::Network;
use self::plan::Plan;
use crate::engine::Generator;
use crate::engine::contract::QuantizedNetwork;
use crate::engine::kernels::Isa;
use crate::engine::region::Region;
use crate::error::{Error, Result};
use crate::frame::Size;

/// Sizes whose plans are kept: a live stream needs one, a picture in tiles up to four.
const KEPT_PLANS: usize = 4;

/// A quantized generator ready to run.
pub struct FusedGenerator {
    network: Arc<Network>,
    isa: Isa,
    threads: usize,
    driver: Driver,
    /// Most recently used first.
    plans: Vec<Plan>,
    /// Asked for with each frame of a live picture, hence kept: what a picture's sides are multiples of, and the
    /// multiply-accumulates of the smallest such picture. Those of any other are a multiple of it.
    multiple: u32,
    unit: u64,
    region: Region,
}

impl FusedGenerator {
    /// Packs `net` for `isa` and starts `threads` (at least 1) workers.
    ///
    /// # Errors
    /// [`Error::Style`] where the network is not one that can be fused, or threads cannot be started.
    pub fn new(net: &QuantizedNetwork, isa: Isa, threads: usize) -> Result<Self> {
        let network = Arc::new(Network::new(net, isa).map_err(Error::Style)?);
        let threads = threads.max(1);
        let driver = Driver::new(Arc::clone(&network), threads)?;
        let multiple = network.topology.multiple();
        let unit = network.topology.macs(Size::new(multiple, multiple));
        Ok(Self {
            network,
            isa,
            threads,
            driver,
            plans: Vec::with_capacity(KEPT_PLANS),
            multiple,
            unit,
            region: Region::All,
        })
    }

    /// Stylizes `frame` (RGB, `size.rgb_len()` bytes) into `out` (same length), computing only what follows from the
    /// parts that `changed` names; with [`Changed::Only`] the rest of `out` stays as it is. A value that differs from the
    /// one kept by no more than `dead_zone` steps (of 127; of 255 twice as many) stays as it is; with 0 the result is that of a whole run on the
    /// pixels taken so far. Returns the multiply-accumulates that were computed.
    ///
    /// What is kept belongs to the size: the first frame of each is computed whole. So is a frame with a smaller dead
    /// zone than one before it, and the first one after [`Changed::Only`] that says something else: what that left alone
    /// does not follow from the pixels taken so far.
    ///
    /// # Errors
    /// [`Error::Input`] where a length or the mask does not fit the size; [`Error::Style`] where the engine itself is at fault.
    pub fn run_changed(
        &mut self,
        frame: &[u8],
        size: Size,
        changed: Changed<'_>,
        dead_zone: u8,
        out: &mut [u8],
    ) -> Result<u64> {
        if size.area() == 0 || frame.len() != size.rgb_len() || out.len() != size.rgb_len() {
            let lengths = (frame.len(), out.len());
            return Err(Error::Input(format!("frames of {} and {} bytes are not of {size}", lengths.0, lengths.1)));
        }
        if matches!(changed, Changed::Blocks(mask) | Changed::Only(mask) if !mask.is_for(size)) {
            return Err(Error::Input(format!("a mask for another size was given with a frame of {size}")));
        }
        let mut plan = match self.plans.iter().position(|plan| plan.size == size) {
            Some(i) => self.plans.remove(i),
            None => {
                self.plans.truncate(KEPT_PLANS - 1);
                Plan::new(&self.network, size, self.isa, self.threads)
            }
        };
        let pass = plan.take(frame, changed, dead_zone);
        let task = Task { plan, pass, macs: 0 };
        let Some(Task { mut plan, macs, .. }) = self.driver.run(task) else {
            return Err(Error::Style(format!("the engine failed on a picture of {size}; please report it")));
        };
        plan.copy_picture(pass, frame, self.region(), out);
        self.plans.insert(0, plan);
        Ok(macs)
    }
}

impl Generator for FusedGenerator {
    fn run(&mut self, input: &[u8], size: Size, output: &mut [u8]) -> Result<()> {
        self.run_changed(input, size, Changed::Whole, 0, output).map(|_| ())
    }

    fn macs(&self, size: Size) -> u64 {
        size.round_up(self.multiple).area() as u64 / u64::from(self.multiple * self.multiple) * self.unit
    }

    fn engine(&self) -> &'static str {
        "fused"
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }

    fn draws_blocks(&self) -> bool {
        true
    }

    fn run_blocks(&mut self, input: &[u8], size: Size, blocks: Option<&BlockMask>, output: &mut [u8]) -> Result<u64> {
        self.run_changed(input, size, blocks.map_or(Changed::Whole, Changed::Only), 0, output)
    }

    fn forget_sizes(&mut self) {
        self.plans.clear();
    }

    fn halo(&self) -> Option<u32> {
        Some(self.network.topology.halo())
    }

    fn multiple(&self) -> u32 {
        self.multiple
    }

    fn has_person_mask(&self) -> bool {
        self.network.topology.has_person_mask()
    }

    fn set_region(&mut self, region: Region) {
        self.region = region;
    }

    fn region(&self) -> Region {
        if self.has_person_mask() { self.region } else { Region::All }
    }

    fn person_mask(&mut self, input: &[u8], size: Size) -> Result<Option<Vec<u8>>> {
        if !self.has_person_mask() {
            return Ok(None);
        }
        self.run(input, size, &mut vec![0; size.rgb_len()])?;
        Ok(self.plans.first_mut().and_then(Plan::person_mask))
    }
}
