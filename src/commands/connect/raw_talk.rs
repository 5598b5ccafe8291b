//! A conversation with a server that speaks nothing on top of WebSocket, as far as we know.

use std::fmt::Write as _;

use switchboard::client::{ClientConfig, ClientError, Event, WebSocket};
use switchboard::http::SocketUrl;
use switchboard::proto::CloseCode;

use super::console::{Console, Input, Interpreter, Memory};
use super::{Failure, ended_by_server};
use crate::commands::terminal::{lines, one_line};

/// Bytes of a binary message that are shown.
const SHOWN_BYTES_MAX: usize = 32;

/// A WebSocket, and who sits in front of it.
pub(super) struct RawTalk {
    socket: WebSocket,
    console: Console<String>,
    is_closing: bool,
}

/// Takes lines for what they are.
struct Verbatim;

impl Interpreter for Verbatim {
    type Meaning = String;

    fn prompt(&self) -> String {
        "> ".into()
    }

    fn interpret(&mut self, line: String) -> Option<Input<String>> {
        Some(Input::Meant(line))
    }
}

impl RawTalk {
    /// Opens a WebSocket.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not open one.
    pub(super) fn begin(
        url: &SocketUrl,
        config: &ClientConfig,
        memory: Memory,
    ) -> Result<Self, Failure> {
        let socket = WebSocket::dial_url(url, config).map_err(|error| failure(&error))?;
        let sender = socket.sender();
        // If the socket is gone, nobody waits for it.
        let console = Console::open(Verbatim, memory, move || _ = sender.nudge())
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        if console.screen.is_interactive() {
            let subprotocol = socket.subprotocol().map_or_else(String::new, |name| {
                format!(", subprotocol {}", one_line(name))
            });
            console
                .screen
                .note(&format!("connected to {url}{subprotocol}; Ctrl+D closes"));
        }
        Ok(Self {
            socket,
            console,
            is_closing: false,
        })
    }

    /// Talks until one side has enough.
    ///
    /// # Errors
    ///
    /// The server ends the conversation other than by closing it with 1000, or the input cannot be read.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let outcome = self.converse();
        self.console.end_input();
        outcome
    }

    fn converse(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        loop {
            match self.socket.next_event(None) {
                Ok(None) => return outcome,
                Ok(Some(Event::Closed(ending))) if !self.is_closing => {
                    return ended_by_server(&self.console, &ending);
                }
                Ok(Some(Event::Text(text))) => {
                    if self.console.screen.show(&self.shown(text)).is_err() {
                        // Nobody reads on; that is how pipes end.
                        self.close();
                    }
                }
                Ok(Some(Event::Binary(bytes))) => {
                    if self.console.screen.show(&dump(&bytes)).is_err() {
                        self.close();
                    }
                }
                Ok(Some(Event::Nudged)) => {
                    if let Some(Input::Failed(reason)) = self.take_input() {
                        outcome = Err(Failure::Usage(format!("standard input: {reason}")));
                    }
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// Does what the user wants; returns it if that is an end.
    fn take_input(&mut self) -> Option<Input<String>> {
        match self.console.next_input(!self.is_closing)? {
            Input::Meant(line) => {
                // If it is lost, the next event says so.
                let _ = self.socket.send_text(&line);
                None
            }
            end => {
                self.close();
                Some(end)
            }
        }
    }

    fn close(&mut self) {
        self.is_closing = true;
        self.console.end_input();
        self.socket.close(CloseCode::NORMAL, "");
    }

    /// A text as it is; harmless where a terminal would obey it.
    fn shown(&self, text: String) -> String {
        if self.console.screen.is_terminal() {
            lines(&text)
        } else {
            text
        }
    }
}

/// Binary content: how much it is, and how it begins.
fn dump(bytes: &[u8]) -> String {
    let mut line = format!("binary, {} bytes:", bytes.len());
    for byte in bytes.iter().take(SHOWN_BYTES_MAX) {
        let _ = write!(line, " {byte:02x}");
    }
    if bytes.len() > SHOWN_BYTES_MAX {
        line.push_str(" …");
    }
    line
}

/// What a person is told about an error of the WebSocket.
fn failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Field(_) => Failure::Usage(error.to_string()),
        _ => Failure::Runtime(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_content_is_shown_up_to_a_length() {
        assert_eq!(dump(&[]), "binary, 0 bytes:");
        assert_eq!(dump(&[0, 255]), "binary, 2 bytes: 00 ff");
        assert!(!dump(&[7; 32]).ends_with('…') && dump(&[7; 33]).ends_with(" 07 …"));
    }
}
