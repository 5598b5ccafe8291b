//! Absolute URLs of the web, as tokens and settings name this server.

use super::origin::Origin;

/// An absolute http or https URL.
#[derive(Clone, Copy, Debug)]
pub struct WebUrl<'a> {
    /// All of it.
    text: &'a str,
    /// Scheme, host and port.
    origin: Origin<'a>,
    /// Where in the text path or query begin; its end if there is neither.
    target_start: usize,
}

impl<'a> WebUrl<'a> {
    /// Reads `http://host[:port][/path][?query]` or the same with https; `None` for anything else, fragments and user
    /// names included.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "positions of ASCII inside the text"
    )]
    pub fn parse(text: &'a str) -> Option<Self> {
        let authority_start = text.find("://")? + 3;
        let target_start = text[authority_start..]
            .find(['/', '?', '#'])
            .map_or(text.len(), |len| authority_start + len);
        let (site, target) = text.split_at(target_start);
        let origin = Origin::parse(site).filter(Origin::is_web)?;
        (!target.contains('#')).then_some(Self {
            text,
            origin,
            target_start,
        })
    }

    /// Scheme, host and port as written, without a slash at the end.
    #[must_use]
    #[expect(clippy::string_slice, reason = "a position that parsing found")]
    pub fn site(&self) -> &'a str {
        &self.text[..self.target_start]
    }

    /// Path and query as written; empty if there is neither.
    #[must_use]
    #[expect(clippy::string_slice, reason = "a position that parsing found")]
    pub fn target(&self) -> &'a str {
        &self.text[self.target_start..]
    }

    /// Whether the URL is at `host`, which is written `host[:port]`; a port left out is the default of the URL's scheme
    /// on both sides, since who listens behind a proxy cannot know the scheme in front of it.
    #[must_use]
    pub fn is_at(&self, host: &str) -> bool {
        self.origin.is_at(host)
    }

    /// Whether both URLs have the same host and port, the default of each one's scheme filled in.
    #[must_use]
    pub fn is_same_site(&self, other: &WebUrl<'_>) -> bool {
        self.origin.is_same_place(&other.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::WebUrl;

    #[test]
    fn a_url_has_a_site_and_a_target() {
        for (text, site, target) in [
            ("http://a", "http://a", ""),
            ("HTTPS://a:1/", "HTTPS://a:1", "/"),
            ("http://[::1]:80/a/b?c=d/e", "http://[::1]:80", "/a/b?c=d/e"),
            ("http://a?b", "http://a", "?b"),
        ] {
            let url = WebUrl::parse(text).unwrap();
            assert_eq!((url.site(), url.target()), (site, target), "{text}");
        }
        for text in [
            "",
            "a",
            "/a",
            "//a",
            "ws://a",
            "http:///a",
            "http://",
            "http://u@a/",
            "http://a/#b",
            "http://a b/",
            "http://a:x/",
        ] {
            assert!(WebUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hosts_compare_without_case_and_with_default_ports() {
        let is_at = |url, host| WebUrl::parse(url).unwrap().is_at(host);
        assert!(is_at("http://A/x", "a"));
        assert!(is_at("http://a:80/x", "a"));
        assert!(is_at("https://a/x", "a:443"));
        assert!(!is_at("http://a/x", "a:443"));
        assert!(!is_at("http://a.evil/x", "a"));
        let is_same = |a, b| {
            WebUrl::parse(a)
                .unwrap()
                .is_same_site(&WebUrl::parse(b).unwrap())
        };
        assert!(is_same("https://a/x", "https://A:443"));
        assert!(!is_same("http://a", "https://a"));
        assert!(is_same("http://a:8080/x", "https://a:8080/y"));
    }
}
