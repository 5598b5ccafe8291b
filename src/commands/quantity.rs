//! Sizes and durations as they stand on a command line.

use std::fmt;
use std::num::NonZeroU32;
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

impl From<u32> for Size {
    fn from(bytes: u32) -> Self {
        Self(bytes.into())
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

/// A limit that somebody can decide against: a quantity, or `off`. A 0 is neither, so that it cannot mean both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrOff<T>(Option<T>);

impl OrOff<u32> {
    /// The limit; `None` for `off`.
    pub(crate) fn count(self) -> Option<NonZeroU32> {
        self.0.and_then(NonZeroU32::new)
    }
}

impl OrOff<Size> {
    /// The limit in bytes; `None` for `off`. What is beyond the largest limit is as good as that.
    pub(crate) fn bytes(self) -> Option<NonZeroU32> {
        let bytes = |size: Size| u32::try_from(size.0).unwrap_or(u32::MAX);
        self.0.map(bytes).and_then(NonZeroU32::new)
    }
}

impl<T: From<u32>> From<Option<NonZeroU32>> for OrOff<T> {
    fn from(limit: Option<NonZeroU32>) -> Self {
        Self(limit.map(|limit| limit.get().into()))
    }
}

impl<T: FromStr + From<u32> + PartialEq> FromStr for OrOff<T>
where
    T::Err: fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let limit: T = text.parse().map_err(|error: T::Err| error.to_string())?;
        if limit == T::from(0) {
            return Err("a limit of 0 lets nothing through; off is no limit".to_owned());
        }
        Ok(Self(Some(limit)))
    }
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lt_06_no_limit_is_spelled_out_and_is_no_zero() {
        let count = |text: &str| text.parse::<OrOff<u32>>().map(OrOff::count);
        assert_eq!(count("off"), Ok(None));
        assert_eq!(count("7"), Ok(NonZeroU32::new(7)));
        for text in ["0", "", "-1", "OFF", "none", "4294967296"] {
            assert!(count(text).is_err(), "{text}");
        }
        let bytes = |text: &str| text.parse::<OrOff<Size>>().map(OrOff::bytes);
        assert_eq!(bytes("off"), Ok(None));
        assert_eq!(bytes("64KiB"), Ok(NonZeroU32::new(65_536)));
        assert_eq!(bytes("1TiB"), Ok(NonZeroU32::new(u32::MAX)));
        assert!(bytes("0").is_err() && bytes("0KiB").is_err());
        for text in ["off", "64KiB"] {
            assert_eq!(text.parse::<OrOff<Size>>().unwrap().to_string(), text);
        }
    }

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
