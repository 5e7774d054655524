//! How much memory this process may use: what its container allows, else what the machine has.

use std::path::Path;

/// The minimum of the default budget. A container that cannot provide it is too small to serve
/// from.
const BUDGET_MIN: usize = 64 << 20;

/// The budget when the operator sets none: half of what the memory log leaves. The other half is
/// for the program, librdkafka, the kernel's socket buffers, and what the allocator cannot release
/// at once.
#[must_use]
pub fn default_budget(memory_log_bytes_max: usize) -> usize {
    let memory = memory(Path::new("/"), machine());
    (memory.saturating_sub(memory_log_bytes_max) / 2).max(BUDGET_MIN)
}

/// The smallest limit of the cgroups of this process (version 2 or 1), else the machine's memory,
/// in bytes.
fn memory(root: &Path, machine: usize) -> usize {
    // Version 1 expresses "no limit" as a huge number.
    cgroup(root).map_or(machine, |limit| machine.min(limit))
}

fn cgroup(root: &Path) -> Option<usize> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let version_2 = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let version_1 = groups
        .lines()
        .find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
    let limits = [
        (version_1, "sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        (version_2, "sys/fs/cgroup", "memory.max"),
    ];
    limits
        .into_iter()
        .filter_map(|(path, mount, file)| limit_at(&root.join(mount), path?, file))
        .min()
}

/// The smallest limit from the group at `path` up to the root of its hierarchy. In a container only
/// the host may see the path: the root is then the container's own.
fn limit_at(mount: &Path, path: &str, file: &str) -> Option<usize> {
    let group = Path::new(path.trim_start_matches('/'));
    let read = |group: &Path| {
        std::fs::read_to_string(mount.join(group).join(file))
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    };
    group.ancestors().filter_map(read).min()
}

/// The memory of the machine, from the kernel: a service may not see `/proc/meminfo`.
#[expect(
    clippy::useless_conversion,
    reason = "the kernel's integers have another size on other machines"
)]
fn machine() -> usize {
    let info = rustix::system::sysinfo();
    let bytes = u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit));
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_with(files: &[(&str, &str)]) -> usize {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        memory(root.path(), 8 << 30)
    }

    #[test]
    fn the_limit_of_a_container_counts() {
        let own = ("proc/self/cgroup", "0::/\n");
        assert_eq!(
            memory_with(&[own, ("sys/fs/cgroup/memory.max", "1073741824\n")]),
            1 << 30
        );
        assert_eq!(
            memory_with(&[own, ("sys/fs/cgroup/memory.max", "max\n")]),
            8 << 30
        );
        let hosts = ("proc/self/cgroup", "0::/kubepods/pod1/c1\n");
        assert_eq!(
            memory_with(&[hosts, ("sys/fs/cgroup/memory.max", "1073741824\n")]),
            1 << 30
        );
    }

    #[test]
    fn the_smallest_limit_up_to_the_root_counts() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let upper = ("sys/fs/cgroup/a/memory.max", "1000\n");
        let lower = ("sys/fs/cgroup/a/b/memory.max", "2000\n");
        assert_eq!(memory_with(&[own, upper, lower]), 1000);
    }

    #[test]
    fn version_1_is_read_too() {
        let own = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1\n0::/\n");
        let limit =
            |text| memory_with(&[own, ("sys/fs/cgroup/memory/memory.limit_in_bytes", text)]);
        assert_eq!(
            (limit("536870912\n"), limit("9223372036854771712\n")),
            (1 << 29, 8 << 30)
        );
    }

    #[test]
    fn without_a_container_the_machine_counts() {
        assert_eq!(memory_with(&[]), 8 << 30);
        assert!(machine() > 1 << 24, "{} bytes", machine());
        assert!(default_budget(usize::MAX) == BUDGET_MIN && default_budget(0) > BUDGET_MIN);
    }
}
