//! What came of a load, as a table for people and as JSON for programs.

use std::time::Duration;

use serde::Serialize;
use switchboard::client::load::{LoadConfig, LoadMode, LoadReport, LoadTarget, Pace};

/// The shares of all latencies that are shown, with their names.
const SHARES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("max", 1.0),
];

/// What the load was meant to be.
#[derive(Debug, Serialize)]
pub(super) struct Heading {
    mode: &'static str,
    url: String,
    clients: usize,
    /// In a second; `None` for as many as the server bears.
    rate: Option<f64>,
    in_flight: Option<usize>,
    size_bytes: usize,
}

/// The figures as JSON.
#[derive(Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    heading: &'a Heading,
    seconds: f64,
    sent: u64,
    received: u64,
    received_per_second: f64,
    bytes_out: u64,
    bytes_in: u64,
    errors: Errors<'a>,
    behind: u64,
    /// `null` if nothing came.
    latency_us: Option<LatencyMicros>,
}

#[derive(Serialize)]
struct Errors<'a> {
    lost: u64,
    unexpected: u64,
    ended: u64,
    first: Option<&'a str>,
}

#[derive(Serialize)]
struct LatencyMicros {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    #[serde(rename = "p99.99")]
    p99_99: f64,
    max: f64,
}

/// What the load is meant to be, in words that fit the figures.
pub(super) fn heading(target: &LoadTarget, config: &LoadConfig) -> Heading {
    let (rate, in_flight) = match config.pace {
        Pace::PerSecond(rate) => (Some(rate), None),
        Pace::InFlight(count) => (None, Some(count)),
    };
    let mode = match config.mode {
        LoadMode::Echo => "echo",
        LoadMode::FanOut => "fan-out",
        LoadMode::Connect => "connect",
    };
    Heading {
        mode,
        // Without the query, which may hold a token.
        url: target.url().to_string(),
        clients: config.client_count,
        rate,
        in_flight: in_flight.filter(|_| config.mode != LoadMode::Connect),
        size_bytes: match config.mode {
            LoadMode::Connect => 0,
            _ => config.payload_len,
        },
    }
}

/// The figures as one line of JSON.
pub(super) fn json(heading: &Heading, report: &LoadReport) -> String {
    let micros = |share| report.latency(share).map_or(0.0, micros);
    let figures = Figures {
        heading,
        seconds: report.elapsed.as_secs_f64(),
        sent: report.sent,
        received: report.received,
        received_per_second: report.rate(),
        bytes_out: report.bytes_out,
        bytes_in: report.bytes_in,
        errors: Errors {
            lost: report.lost,
            unexpected: report.unexpected,
            ended: report.ended,
            first: report.first_error.as_deref(),
        },
        behind: report.behind,
        latency_us: report.latency_mean().map(|mean| LatencyMicros {
            mean: self::micros(mean),
            p50: micros(0.5),
            p90: micros(0.9),
            p99: micros(0.99),
            p99_9: micros(0.999),
            p99_99: micros(0.9999),
            max: micros(1.0),
        }),
    };
    serde_json::to_string(&figures).expect("numbers and strings are always JSON")
}

/// The figures as a table.
pub(super) fn table(heading: &Heading, report: &LoadReport) -> String {
    let Heading {
        mode, url, clients, ..
    } = heading;
    let pace = match (heading.rate, heading.in_flight) {
        (Some(rate), _) => format!(", {rate} a second"),
        (None, Some(count)) => format!(", {count} in flight"),
        (None, None) => String::new(),
    };
    let size = match heading.mode {
        "connect" => String::new(),
        _ => format!(", {} bytes", grouped(heading.size_bytes as u64)),
    };
    let bytes_heading = match heading.mode {
        "connect" => "",
        _ => "MB per second",
    };
    let seconds = report.elapsed.as_secs_f64();
    let mut lines = vec![
        format!("{mode} at {url}: {clients} clients{pace}{size}, {seconds:.1} s"),
        String::new(),
        row(["", "count", "per second", bytes_heading]),
    ];
    let words = match heading.mode {
        "connect" => ["asked for", "opened"],
        _ => ["sent", "received"],
    };
    for (word, count, bytes) in [
        (words[0], report.sent, report.bytes_out),
        (words[1], report.received, report.bytes_in),
    ] {
        lines.push(row([
            word,
            &grouped(count),
            &whole(per_second(count, seconds)),
            &match heading.mode {
                "connect" => String::new(),
                _ => format!("{:.1}", per_second(bytes, seconds) / 1e6),
            },
        ]));
    }
    for (word, count) in [
        ("errors", report.error_count()),
        ("  lost", report.lost),
        ("  unexpected", report.unexpected),
        ("  ended", report.ended),
        ("not sent in time", report.behind),
    ] {
        if count > 0 || word == "errors" {
            lines.push(row([word, &grouped(count), "", ""]));
        }
    }
    lines.push(String::new());
    lines.extend(latencies(report));
    lines.join("\n")
}

/// The latencies as two lines: names and values.
fn latencies(report: &LoadReport) -> Vec<String> {
    let Some(mean) = report.latency_mean() else {
        return vec!["latency: nothing came".into()];
    };
    let values = SHARES.map(|(name, share)| (name, report.latency(share).unwrap_or_default()));
    let all = [("mean", mean)].into_iter().chain(values);
    let (names, values): (Vec<_>, Vec<_>) = all
        .map(|(name, value)| (format!("{name:>10}"), format!("{:>10}", shown(value))))
        .unzip();
    vec![
        format!("latency {}", names.concat()),
        format!("        {}", values.concat()),
    ]
}

/// A duration with three digits.
fn shown(duration: Duration) -> String {
    let micros = micros(duration);
    match micros {
        ..10.0 => format!("{micros:.2} µs"),
        ..100.0 => format!("{micros:.1} µs"),
        ..1e3 => format!("{micros:.0} µs"),
        ..1e4 => format!("{:.2} ms", micros / 1e3),
        ..1e5 => format!("{:.1} ms", micros / 1e3),
        ..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn row(cells: [&str; 4]) -> String {
    let [name, count, rate, bytes] = cells;
    let line = format!("{name:<16}{count:>15}{rate:>14}{bytes:>16}");
    line.trim_end().into()
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// A number without what is behind the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates; rates are positive"
)]
fn whole(number: f64) -> String {
    grouped(number.round() as u64)
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_shown_as_people_read_them() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (nanos, text) in [
            (0, "0.00 µs"),
            (1_234, "1.23 µs"),
            (56_780, "56.8 µs"),
            (999_400, "999 µs"),
            (1_500_000, "1.50 ms"),
            (123_456_789, "123 ms"),
            (12_345_678_900, "12.35 s"),
        ] {
            assert_eq!(shown(Duration::from_nanos(nanos)), text);
        }
    }
}
