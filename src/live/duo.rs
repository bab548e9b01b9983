//! Two styles and how much there is of each.

use crate::style::Mixture;

/// A style, and perhaps another one that is mixed into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Duo {
    /// The style.
    pub main: String,
    /// The other one.
    pub other: Option<String>,
    /// Of the other one, 0 to 1; in a style's name it stands in tenths.
    pub share: f32,
}

impl Duo {
    /// What a setting stands for. Of a mixture of more than two styles the first two are taken.
    pub fn of(style: &str) -> Self {
        match Mixture::parse(style) {
            Some(Ok(mixture)) => {
                let mut parts = mixture.parts.into_iter();
                let main = parts.next().map_or_else(|| style.to_owned(), |(name, _)| name);
                let (other, share) = parts.next().map_or((None, 0.0), |(name, share)| (Some(name), share));
                Self { main, other, share }
            }
            _ => Self { main: style.to_owned(), other: None, share: 0.0 },
        }
    }

    /// The share as it is worn.
    pub fn tenths(&self) -> f32 {
        ((self.share * 10.0).round() / 10.0).clamp(0.0, 1.0)
    }

    /// The setting that stands for it: one of the two styles alone, where there is nothing of the other.
    pub fn style(&self) -> String {
        let share = self.tenths();
        match &self.other {
            Some(other) if share >= 1.0 => other.clone(),
            Some(other) if share > 0.0 => format!("{}:{:.1}+{other}:{share:.1}", self.main, 1.0 - share),
            _ => self.main.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duo_is_named_by_tenths_and_read_back() {
        let duo = |share| Duo { main: "a".into(), other: Some("b".into()), share };
        for (share, style) in [(0.0, "a"), (0.04, "a"), (0.26, "a:0.7+b:0.3"), (0.94, "a:0.1+b:0.9"), (1.0, "b")] {
            assert_eq!(duo(share).style(), style);
        }
        assert_eq!(Duo::of("a:0.7+b:0.3"), duo(0.3));
        assert_eq!(Duo::of("a"), Duo { main: "a".into(), other: None, share: 0.0 });
    }
}
