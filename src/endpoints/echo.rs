//! `/echo`: every message comes back as it was, for conformance suites and latency probes.

use crate::endpoints::Outgoing;
use crate::proto::Message;

/// Sends `message` back to its sender, text as text and binary as binary.
pub(super) fn on_message(message: Message<'_>, out: &mut Outgoing<'_>) {
    out.send_back(message);
}

#[cfg(test)]
mod tests {
    use super::on_message;
    use crate::endpoints::recorder::Recorder;
    use crate::proto::Message;

    #[test]
    fn ms_03_a_message_comes_back_with_its_type_and_payload() {
        let mut recorder = Recorder::new(0);
        for message in [
            Message::Text("héllo".into()),
            Message::Binary(b"\0\x01"),
            Message::Text("".into()),
            Message::Binary(b""),
        ] {
            on_message(message, &mut recorder.out());
        }
        assert_eq!(
            recorder.take(),
            ["Text: héllo", "Binary: \0\u{1}", "Text: ", "Binary: "]
        );
    }
}
