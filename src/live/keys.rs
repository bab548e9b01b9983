//! What a key does, whoever hears it.

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
    /// A tenth more of the style.
    Stronger,
    /// A tenth less of the style.
    Weaker,
    /// The photo beside the picture, or no longer.
    Compare,
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
        Key::Character(letter) => match letter.to_ascii_lowercase() {
            ' ' => Action::Toggle,
            'c' => Action::Compare,
            's' => Action::Snapshot,
            'r' => Action::Record,
            'm' => Action::Mirror,
            'f' => Action::FullScreen,
            'i' => Action::Figures,
            'h' | '?' => Action::Help,
            'q' => Action::Quit,
            _ => return None,
        },
    })
}

/// The keys and what they do, as a help shows them.
pub const HELP: [(&str, &str); 11] = [
    ("Space", "style on or off"),
    ("Left, Right", "another style"),
    ("Up, Down", "more or less of it"),
    ("c", "compare with the photo; the mouse moves the border"),
    ("m", "mirror"),
    ("s", "snapshot"),
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
            for key in keys.split(", ") {
                let key = match key {
                    "Space" => Key::Character(' '),
                    "Left" => Key::Left,
                    "Right" => Key::Right,
                    "Up" => Key::Up,
                    "Down" => Key::Down,
                    "Esc" => Key::Escape,
                    letter => Key::Character(letter.chars().next().unwrap_or('\0')),
                };
                let found = action(key).expect(keys);
                assert!(!seen.contains(&found) || found == Action::Quit, "{keys}");
                seen.push(found);
            }
        }
        assert_eq!(seen.len(), 14);
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
