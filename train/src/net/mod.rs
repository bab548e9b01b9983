//! Networks: the student, and the fixed VGG features that losses are taken on.

pub mod conv;
pub mod student;
pub mod vgg;
