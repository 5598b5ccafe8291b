//! Signed tokens as text, written and read: a JWS in its compact form (RFC 7515 3.1), with HS256 and no other algorithm.
//!
//! ```text
//! base64url(header) . base64url(claims) . base64url(HMAC-SHA-256 of all before the last dot)
//! ```
//!
//! The signature is judged first, so nothing that a stranger wrote is ever parsed. The algorithm is not chosen by the
//! token: its header has to name the one that was used, which `none` and all others do not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A secret, made ready to sign and to check signatures with.
#[derive(Clone)]
pub(super) struct TokenKey(Hmac<Sha256>);

/// What the header of a token has to say; all else in it only describes the token.
#[derive(Deserialize)]
struct Header<'a> {
    /// How it is signed.
    alg: &'a str,
    /// Extensions that whoever reads the token must understand. None are understood here (RFC 7515 4.1.11).
    crit: Option<serde::de::IgnoredAny>,
}

impl TokenKey {
    /// The key whose bytes are `secret`, of any length.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("a key of HMAC has any length (RFC 2104 2)"))
    }

    /// A token that makes `claims`, which must be an object.
    ///
    /// # Panics
    ///
    /// `claims` are nothing that JSON can say.
    pub(super) fn sign(&self, claims: &impl Serialize) -> String {
        let claims = serde_json::to_vec(claims).expect("claims are strings, numbers and lists");
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(HEADER),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.0.clone().chain_update(&signed).finalize();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
    }

    /// The claims of `token`, if it is signed with this key. Text without the form of a token takes the way of one with
    /// a wrong signature, and signatures compare in constant time.
    pub(super) fn claims<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        self.0
            .clone()
            .chain_update(signed)
            .verify_slice(&signature)
            .ok()?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        if header.alg != "HS256" || header.crit.is_some() {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

/// The header of every token that is signed here.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[cfg(test)]
pub(super) mod tests {
    use std::hint;
    use std::time::{Duration, Instant};

    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert_eq};
    use serde_json::{Value, json};

    use super::*;

    const KEY: &[u8] = b"a key";

    /// A token with this header and these claims, whatever they say, signed with `key`.
    pub(in super::super) fn signed(header: &str, claims: &str, key: &[u8]) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = TokenKey::new(key).0.chain_update(&signed).finalize();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
    }

    fn claims(token: &str) -> Option<Value> {
        TokenKey::new(KEY).claims(token)
    }

    #[test]
    fn ac_04_the_example_of_rfc_7515_is_genuine() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let key = TokenKey::new(&URL_SAFE_NO_PAD.decode(key).unwrap());
        let expected =
            json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true});
        assert_eq!(key.claims::<Value>(token), Some(expected));
    }

    #[test]
    fn ac_04_the_header_names_hs256_and_no_extension() {
        for (header, is_good) in [
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"typ":"JWT","kid":"1","alg":"HS256"}"#, true),
            (r#"{"alg":"none"}"#, false),
            (r#"{"alg":"None"}"#, false),
            (r#"{"alg":"hs256"}"#, false),
            (r#"{"alg":"HS384"}"#, false),
            (r#"{"alg":"HS512"}"#, false),
            (r#"{"alg":"RS256"}"#, false),
            (r#"{"alg":["HS256"]}"#, false),
            (r#"{"alg":"none","alg":"HS256"}"#, false),
            (r#"{"alg":"HS256","crit":["exp"]}"#, false),
            (r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, false),
            (r#"{"typ":"JWT"}"#, false),
            (r#"{"alg":"HS256"} x"#, false),
            ("[]", false),
            ("", false),
        ] {
            let found = claims(&signed(header, "{}", KEY));
            assert_eq!(found.is_some(), is_good, "{header}");
        }
    }

    /// The least time that a thousand judgements of such a token take.
    fn time_of(token: &str, best: &mut Duration) {
        let key = TokenKey::new(KEY);
        let begun = Instant::now();
        for _ in 0..1000 {
            assert!(key.claims::<Value>(hint::black_box(token)).is_none());
        }
        *best = (*best).min(begun.elapsed());
    }

    #[test]
    #[ignore = "needs a calm machine: cargo test --release ac_03 -- --ignored"]
    fn ac_03_how_much_of_a_signature_is_right_does_not_show_in_the_time() {
        const ROUNDS: usize = 250;
        let token = signed(r#"{"alg":"HS256"}"#, r#"{"a":1}"#, KEY);
        let signature = token.rfind('.').unwrap() + 1;
        // Wrong in the first byte, in the middle, in the last one.
        let tokens = [signature, signature + 20, token.len() - 2].map(|at| {
            let other = if token.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            [&token[..at], other, &token[at + 1..]].concat()
        });
        let mut best = [Duration::MAX; 3];
        for _ in 0..ROUNDS {
            for (token, best) in tokens.iter().zip(&mut best) {
                time_of(token, best);
            }
        }
        let (least, most) = (best.iter().min().unwrap(), best.iter().max().unwrap());
        println!("AC-03: {best:?} for a thousand");
        assert!(*most < least.mul_f64(1.1), "{best:?}");
    }

    #[test]
    fn ac_04_every_character_of_a_token_counts() {
        let token = signed(r#"{"alg":"HS256"}"#, r#"{"a":1}"#, KEY);
        assert_eq!(claims(&token), Some(json!({"a": 1})));
        for at in 0..token.len() {
            for other in [".", "A", "_", "=", " ", ""] {
                if token[at..].starts_with(other) && !other.is_empty() {
                    continue;
                }
                let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                assert_eq!(claims(&altered), None, "{altered}");
            }
        }
        for around in [
            format!("{token}="),
            format!("{token}."),
            format!(" {token}"),
            format!("{token}{token}"),
        ] {
            assert_eq!(claims(&around), None, "{around}");
        }
        assert_eq!(TokenKey::new(b"another").claims::<Value>(&token), None);
    }

    #[test]
    fn ac_04_what_is_signed_and_malformed_is_refused_too() {
        let genuine = |text: &str| {
            let signature = TokenKey::new(KEY).0.chain_update(text).finalize();
            claims(&format!(
                "{text}.{}",
                URL_SAFE_NO_PAD.encode(signature.as_bytes())
            ))
        };
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let body = URL_SAFE_NO_PAD.encode("{}");
        assert_eq!(genuine(&format!("{header}.{body}")), Some(json!({})));
        for text in [
            header.clone(),
            format!("{header}."),
            format!("{header}.{body}.{body}"),
            format!(".{header}.{body}"),
            format!("{header}.{body}="),
            format!("{header}.{}", "e30é"),
            String::new(),
        ] {
            assert_eq!(genuine(&text), None, "{text}");
        }
    }
    proptest! {
        #[test]
        fn ac_04_what_is_signed_is_read_again_by_this_key_and_no_other(
            key in collection::vec(any::<u8>(), 1..100),
            other in collection::vec(any::<u8>(), 1..100),
            claims in collection::hash_map("\\PC{0,8}", collection::vec("\\PC{0,8}", 0..3), 0..3),
        ) {
            let claims = json!(claims);
            let token = TokenKey::new(&key).sign(&claims);
            prop_assert_eq!(&token, &signed(HEADER, &claims.to_string(), &key));
            prop_assert_eq!(TokenKey::new(&key).claims(&token), Some(claims));
            // A key of HMAC ends in zeros that nobody has to write (RFC 2104 2).
            let is_same = key.iter().rev().skip_while(|byte| **byte == 0).eq(
                other.iter().rev().skip_while(|byte| **byte == 0));
            let by_other: Option<Value> = TokenKey::new(&other).claims(&token);
            prop_assert_eq!(by_other.is_some(), is_same);
        }
    }
}
