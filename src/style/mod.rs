//! Styles: where they are found, what their cards say, and how one is applied to a picture.

mod stylizer;

pub use stylizer::Stylizer;
