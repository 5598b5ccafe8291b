//! Where the body of an answer ends (RFC 9112 6.3), for a client that only wants to show its beginning.

use super::field::list_has;

/// How the end of an answer's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// After so many bytes.
    Sized(usize),
    /// After a chunk without content (RFC 9112 7.1).
    Chunked,
    /// Where the stream ends.
    UntilEnd,
}

/// The first bytes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyBeginning {
    /// The content, without what is between chunks.
    pub content: Vec<u8>,
    /// Whether nothing more is to be had: the body ends here, or as much was asked for, or the rest makes no sense.
    pub is_complete: bool,
}

impl AnswerBody {
    /// What the fields of an answer with `status` say: `values` yields those of a name in lower case.
    pub(super) fn of<'b, V: Iterator<Item = &'b [u8]>>(
        status: u16,
        values: impl Fn(&'static str) -> V,
    ) -> Self {
        if matches!(status, 204 | 304) {
            return Self::Sized(0);
        }
        if list_has(values("transfer-encoding"), "chunked") {
            return Self::Chunked;
        }
        // Two lengths are a lie in any case; what is shown is then what comes.
        let mut lengths = values("content-length");
        let length = lengths.next().filter(|_| lengths.next().is_none());
        length
            .and_then(|text| str::from_utf8(text).ok()?.parse().ok())
            .map_or(Self::UntilEnd, Self::Sized)
    }

    /// At most `len_max` bytes of the content of a body that begins with `bytes`.
    #[must_use]
    pub fn beginning(self, bytes: &[u8], len_max: usize) -> BodyBeginning {
        match self {
            Self::Sized(len) => BodyBeginning::cut(bytes, len.min(len_max)),
            Self::UntilEnd => BodyBeginning::cut(bytes, len_max),
            Self::Chunked => BodyBeginning::of_chunks(bytes, len_max),
        }
    }
}

impl BodyBeginning {
    fn cut(bytes: &[u8], len: usize) -> Self {
        Self {
            content: bytes.get(..len).unwrap_or(bytes).to_vec(),
            is_complete: bytes.len() >= len,
        }
    }

    fn of_chunks(mut bytes: &[u8], len_max: usize) -> Self {
        let mut content = Vec::new();
        let is_complete = loop {
            let Ok(size) = httparse::parse_chunk_size(bytes) else {
                break true;
            };
            let httparse::Status::Complete((head_len, size)) = size else {
                break false;
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let chunk = bytes.get(head_len..).unwrap_or_default();
            content.extend_from_slice(chunk.get(..size).unwrap_or(chunk));
            if size == 0 || content.len() >= len_max {
                break true;
            }
            // Each chunk ends with a line end of its own.
            match chunk.get(size.saturating_add(2)..) {
                Some(rest) => bytes = rest,
                None => break false,
            }
        };
        content.truncate(len_max);
        Self {
            content,
            is_complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(status: u16, fields: &[(&str, &str)]) -> AnswerBody {
        AnswerBody::of(status, |name| {
            fields
                .iter()
                .filter(move |field| field.0 == name)
                .map(|field| field.1.as_bytes())
        })
    }

    #[test]
    fn the_fields_say_where_a_body_ends() {
        for (status, fields, expected) in [
            (404, &[][..], AnswerBody::UntilEnd),
            (404, &[("content-length", "5")], AnswerBody::Sized(5)),
            (204, &[("content-length", "5")], AnswerBody::Sized(0)),
            (404, &[("content-length", "-5")], AnswerBody::UntilEnd),
            (
                404,
                &[("content-length", "5"), ("content-length", "6")],
                AnswerBody::UntilEnd,
            ),
            (
                404,
                &[("content-length", "5"), ("transfer-encoding", "chunked")],
                AnswerBody::Chunked,
            ),
        ] {
            assert_eq!(body(status, fields), expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn the_beginning_is_all_there_is_or_as_much_as_was_asked_for() {
        for (body, bytes, len_max, content, is_complete) in [
            (AnswerBody::Sized(3), &b"ab"[..], 9, &b"ab"[..], false),
            (AnswerBody::Sized(3), b"abcd", 9, b"abc", true),
            (AnswerBody::Sized(3), b"abcd", 2, b"ab", true),
            (AnswerBody::UntilEnd, b"abc", 9, b"abc", false),
            (AnswerBody::UntilEnd, b"abc", 3, b"abc", true),
            (AnswerBody::Chunked, b"", 9, b"", false),
            (AnswerBody::Chunked, b"2\r\na", 9, b"a", false),
            (AnswerBody::Chunked, b"2\r\nab\r", 9, b"ab", false),
            (AnswerBody::Chunked, b"2\r\nab\r\n", 9, b"ab", false),
            (
                AnswerBody::Chunked,
                b"2\r\nab\r\n1\r\nc\r\n0\r\n",
                9,
                b"abc",
                true,
            ),
            (
                AnswerBody::Chunked,
                b"2\r\nab\r\n1\r\nc\r\n",
                3,
                b"abc",
                true,
            ),
            (
                AnswerBody::Chunked,
                b"2\r\nab\r\n1\r\nc\r\n",
                2,
                b"ab",
                true,
            ),
            (AnswerBody::Chunked, b"2\r\nab\r\nsorry", 9, b"ab", true),
            (
                AnswerBody::Chunked,
                b"ffffffffffffffff\r\na",
                9,
                b"a",
                false,
            ),
        ] {
            let expected = BodyBeginning {
                content: content.to_vec(),
                is_complete,
            };
            assert_eq!(
                body.beginning(bytes, len_max),
                expected,
                "{body:?} {bytes:?}"
            );
        }
    }
}
