//! What a service sends: the body of a request as the payload of a message.

use super::super::pubsub::Payload;
use crate::http::{HttpError, Request};

/// The body as what its media type says, at most `len_max` bytes long as JSON.
///
/// | Media type | Payload |
/// |---|---|
/// | `application/json` | JSON, any value but null |
/// | `text/plain` | text, in UTF-8 |
/// | `application/octet-stream` | binary |
///
/// # Errors
///
/// [`HttpError::UnsupportedMediaType`] for any other type, none, or another character set;
/// [`HttpError::MalformedBody`] if the body is not of its type; [`HttpError::BodyTooLarge`].
pub(super) fn payload<'a>(request: &Request<'a>, len_max: usize) -> Result<Payload<'a>, HttpError> {
    let media_type = request
        .header("content-type")?
        .and_then(|value| str::from_utf8(value).ok())
        .ok_or(HttpError::UnsupportedMediaType)?;
    let mut parts = media_type.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !parts.all(is_acceptable_parameter) {
        return Err(HttpError::UnsupportedMediaType);
    }
    let body = request.body();
    let text = || str::from_utf8(body).map_err(|_| HttpError::MalformedBody);
    let payload = match &*name {
        "application/json" => Payload::from_json(text()?).ok_or(HttpError::MalformedBody)?,
        "text/plain" => Payload::from_text(text()?),
        "application/octet-stream" => Payload::from_binary(body),
        _ => return Err(HttpError::UnsupportedMediaType),
    };
    if payload.json_len() > len_max {
        return Err(HttpError::BodyTooLarge);
    }
    Ok(payload)
}

/// Whether a parameter of the media type is of no importance here: anything but another character set.
fn is_acceptable_parameter(parameter: &str) -> bool {
    parameter.split_once('=').is_none_or(|(name, value)| {
        !name.eq_ignore_ascii_case("charset")
            || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::payload;
    use crate::endpoints::recorder::request_with_body;
    use crate::http::HttpError;

    fn judge(content_type: &str, body: &[u8]) -> Result<String, HttpError> {
        let lines = format!("POST / HTTP/1.1\n{content_type}");
        payload(&request_with_body(&lines, body), 20).map(|payload| format!("{payload:?}"))
    }

    #[test]
    fn ht_07_a_body_is_what_its_media_type_says() {
        for (content_type, body, expected) in [
            (
                "application/json",
                &b" {\"a\": 1}\n"[..],
                Ok("Json(8 bytes)"),
            ),
            (
                "Application/JSON; charset=\"UTF-8\"",
                b"1",
                Ok("Json(1 bytes)"),
            ),
            ("application/json", b"", Err(HttpError::MalformedBody)),
            ("application/json", b"null", Err(HttpError::MalformedBody)),
            ("application/json", b"{", Err(HttpError::MalformedBody)),
            ("application/json", b"1 2", Err(HttpError::MalformedBody)),
            (
                "application/json",
                b"\"\xff\"",
                Err(HttpError::MalformedBody),
            ),
            ("text/plain", b"", Ok("Text(2 bytes)")),
            ("text/plain;charset=utf-8", b"h\"", Ok("Text(5 bytes)")),
            ("text/plain", b"\xff", Err(HttpError::MalformedBody)),
            (
                "text/plain; charset=latin1",
                b"x",
                Err(HttpError::UnsupportedMediaType),
            ),
            ("application/octet-stream", b"\xff\0", Ok("Binary(6 bytes)")),
            (
                "application/xml",
                b"x",
                Err(HttpError::UnsupportedMediaType),
            ),
            ("", b"x", Err(HttpError::UnsupportedMediaType)),
        ] {
            let field = format!("Content-Type: {content_type}");
            assert_eq!(
                judge(&field, body),
                expected.map(str::to_owned),
                "{content_type} {body:?}"
            );
        }
        assert_eq!(judge("X: y", b"x"), Err(HttpError::UnsupportedMediaType));
        let twice = "Content-Type: text/plain\nContent-Type: text/plain";
        assert_eq!(judge(twice, b"x"), Err(HttpError::RepeatedField));
    }

    #[test]
    fn lt_01_a_payload_is_limited_as_json() {
        let judge =
            |media_type: &str, body: &[u8]| judge(&format!("Content-Type: {media_type}"), body);
        assert!(judge("text/plain", &[b'x'; 18]).is_ok());
        assert_eq!(
            judge("text/plain", &[b'x'; 19]),
            Err(HttpError::BodyTooLarge)
        );
        assert_eq!(judge("text/plain", &[0; 4]), Err(HttpError::BodyTooLarge));
        assert!(judge("application/octet-stream", &[0; 12]).is_ok());
        assert_eq!(
            judge("application/octet-stream", &[0; 13]),
            Err(HttpError::BodyTooLarge)
        );
        assert_eq!(
            judge("application/json", &[b'1'; 21]),
            Err(HttpError::BodyTooLarge)
        );
    }
}
