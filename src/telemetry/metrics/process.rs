//! The process as the system sees it, under the names of Prometheus' own clients.
//!
//! Each scrape reads `/proc`. Without `/proc` there are no such metrics.

use metrics::Key;

use super::text::{self, Kind};

/// One metric of the process.
struct Row {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: fn(&Process) -> Option<f64>,
}

const ROWS: &[Row] = &[
    Row {
        name: "process_cpu_seconds",
        help: "Seconds of CPU, user and system",
        kind: Kind::Counter,
        value: Process::cpu_seconds,
    },
    Row {
        name: "process_open_fds",
        help: "Open file descriptors",
        kind: Kind::Gauge,
        value: |_| open_files(),
    },
    Row {
        name: "process_max_fds",
        help: "File descriptors that may be open",
        kind: Kind::Gauge,
        value: |process| process.open_files_max,
    },
    Row {
        name: "process_resident_memory_bytes",
        help: "Resident memory",
        kind: Kind::Gauge,
        value: |process| process.status_bytes("VmRSS:"),
    },
    Row {
        name: "process_virtual_memory_bytes",
        help: "Virtual memory",
        kind: Kind::Gauge,
        value: |process| process.status_bytes("VmSize:"),
    },
    Row {
        name: "process_threads",
        help: "Threads",
        kind: Kind::Gauge,
        value: |process| process.status("Threads:"),
    },
    Row {
        name: "process_start_time_seconds",
        help: "Start, in seconds since 1970",
        kind: Kind::Gauge,
        value: Process::start_seconds,
    },
];

/// Writes the metrics of the process.
pub(super) fn render(text: &mut String) {
    let process = Process::read();
    for row in ROWS {
        if let Some(value) = (row.value)(&process) {
            text::write_description(text, row.name, row.help, row.kind);
            text::write_sample(text, &Key::from_static_name(row.name), row.kind, value);
        }
    }
}

/// The files of `/proc`; empty without `/proc`.
struct Process {
    /// The fields of `/proc/self/stat` from the third on. The second, the name of the program, may
    /// contain spaces (`proc_pid_stat(5)`).
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
            // The fields that are not numbers are not used.
            stat: fields.map(|field| field.parse().unwrap_or(0)).collect(),
            status: text("/proc/self/status"),
            open_files_max: open_files
                .and_then(|line| line.split_whitespace().next()?.parse().ok()),
        }
    }

    /// A time: the field with this number in the manual.
    #[expect(
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

#[expect(clippy::cast_precision_loss, reason = "the number of files is small")]
fn open_files() -> Option<f64> {
    // One of them is the folder itself, open for reading.
    std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|files| files.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn the_process_has_the_names_of_prometheus_own_clients() {
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
