//! Several styles at once: "anime:0.6+comic:0.4".

/// The most styles in a mixture.
const MOST: usize = 4;

/// Styles by name or path, each with its share.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// Two or more names, none twice; shares above 0, of a sum of 1.
    pub parts: Vec<(String, f32)>,
}

impl Mixture {
    /// Reads `NAME:SHARE+NAME:SHARE…`. `None` where the text is no mixture but the name of one style, which may hold
    /// these signs as well.
    ///
    /// # Errors
    /// A sentence, where it is one that makes no sense.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let parts: Vec<(&str, f32)> = text
            .split('+')
            .map(|part| {
                let (name, share) = part.rsplit_once(':')?;
                Some((name.trim(), share.trim().parse().ok()?))
            })
            .collect::<Option<_>>()?;
        (parts.len() > 1).then(|| Self::of(&parts).map_err(|why| format!("'{text}' is no mixture of styles: {why}")))
    }

    fn of(parts: &[(&str, f32)]) -> Result<Self, String> {
        if parts.len() > MOST {
            return Err(format!("it names {} styles, at most {MOST} are mixed", parts.len()));
        }
        if parts.iter().any(|(name, _)| name.is_empty()) {
            return Err("write NAME:SHARE+NAME:SHARE, as in anime:0.6+comic:0.4".into());
        }
        if let Some((name, _)) =
            parts.iter().enumerate().find(|(i, part)| parts[..*i].iter().any(|p| p.0 == part.0)).map(|(_, part)| part)
        {
            return Err(format!("it names {name} twice"));
        }
        let total: f32 = parts.iter().map(|(_, share)| share).sum();
        if !parts.iter().all(|(_, share)| (0.0..=1000.0).contains(share)) || total <= 0.0 {
            return Err("shares are numbers from 0 on, one of them above 0".into());
        }
        // What has no share is no part: the others then are what they are alone.
        let parts = parts.iter().filter(|(_, share)| *share > 0.0);
        Ok(Self { parts: parts.map(|(name, share)| ((*name).to_owned(), share / total)).collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn shares_are_read_and_brought_to_one() {
        let read = |text| Mixture::parse(text).unwrap().unwrap().parts;
        assert_eq!(read("anime:0.6+comic:0.4"), [("anime".into(), 0.6), ("comic".into(), 0.4)]);
        assert_eq!(read("a:1 + b:3"), [("a".into(), 0.25), ("b".into(), 0.75)]);
        assert_eq!(read("a:0+b:0.5"), [("b".into(), 1.0)]);
        assert_eq!(read("C:\\x.onnx:1+b:1")[0].0, "C:\\x.onnx");
    }

    #[test]
    fn a_name_with_such_signs_is_a_name() {
        for name in ["anime", "a+b", "a:b+c:d", "black:1", "C:\\styles\\x.onnx", "anime:0.6+comic"] {
            assert_eq!(Mixture::parse(name), None, "{name}");
        }
    }

    #[test]
    fn nonsense_is_said() {
        for (text, words) in [
            ("a:1+a:1", "twice"),
            ("a:0+b:0", "above 0"),
            ("a:-1+b:2", "from 0 on"),
            ("a:nan+b:1", "from 0 on"),
            ("a:1+:1", "write NAME"),
            ("a:1+b:1+c:1+d:1+e:1", "at most 4"),
        ] {
            let why = Mixture::parse(text).unwrap().unwrap_err();
            assert!(why.contains(words) && why.contains(text), "{why}");
        }
    }
}
