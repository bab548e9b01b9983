//! What a key does, whoever hears it.

use std::collections::VecDeque;

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One that writes a character, in whatever layout the keyboard has.
    Character(char),
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// The arrow upwards.
    Up,
    /// The arrow downwards.
    Down,
    /// Esc.
    Escape,
    /// Enter, on either part of the keyboard; also what a button at a Raspberry Pi's pins can be made to press.
    Enter,
    /// Any other: it says that somebody is there.
    Other,
}

/// What somebody who watches wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The style on or off.
    Toggle,
    /// The style before this one in the list.
    PreviousStyle,
    /// The style after this one in the list.
    NextStyle,
    /// A tenth more of the style after this one mixed into it.
    MixMore,
    /// A tenth less of the other style.
    MixLess,
    /// A tenth more of the style.
    Stronger,
    /// A tenth less of the style.
    Weaker,
    /// The photo beside the picture, or no longer.
    Compare,
    /// Photos restored before they are drawn, or no longer.
    Enhance,
    /// The picture as it is now into a file.
    Snapshot,
    /// The pictures from now on into a file, or no longer.
    Record,
    /// The picture mirrored, or no longer.
    Mirror,
    /// The window over all of the screen, or no longer.
    FullScreen,
    /// The figures shown, or no longer.
    Figures,
    /// The keys shown, or no longer.
    Help,
    /// The end.
    Quit,
}

/// What `key` stands for, where it stands for anything.
pub fn action(key: Key) -> Option<Action> {
    Some(match key {
        Key::Left => Action::PreviousStyle,
        Key::Right => Action::NextStyle,
        Key::Up => Action::Stronger,
        Key::Down => Action::Weaker,
        Key::Escape => Action::Quit,
        Key::Enter => Action::Snapshot,
        Key::Other => return None,
        Key::Character(letter) => match letter.to_ascii_lowercase() {
            ' ' => Action::Toggle,
            'c' => Action::Compare,
            'e' => Action::Enhance,
            's' => Action::Snapshot,
            'r' => Action::Record,
            '.' => Action::MixMore,
            ',' => Action::MixLess,
            'm' => Action::Mirror,
            'f' => Action::FullScreen,
            'i' => Action::Figures,
            'h' | '?' => Action::Help,
            'q' => Action::Quit,
            _ => return None,
        },
    })
}

/// Keys that nobody should find by chance: all but Enter are deaf, until a word is typed.
#[derive(Debug, Clone)]
pub struct Lock {
    word: Vec<char>,
    typed: VecDeque<char>,
}

impl Lock {
    /// A lock that `word` opens, in small or capital letters.
    pub fn new(word: &str) -> Self {
        Self { word: word.to_lowercase().chars().collect(), typed: VecDeque::new() }
    }

    /// What `key` stands for behind this lock.
    pub fn action(&mut self, key: Key) -> Option<Action> {
        let letter = match key {
            Key::Enter => return Some(Action::Snapshot),
            Key::Character(letter) => letter,
            _ => return None,
        };
        self.typed.extend(letter.to_lowercase());
        let surplus = self.typed.len().saturating_sub(self.word.len());
        self.typed.drain(..surplus);
        (self.typed == self.word).then_some(Action::Quit)
    }
}

/// The keys and what they do, as a help shows them.
pub const HELP: [(&str, &str); 13] = [
    ("Space", "style on or off"),
    ("Left, Right", "another style"),
    ("Up, Down", "more or less of it"),
    (". ,", "more or less of the next style mixed into it"),
    ("c", "compare with the photo; the mouse moves the border"),
    ("e", "restore the photo first: low light, noise, blocks"),
    ("m", "mirror"),
    ("s, Enter", "snapshot"),
    ("r", "record, and stop recording"),
    ("f", "full screen"),
    ("i", "figures"),
    ("h", "this help"),
    ("q, Esc", "quit"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_something_else() {
        let mut seen = Vec::new();
        for (keys, _) in HELP {
            for key in keys.split(if keys == ". ," { " " } else { ", " }) {
                let key = match key {
                    "Space" => Key::Character(' '),
                    "Left" => Key::Left,
                    "Right" => Key::Right,
                    "Up" => Key::Up,
                    "Down" => Key::Down,
                    "Esc" => Key::Escape,
                    "Enter" => Key::Enter,
                    letter => Key::Character(letter.chars().next().unwrap_or('\0')),
                };
                let found = action(key).expect(keys);
                assert!(!seen.contains(&found) || [Action::Quit, Action::Snapshot].contains(&found), "{keys}");
                seen.push(found);
            }
        }
        assert_eq!(seen.len(), 18);
    }

    #[test]
    fn a_locked_window_hears_enter_and_its_word() {
        let mut lock = Lock::new("Quit");
        let mut heard = |text: &str| text.chars().filter_map(|c| lock.action(Key::Character(c))).collect::<Vec<_>>();
        assert_eq!(heard("q s r f qui uit quiet QUI"), []);
        assert_eq!(heard("t quIT"), [Action::Quit, Action::Quit]);
        for key in [Key::Escape, Key::Left, Key::Up, Key::Character('s'), Key::Character(' '), Key::Other] {
            assert_eq!(lock.action(key), None, "{key:?}");
        }
        assert_eq!(lock.action(Key::Enter), Some(Action::Snapshot));
    }

    #[test]
    fn capitals_are_the_same_and_other_keys_nothing() {
        assert_eq!(action(Key::Character('S')), Some(Action::Snapshot));
        assert_eq!(action(Key::Character('?')), Some(Action::Help));
        for letter in ['x', '0', '\n', 'é', '\u{1b}'] {
            assert_eq!(action(Key::Character(letter)), None, "{letter:?}");
        }
    }
}
