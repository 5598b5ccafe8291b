//! Which groups drop messages for slow receivers: rules in the order in which they were given.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::pubsub::Pattern;
use crate::delivery::{Notice, Policy, Terms};

/// Rules that say by the name of a group what becomes of messages that do not fit; without any, receivers are closed.
///
/// The first rule whose pattern matches decides, in every hub and for relayed groups alike.
#[derive(Clone, Debug, Default)]
pub struct GroupPolicies {
    rules: Arc<[PolicyRule]>,
    /// Which groups' messages are never compressed.
    uncompressed: Arc<[GroupPattern]>,
}

impl GroupPolicies {
    /// What becomes of messages to `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> Policy {
        let rule = self.rules.iter().find(|rule| rule.groups.matches(name));
        rule.map_or(Policy::Close, |rule| rule.policy)
    }

    /// The same policies, where messages to groups of these patterns are never compressed.
    #[must_use]
    pub fn with_uncompressed(self, patterns: Vec<GroupPattern>) -> Self {
        let uncompressed = patterns.into();
        Self {
            uncompressed,
            ..self
        }
    }

    /// On what terms messages to `name` are delivered, if there is anything to say; `notice` tells receivers what they have
    /// lost.
    pub(super) fn terms(
        &self,
        name: &str,
        notice: impl FnOnce() -> Option<Notice>,
    ) -> Option<Arc<Terms>> {
        let policy = self.of(name);
        let is_plain = self.is_plain(name);
        (is_plain || policy != Policy::Close).then(|| {
            let notice = notice();
            Arc::new(Terms {
                policy,
                notice,
                is_plain,
            })
        })
    }
}

impl GroupPolicies {
    /// The terms of what was said to `name` before, which is no message that could be dropped, but stays uncompressed.
    pub(super) fn plain_terms(&self, name: &str) -> Option<Arc<Terms>> {
        self.is_plain(name).then(|| {
            Arc::new(Terms {
                policy: Policy::Close,
                notice: None,
                is_plain: true,
            })
        })
    }

    /// Whether messages to `name` are never compressed.
    fn is_plain(&self, name: &str) -> bool {
        self.uncompressed.iter().any(|it| it.matches(name))
    }
}

impl From<Vec<PolicyRule>> for GroupPolicies {
    fn from(rules: Vec<PolicyRule>) -> Self {
        Self {
            rules: rules.into(),
            uncompressed: Arc::default(),
        }
    }
}

/// What becomes of messages to the groups of a pattern; written `PATTERN=POLICY`, where the policy is `close`,
/// `drop-newest`, `drop-oldest` or `latest`.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// Which groups.
    groups: GroupPattern,
    /// What becomes of their messages.
    policy: Policy,
}

/// A pattern of names of groups.
///
/// `?` is one character, `*` any number of characters but dots, `**` any number of characters; a backslash takes their
/// meaning from them. Names that begin with `@` are addresses, which only patterns that begin with `@` match: whoever means
/// all groups does not mean messages to one person.
#[derive(Clone, Debug)]
pub struct GroupPattern {
    pattern: Pattern,
    /// Whether the pattern begins with `@`.
    is_for_addresses: bool,
}

impl GroupPattern {
    /// Whether it means `name`.
    fn matches(&self, name: &str) -> bool {
        (self.is_for_addresses || !name.starts_with('@')) && self.pattern.matches(name)
    }
}

impl FromStr for GroupPattern {
    type Err = PolicyRuleError;

    fn from_str(text: &str) -> Result<Self, PolicyRuleError> {
        Ok(Self {
            is_for_addresses: text.starts_with('@'),
            pattern: Pattern::parse(text).ok_or(PolicyRuleError::BadPattern)?,
        })
    }
}

impl FromStr for PolicyRule {
    type Err = PolicyRuleError;

    fn from_str(text: &str) -> Result<Self, PolicyRuleError> {
        // A group's name may contain the sign, a policy's does not.
        let (pattern, policy) = text.rsplit_once('=').ok_or(PolicyRuleError::NoPolicy)?;
        let policy = match policy {
            "close" => Policy::Close,
            "drop-newest" => Policy::DropNewest,
            "drop-oldest" => Policy::DropOldest,
            "latest" => Policy::Latest,
            _ => return Err(PolicyRuleError::UnknownPolicy),
        };
        Ok(Self {
            groups: pattern.parse()?,
            policy,
        })
    }
}

/// What is wrong with the text of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyRuleError {
    /// There is no `=` in it.
    NoPolicy,
    /// What follows the `=` is not a policy.
    UnknownPolicy,
    /// What precedes it is empty, has more than five asterisks, or a backslash before something else.
    BadPattern,
}

impl fmt::Display for PolicyRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPolicy => "give a pattern and a policy as PATTERN=POLICY",
            Self::UnknownPolicy => "the policy has to be close, drop-newest, drop-oldest or latest",
            Self::BadPattern => "the pattern is empty or malformed",
        })
    }
}

impl std::error::Error for PolicyRuleError {}

#[cfg(test)]
mod tests {
    use super::{GroupPattern, GroupPolicies, PolicyRule, PolicyRuleError};
    use crate::delivery::Policy;

    fn policies(rules: &[&str]) -> GroupPolicies {
        let rules: Vec<PolicyRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        rules.into()
    }

    #[test]
    fn sc_03_the_first_rule_that_matches_decides_and_without_one_receivers_are_closed() {
        let policies = policies(&[
            "news=drop-newest",
            "ticker.*.slow=close",
            "ticker.*=latest",
            "a=b=drop-oldest",
        ]);
        for (name, policy) in [
            ("news", Policy::DropNewest),
            ("news2", Policy::Close),
            ("ticker.x.slow", Policy::Close),
            ("ticker.x", Policy::Latest),
            ("ticker.", Policy::Latest),
            ("ticker", Policy::Close),
            ("a=b", Policy::DropOldest),
            ("a", Policy::Close),
        ] {
            assert_eq!(policies.of(name), policy, "{name}");
        }
        assert_eq!(GroupPolicies::default().of("news"), Policy::Close);
    }

    #[test]
    fn sc_03_addresses_are_matched_by_patterns_that_begin_with_the_sign() {
        let policies = policies(&["**=latest", "@user/*=drop-oldest", "@all=drop-newest"]);
        assert_eq!(policies.of("any"), Policy::Latest);
        assert_eq!(policies.of("@user/ann"), Policy::DropOldest);
        assert_eq!(policies.of("@all"), Policy::DropNewest);
        assert_eq!(policies.of("@conn/1"), Policy::Close);
    }

    #[test]
    fn ex_10_groups_can_be_excepted_from_compression_whatever_their_policy() {
        let patterns: Vec<GroupPattern> = vec!["secret.*".parse().unwrap()];
        let policies = policies(&["secret.b=latest", "c=latest"]).with_uncompressed(patterns);
        let terms = |name| {
            let terms = policies.terms(name, || None)?;
            Some((terms.policy, terms.is_plain))
        };
        assert_eq!(terms("secret.a"), Some((Policy::Close, true)));
        assert_eq!(terms("secret.b"), Some((Policy::Latest, true)));
        assert_eq!(terms("c"), Some((Policy::Latest, false)));
        assert_eq!(terms("d"), None);
        assert_eq!(
            "".parse::<GroupPattern>().err(),
            Some(PolicyRuleError::BadPattern)
        );
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        for (rule, error) in [
            ("", PolicyRuleError::NoPolicy),
            ("latest", PolicyRuleError::NoPolicy),
            ("=latest", PolicyRuleError::BadPattern),
            ("a=", PolicyRuleError::UnknownPolicy),
            ("a=Latest", PolicyRuleError::UnknownPolicy),
            ("a=latest=", PolicyRuleError::UnknownPolicy),
        ] {
            assert_eq!(rule.parse::<PolicyRule>().err(), Some(error), "{rule}");
            assert!(!error.to_string().ends_with('.'));
        }
    }
}
