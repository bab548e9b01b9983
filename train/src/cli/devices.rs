//! On what training computes: options of `distill` and `teacher`.

use super::output;
use crate::device::{Device, default_device};

/// What computes.
#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    /// What computes
    #[arg(long, value_enum, default_value_t = default_device())]
    pub(super) device: Device,
    /// How many of the back end's devices (GPUs by their indices, from 0 on) share each batch; wants the feature `collective`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = output::at_least_one)]
    pub(super) devices: usize,
}
