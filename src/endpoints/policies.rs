//! Which groups drop messages for slow receivers: rules in the order in which they were given.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::pubsub::Pattern;
use crate::delivery::Policy;

/// Rules that say by the name of a group what becomes of messages that do not fit; without any, receivers are closed.
///
/// The first rule whose pattern matches decides, in every hub and for relayed groups alike.
#[derive(Clone, Debug, Default)]
pub struct GroupPolicies(Arc<[PolicyRule]>);

impl GroupPolicies {
    /// What becomes of messages to `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> Policy {
        let rule = self.0.iter().find(|rule| rule.matches(name));
        rule.map_or(Policy::Close, |rule| rule.policy)
    }
}

impl From<Vec<PolicyRule>> for GroupPolicies {
    fn from(rules: Vec<PolicyRule>) -> Self {
        Self(rules.into())
    }
}

/// What becomes of messages to the groups of a pattern; written `PATTERN=POLICY`, where the policy is `close`,
/// `drop-newest`, `drop-oldest` or `latest`.
///
/// In a pattern, `?` is one character, `*` any number of characters but dots, `**` any number of characters; a backslash
/// takes their meaning from them. Names that begin with `@` are addresses, which only patterns that begin with `@` match:
/// whoever lets all groups drop messages does not mean those to one person.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// Which groups.
    pattern: Pattern,
    /// Whether the pattern begins with `@`.
    is_for_addresses: bool,
    /// What becomes of their messages.
    policy: Policy,
}

impl PolicyRule {
    /// Whether it is about `name`.
    fn matches(&self, name: &str) -> bool {
        (self.is_for_addresses || !name.starts_with('@')) && self.pattern.matches(name)
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
            is_for_addresses: pattern.starts_with('@'),
            pattern: Pattern::parse(pattern).ok_or(PolicyRuleError::BadPattern)?,
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
    use super::{GroupPolicies, PolicyRule, PolicyRuleError};
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
