//! Styles: where they are found, what their cards say, and how one is applied to a picture.

mod card;
mod large;
mod registry;
mod stylizer;

pub use card::{Card, DataSource, sha256};
pub use registry::{Found, OpenStyle, Registry};
pub use stylizer::{Stylizer, Work};
