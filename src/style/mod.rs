//! Styles: where they are found, what their cards say, and how one is applied to a picture.

mod card;
mod registry;
mod stylizer;

pub use card::{Card, DataSource, Layout, Range, sha256};
pub use registry::{OpenStyle, Registry};
pub use stylizer::Stylizer;
