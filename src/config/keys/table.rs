//! The rows of the table of keys.
//!
//! `config/production.yaml` and docs/configuration.md list the same keys with the same texts; tests
//! compare them.
//!
//! * `service`: logs, addresses, headers, clients.
//! * `events`: streams, Kafka, memory, time.

mod events;
mod service;

use super::Key;

const GIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;
const DAY_S: u64 = 86_400;

/// Every key of the file, in the order of the documentation.
pub static KEYS: &[Key] = &joined::<{ service::KEYS.len() + events::KEYS.len() }>();

const fn joined<const N: usize>() -> [Key; N] {
    let mut keys = [service::KEYS[0]; N];
    let mut index = 0;
    while index < N {
        keys[index] = match index.checked_sub(service::KEYS.len()) {
            None => service::KEYS[index],
            Some(index) => events::KEYS[index],
        };
        index += 1;
    }
    keys
}
