//! Tokens as whoever shares the access key of the server mints them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// The access key of the servers under test.
pub(crate) const KEY: &str = "an access key of the tests, 42 bytes long.";

/// Seconds since 1970, now.
pub(crate) fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.unwrap().as_secs()
}

/// A token with these claims.
pub(crate) fn mint(claims: &Value) -> String {
    mint_with(KEY, claims)
}

/// A token that is signed with another key.
pub(crate) fn mint_with(key: &str, claims: &Value) -> String {
    let header = r#"{"typ":"JWT","alg":"HS256"}"#;
    let [header, claims] =
        [header.to_owned(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .unwrap()
        .chain_update(&signed)
        .finalize();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

/// A token for `target`, a path and perhaps a query, that ends in an hour and makes further claims.
pub(crate) fn token_for(addr: SocketAddr, target: &str, claims: &Value) -> String {
    let mut all = json!({"aud": format!("http://{addr}{target}"), "exp": now() + 3600});
    let all_claims = all.as_object_mut().unwrap();
    all_claims.extend(claims.as_object().unwrap().clone());
    mint(&all)
}

/// The path of a hub with a token of the user, who may do everything in it.
pub(crate) fn hub_path(addr: SocketAddr, hub: &str, user: &str) -> String {
    let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
    let path = format!("/client/hubs/{hub}");
    let token = token_for(addr, &path, &json!({"sub": user, "role": roles}));
    format!("{path}?access_token={token}")
}
