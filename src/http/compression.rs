//! permessage-deflate in the opening handshake: which offer a server takes, and what a client makes of the answer
//! (RFC 7692 5, 7.1).

use super::extension::Extension;
use crate::proto::{Deflate, WindowBits};

/// The name of the extension.
const NAME: &str = "permessage-deflate";

/// What was agreed on, and how the server says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) deflate: Deflate,
    /// The value of Sec-WebSocket-Extensions in the answer.
    pub(super) answer: Box<str>,
}

impl Agreement {
    /// Takes an offer, unless it is of another extension or has a parameter that is unknown, repeated or bad: then it is
    /// declined, which is no error (RFC 7692 5.1).
    ///
    /// Neither side keeps its context from message to message, whatever was offered: what we send is the same for many
    /// receivers, and an idle client needs no window. The client's own window may be as large as it likes.
    pub(super) fn take(offer: &Extension<'_>) -> Option<Self> {
        let parameters = Parameters::parse(offer)?;
        let deflate = Deflate {
            own_window: parameters.server_window.unwrap_or(WindowBits::MAX),
            peer_keeps_context: false,
        };
        let mut answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if let Some(window) = parameters.server_window {
            answer += &format!("; server_max_window_bits={window}");
        }
        Some(Self {
            deflate,
            answer: answer.into(),
        })
    }
}

/// What a client offers: its compressor can do with any window.
pub(super) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// What was agreed on, if this is an answer to [`OFFER`] (RFC 7692 7.1).
pub(super) fn read_answer(answer: &Extension<'_>) -> Option<Deflate> {
    let parameters = Parameters::parse(answer)?;
    Some(Deflate {
        own_window: parameters.client_window.unwrap_or(Some(WindowBits::MAX))?,
        peer_keeps_context: !parameters.server_has_no_context,
    })
}

/// The parameters of an offer or an answer, each at most once.
#[derive(Debug, Default)]
struct Parameters {
    server_has_no_context: bool,
    client_has_no_context: bool,
    server_window: Option<WindowBits>,
    /// Set, perhaps to no value, if the client says something about its own window.
    client_window: Option<Option<WindowBits>>,
}

impl Parameters {
    /// The parameters of permessage-deflate; `None` if it is another extension or they are not all right.
    fn parse(extension: &Extension<'_>) -> Option<Self> {
        if extension.name() != NAME {
            return None;
        }
        let mut parameters = Self::default();
        for (name, value) in extension.parameters() {
            let window = match &value {
                Some(value) => Some(WindowBits::parse(value)?),
                None => None,
            };
            let is_new = match (name, window) {
                ("server_no_context_takeover", None) => {
                    !std::mem::replace(&mut parameters.server_has_no_context, true)
                }
                ("client_no_context_takeover", None) => {
                    !std::mem::replace(&mut parameters.client_has_no_context, true)
                }
                ("server_max_window_bits", Some(window)) => {
                    parameters.server_window.replace(window).is_none()
                }
                ("client_max_window_bits", window) => {
                    parameters.client_window.replace(window).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extension::offers;

    /// What is answered to these lines of offers: the first that can be taken.
    fn answer(lines: &[&str]) -> Option<Agreement> {
        let mut offers = offers(lines.iter().map(|line| line.as_bytes()));
        offers.find_map(|offer| Agreement::take(&offer.unwrap()))
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn ex_02_an_offer_that_cannot_be_taken_is_declined_and_the_next_one_tried() {
        for declined in [
            "permessage-deflat",
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate; mode=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover=15",
            "permessage-deflate; client_no_context_takeover=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits=1",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=015",
            "permessage-deflate; client_max_window_bits=x",
        ] {
            assert_eq!(answer(&[declined]), None, "{declined}");
            let more = format!("{declined}, permessage-deflate");
            assert_eq!(&*answer(&[&more]).unwrap().answer, PLAIN, "{declined}");
            let lines = [
                declined,
                "foo",
                "permessage-deflate; client_max_window_bits",
            ];
            assert_eq!(&*answer(&lines).unwrap().answer, PLAIN, "{declined}");
        }
    }

    #[test]
    fn ex_03_the_answer_says_nothing_of_the_clients_window_and_repeats_the_servers() {
        for (offer, window) in [
            ("", None),
            ("; client_max_window_bits", None),
            ("; client_max_window_bits=8", None),
            (
                "; client_max_window_bits=15; client_no_context_takeover",
                None,
            ),
            ("; server_max_window_bits=8", Some("8")),
            (
                "; server_max_window_bits=9; client_max_window_bits=9",
                Some("9"),
            ),
            ("; server_max_window_bits=\"10\"", Some("10")),
            ("; server_max_window_bits=15", Some("15")),
        ] {
            let agreement = answer(&[&format!("permessage-deflate{offer}")]).unwrap();
            let expected = match window {
                Some(bits) => format!("{PLAIN}; server_max_window_bits={bits}"),
                None => PLAIN.into(),
            };
            assert_eq!(&*agreement.answer, expected, "{offer}");
            let own_window = agreement.deflate.own_window.to_string();
            assert_eq!(own_window, window.unwrap_or("15"), "{offer}");
        }
    }

    #[test]
    fn ex_03_a_client_takes_every_answer_to_its_offer_and_no_other() {
        let read = |answer: &str| {
            let answer = offers([answer.as_bytes()].into_iter()).next()?.ok()?;
            let deflate = read_answer(&answer)?;
            Some((deflate.own_window.get(), deflate.peer_keeps_context))
        };
        for (answer, expected) in [
            ("permessage-deflate", Some((15, true))),
            (PLAIN, Some((15, false))),
            (
                "permessage-deflate; client_max_window_bits=8",
                Some((8, true)),
            ),
            (
                "permessage-deflate; server_max_window_bits=9",
                Some((15, true)),
            ),
            ("permessage-deflate; client_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; client_max_window_bits=16", None),
            ("permessage-deflate; unknown", None),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                None,
            ),
            ("x-webkit-deflate-frame", None),
        ] {
            assert_eq!(read(answer), expected, "{answer}");
        }
    }

    #[test]
    fn ex_05_neither_side_keeps_its_context_whatever_was_offered() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            let agreement = answer(&[offer]).unwrap();
            assert_eq!(&*agreement.answer, PLAIN, "{offer}");
            assert!(!agreement.deflate.peer_keeps_context);
        }
    }

    #[test]
    fn ex_02_the_first_offer_that_can_be_taken_is_taken() {
        let offers = "permessage-deflate; server_max_window_bits=10, permessage-deflate";
        let agreement = answer(&[offers]).unwrap();
        assert_eq!(agreement.deflate.own_window.get(), 10);
    }
}
