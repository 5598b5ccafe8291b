//! The reliable subprotocol: what of it is text on the wire. Keeping and replaying messages is the server's work.

use std::fmt::Write;

use super::ConnectionIds;
use super::hub_name::HubName;
use crate::delivery::{Numbering, RecoveryToken, SessionId};
use crate::handler::Recover;
use crate::http::{ClientAddress, Handshake, Request};
use crate::proto::CloseCode;

/// The subprotocol whose messages carry numbers and are kept until they are acknowledged.
pub(in crate::endpoints) const RELIABLE_SUBPROTOCOL: &str = "json.reliable.webpubsub.azure.v1";

/// The number comes first, in place of the brace that opens the message: so the rest is the same for everyone.
pub(in crate::endpoints) const NUMBERING: Numbering = Numbering {
    before: r#"{"sequenceId":"#,
    after: ",",
    replaced_len: 1,
};

/// What stands for a text that is no token: it is drawn as seldom as any other, so never.
const NO_TOKEN: RecoveryToken = RecoveryToken([0; 16]);

/// Draws a token from the system's generator.
///
/// # Panics
/// If the system has no source of random numbers, without which nothing here is safe.
pub(in crate::endpoints) fn draw_token() -> RecoveryToken {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a source of random numbers");
    RecoveryToken(bytes)
}

/// A token as clients get it: 32 hexadecimal digits.
pub(super) fn token_text(token: RecoveryToken) -> String {
    token.0.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every character");
        text
    })
}

/// What a request of `client` to go on with a connection of `hub` asks for; `None` if it asks for a new one.
///
/// A name that was never given out asks for the connection of nobody, so it is refused like one that has expired: after
/// the handshake, because an HTTP error would have the client try again for half a minute. A token that none can be is a
/// wrong one.
pub(in crate::endpoints) fn recover(
    ids: &ConnectionIds,
    hub: &HubName,
    request: &Request<'_>,
    client: ClientAddress,
    handshake: &Handshake,
) -> Option<Recover> {
    let connection = request.query_value("awps_connection_id")?;
    let token = request.query_value("awps_reconnection_token")?;
    let nobody = SessionId::from_bits(0);
    Some(Recover {
        handshake: handshake.clone(),
        session: ids
            .find(hub, &connection)
            .map_or(nobody, |(session, _)| session),
        token: parse_token(&token).unwrap_or(NO_TOKEN),
        client,
        refusal: (CloseCode::POLICY_VIOLATION, "NotFound"),
    })
}

/// The token that is written as `text`.
fn parse_token(text: &str) -> Option<RecoveryToken> {
    let is_canonical = text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| is_canonical)?;
    Some(RecoveryToken(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_09_a_token_is_drawn_anew_and_survives_its_text() {
        let token = draw_token();
        assert_ne!(token, draw_token());
        assert_eq!(parse_token(&token_text(token)), Some(token));
        assert_eq!(token_text(RecoveryToken([1; 16])), "01".repeat(16));
    }

    #[test]
    fn only_the_text_of_a_token_is_one() {
        for text in [
            "",
            "0",
            &"0".repeat(31),
            &"0".repeat(33),
            &"g".repeat(32),
            &"A".repeat(32),
        ] {
            assert_eq!(parse_token(text), None, "{text}");
        }
        let sign = format!("+{}", "0".repeat(31));
        assert_eq!(parse_token(&sign), None);
    }
}
