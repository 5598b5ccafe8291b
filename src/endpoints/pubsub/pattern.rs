//! Names with wildcards, as roles and settings have them.

use std::mem;

/// A pattern for the names of groups, whose segments are separated by dots.
///
/// | Part | Matches |
/// |---|---|
/// | `?` | one character but a dot |
/// | `*` | any number of characters but dots: what is left of one segment |
/// | `**` | any number of characters |
/// | `\?`, `\*`, `\\` | `?`, `*`, `\` |
/// | any other character | itself |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct Pattern(Box<[Part]>);

/// One part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This character.
    Character(char),
    /// Any one character within a segment.
    One,
    /// Any characters within a segment.
    Segment,
    /// Any characters.
    Anything,
}

/// Most asterisks of one pattern, as in the public service.
const ASTERISK_COUNT_MAX: usize = 5;

impl Pattern {
    /// Reads a pattern; `None` if it is empty, has too many asterisks or escapes something else than the table says.
    pub(in crate::endpoints) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut asterisk_count = 0;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '?' => Part::One,
                '*' if characters.next_if_eq(&'*').is_some() => {
                    asterisk_count += 2;
                    Part::Anything
                }
                '*' => {
                    asterisk_count += 1;
                    Part::Segment
                }
                '\\' => Part::Character(characters.next_if(|next| r"?*\".contains(*next))?),
                character => Part::Character(character),
            });
        }
        (!parts.is_empty() && asterisk_count <= ASTERISK_COUNT_MAX).then(|| Self(parts.into()))
    }

    /// Whether the whole of `name` matches.
    ///
    /// Takes time in proportion to the length of both at worst, whatever the pattern: all ways to match are followed at
    /// once, each known by the part that it has come to.
    pub(in crate::endpoints) fn matches(&self, name: &str) -> bool {
        let mut is_at = vec![false; self.0.len() + 1];
        is_at[0] = true;
        self.skip_optional(&mut is_at);
        let mut is_next_at = is_at.clone();
        for character in name.chars() {
            is_next_at.fill(false);
            for (at, part) in self.0.iter().enumerate().filter(|(at, _)| is_at[*at]) {
                match part {
                    Part::Character(expected) => is_next_at[at + 1] |= *expected == character,
                    Part::One => is_next_at[at + 1] |= character != '.',
                    Part::Segment => is_next_at[at] |= character != '.',
                    Part::Anything => is_next_at[at] = true,
                }
            }
            self.skip_optional(&mut is_next_at);
            mem::swap(&mut is_at, &mut is_next_at);
        }
        is_at[self.0.len()]
    }

    /// Whoever has come to a part that may match nothing has come to the next one too.
    fn skip_optional(&self, is_at: &mut [bool]) {
        for (at, part) in self.0.iter().enumerate() {
            if matches!(part, Part::Segment | Part::Anything) {
                is_at[at + 1] |= is_at[at];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_pattern_matches_whole_names_by_segments() {
        for (pattern, matching, others) in [
            ("a", &["a"][..], &["", "A", "aa", "ab", "ba"][..]),
            (
                "chat-*",
                &["chat-", "chat-1", "chat-room"],
                &["chat.1", "xchat-1", "chat-a.b"],
            ),
            ("c.*", &["c.", "c.a"], &["c", "c.a.b", "d.a"]),
            ("c.**", &["c.", "c.a", "c.a.b", "c..."], &["c", "d.a"]),
            ("c.?1", &["c.a1", "c.é1"], &["c.1", "c..1", "c.ab1"]),
            ("*.*", &[".", "a.b"], &["", "a", "a.b.c"]),
            ("**b", &["b", "ab", "a.b", "bab"], &["", "ba"]),
            ("*a*a*", &["aa", "xaxax"], &["a", "xax", "a.a"]),
            ("**.x.**", &[".x.", "a.b.x.c"], &["x", "a.x", "ax."]),
            (r"a\*\?\\", &[r"a*?\"], &["a", r"ab?\"]),
            ("***", &["", "a", "a.b"], &[]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for name in matching {
                assert!(parsed.matches(name), "{pattern} {name}");
            }
            for name in others {
                assert!(!parsed.matches(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn malformed_patterns_are_none() {
        for pattern in ["", r"a\", r"a\b", "******", "*.*.*.**.*"] {
            assert_eq!(Pattern::parse(pattern), None, "{pattern}");
        }
        assert!(Pattern::parse("*.*.*.**").is_some());
    }
}
