//! What the hubs of two loops tell each other.

use super::{history, presence};

/// News of a group for its home; opaque to everybody but the endpoints.
#[derive(Debug)]
pub struct Note(pub(super) Kind);

/// Which part of the hub the note is for.
#[derive(Debug)]
pub(super) enum Kind {
    /// Who is there.
    Presence(presence::News),
    /// What was said.
    History(history::News),
}

impl From<presence::News> for Note {
    fn from(news: presence::News) -> Self {
        Self(Kind::Presence(news))
    }
}

impl From<history::News> for Note {
    fn from(news: history::News) -> Self {
        Self(Kind::History(news))
    }
}
