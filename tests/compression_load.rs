//! What compression costs: memory of idle clients, memory of a bomb, processor time of a message to many
//! (`cargo test --release --test compression_load -- --ignored --nocapture --test-threads 1`).
#![cfg(feature = "deflate")]

mod peer;
mod server_process;

use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use peer::{Peer, http, opcode};
use server_process::ServerProcess;

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const COMPRESSED_TEXT: u8 = opcode::FIN | opcode::COMPRESSED | opcode::TEXT;

/// Who is measured, and who is there before, so that what the first ones cost does not count.
const CROWD: usize = 2000;

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 100 + 10_000);
    Compress::new(Compression::new(9), false)
        .compress_vec(bytes, &mut out, FlushCompress::Sync)
        .unwrap();
    out.truncate(out.len() - 4);
    out
}

/// The same of so many zeros, which are at no time all there.
fn compressed_zeros(count: usize) -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut out = Vec::with_capacity(count / 1000 + 10_000);
    let mut compress = Compress::new(Compression::new(9), false);
    for _ in 0..count / zeros.len() {
        compress
            .compress_vec(&zeros, &mut out, FlushCompress::None)
            .unwrap();
    }
    compress
        .compress_vec(&[], &mut out, FlushCompress::Sync)
        .unwrap();
    assert_eq!(compress.total_in(), count as u64);
    out.truncate(out.len() - 4);
    out
}

/// A client, and whether it has agreed to compress.
fn connect(server: &ServerProcess, path: &str, compresses: bool) -> Peer {
    if !compresses {
        return Peer::connect(server.addr(), path);
    }
    let (peer, answer) = Peer::connect_compressed(server.addr(), path, OFFER);
    assert!(answer.is_some());
    peer
}

/// So many clients who have said something and heard it, and do nothing now.
fn gather(server: &ServerProcess, compresses: bool) -> Vec<Peer> {
    let text = "{\"some\":\"text\"}".repeat(50);
    let mut peers: Vec<_> = (0..CROWD)
        .map(|_| connect(server, "/echo", compresses))
        .collect();
    for peer in &mut peers {
        if compresses {
            peer.send_frame(COMPRESSED_TEXT, &compressed(text.as_bytes()));
        } else {
            peer.send_text(&text);
        }
        assert_eq!(peer.next_message().is_compressed, compresses);
    }
    peers
}

#[test]
#[ignore = "needs 5,000 descriptors: ulimit -n 5000"]
fn ex_10_an_idle_client_that_compresses_costs_as_much_as_any_other() {
    let [plain, compressed] = [false, true].map(|compresses| {
        let server = ServerProcess::start(&["--compression", "--threads", "1"]);
        let before = gather(&server, compresses);
        let first_kib = server.rss_kib();
        let measured = gather(&server, compresses);
        let more_kib = server.rss_kib() - first_kib;
        assert_eq!(before.len(), measured.len());
        more_kib * 1024 / CROWD as u64
    });
    println!("EX-10: bytes per idle client: {plain} (plain), {compressed} (compressed)");
    assert!(compressed <= plain + plain / 10);
}

#[test]
#[ignore = "needs an optimised server, which starts with less: --release"]
fn ex_07_a_bomb_costs_the_limit_and_no_more() {
    let bomb = compressed_zeros(1 << 30);
    assert!(bomb.len() <= 1 << 20);
    let server = ServerProcess::start(&["--compression", "--threads", "1"]);
    // What everyone needs is there after the first one.
    let mut more_kib = 0;
    for _ in 0..2 {
        let mut peer = connect(&server, "/echo", true);
        let before_kib = server.reset_peak_rss();
        peer.send_frame(COMPRESSED_TEXT, &bomb);
        peer.expect_close(1009);
        more_kib = server.peak_rss_kib() - before_kib;
    }
    println!(
        "EX-07: 1 GiB of zeros in {} bytes: {more_kib} KiB at the peak",
        bomb.len()
    );
    assert!(more_kib <= 1024 + 64, "{more_kib}");
}

#[test]
#[ignore = "needs a calm machine and 2,000 descriptors: ulimit -n 2000"]
fn ex_10_a_message_to_a_thousand_costs_one_compression_and_little_time() {
    const MESSAGES: u32 = 200;
    let text = &records(1024);
    let [plain, compressed] = [false, true].map(|compresses| {
        let server = ServerProcess::start(&["--compression", "--threads", "1"]);
        let mut members: Vec<_> = (0..1000)
            .map(|_| connect(&server, "/relay/room?echo=true", compresses))
            .collect();
        let round = |members: &mut Vec<Peer>| {
            members[0].send_text(text);
            for member in members {
                let frame = member.next_message();
                assert_eq!(frame.is_compressed, compresses);
                assert_eq!(frame.payload.len() < text.len() / 2, compresses);
            }
        };
        round(&mut members);
        let compressions = compression_count(&server);
        let before = server.processor_time();
        for _ in 0..MESSAGES {
            round(&mut members);
        }
        let time: Duration = (server.processor_time() - before) / MESSAGES;
        let compressions = compression_count(&server) - compressions;
        assert_eq!(
            compressions,
            if compresses { u64::from(MESSAGES) } else { 0 }
        );
        time
    });
    println!("EX-10: a message to 1,000: {plain:?} (plain), {compressed:?} (compressed)");
    assert!(compressed < plain * 13 / 10);
}

/// So many bytes of JSON as people and machines send it: of 1 KiB less than a half is left.
fn records(len: usize) -> String {
    const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "eve", "mallory"];
    const WORDS: [&str; 16] = [
        "meeting", "tomorrow", "the", "server", "is", "down", "again", "please", "look", "at",
        "this", "price", "before", "noon", "branch", "merged",
    ];
    let mut noise = 1_u32;
    let mut next = |below: u32| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 16) % below
    };
    let mut text = String::from("[");
    while text.len() < len {
        let words: Vec<_> = (0..8).map(|_| WORDS[next(16) as usize]).collect();
        text += &format!(
            "{{\"id\":{},\"user\":\"{}\",\"at\":\"2026-01-{:02}T{:02}:{:02}Z\",\"text\":\"{}\"}},",
            next(60_000),
            NAMES[next(6) as usize],
            1 + next(28),
            next(24),
            next(60),
            words.join(" ")
        );
    }
    text.truncate(len);
    text
}

/// How many messages the server has compressed.
fn compression_count(server: &ServerProcess) -> u64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (_, response) = http(server.addr(), request);
    let text = String::from_utf8(response.body).unwrap();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix("switchboard_compressions_total "));
    count.expect("the metric").parse().unwrap()
}
