//! What a process costs, as the kernel tells it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// CPU time of all threads of a process, ended ones too, in user and system mode. The kernel counts
/// the sum exactly and rounds it to ticks (10 ms).
pub fn cpu_time(id: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process has ended")?;
    // The second field is the name, in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("a /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Fields 14 and 15 of proc_pid_stat(5); the third is the first here.
    let ticks = |field: usize| {
        fields
            .get(field - 3)
            .and_then(|text| text.parse::<u64>().ok())
            .context("a number of ticks")
    };
    let ticks = ticks(14)? + ticks(15)?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}

/// Seconds of CPU time since `before`.
pub fn cpu_since(id: u32, before: Duration) -> anyhow::Result<f64> {
    Ok(cpu_time(id)?.saturating_sub(before).as_secs_f64())
}

/// Resident memory in bytes.
pub fn resident_bytes(id: u32) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{id}/status")).context("the process has ended")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("a number of kB")?;
    Ok(kib * 1024)
}

/// Threads of a process.
pub fn threads(id: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{id}/task"))
        .context("the process has ended")?
        .count())
}
