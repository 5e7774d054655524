//! The process as the system sees it, under the names that Prometheus' own clients use. Read out of `/proc` when it is asked
//! for; where there is none, there are no such metrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// See the module.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

/// Name, help, kind, and where the number is found.
type Row = (
    &'static str,
    &'static str,
    MetricType,
    fn(&Process) -> Option<f64>,
);

const ROWS: &[Row] = &[
    (
        "process_cpu_seconds",
        "Seconds of CPU, user and system",
        MetricType::Counter,
        Process::cpu_seconds,
    ),
    (
        "process_open_fds",
        "Open file descriptors",
        MetricType::Gauge,
        |_| open_files(),
    ),
    (
        "process_max_fds",
        "File descriptors that may be open",
        MetricType::Gauge,
        |process| process.open_files_max,
    ),
    (
        "process_resident_memory_bytes",
        "Resident memory",
        MetricType::Gauge,
        |process| process.status_bytes("VmRSS:"),
    ),
    (
        "process_virtual_memory_bytes",
        "Virtual memory",
        MetricType::Gauge,
        |process| process.status_bytes("VmSize:"),
    ),
    ("process_threads", "Threads", MetricType::Gauge, |process| {
        process.status("Threads:")
    }),
    (
        "process_start_time_seconds",
        "Start, in seconds since 1970",
        MetricType::Gauge,
        Process::start_seconds,
    ),
];

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let process = Process::read();
        for (name, help, kind, value) in ROWS {
            let Some(value) = value(&process) else {
                continue;
            };
            let encoder = encoder.encode_descriptor(name, help, None, *kind)?;
            match kind {
                MetricType::Counter => ConstCounter::new(value).encode(encoder)?,
                _ => ConstGauge::new(value).encode(encoder)?,
            }
        }
        Ok(())
    }
}

/// The files of `/proc` that say so; empty where there are none.
struct Process {
    /// `/proc/self/stat` behind the name of the program, which may hold spaces (`proc_pid_stat(5)`): its third field on.
    stat: Vec<u64>,
    status: String,
    open_files_max: Option<f64>,
}

impl Process {
    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let stat = text("/proc/self/stat");
        let fields = stat
            .rsplit_once(')')
            .map_or("", |(_, fields)| fields)
            .split_whitespace();
        let limits = text("/proc/self/limits");
        let open_files = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        Self {
            // Those that are no such numbers are not asked for.
            stat: fields.map(|field| field.parse().unwrap_or(0)).collect(),
            status: text("/proc/self/status"),
            open_files_max: open_files
                .and_then(|line| line.split_whitespace().next()?.parse().ok()),
        }
    }

    /// Field `number` as the manual counts, which is a time.
    #[allow(
        clippy::cast_precision_loss,
        reason = "ticks since the system's start stay far below 2^52"
    )]
    fn seconds(&self, number: usize) -> Option<f64> {
        Some(*self.stat.get(number - 3)? as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    fn cpu_seconds(&self) -> Option<f64> {
        Some(self.seconds(14)? + self.seconds(15)?)
    }

    fn start_seconds(&self) -> Option<f64> {
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let booted: f64 = system
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        Some(booted + self.seconds(22)?)
    }

    fn status(&self, name: &str) -> Option<f64> {
        let value = self
            .status
            .lines()
            .find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse().ok()
    }

    fn status_bytes(&self, name: &str) -> Option<f64> {
        self.status(name).map(|kib| kib * 1024.0)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a count of files")]
fn open_files() -> Option<f64> {
    // One of them is the folder that is being read.
    std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|files| files.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn the_process_is_described_by_prometheus_own_names() {
        let files: Vec<_> = (0..100)
            .map(|_| std::fs::File::open("/dev/null").expect("a file"))
            .collect();
        let held = vec![1_u8; 64 << 20];
        let text = Metrics::default().render();
        let sample = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in {text}"))
                .parse()
                .expect("a number")
        };
        assert!((100.0..sample("process_max_fds")).contains(&sample("process_open_fds")));
        assert!(
            (64e6..sample("process_virtual_memory_bytes"))
                .contains(&sample("process_resident_memory_bytes"))
        );
        assert!((0.0..1e6).contains(&sample("process_cpu_seconds_total")));
        assert!((2.0..1e4).contains(&sample("process_threads")));
        let now = crate::cursor::TimestampMs::now().as_secs_f64();
        assert!(
            (now - 3600.0..now + 2.0).contains(&sample("process_start_time_seconds")),
            "{now}"
        );
        assert!(
            text.contains("# TYPE process_cpu_seconds_total counter\n"),
            "{text}"
        );
        drop((files, held));
    }
}
