//! Styles: where they are found, what their cards say, and how one is applied to a picture.

mod card;
mod enhanced;
mod held;
mod large;
mod low_light;
mod mixture;
mod registry;
mod scaled;
mod stylizer;

pub use card::{Card, DataSource, Teacher, check_name, sha256};
pub use held::Work;
pub use mixture::Mixture;
pub use registry::{Found, OpenStyle, RESTORER, Registry};
pub use scaled::{Scale, Scaled};
pub use stylizer::Stylizer;
