//! The client over encrypted connections, and whom it trusts (AC-11).
#![cfg(feature = "tls")]

#[path = "tls/authority.rs"]
mod authority;
mod server_process;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use authority::{Authority, DEADLINE};
use rcgen::date_time_ymd;
use serde_json::Value;
use server_process::{Ended, ServerProcess, run, switchboard};
use switchboard::client::hub::{HubClient, HubConfig, HubEvent};
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

/// The figures of a load, if it could begin, and how it ended.
fn bench(url: &str, flags: &[&str]) -> (Value, Ended) {
    let ended = run(switchboard(
        &[
            &["bench", url, "--json", "--duration", "200ms", "--clients"],
            flags,
        ]
        .concat(),
    ));
    (
        serde_json::from_str(&ended.stdout).unwrap_or_default(),
        ended,
    )
}

#[test]
fn ac_11_a_load_may_be_encrypted() {
    let authority = Authority::new("client_load");
    let certificate = authority.sign("server", &Authority::params());
    let server = ServerProcess::start(&[
        "--threads",
        "2",
        "--max-message",
        "2MiB",
        "--tls-cert",
        &certificate[0],
        "--tls-key",
        &certificate[1],
    ]);
    let url = |path| format!("wss://{}{path}", server.addr());
    let ca = authority.path("ca.pem");
    for (path, more, receivers) in [
        ("/echo", &["3", "--in-flight", "4"][..], 1),
        ("/echo", &["2", "--size", "0"], 1),
        ("/echo", &["2", "--size", "70000", "--in-flight", "3"], 1),
        ("/echo", &["2", "--size", "2MiB", "--binary"], 1),
        ("/echo", &["2", "--rate", "100"], 1),
        ("/relay/a", &["11", "--mode", "fan-out"], 10),
        ("/ws", &["3", "--mode", "connect"], 1),
    ] {
        let (figures, ended) = bench(&url(path), &[more, &["--ca", &ca]].concat());
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(0), ""),
            "{more:?}: {figures}"
        );
        let count = |name: &str| figures[name].as_u64().unwrap();
        let sent = count("sent");
        assert!(
            sent > 0 && count("received") == receivers * sent,
            "{figures}"
        );
    }
    let (_, ended) = bench(&url("/echo"), &["2", "--insecure"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn ac_11_a_load_that_cannot_be_encrypted_is_one_line() {
    let authority = Authority::new("client_no_load");
    let server = start(&authority.sign("server", &Authority::params()));
    let stranger = Authority::new("client_load_stranger");
    let ca = stranger.path("ca.pem");
    let plain = ServerProcess::start(&[]);
    for (url, flags, says) in [
        (
            format!("wss://{}/echo", server.addr()),
            &["3", "--ca", &ca][..],
            "the certificate is signed by nobody who is trusted",
        ),
        (
            format!("wss://{}/echo", server.addr()),
            &["3", "--mode", "connect", "--ca", &ca],
            "the certificate is signed by nobody who is trusted",
        ),
        (
            format!("wss://{}/echo", server.addr()),
            &["3", "--ca", "nowhere.pem"],
            "cannot read nowhere.pem",
        ),
        (
            format!("ws://{}/echo", server.addr()),
            &["3"],
            "the server refuses with status 400",
        ),
        (
            format!("wss://{}/echo", plain.addr()),
            &["3", "--ca", &ca],
            "does not speak TLS",
        ),
    ] {
        let (_, ended) = bench(&url, flags);
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

#[test]
fn ac_11_a_client_of_a_hub_comes_back_without_asking_anew_whom_to_trust() {
    let authority = Authority::new("client_back");
    let certificate = authority.sign("server", &Authority::params());
    let server = start(&certificate);
    let addr = server.addr();
    let mut config = HubConfig::default();
    config.client = trusting(authority.path("ca.pem"));
    config.retry_wait_first = Duration::from_millis(20);
    let mut hub = HubClient::connect(&format!("wss://{addr}/ws"), config).unwrap();
    fs::remove_file(authority.path("ca.pem")).unwrap();
    drop(server);
    let [certificate, key] = &certificate;
    let listen = addr.to_string();
    // Besides the address that any server of a test has.
    let _server = ServerProcess::start(&[
        "--listen",
        &listen,
        "--tls-cert",
        certificate,
        "--tls-key",
        key,
    ]);
    let mut greetings = 0;
    while greetings < 2 {
        let event = hub.next_event(Some(DEADLINE)).unwrap();
        let event = event.expect("a connection in time");
        greetings += usize::from(matches!(event, HubEvent::Connected { .. }));
    }
    hub.join("room").unwrap();
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
