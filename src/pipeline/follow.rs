//! How a thread of the pipeline follows the settings.

use crate::live::{Control, Settings};

/// A thread's own copy of the settings, renewed between two frames.
pub struct Follower {
    control: Control,
    settings: Settings,
    generation: u64,
}

impl Follower {
    /// Follows `control`.
    pub fn new(control: Control) -> Self {
        let (generation, settings) = (control.generation(), control.settings());
        Self { control, settings, generation }
    }

    /// Takes over what has changed; whether anything has. Costs one load from memory where nothing has.
    pub fn renew(&mut self) -> bool {
        let generation = self.control.generation();
        if generation == self.generation {
            return false;
        }
        self.generation = generation;
        self.settings = self.control.settings();
        true
    }

    /// The settings as of the last [`Follower::renew`].
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is followed.
    pub fn control(&self) -> &Control {
        &self.control
    }
}
