//! The names of hubs.

use std::sync::Arc;

/// The name of a hub in lower case; names that differ in case only are the same hub. Cheap to clone.
///
/// It is a letter and up to 127 letters, digits or characters of `` _`,.[] ``, so it contains neither the slash nor the
/// colon that names of groups are put together with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubName(Arc<str>);

impl HubName {
    /// The longest name in bytes.
    const LEN_MAX: usize = 128;

    /// Takes `name`; `None` if it is not valid.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_valid = name.len() <= Self::LEN_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_`,.[]".contains(&byte));
        is_valid.then(|| Self(name.to_ascii_lowercase().into()))
    }

    /// The hub of those who name none.
    pub(in crate::endpoints) fn of_default() -> Self {
        Self("default".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::HubName;

    #[test]
    fn a_name_begins_with_a_letter_and_is_compared_without_case() {
        let long = "x".repeat(128);
        for name in ["a", "Chat", "a1_`,.[]", &long] {
            let hub = HubName::new(name).unwrap();
            assert_eq!(hub.as_str(), name.to_ascii_lowercase());
        }
        for name in [
            "",
            "1a",
            "_a",
            "a/b",
            "a:b",
            "a b",
            "a-b",
            "é",
            "aé",
            "@a",
            &format!("{long}x"),
        ] {
            assert_eq!(HubName::new(name), None, "{name}");
        }
        assert_eq!(HubName::new("Default"), Some(HubName::of_default()));
    }
}
