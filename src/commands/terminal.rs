//! How commands write what people read.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::SystemTime;

/// The time on the wall as people and programs read it.
pub(super) fn time() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Text of others so that none of it is taken for a command by a terminal, or looks like more than one line.
///
/// What is taken out is written as an escape sequence of Rust, so that two texts that differ look different.
pub(super) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for text that may have several lines.
pub(super) fn lines(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) && !is_kept(c) {
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Control characters, and those that break lines or turn the direction of writing.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Says on standard error what is no result.
pub(super) fn note(text: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "switchboard: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_of_the_text_of_others() {
        for (text, shown) in [
            ("plain, ä, 漢, \u{1f600}", "plain, ä, 漢, \u{1f600}"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("\u{202e}txt\u{2066}", "\\u{202e}txt\\u{2066}"),
        ] {
            assert_eq!(one_line(text), shown);
        }
        assert_eq!(lines("a\r\n\tb\u{1b}"), "a\\r\n\tb\\u{1b}");
        for c in ('\0'..=char::MAX).filter(|c| c.is_control()) {
            let text = String::from(c);
            assert!(!one_line(&text).contains(char::is_control), "{c:?}");
        }
    }
}
