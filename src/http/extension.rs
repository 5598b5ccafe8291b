//! The extensions that a client offers (RFC 6455 9.1).
//!
//! ```text
//! list      = extension *( "," extension )
//! extension = token *( ";" parameter )
//! parameter = token [ "=" ( token | quoted token ) ]
//! ```
//!
//! Blanks may stand around the separators, elements of the list may be empty, and lines of the field are one list.

use std::borrow::Cow;

use super::HttpError;
use super::field::{is_token, is_token_byte, list_elements, trim_blanks};

/// An extension that a client offers to use, found well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// A token.
    name: &'a str,
    /// What followed the first semicolon, if there was one.
    parameters: Option<&'a [u8]>,
}

/// A parameter of an offered extension: its name, and its value if it has one, without quotes.
pub type ExtensionParameter<'a> = (&'a str, Option<Cow<'a, str>>);

impl<'a> Extension<'a> {
    /// Reads one element of the list; `None` if it is malformed.
    fn parse(element: &'a [u8]) -> Option<Self> {
        let mut parts = element.splitn(2, |&byte| byte == b';');
        let name = token(parts.next()?)?;
        let extension = Self {
            name,
            parameters: parts.next(),
        };
        extension
            .split_parameters()
            .all(|parameter| parameter.is_some())
            .then_some(extension)
    }

    /// What the extension is called, case as sent.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in order; a name may come again.
    pub fn parameters(&self) -> impl Iterator<Item = ExtensionParameter<'a>> + use<'a> {
        self.split_parameters().flatten()
    }

    /// Each parameter, or `None` for one that is malformed.
    ///
    /// A separator ends a parameter even inside quotes: a value is a token also when it is quoted, so a separator in
    /// it is malformed either way.
    fn split_parameters(&self) -> impl Iterator<Item = Option<ExtensionParameter<'a>>> + use<'a> {
        self.parameters
            .into_iter()
            .flat_map(|parameters| parameters.split(|&byte| byte == b';'))
            .map(|parameter| {
                let mut sides = parameter.splitn(2, |&byte| byte == b'=');
                let name = token(sides.next()?)?;
                match sides.next() {
                    None => Some((name, None)),
                    Some(value) => Some((name, Some(token_or_quoted(value)?))),
                }
            })
    }
}

/// The offers in the lines of one Sec-WebSocket-Extensions field, in order; none if the field did not come.
///
/// Each byte is looked at a constant number of times, whatever the list.
pub(super) fn offers<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Extension<'a>, HttpError>> {
    let mut values = values.peekable();
    let mut is_empty = values.peek().is_some();
    let mut elements = list_elements(values);
    std::iter::from_fn(move || {
        let element = match elements.next() {
            Some(element) => Extension::parse(element),
            // The field came and lists nothing, which is told once.
            None if is_empty => None,
            None => return None,
        };
        is_empty = false;
        Some(element.ok_or(HttpError::MalformedExtensions))
    })
}

/// The token that stands between blanks.
fn token(text: &[u8]) -> Option<&str> {
    let text = trim_blanks(text);
    is_token(text).then(|| str::from_utf8(text).ok())?
}

/// The token that stands between blanks, perhaps in quotes, where any character may have a backslash before it.
fn token_or_quoted(text: &[u8]) -> Option<Cow<'_, str>> {
    let Some(quoted) = trim_blanks(text).strip_prefix(b"\"") else {
        return token(text).map(Cow::Borrowed);
    };
    let quoted = quoted.strip_suffix(b"\"")?;
    if is_token(quoted) {
        return str::from_utf8(quoted).ok().map(Cow::Borrowed);
    }
    let mut value = String::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'\\' { bytes.next()? } else { byte };
        value.push(Some(byte).filter(|&byte| is_token_byte(byte))?.into());
    }
    (!value.is_empty()).then_some(Cow::Owned(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that these lines offer, in one normal form: `a; b=c, d`.
    fn offered(lines: &[&str]) -> Result<String, HttpError> {
        let offers = offers(lines.iter().map(|line| line.as_bytes()));
        let texts: Result<Vec<_>, _> = offers
            .map(|offer| {
                let offer = offer?;
                let mut text = offer.name().to_owned();
                for (name, value) in offer.parameters() {
                    text += &match value {
                        Some(value) => format!("; {name}={value}"),
                        None => format!("; {name}"),
                    };
                }
                Ok(text)
            })
            .collect();
        Ok(texts?.join(", "))
    }

    #[test]
    fn ex_01_offers_are_read_by_their_grammar() {
        for (lines, expected) in [
            (&[][..], ""),
            (&["a"], "a"),
            (
                &["permessage-deflate; client_max_window_bits"],
                "permessage-deflate; client_max_window_bits",
            ),
            (&["a;b=1;b;c=\"2\""], "a; b=1; b; c=2"),
            (&["a ; b = 1\t;\tc"], "a; b=1; c"),
            (&["a; b=\"\\1\\0\""], "a; b=10"),
            (&["a, b; c", "d"], "a, b; c, d"),
            (&[" ,,\ta , ,b,"], "a, b"),
            (&["", "a"], "a"),
            (&["x-!#$%&'*+.^_`|~9; y=z"], "x-!#$%&'*+.^_`|~9; y=z"),
        ] {
            assert_eq!(offered(lines), Ok(expected.to_owned()), "{lines:?}");
        }
    }

    #[test]
    fn ex_01_whatever_else_is_malformed_even_behind_a_good_offer() {
        for bad in [
            "a b",
            "a;",
            "a;;b",
            ";a",
            "=a",
            "a=b",
            "a; =b",
            "a; b=",
            "a; b=c d",
            "a; b=c=d",
            "a; b c",
            "a/1",
            "(a)",
            "a; b=\"",
            "a; b=\"\"",
            "a; b=\"c",
            "a; b=c\"",
            "a; b=\"c\"d",
            "a; b=\"c d\"",
            "a; b=\"c,d\"",
            "a; b=\"c;d\"",
            "a; b=\"c\\\"",
            "a; b=\"\\\\\"",
            "a; b=\"\\\"\"",
            "a; \"b\"",
            "\"a\"",
            "ä",
            "a; b=ä",
            "a; b=\"ä\"",
            "a\u{b}",
        ] {
            for lines in [&[bad][..], &["good", bad], &[&format!("good, {bad}")]] {
                let expected = Err(HttpError::MalformedExtensions);
                assert_eq!(offered(lines), expected, "{lines:?}");
            }
        }
    }

    #[test]
    fn ex_01_a_field_that_offers_nothing_is_malformed() {
        for lines in [&[""][..], &[","], &[" \t"], &["", " , "]] {
            assert_eq!(
                offered(lines),
                Err(HttpError::MalformedExtensions),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn ex_01_a_long_field_takes_linear_time() {
        // Far above what linear work takes, even unoptimised on a busy machine, and far below what quadratic work takes.
        for filler in [
            " ",
            ",",
            ";",
            "a;",
            "=",
            "\"",
            "\\",
            "a;b=\"\\c\",",
            "a;b=\"",
            ";a=\"\\",
        ] {
            let line = format!("a;{}\u{1}", filler.repeat(15_000 / filler.len()));
            let start = std::time::Instant::now();
            assert_eq!(offered(&[&line]), Err(HttpError::MalformedExtensions));
            assert!(
                start.elapsed() < std::time::Duration::from_millis(500),
                "{filler:?}"
            );
        }
    }
}
