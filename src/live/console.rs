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
    /// The style that is being loaded: the next one is counted from there.
    wanted: Arc<Mutex<Option<String>>>,
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
        Self { control, attendant, recorder, messages, partners, first, wanted: Arc::default(), border }
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
        if let Err(error) = self.try_to(action) {
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
        lock(&self.wanted).clone().unwrap_or_else(|| self.control.settings().style)
    }

    /// That style and the one that is mixed into it: the next one that can be, where there is none yet. `None` where none can.
    pub fn duo(&self) -> Option<Duo> {
        let duo = Duo::of(&self.style());
        let other = duo.other.or_else(|| (self.partners)(&duo.main).into_iter().next())?;
        Some(Duo { other: Some(other), ..duo })
    }

    /// Has this mixture worn, where it is not already.
    pub fn wear_duo(&mut self, duo: &Duo) {
        let style = duo.style();
        if style != self.style()
            && let Err(error) = self.wear(style)
        {
            self.messages.complain(error.to_string());
        }
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
        self.wear_duo(&duo);
        Ok(())
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
        *lock(&self.wanted) = Some(name.clone());
        let (wanted, messages) = (Arc::clone(&self.wanted), self.messages.clone());
        let patch = Patch { style: Some(name.clone()), ..Patch::default() };
        let asked = self.control.patch(&patch, {
            let name = name.clone();
            move |loaded| {
                let mut wanted = lock(&wanted);
                if wanted.as_ref() == Some(&name) {
                    *wanted = None;
                }
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::frame::{Pool, Rate, Size};
    use crate::live::{KioskConfig, Look, SnapshotConfig, Snapshots, StyleList};
    use crate::picture::{Format, Written};
    use crate::source::Rest;
    use crate::style::Stylizer;

    fn console(folder: &Path, styles: &'static [&'static str]) -> Console {
        let settings = Settings::of_style("b");
        let opener = Box::new(|look: &Look| match look.style.as_str() {
            "broken" => Err(Error::Input("broken is no style".into())),
            _ => Ok(Stylizer::off()),
        });
        let control = Control::new(settings, Some(opener)).unwrap();
        let messages = Messages::default();
        let config = SnapshotConfig { folder: folder.into(), written: Written::Pixels(Format::Png), original: false };
        let recorder = Recorder::new(control.clone(), None, Rate::new(30, 1).unwrap(), messages.clone());
        let styles: StyleList = Arc::new(|| styles.iter().map(|style| style.to_string()).collect());
        let snapshots = Snapshots::start(config).unwrap();
        let config = KioskConfig::default();
        let attendant = Attendant::new(config, control.clone(), snapshots, styles, messages.clone(), Rest::default());
        // What is called "alone" mixes with nothing.
        let partners: Partners = Box::new(|style| {
            let mixing: Vec<&str> = styles.iter().copied().filter(|name| !["off", "alone"].contains(name)).collect();
            let after = mixing.iter().position(|name| *name == style).map(|place| place + 1);
            let others = after.map(|after| [&mixing[after..], &mixing[..after - 1]].concat());
            others.unwrap_or_default().into_iter().map(String::from).collect()
        });
        Console::new(control, attendant, recorder, messages, partners)
    }

    fn said(console: &Console) -> String {
        let mut text = String::new();
        console.messages().read(&mut text);
        text
    }

    /// Waits until `console` has said `words`.
    fn hears(console: &Console, words: &str) -> bool {
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            said(console).contains(words)
        })
    }

    #[test]
    fn keys_change_the_settings_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a", "b"]);
        let before = console.settings();
        for action in [Action::Toggle, Action::Compare, Action::Mirror] {
            console.perform(action);
            assert_ne!(console.settings(), before, "{action:?}");
            console.perform(action);
            assert_eq!(console.settings(), before, "{action:?}");
        }
        for (action, strength) in [(Action::Stronger, 1.0), (Action::Weaker, 0.9), (Action::Weaker, 0.8)] {
            console.perform(action);
            assert_eq!(console.settings().strength, strength);
        }
        (0..20).for_each(|_| console.perform(Action::Weaker));
        assert_eq!((console.settings().strength, said(&console).as_str()), (0.0, "Strength 0 %"));
    }

    #[test]
    fn the_border_stays_where_it_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a"]);
        console.move_border(0.2);
        assert_eq!(console.settings().split, None, "there is none to move");
        console.perform(Action::Compare);
        assert_eq!(console.settings().split, Some(0.5));
        console.move_border(1.7);
        assert_eq!(console.settings().split, Some(1.0));
        console.move_border(0.25);
        console.perform(Action::Compare);
        console.perform(Action::Compare);
        assert_eq!(console.settings().split, Some(0.25));
    }

    #[test]
    fn styles_go_round_and_a_broken_one_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a", "b", "c", "broken"]);
        for (action, style) in [(Action::NextStyle, "c"), (Action::PreviousStyle, "b"), (Action::PreviousStyle, "a")] {
            console.perform(action);
            assert!(hears(&console, &format!("Style {style}")), "{}", said(&console));
            assert_eq!(console.settings().style, style);
        }
        console.perform(Action::PreviousStyle);
        assert!(hears(&console, "broken is no style"));
        assert_eq!(console.settings().style, "a");
        // Two at once: the second is counted from the first.
        console.perform(Action::NextStyle);
        console.perform(Action::NextStyle);
        assert!(hears(&console, "Style c"));
    }

    #[test]
    fn the_next_style_is_mixed_in_by_tenths_and_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a", "b", "alone", "off", "c"]);
        let mut wears = |actions: &[Action], style: &str| {
            actions.iter().for_each(|action| console.perform(*action));
            let worn = |_| {
                thread::sleep(Duration::from_millis(10));
                console.settings().style == style
            };
            assert!((0..500).any(worn), "{actions:?}: {} in place of {style}", console.settings().style);
        };
        wears(&[Action::MixMore], "b:0.9+c:0.1");
        wears(&[Action::MixMore], "b:0.8+c:0.2");
        wears(&[Action::MixLess], "b:0.9+c:0.1");
        wears(&[Action::MixLess], "b");
        wears(&[Action::MixMore; 10], "c");
        // After the last one comes the first.
        wears(&[Action::MixMore], "c:0.9+a:0.1");
        wears(&[Action::NextStyle], "a");
        wears(&[Action::PreviousStyle, Action::PreviousStyle, Action::PreviousStyle], "alone");
        assert_eq!(console.duo(), None);
        console.perform(Action::MixMore);
        assert!(said(&console).contains("no style that alone can be mixed with"));
    }

    #[test]
    fn a_slider_mixes_what_it_shows() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a", "b", "c"]);
        let mut duo = console.duo().unwrap();
        assert_eq!((duo.main.as_str(), duo.other.as_deref(), duo.share), ("b", Some("c"), 0.0));
        duo.share = 0.42;
        console.wear_duo(&duo);
        assert_eq!(console.style(), "b:0.6+c:0.4", "while it is loaded as well");
        assert!(hears(&console, "Style b:0.6+c:0.4"));
        assert_eq!(console.duo(), Some(Duo { share: 0.4, ..duo }));
    }

    #[test]
    fn a_style_outside_of_the_list_can_be_left_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a"]);
        console.perform(Action::NextStyle);
        assert!(hears(&console, "Style a"));
        console.perform(Action::NextStyle);
        assert!(hears(&console, "Style b"));
        let mut alone = self::console(folder.path(), &[]);
        alone.perform(Action::NextStyle);
        assert!(said(&alone).contains("no other style"));
    }

    #[test]
    fn snapshots_and_recordings_say_what_came_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = console(folder.path(), &["a"]);
        console.perform(Action::Snapshot);
        assert!(said(&console).contains("no picture yet"));
        let frame = Pool::default().take(Size::new(4, 4)).share();
        console.control.publish(frame.clone(), frame);
        console.perform(Action::Snapshot);
        assert!(hears(&console, "Snapshot: "));
        console.perform(Action::Record);
        assert!(said(&console).contains("--recordings"));
    }
}
