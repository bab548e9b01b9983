//! A virtual camera: other programs on this machine see the frames as those of a camera.
//!
//! On Linux that is a device of v4l2loopback, a kernel module that gives to readers what a writer puts in. [`open`] finds
//! the device and agrees with it on a format, which then stays for as long as we run.

#[cfg(any(test, all(feature = "v4l2", target_os = "linux")))]
mod camera;
#[cfg_attr(not(all(feature = "v4l2", target_os = "linux")), path = "without.rs")]
mod device;
mod selector;

pub use device::open;
pub use selector::{OutputFormat, OutputSelector};
