//! What can be read with a browser: the chat page, file by file.
//!
//! Everything is compiled in. The page loads nothing from elsewhere and speaks the protocol of `/ws` like any client.

use crate::http::Response;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// A file of the chat page.
    Chat(&'static ChatFile),
}

/// One file of the chat page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChatFile {
    /// What the page calls it.
    name: &'static str,
    /// Its media type.
    content_type: &'static str,
    /// What is in it.
    text: &'static str,
}

impl Page {
    /// The page that opens the chat.
    pub(super) const FRONT: Self = Self::Chat(&FRONT);

    /// A file that the front page refers to; `None` if there is none of that name.
    pub(super) fn chat_file(name: &str) -> Option<Self> {
        CHAT_FILES
            .iter()
            .find(|file| file.name == name)
            .map(Self::Chat)
    }

    /// The page as a response to GET or HEAD.
    pub(super) fn response(self) -> Response {
        match self {
            // A new release of the server may bring new files, and all of them have to be of one release.
            Self::Chat(file) => Response::new(200, file.content_type, file.text.as_bytes())
                .with_header("Cache-Control", "no-cache")
                .with_header("Content-Security-Policy", POLICY)
                .with_header("Referrer-Policy", "no-referrer")
                .with_header("Cross-Origin-Opener-Policy", "same-origin"),
        }
    }
}

/// What the page may do: load its own files and talk to its own server, over WebSocket as well.
///
/// Without inline scripts and styles, and with no way to turn text into markup (trusted types), what people write cannot
/// become part of the page even if the page had a mistake.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The front page.
static FRONT: ChatFile = ChatFile {
    name: "index.html",
    content_type: "text/html; charset=utf-8",
    text: include_str!("chat/index.html"),
};

/// Makes the rows of [`CHAT_FILES`]: names, and the media type that they have in common.
macro_rules! chat_files {
    ($($content_type:literal: $($name:literal)*;)*) => {
        &[$($(ChatFile {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("chat/", $name)),
        },)*)*]
    };
}

/// What the front page loads.
static CHAT_FILES: &[ChatFile] = chat_files! {
    "text/javascript; charset=utf-8":
        "main.js" "chat.js" "composer.js" "connection.js" "dom.js" "log.js" "memory.js" "session.js" "sidebar.js"
        "welcome.js";
    "text/css; charset=utf-8": "colours.css" "layout.css" "messages.css";
    "image/svg+xml": "icon.svg";
};

#[cfg(test)]
mod tests {
    use super::{CHAT_FILES, FRONT, Page};

    fn head(page: Page) -> String {
        String::from_utf8(page.response().encode(true, false)).unwrap()
    }

    /// The names between `before` and a quotation mark.
    fn references(text: &'static str, before: &str) -> Vec<&'static str> {
        text.split(before)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect()
    }

    #[test]
    fn every_file_of_the_chat_page_has_a_strict_policy_and_its_type() {
        let pages = CHAT_FILES.iter().map(Page::Chat).chain([Page::FRONT]);
        for page in pages {
            let head = head(page);
            assert!(
                head.contains("Content-Security-Policy: default-src 'none'; script-src 'self';")
            );
            assert!(!head.contains("unsafe"), "{head}");
            assert!(head.contains("X-Content-Type-Options: nosniff"), "{head}");
        }
        let script = Page::chat_file("main.js").unwrap();
        assert!(head(script).contains("Content-Type: text/javascript"));
        assert_eq!(Page::chat_file("index.html"), None);
        assert_eq!(Page::chat_file("../mod.rs"), None);
    }

    #[test]
    fn what_the_page_loads_is_there_and_nothing_else_is() {
        let mut loaded: Vec<_> = ["href=\"chat/", "src=\"chat/"]
            .into_iter()
            .flat_map(|before| references(FRONT.text, before))
            .chain(
                CHAT_FILES
                    .iter()
                    .flat_map(|file| references(file.text, "from \"./")),
            )
            .collect();
        loaded.sort_unstable();
        loaded.dedup();
        let mut present: Vec<_> = CHAT_FILES.iter().map(|file| file.name).collect();
        present.sort_unstable();
        assert_eq!(loaded, present);
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_makes_no_markup_out_of_text() {
        for file in CHAT_FILES.iter().chain([&FRONT]) {
            let text = file.text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in [
                "http://",
                "https://",
                "//cdn",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                " onclick=",
                " onerror=",
                " onload=",
                " style=",
                "<style",
                "javascript:",
            ] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", file.name);
            }
        }
    }
}
