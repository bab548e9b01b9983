//! Noticing that training has collapsed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::config::Limits;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collapse {
    /// A loss or a gradient is no longer a number.
    NotFinite,
    /// The discriminator tells all real from all made patches: the generator learns nothing from it.
    Won,
    /// The discriminator tells no better than chance: it has nothing to teach.
    Lost,
    /// The generator makes one picture of every photo.
    OnePicture,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "a loss or gradient is no longer a number",
            Self::Won => "the discriminator's accuracy is stuck at 1",
            Self::Lost => "the discriminator's accuracy is stuck at 0.5",
            Self::OnePicture => "the outputs hardly differ from photo to photo",
        })
    }
}

/// What an evaluation has seen of the adversarial part.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Accuracy on real and on fake patches since the last evaluation, where there is an adversary.
    pub accuracy: Option<[f64; 2]>,
    /// Diversity of the outputs over that of the photos.
    pub diversity: f64,
}

/// For how many evaluations in a row the accuracy has been stuck.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    pub(super) won: u32,
    pub(super) lost: u32,
}

impl Watch {
    /// Takes an evaluation into account; says so if training has collapsed.
    pub fn look(&mut self, limits: &Limits, seen: Seen) -> Option<Collapse> {
        if let Some([real, fake]) = seen.accuracy {
            let count = |before: u32, is: bool| if is { before + 1 } else { 0 };
            self.won = count(self.won, real.min(fake) >= limits.won);
            self.lost = count(self.lost, ((real + fake) / 2.0 - 0.5).abs() <= limits.lost);
        }
        if seen.diversity.is_nan() || seen.diversity < limits.diversity {
            Some(Collapse::OnePicture)
        } else if self.won >= limits.evaluations {
            Some(Collapse::Won)
        } else if self.lost >= limits.evaluations {
            Some(Collapse::Lost)
        } else {
            None
        }
    }

    /// Whether nothing is suspicious: what stands now is worth going back to.
    pub fn is_calm(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { evaluations: 3, won: 0.98, lost: 0.02, diversity: 0.1, rollbacks: 2 };

    /// What is said after evaluations with these accuracies.
    fn said(accuracies: &[[f64; 2]]) -> Vec<Option<Collapse>> {
        let mut watch = Watch::default();
        let look = |&accuracy| watch.look(&LIMITS, Seen { accuracy: Some(accuracy), diversity: 0.8 });
        accuracies.iter().map(look).collect()
    }

    #[test]
    fn only_an_accuracy_that_stays_is_a_collapse() {
        assert_eq!(said(&[[1.0, 0.99]; 3]), [None, None, Some(Collapse::Won)]);
        assert_eq!(said(&[[1.0, 0.0], [0.0, 1.0], [0.51, 0.5]]), [None, None, Some(Collapse::Lost)]);
        assert_eq!(said(&[[1.0, 1.0], [1.0, 1.0], [0.9, 1.0], [1.0, 1.0]]), [None; 4]);
        assert_eq!(said(&[[0.7, 0.6]; 9]), [None; 9]);
    }

    #[test]
    fn suspicion_makes_a_state_not_worth_going_back_to() {
        let mut watch = Watch::default();
        assert!(watch.is_calm());
        watch.look(&LIMITS, Seen { accuracy: Some([1.0, 1.0]), diversity: 0.8 });
        assert!(!watch.is_calm());
        watch.look(&LIMITS, Seen { accuracy: Some([0.8, 0.7]), diversity: 0.8 });
        assert!(watch.is_calm());
    }

    #[test]
    fn one_picture_for_all_is_a_collapse_at_once() {
        for diversity in [0.0, 0.09, f64::NAN] {
            let seen = Seen { accuracy: None, diversity };
            assert_eq!(Watch::default().look(&LIMITS, seen), Some(Collapse::OnePicture));
        }
    }
}
