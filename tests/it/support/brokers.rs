//! Runs each test twice: against the embedded broker and against Apache Kafka.

use std::io::Write;
use std::sync::Once;

use dev_broker::{BrokerConfig, DevBroker};
use tokio::sync::OnceCell;

pub use super::admin::Cluster;
pub use super::faulty::FaultyCluster;
use super::jars::kafka_jars;
use super::kafka::KafkaBroker;

/// When this variable is `1` (`.ci/run` sets it), a missing Java or Maven fails the Kafka tests
/// instead of skipping them.
const REQUIRE_KAFKA: &str = "EVENTSTREAMS_REQUIRE_KAFKA";

/// Makes each function a test `embedded::name` and a test `kafka::name`. Use it once per file, with
/// parentheses, which rustfmt formats. Each parameter is a cluster: at most two of [`Cluster`], or
/// one [`FaultyCluster`], which can lose leaders and records:
///
/// ```ignore
/// on_both_brokers!(
///     async fn a_reconnecting_client_misses_nothing(cluster: Cluster) { ... }
///     async fn a_client_moves_to_the_other_cluster(first: Cluster, second: Cluster) { ... }
///     async fn a_partition_without_a_leader_is_awaited(mut faulty: FaultyCluster) { ... }
/// );
/// ```
///
/// Each test gets a new embedded broker. All tests of the process share two Kafka brokers: take
/// topic names from [`unique`](super::admin::unique), and start a [`KafkaBroker`] for a test that
/// kills one.
#[macro_export]
macro_rules! on_both_brokers {
    ($(
        $(#[$meta:meta])*
        async fn $name:ident($($($cluster:ident)+: $kind:ident),+ $(,)?) $body:block
    )+) => {
        $($(#[$meta])*
        async fn $name($($($cluster)+: $crate::support::brokers::$kind),+) $body)+

        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut brokers = $crate::support::brokers::Brokers::embedded();
                super::$name($(
                    match brokers.cluster::<$crate::support::brokers::$kind>().await {
                        Some(cluster) => cluster,
                        None => return,
                    }
                ),+)
                .await;
            })+
        }

        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut brokers = $crate::support::brokers::Brokers::kafka();
                super::$name($(
                    match brokers.cluster::<$crate::support::brokers::$kind>().await {
                        Some(cluster) => cluster,
                        None => return,
                    }
                ),+)
                .await;
            })+
        }
    };
}

/// The brokers of one test.
pub struct Brokers {
    kafka: bool,
    clusters_taken: usize,
    embedded: Vec<DevBroker>,
}

impl Brokers {
    /// New embedded brokers, which stop when this is dropped.
    pub fn embedded() -> Self {
        Self {
            kafka: false,
            clusters_taken: 0,
            embedded: Vec::new(),
        }
    }

    /// The two Kafka brokers of the test process, started on first use.
    pub fn kafka() -> Self {
        Self {
            kafka: true,
            clusters_taken: 0,
            embedded: Vec::new(),
        }
    }

    /// The next cluster, or `None` when Kafka is neither available nor required. The skip was
    /// reported.
    pub async fn next_cluster(&mut self) -> Option<Cluster> {
        self.cluster().await
    }

    /// [`Self::next_cluster`] for any kind of cluster.
    pub async fn cluster<T: TestCluster>(&mut self) -> Option<T> {
        T::create(self).await
    }

    async fn start_embedded(&mut self) -> Option<Cluster> {
        let config = BrokerConfig {
            auto_create_topics: false,
            ..BrokerConfig::default()
        };
        let broker = DevBroker::start(config)
            .await
            .expect("a free port on loopback");
        let cluster = Cluster::new(&broker.address().to_string());
        self.embedded.push(broker);
        Some(cluster)
    }
}

/// A kind of cluster that a test may have as a parameter.
pub trait TestCluster: Sized {
    /// The next cluster, or `None` as in [`Brokers::next_cluster`].
    async fn create(brokers: &mut Brokers) -> Option<Self>;
}

impl TestCluster for Cluster {
    async fn create(brokers: &mut Brokers) -> Option<Self> {
        brokers.clusters_taken += 1;
        if brokers.kafka {
            shared_kafka(brokers.clusters_taken - 1).await
        } else {
            brokers.start_embedded().await
        }
    }
}

impl TestCluster for FaultyCluster {
    async fn create(brokers: &mut Brokers) -> Option<Self> {
        if !brokers.kafka {
            return Some(Self::embedded().await);
        }
        if kafka_available().await {
            Some(Self::kafka().await)
        } else {
            None
        }
    }
}

/// Whether tests can use Apache Kafka. Reports once why they cannot.
///
/// Fails the test instead of returning `false` where Kafka is required.
pub async fn kafka_available() -> bool {
    static REPORTED: Once = Once::new();
    let jars = tokio::task::spawn_blocking(kafka_jars)
        .await
        .expect("looking for Kafka does not panic");
    let Err(cause) = jars else { return true };
    let required = std::env::var_os(REQUIRE_KAFKA).is_some_and(|value| value == "1");
    assert!(!required, "{REQUIRE_KAFKA}=1, but: {cause}");
    REPORTED.call_once(|| print_uncaptured(&format!("KAFKA TESTS SKIPPED: {cause}")));
    false
}

async fn shared_kafka(index: usize) -> Option<Cluster> {
    static SHARED: [OnceCell<Result<KafkaBroker, String>>; 2] =
        [const { OnceCell::const_new() }; 2];
    const NAMES: [&str; 2] = ["first", "second"];
    if !kafka_available().await {
        return None;
    }
    let broker = SHARED[index]
        .get_or_init(async || KafkaBroker::try_start(NAMES[index], &[]).await)
        .await;
    match broker {
        Ok(broker) => Some(broker.cluster()),
        Err(cause) => panic!("{cause}"),
    }
}

/// Prints a line that `cargo test` does not capture: it captures the print macros, not the stream.
pub fn print_uncaptured(line: &str) {
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}
