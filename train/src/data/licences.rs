//! The list of licences: a CSV of `name begins with,licence`, so that each pair says what it stands on.

use std::path::Path;

use anyhow::Context;

use super::read_text;

/// Licences by the beginning of a source's file name.
#[derive(Debug, Default)]
pub struct Licences(Vec<(String, String)>);

impl Licences {
    /// Reads the list.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path)?;
        let mut list = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, licence) = line
                .split_once(',')
                .with_context(|| format!("{}, line {}: want name,licence", path.display(), number + 1))?;
            list.push((name.trim().to_owned(), licence.trim().to_owned()));
        }
        Ok(Self(list))
    }

    /// The licence of a source, by the longest listed beginning of its name.
    pub fn of(&self, source: &str) -> Option<&str> {
        let fitting = self.0.iter().filter(|(name, _)| source.starts_with(name.as_str()));
        fitting.max_by_key(|(name, _)| name.len()).map(|(_, licence)| licence.as_str())
    }
}
