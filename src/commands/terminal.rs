//! How commands write what people read.

use std::io::{self, Write};
use std::time::SystemTime;

/// The time on the wall as people and programs read it.
pub(super) fn time() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// What a peer wrote, without escape sequences and line ends: they are not for the terminal of whoever reads this.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Says on standard error what is no result.
pub(super) fn note(text: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "switchboard: {text}");
}
