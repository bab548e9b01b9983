//! Networks: the student, the teacher (generator and discriminators), and the fixed VGG features that losses are taken
//! on.

pub mod adain;
pub mod attention;
pub mod conv;
pub mod parameters;
pub mod passing;
pub mod patch_discriminator;
pub mod quantized;
pub mod spectral_norm;
pub mod student;
pub mod unet;
pub mod vgg;
pub mod widening;
