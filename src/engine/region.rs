//! Which part of a picture is drawn, where the network knows the person in it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The part of a picture that is drawn; the rest stays the photo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// Everything.
    #[default]
    All,
    /// The person.
    Person,
    /// All but the person.
    Background,
}

impl Region {
    /// All of them.
    pub const EACH: [Self; 3] = [Self::All, Self::Person, Self::Background];

    /// The name by which it is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Person => "person",
            Self::Background => "background",
        }
    }

    /// How much of the drawn pixel is shown, of 255, where the network is so certain of a person, of 255.
    pub(crate) fn share(self, person: u8) -> u8 {
        match self {
            Self::All => 255,
            Self::Person => person,
            Self::Background => 255 - person,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let region = Self::EACH.into_iter().find(|region| region.name() == text);
        region.ok_or_else(|| format!("'{text}' is no part of a picture; give person, background or all"))
    }
}

/// A pixel of `photo` and one that was drawn in its place, mixed: `share` of 255 of the latter.
pub(crate) fn mix(photo: [u8; 3], drawn: [u8; 3], share: u8) -> [u8; 3] {
    let share = u32::from(share);
    std::array::from_fn(|c| ((u32::from(photo[c]) * (255 - share) + u32::from(drawn[c]) * share + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for region in Region::EACH {
            assert_eq!(region.to_string().parse(), Ok(region));
        }
        assert!("people".parse::<Region>().unwrap_err().contains("background"));
    }

    #[test]
    fn a_certain_pixel_is_wholly_drawn_or_wholly_the_photo() {
        let (photo, drawn) = ([10, 20, 30], [200, 0, 255]);
        let shown = |region: Region, person| mix(photo, drawn, region.share(person));
        assert_eq!((shown(Region::Person, 255), shown(Region::Person, 0)), (drawn, photo));
        assert_eq!((shown(Region::Background, 255), shown(Region::Background, 0)), (photo, drawn));
        assert_eq!((shown(Region::All, 0), shown(Region::All, 255)), (drawn, drawn));
        assert_eq!(shown(Region::Person, 128), [105, 10, 143]);
    }
}
