//! The client over encrypted connections, and whom it trusts (AC-11).
#![cfg(feature = "tls")]

#[path = "tls/authority.rs"]
mod authority;
mod server_process;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use authority::{Authority, DEADLINE};
use rcgen::date_time_ymd;
use server_process::{Ended, ServerProcess, run, switchboard};
use switchboard::client::{ClientConfig, ClientError, Event, Trust, WebSocket};
use switchboard::proto::CloseCode;

fn start(certificate: &[String; 2]) -> ServerProcess {
    let [certificate, key] = certificate;
    ServerProcess::start(&["--tls-cert", certificate, "--tls-key", key])
}

/// Sends to everyone at `url`, with these flags.
fn send(url: &str, flags: &[&str]) -> Ended {
    let command = [&["send", "--all", "hello", "--url", url], flags].concat();
    run(switchboard(&command))
}

fn trusting(path: String) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.trust = Trust::File(PathBuf::from(path));
    config
}

#[test]
fn ac_11_a_client_talks_encrypted_to_whom_it_trusts() {
    let authority = Authority::new("client_echo");
    let server = start(&authority.sign("server", &Authority::params()));
    let url = format!("wss://{}/echo", server.addr());
    let mut socket = WebSocket::dial(&url, &trusting(authority.path("ca.pem"))).unwrap();
    for len in [0, 1, 20_000, 1 << 20] {
        let message = vec![7; len];
        socket.send_binary(&message).unwrap();
        let event = socket.next_event(Some(DEADLINE)).unwrap();
        assert!(matches!(event, Some(Event::Binary(bytes)) if bytes == message));
    }
    socket.close(CloseCode::NORMAL, "");
    let event = socket.next_event(Some(DEADLINE)).unwrap();
    assert!(matches!(event, Some(Event::Closed(_))), "{event:?}");
    let url = format!("wss://{}/ws", server.addr());
    let ended = send(&url, &["--ca", &authority.path("ca.pem")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = send(&url, &["--insecure"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("--insecure"), "{ended:?}");
}

#[test]
fn ac_11_a_client_says_in_one_line_why_it_does_not_trust() {
    let authority = Authority::new("client_trust");
    let stranger = Authority::new("client_stranger");
    let ca = authority.path("ca.pem");
    let signed = |name, change: fn(&mut rcgen::CertificateParams)| {
        let mut params = Authority::params();
        change(&mut params);
        authority.sign(name, &params)
    };
    let expired = signed("expired", |it| it.not_after = date_time_ymd(2020, 1, 1));
    let early = signed("early", |it| it.not_before = date_time_ymd(2100, 1, 1));
    let other = signed("other", |it| it.subject_alt_names.clear());
    let unknown = stranger.sign("unknown", &Authority::params());
    for (certificate, expected) in [
        (expired, "the certificate has expired"),
        (early, "the certificate is not valid yet"),
        (other, "the certificate is for another name"),
        (
            unknown,
            "the certificate is signed by nobody who is trusted",
        ),
    ] {
        let server = start(&certificate);
        let ended = send(&format!("wss://{}/ws", server.addr()), &["--ca", &ca]);
        assert_eq!(
            (ended.code, ended.stderr.lines().count()),
            (Some(1), 1),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(expected), "{ended:?}");
        server.logged("cause=encryption fault=\"encryption failed: refused with alert");
    }
    let plain = ServerProcess::start(&[]);
    let url = format!("wss://{}/ws", plain.addr());
    let ended = send(&url, &["--ca", &ca]);
    assert!(ended.stderr.contains("does not speak TLS"), "{ended:?}");
    let ended = send(&url, &["--ca", "nowhere.pem"]);
    assert!(
        ended.stderr.contains("cannot read nowhere.pem"),
        "{ended:?}"
    );
}

#[test]
fn ac_11_a_client_does_not_wait_for_ever_for_an_agreement() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The beginning of a record that never ends, a byte at a time.
        let _ = stream.write_all(&[22, 3, 3, 64, 0]);
        while stream.write_all(&[2]).is_ok() {
            thread::park_timeout(Duration::from_millis(20));
        }
        let _ = stream.read(&mut [0; 1024]);
    });
    let mut config = ClientConfig::default();
    config.trust = Trust::Anyone;
    config.dial_timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let error = WebSocket::dial(&url, &config).unwrap_err();
    assert!(matches!(error, ClientError::DialTimeout), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    server.join().unwrap();
}
