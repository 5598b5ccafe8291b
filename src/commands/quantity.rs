//! Sizes and durations as they stand on a command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

/// A number of bytes: `4096`, `16KiB`, `1.5MiB`.
///
/// It prints without rounding what `bytesize` would round (8,000 bytes to 7.8 KiB), because the help shows defaults
/// that somebody may want to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl Size {
    /// The size as a count of bytes in memory.
    ///
    /// What this machine cannot address becomes the most that it can, and is refused with all that is too large.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The size as a count of bytes on the wire.
    pub(crate) fn on_the_wire(self) -> u64 {
        self.0
    }
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<usize> for Size {
    fn from(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size: ByteSize = text.parse().map_err(|_| NotASize)?;
        Ok(Self(size.as_u64()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            ("GiB", bytesize::GIB),
            ("MiB", bytesize::MIB),
            ("KiB", bytesize::KIB),
        ];
        match units
            .into_iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A text that is not a [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotASize;

impl fmt::Display for NotASize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a size: give a number of bytes, or one with KiB, MiB or GiB")
    }
}

impl std::error::Error for NotASize {}

/// A length of time: `200ms`, `10s`, `1m 30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(Duration);

impl Span {
    /// The same as the standard library has it.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| NotASpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A text that is not a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotASpan;

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a duration: give a number with its unit, such as 200ms, 10s or 1m")
    }
}

impl std::error::Error for NotASpan {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("1", 1),
            ("8000", 8000),
            ("16KiB", 16 << 10),
            ("16 KiB", 16 << 10),
            ("1.5MiB", 3 << 19),
            ("2GiB", 2 << 30),
            ("1MB", 1_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "-1", "much", "1 elephant", "KiB", "0x10"] {
            assert_eq!(text.parse::<Size>(), Err(NotASize), "{text}");
        }
    }

    #[test]
    fn a_printed_size_is_exact_and_can_be_read_again() {
        for (bytes, text) in [
            (0, "0"),
            (8000, "8000"),
            (16 << 10, "16KiB"),
            (1 << 20, "1MiB"),
            (17 << 20, "17MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
    }

    #[test]
    fn spans_are_read_with_a_unit_only() {
        assert_eq!("200ms".parse(), Ok(Span(Duration::from_millis(200))));
        assert_eq!("10s".parse(), Ok(Span(Duration::from_secs(10))));
        assert_eq!("1m 30s".parse(), Ok(Span(Duration::from_secs(90))));
        for text in ["", "10", "s", "-1s", "10 bananas", "99999999999999999999s"] {
            assert_eq!(text.parse::<Span>(), Err(NotASpan), "{text}");
        }
    }

    #[test]
    fn a_printed_span_can_be_read_again() {
        for millis in [1, 200, 1000, 25_000, 60_000, 90_000] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
