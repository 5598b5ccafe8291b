//! The grammar that field values share: tokens and comma lists (RFC 9110 5.6).

/// Whether `byte` may be part of a token: a visible ASCII character that separates nothing (RFC 9110 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `text` is a token: one or more token bytes.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// The elements of the comma list that `values`, the lines of one field, make together; blanks around an element and
/// empty elements are dropped (RFC 9110 5.6.1.2).
///
/// Each byte is looked at a constant number of times, whatever the list.
pub(super) fn list_elements<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    values
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(trim_blanks)
        .filter(|element| !element.is_empty())
}

/// Whether one whole element of the comma list is `token`, ASCII case ignored.
pub(super) fn list_has<'a>(mut values: impl Iterator<Item = &'a [u8]>, token: &str) -> bool {
    let is_wanted = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
    // Nearly every list has one element.
    values.any(|value| is_wanted(value) || list_elements([value].into_iter()).any(is_wanted))
}

/// `text` without the spaces and tabs around it (RFC 9110 5.6.3).
pub(super) fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements<'a>(lines: &[&'a str]) -> Vec<&'a str> {
        list_elements(lines.iter().map(|line| line.as_bytes()))
            .map(|element| str::from_utf8(element).unwrap())
            .collect()
    }

    #[test]
    fn a_list_joins_its_lines_and_drops_empty_elements() {
        assert_eq!(elements(&["a, b", "c"]), ["a", "b", "c"]);
        assert_eq!(elements(&[" ,\ta\t,, ,b c ,"]), ["a", "b c"]);
        assert_eq!(elements(&["", ",", " "]), [""; 0]);
    }

    #[test]
    fn hs_04_only_a_whole_element_matches_and_case_is_ignored() {
        let has = |line: &str| list_has([line.as_bytes()].into_iter(), "websocket");
        for line in [
            "websocket",
            "WebSocket",
            "h2c, websocket",
            "websocket,h2c",
            "\tWEBSOCKET ",
        ] {
            assert!(has(line), "{line}");
        }
        for line in [
            "",
            "websocketx",
            "xwebsocket",
            "websocket/13",
            "web socket",
            "websocket;v=13",
            "\"websocket\"",
        ] {
            assert!(!has(line), "{line}");
        }
    }

    #[test]
    fn tokens_are_visible_ascii_without_separators() {
        let separators = b"\"(),/:;<=>?@[\\]{}";
        for byte in 0..=u8::MAX {
            assert_eq!(
                is_token_byte(byte),
                byte.is_ascii_graphic() && !separators.contains(&byte),
                "{byte:#x}"
            );
        }
        assert!(!is_token(b""));
        assert!(is_token(b"json.webpubsub.azure.v1"));
        assert!(!is_token(b"a b"));
    }
}
