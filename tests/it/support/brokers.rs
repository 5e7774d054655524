//! Every behaviour is tested twice, by the same lines: against the embedded broker and against Apache Kafka.

use std::io::Write;
use std::sync::Once;

use dev_broker::{BrokerConfig, DevBroker};
use tokio::sync::OnceCell;

pub use super::admin::Cluster;
pub use super::faulty::FaultyCluster;
use super::jars::kafka_jars;
use super::kafka::KafkaBroker;

/// Set to `1` (by `.ci/run`), a missing Java or Maven fails the Kafka part instead of leaving it out.
const REQUIRE_KAFKA: &str = "EVENTSTREAMS_REQUIRE_KAFKA";

/// Makes each function a test `embedded::name` and a test `kafka::name`. One invocation per file; each parameter is a cluster of its own:
/// a [`Cluster`], at most two, or a [`FaultyCluster`], which can lose leaders and records:
///
/// ```ignore
/// on_both_brokers! {
///     async fn a_client_that_comes_back_misses_nothing(cluster: Cluster) { ... }
///     async fn a_client_moves_to_the_other_cluster(first: Cluster, second: Cluster) { ... }
///     async fn a_partition_without_a_leader_is_waited_for(faulty: FaultyCluster) { ... }
/// }
/// ```
///
/// An embedded broker is new for each test; the two Kafka brokers are shared by all tests of the process: take topic names from
/// [`unique`](super::admin::unique), and take a [`KafkaBroker`] of your own for a test that kills one.
#[macro_export]
macro_rules! on_both_brokers {
    ($($(#[$meta:meta])* async fn $name:ident($($cluster:ident: $kind:ident),+ $(,)?) $body:block)+) => {
        $($(#[$meta])*
        #[allow(unused_mut, reason = "a cluster that can fall sick changes")]
        async fn $name($(mut $cluster: $crate::support::brokers::$kind),+) $body)+

        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut brokers = $crate::support::brokers::Brokers::embedded();
                $(let Some($cluster) = brokers.cluster::<$crate::support::brokers::$kind>().await else { return };)+
                super::$name($($cluster),+).await;
            })+
        }

        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut brokers = $crate::support::brokers::Brokers::kafka();
                $(let Some($cluster) = brokers.cluster::<$crate::support::brokers::$kind>().await else { return };)+
                super::$name($($cluster),+).await;
            })+
        }
    };
}

/// The brokers of one test, one after the other.
pub struct Brokers {
    kafka: bool,
    given: usize,
    embedded: Vec<DevBroker>,
}

impl Brokers {
    /// New embedded brokers, gone when this is dropped.
    pub fn embedded() -> Self {
        Self {
            kafka: false,
            given: 0,
            embedded: Vec::new(),
        }
    }

    /// The test process's two Kafka brokers, started when first asked for.
    pub fn kafka() -> Self {
        Self {
            kafka: true,
            given: 0,
            embedded: Vec::new(),
        }
    }

    /// The next cluster; `None` when there is no Kafka here and none is required: the test is then left out, which has been said.
    pub async fn next_cluster(&mut self) -> Option<Cluster> {
        self.cluster().await
    }

    /// The same for a cluster of any kind.
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

/// What a test can ask for.
pub trait TestCluster: Sized {
    /// The next one of this kind; `None` as [`Brokers::next_cluster`].
    async fn create(brokers: &mut Brokers) -> Option<Self>;
}

impl TestCluster for Cluster {
    async fn create(brokers: &mut Brokers) -> Option<Self> {
        brokers.given += 1;
        if brokers.kafka {
            shared_kafka(brokers.given - 1).await
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

/// Whether tests that need Apache Kafka can run: `true`, or `false` after one loud line.
///
/// Fails the test instead of returning `false` where Kafka is required.
pub async fn kafka_available() -> bool {
    static SAID: Once = Once::new();
    let jars = tokio::task::spawn_blocking(kafka_jars)
        .await
        .expect("looking for Kafka does not panic");
    let Err(cause) = jars else { return true };
    let required = std::env::var_os(REQUIRE_KAFKA).is_some_and(|value| value == "1");
    assert!(!required, "{REQUIRE_KAFKA}=1, but: {cause}");
    SAID.call_once(|| say(&format!("KAFKA TESTS SKIPPED: {cause}")));
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

/// One line that is seen although `cargo test` captures what passing tests print: it captures the print macros, not the stream.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}
