//! What somebody who watches can do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Action, Attendant, Control, Duo, Messages, Patch, Recorder, Settings};
use crate::error::{Error, Result};
use crate::style::Mixture;

/// Lists the styles that one can be mixed with, the next one of the list first.
pub type Partners = Box<dyn Fn(&str) -> Vec<String> + Send>;

/// Carries out [`Action`]s. It never waits for their end: what comes of them is told by its [`Messages`].
pub struct Console {
    control: Control,
    attendant: Attendant,
    recorder: Recorder,
    messages: Messages,
    partners: Partners,
    /// The style that the run began with: it may lie outside of the list.
    first: String,
    /// The style that is being loaded, and the number of the wish for it: the next one is counted from there.
    wanted: Arc<Mutex<Option<(u64, String)>>>,
    wishes: u64,
    /// Where the photo last ended.
    border: f32,
}

impl Console {
    /// A console for `control`, which `attendant` looks after.
    pub fn new(
        control: Control,
        attendant: Attendant,
        recorder: Recorder,
        messages: Messages,
        partners: Partners,
    ) -> Self {
        let Settings { style: first, split, .. } = control.settings();
        let border = split.unwrap_or(0.5);
        Self { control, attendant, recorder, messages, partners, first, wanted: Arc::default(), wishes: 0, border }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.control.settings()
    }

    /// Somebody is there.
    pub fn somebody(&self) {
        self.attendant.somebody();
    }

    /// The seconds until a snapshot that is being counted down.
    pub fn seconds_left(&self) -> Option<u64> {
        self.attendant.seconds_left()
    }

    /// What was last done.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Since when a recording goes on, where one does.
    pub fn recording_since(&self) -> Option<Instant> {
        self.recorder.since()
    }

    /// Does what `action` says, where it is about the pictures and not about the window that shows them.
    pub fn perform(&mut self, action: Action) {
        let done = self.try_to(action);
        self.tell(done);
    }

    fn tell(&self, done: Result<()>) {
        if let Err(error) = done {
            self.messages.complain(error.to_string());
        }
    }

    /// Moves the border between the photo and the picture, where there is one, to this share of the width.
    pub fn move_border(&mut self, share: f32) {
        if self.control.settings().split.is_some() {
            self.border = share.clamp(0.0, 1.0);
            // It is within its range.
            let _ = self.patch(Patch { split: Some(Some(self.border)), ..Patch::default() });
        }
    }

    /// The style that is worn, or that is being loaded.
    pub fn style(&self) -> String {
        let wanted = lock(&self.wanted).as_ref().map(|(_, style)| style.clone());
        wanted.unwrap_or_else(|| self.control.settings().style)
    }

    /// That style and the one that is mixed into it: the next one that can be, where there is none yet. `None` where none
    /// can.
    pub fn duo(&self) -> Option<Duo> {
        let duo = Duo::of(&self.style());
        let other = duo.other.or_else(|| (self.partners)(&duo.main).into_iter().next())?;
        Some(Duo { other: Some(other), ..duo })
    }

    /// Has this mixture worn, where it is not already.
    pub fn wear_duo(&mut self, duo: &Duo) {
        let done = self.change_to(duo);
        self.tell(done);
    }

    fn change_to(&mut self, duo: &Duo) -> Result<()> {
        let style = duo.style();
        if style == self.style() { Ok(()) } else { self.wear(style) }
    }

    fn try_to(&mut self, action: Action) -> Result<()> {
        let settings = self.control.settings();
        match action {
            Action::Toggle => {
                self.messages.say(format!("Style {}", if settings.on { "off" } else { "on" }));
                self.patch(Patch { on: Some(!settings.on), ..Patch::default() })
            }
            Action::Stronger => self.strengthen(settings.strength, 1.0),
            Action::Weaker => self.strengthen(settings.strength, -1.0),
            Action::Compare => {
                let split = if settings.split.is_some() { None } else { Some(self.border) };
                self.patch(Patch { split: Some(split), ..Patch::default() })
            }
            Action::Enhance => self.enhance(!settings.enhance),
            Action::Mirror => self.patch(Patch { mirror: Some(!settings.mirror), ..Patch::default() }),
            Action::PreviousStyle => self.change_style(|place, count| (place + count - 1) % count),
            Action::NextStyle => self.change_style(|place, count| (place + 1) % count),
            Action::MixMore => self.mix(0.1),
            Action::MixLess => self.mix(-0.1),
            Action::Snapshot => self.snapshot(),
            Action::Record => {
                if self.recorder.since().is_some() {
                    self.recorder.stop();
                    Ok(())
                } else {
                    self.recorder.start(None)
                }
            }
            Action::FullScreen | Action::Figures | Action::Help | Action::Quit => Ok(()),
        }
    }

    fn patch(&self, patch: Patch) -> Result<()> {
        self.control.patch(&patch, |_| ())
    }

    /// To the next whole tenth, so that steps lead back to where they began.
    fn strengthen(&self, strength: f32, tenths: f32) -> Result<()> {
        let strength = ((strength * 10.0 + tenths).round() / 10.0).clamp(0.0, 1.0);
        self.messages.say(format!("Strength {:.0} %", strength * 100.0));
        self.patch(Patch { strength: Some(strength), ..Patch::default() })
    }

    /// The styles that there are.
    fn styles(&self) -> Vec<String> {
        let mut styles = self.attendant.styles();
        if !styles.contains(&self.first) && Mixture::parse(&self.first).is_none() {
            styles.insert(0, self.first.clone());
        }
        styles
    }

    fn change_style(&mut self, step: impl Fn(usize, usize) -> usize) -> Result<()> {
        let (from, mut styles) = (self.style(), self.styles());
        let alone = Duo::of(&from).main;
        let place = styles.iter().position(|style| *style == alone).unwrap_or(0);
        let name = styles.swap_remove(step(place, styles.len()));
        if name == from {
            return Err(Error::Usage("there is no other style; put one into the styles folder".into()));
        }
        self.wear(name)
    }

    /// Mixes so much more of another style into the one that is worn: of the next one, where there is none yet.
    fn mix(&mut self, more: f32) -> Result<()> {
        let Some(mut duo) = self.duo() else {
            let from = self.style();
            return Err(Error::Usage(format!("there is no style that {from} can be mixed with: only one of its base")));
        };
        duo.share = duo.tenths() + more;
        self.change_to(&duo)
    }

    /// Has photos restored before they are drawn, or no longer.
    fn enhance(&self, enhance: bool) -> Result<()> {
        let messages = self.messages.clone();
        let done = move |loaded: Result<Settings>| match loaded {
            Ok(settings) if settings.enhance == enhance => {
                messages.say(format!("Restored photos {}", if enhance { "on" } else { "off" }));
            }
            // It was changed again meanwhile.
            Ok(_) => {}
            Err(error) => messages.complain(error.to_string()),
        };
        self.control.patch(&Patch { enhance: Some(enhance), ..Patch::default() }, done)
    }

    /// Has the style `name` loaded and worn.
    fn wear(&mut self, name: String) -> Result<()> {
        // By number, since the same style may be wished for again while another one of the wishes is carried out.
        self.wishes += 1;
        let number = self.wishes;
        *lock(&self.wanted) = Some((number, name.clone()));
        let (wanted, messages) = (Arc::clone(&self.wanted), self.messages.clone());
        let patch = Patch { style: Some(name.clone()), ..Patch::default() };
        let asked = self.control.patch(&patch, {
            let name = name.clone();
            move |loaded| {
                let mut wanted = lock(&wanted);
                wanted.take_if(|(newest, _)| *newest == number);
                match loaded {
                    Ok(settings) if settings.style == name => messages.say(format!("Style {name}")),
                    // Another one was chosen meanwhile.
                    Ok(_) => {}
                    Err(error) => messages.complain(format!("Style {name}: {error}")),
                }
            }
        });
        if asked.is_err() {
            *lock(&self.wanted) = None;
        }
        asked
    }

    fn snapshot(&self) -> Result<()> {
        // Who presses twice wants one.
        if self.attendant.seconds_left().is_some() {
            return Ok(());
        }
        let messages = self.messages.clone();
        self.attendant.snapshot(move |kept| match kept {
            Ok(path) => messages.say(format!("Snapshot: {}", path.display())),
            Err(error) => messages.complain(format!("No snapshot: {error}")),
        })
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
