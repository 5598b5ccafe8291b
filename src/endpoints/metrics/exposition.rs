//! The counters as text in the `OpenMetrics` format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::process;
use crate::metrics::{BOUNDS, Counters, Counts, Histogram, Label, Metrics};

/// The media type of the text.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of all loops together. Its length depends on nothing that peers do, save the length of the numbers.
pub(super) fn text(metrics: &Metrics) -> String {
    let mut registry = Registry::with_prefix("switchboard");
    registry.register_collector(Box::new(Exposition(metrics.clone())));
    let mut text = String::new();
    // A string takes whatever is written to it.
    let _ = text::encode(&mut text, &registry);
    text
}

/// The counters as the library asks for them.
#[derive(Debug)]
struct Exposition(Metrics);

/// A count of one loop.
type Read = fn(&Counters) -> u64;

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page {
            metrics: &self.0,
            encoder,
        };
        page.write_connections()?;
        page.write_deliveries()?;
        page.write_turns()?;
        page.write_process()
    }
}

/// Metrics that are written one after the other.
struct Page<'a, 'e> {
    metrics: &'a Metrics,
    encoder: DescriptorEncoder<'e>,
}

impl Page<'_, '_> {
    fn write_connections(&mut self) -> fmt::Result {
        self.counter("connections_accepted", "Connections that came", |it| {
            it.accepted.get()
        })?;
        self.gauge("connections_open", "Connections that are open", |it| {
            it.open.get()
        })?;
        let help = "Connections that have ended, by what ended them";
        self.family("connections_ended", help, "cause", |it| &it.ended)?;
        let help = "WebSocket handshakes that were accepted";
        self.counter("upgrades", help, |it| it.upgraded.get())?;
        let help = "Connections that encryption was agreed upon for";
        self.counter("connections_encrypted", help, |it| it.encrypted.get())?;
        let help = "HTTP responses but 101";
        self.family("http_responses", help, "status", |it| &it.responses)?;
        let help = "Close frames of ended WebSockets that the server sent";
        self.family("closes_sent", help, "code", |it| &it.closes_sent)?;
        let help = "Close frames of ended WebSockets that came from peers";
        self.family("closes_received", help, "code", |it| &it.closes_received)?;
        let help = "Errors of accepting, by what they are about";
        self.family("accept_errors", help, "about", |it| &it.accept_errors)
    }

    fn write_deliveries(&mut self) -> fmt::Result {
        self.counter("bytes_in", "Bytes read from sockets", |it| {
            it.bytes_in.get()
        })?;
        self.counter("bytes_out", "Bytes written to sockets", |it| {
            it.bytes_out.get()
        })?;
        self.counter("messages_in", "Messages that came", |it| {
            it.messages_in.get()
        })?;
        #[cfg(feature = "deflate")]
        self.write_compressions()?;
        let help = "Messages that were to be sent, once for each receiver";
        self.counter("fan_out", help, |it| it.fan_out.get())?;
        let help = "Messages whose last byte was written to the socket of a receiver; whether it came there is not known";
        self.counter("delivered", help, |it| it.delivered.get())?;
        let help = "Messages that a receiver will not get, by why";
        self.family("dropped", help, "reason", |it| &it.dropped)?;
        let help = "Messages of which something still has to be written";
        self.gauge("queued", help, |it| it.queued.get())?;
        let help = "Bytes held for connections: of what waits, once for each receiver, and of what has begun to come";
        self.gauge("held_bytes", help, |it| it.outbox_bytes.get())?;
        let help = "Peers that were given up on because of what waited for them, by why";
        self.family("evicted", help, "reason", |it| &it.evicted)?;
        let help = "Time from a ping to its pong, in whole milliseconds";
        self.histogram("ping_time", help, |it| &it.ping_time)
    }

    #[cfg(feature = "deflate")]
    fn write_compressions(&mut self) -> fmt::Result {
        let help = "Messages that were compressed, once for all receivers that get the same";
        self.counter("compressions", help, |it| it.compressions.get())?;
        let help = "Bytes of messages before they were compressed";
        self.counter("compressed_bytes_before", help, |it| {
            it.compressed_bytes_before.get()
        })?;
        let help = "Bytes of messages after they were compressed";
        self.counter("compressed_bytes_after", help, |it| {
            it.compressed_bytes_after.get()
        })
    }

    fn write_turns(&mut self) -> fmt::Result {
        let help = "Time of one turn of an event loop, waiting not included";
        self.histogram("turn_time", help, |it| &it.turn_time)?;
        let help = "Turns that left work to the next one because of a budget";
        self.family("budgets_hit", help, "budget", |it| &it.budgets_hit)
    }

    fn write_process(&mut self) -> fmt::Result {
        if let Some(bytes) = process::resident_bytes() {
            let help = "Memory that the process has now";
            self.value("resident_memory", help, Some(&Unit::Bytes), bytes)?;
        }
        if let Some(count) = process::descriptor_count() {
            self.value("descriptors", "Open file descriptors", None, count)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, read: Read) -> fmt::Result {
        let value = self.metrics.sum(read);
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        count(&mut metric, value)
    }

    fn gauge(&mut self, name: &str, help: &str, read: Read) -> fmt::Result {
        self.value(name, help, None, self.metrics.sum(read))
    }

    fn value(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.encoder
            .encode_descriptor(name, help, unit, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    /// A counter for each value of a label.
    fn family<L: Label, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        read: fn(&Counters) -> &Counts<L, N>,
    ) -> fmt::Result {
        let mut values = [0_u64; N];
        for counters in self.metrics.loops() {
            for (value, more) in values.iter_mut().zip(read(counters).iter()) {
                *value = value.wrapping_add(more);
            }
        }
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, value) in L::NAMES.iter().zip(values) {
            count(&mut family.encode_family(&[(label, *name)])?, value)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        read: fn(&Counters) -> &Histogram,
    ) -> fmt::Result {
        let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64());
        let mut classes: Vec<(f64, u64)> =
            bounds.chain([f64::INFINITY]).map(|it| (it, 0)).collect();
        let mut sum = 0.0;
        for counters in self.metrics.loops() {
            let histogram = read(counters);
            sum += histogram.sum().as_secs_f64();
            for ((_, value), more) in classes.iter_mut().zip(histogram.classes()) {
                *value = value.wrapping_add(more);
            }
        }
        let count = classes.iter().map(|(_, value)| value).sum();
        let unit = Some(&Unit::Seconds);
        self.encoder
            .encode_descriptor(name, help, unit, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &classes, None)
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, f64>(&value, None)
}
