//! An Apache Kafka that the tests start: one JVM that is broker and controller (KRaft), on
//! loopback, in its own folder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::admin::Cluster;
use super::deadline::TIMEOUT;
use super::jars::kafka_jars;

/// The shell between the test process and the JVM. It ends when the JVM ends. It kills the JVM and
/// removes the folder when its standard input closes, so no broker outlives its test process: the
/// kernel closes the pipe even after `kill -9`. A signal name on standard input is sent to the JVM,
/// and the folder stays for a restart.
const SUPERVISOR: &str = r#"
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & java=$!
{
  if read -r signal; then
    kill -s "$signal" "$java"
  else
    : >"$folder/abandoned"
    kill -s KILL "$java"
  fi
} <&3 2>/dev/null & watcher=$!
exec 3<&-
wait "$java"; status=$?
kill "$watcher" 2>/dev/null
if [ -e "$folder/abandoned" ]; then rm -rf -- "$folder"; fi
exit "$status"
"#;

/// Small and quick to start; performance under load does not matter.
const JVM: [&str; 7] = [
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// Settings of every test broker. For a repeated key the last line wins, so the settings of the
/// caller follow these.
const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={folder}/log
auto.create.topics.enable=false
# Keep records with old timestamps, and accept timestamps of the future.
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
message.max.bytes=11534336
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed broker can return only after its last session ends: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# Compact at once, with little memory.
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.io.buffer.size=65536
log.cleaner.backoff.ms=100
# Look for expired transactions every second instead of every ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# Allow everything that no ACL denies.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
";

/// A running Apache Kafka. Dropping it kills it and removes its folder.
pub struct KafkaBroker {
    /// `127.0.0.1:port`, for `metadata.broker.list`.
    pub bootstrap: String,
    /// A free port for another listener, `{extra_port}` in extra properties.
    pub extra_port: u16,
    /// Another free port, `{second_extra_port}`.
    pub second_extra_port: u16,
    name: String,
    cluster_id: String,
    controller_port: u16,
    folder: TempDir,
    supervisor: Option<Child>,
}

impl KafkaBroker {
    /// Starts a new, empty broker and waits until it responds. `name` appears only in failures.
    pub async fn start(name: &str) -> Self {
        Self::try_start(name, &[])
            .await
            .unwrap_or_else(|cause| panic!("{cause}"))
    }

    /// [`Self::start`] with more server properties, in which `{port}`, `{controller_port}`,
    /// `{extra_port}`, `{second_extra_port}` and `{folder}` stand for values of this broker.
    ///
    /// # Errors
    /// The broker ended or did not respond. The message holds the end of its log.
    pub async fn try_start(name: &str, extra: &[(&str, &str)]) -> Result<Self, String> {
        // Each broker has its own cluster id: 16 bytes in URL-safe base64, of which hexadecimal
        // digits are a subset. The last of its 22 digits has four unused bits, which must be 0.
        let cluster_id = format!("{:.21}A", uuid::Uuid::new_v4().simple().to_string());
        Self::try_start_in(&cluster_id, name, extra).await
    }

    /// Starts a second node of this broker's cluster, with id 2, which is not a controller.
    pub async fn start_second_node(&self) -> Self {
        let voters = format!("1@127.0.0.1:{}", self.controller_port);
        let extra = [
            ("process.roles", "broker"),
            ("node.id", "2"),
            ("controller.quorum.voters", voters.as_str()),
            ("listeners", "PLAINTEXT://127.0.0.1:{port}"),
        ];
        let name = format!("{}, second node", self.name);
        Self::try_start_in(&self.cluster_id, &name, &extra)
            .await
            .unwrap_or_else(|cause| panic!("{cause}"))
    }

    async fn try_start_in(
        cluster_id: &str,
        name: &str,
        extra: &[(&str, &str)],
    ) -> Result<Self, String> {
        // Another process may take a port before Kafka binds it: retry with other ports.
        for _ in 0..3 {
            let mut broker = Self::prepare_storage(cluster_id, name, extra)?;
            match broker.run().await {
                Ok(()) => return Ok(broker),
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => return Err(format!("Kafka {name} did not start:\n{log}")),
            }
        }
        Err(format!(
            "Kafka {name} found its ports taken three times in a row"
        ))
    }

    /// The cluster of this broker.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(&self.bootstrap)
    }

    /// Writes a file into the broker's folder, where another process finds it.
    pub fn write_file(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("a file in the broker's folder");
    }

    /// Adds a user for SCRAM-SHA-512.
    pub fn add_scram_user(&self, name: &str, password: &str) {
        let config = format!("SCRAM-SHA-512=[password={password}]");
        let output = Command::new("java")
            .args(java_args("kafka.admin.ConfigCommand"))
            .args([
                "--bootstrap-server",
                &self.bootstrap,
                "--alter",
                "--entity-type",
                "users",
            ])
            .args(["--entity-name", name, "--add-config", &config])
            .output()
            .expect("java runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `kill -9`: nothing is flushed, no client is notified. The folder stays.
    pub fn kill(&mut self) {
        self.signal_and_wait("KILL");
    }

    /// Sends SIGTERM and waits for the end. The folder stays.
    pub fn stop(&mut self) {
        self.signal_and_wait("TERM");
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`], on the same ports and folder, and
    /// waits until it responds.
    pub async fn restart(&mut self) {
        assert!(
            self.supervisor.is_none(),
            "Kafka {} is still running: kill() or stop() it first",
            self.name
        );
        if let Err(log) = self.run().await {
            panic!("Kafka {} did not start again:\n{log}", self.name);
        }
    }

    /// Writes server.properties and formats the storage. Starts nothing.
    fn prepare_storage(
        cluster_id: &str,
        name: &str,
        extra: &[(&str, &str)],
    ) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("eventstreams-kafka-")
            .tempdir()
            .expect("a temporary folder");
        let [port, controller_port, extra_port, second_extra_port] = free_ports();
        let mut properties = PROPERTIES.to_owned();
        for (key, value) in extra {
            properties.extend([key, "=", value, "\n"]);
        }
        let properties = properties
            .replace("{port}", &port.to_string())
            .replace("{controller_port}", &controller_port.to_string())
            .replace("{extra_port}", &extra_port.to_string())
            .replace("{second_extra_port}", &second_extra_port.to_string())
            .replace("{folder}", &folder.path().display().to_string());
        fs::write(folder.path().join("server.properties"), properties)
            .expect("server.properties is written");
        let output = Command::new("java")
            .args(java_args("kafka.tools.StorageTool"))
            .args(["format", "--cluster-id", cluster_id, "--config"])
            .arg(folder.path().join("server.properties"))
            .output()
            .expect("java runs");
        if !output.status.success() {
            return Err(format!(
                "storage of Kafka {name} was not formatted:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let bootstrap = format!("127.0.0.1:{port}");
        Ok(Self {
            bootstrap,
            extra_port,
            second_extra_port,
            name: name.to_owned(),
            cluster_id: cluster_id.to_owned(),
            controller_port,
            folder,
            supervisor: None,
        })
    }

    /// Starts the JVM and waits until the broker responds. The error is the end of its log.
    async fn run(&mut self) -> Result<(), String> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("broker.log"))
            .expect("broker.log opens");
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(self.folder.path())
            .arg("java")
            .args(java_args("kafka.Kafka"))
            .arg(self.folder.path().join("server.properties"))
            .current_dir(self.folder.path())
            // Ctrl-C in the terminal reaches only the test process; the broker ends with the pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle of broker.log"))
            .stderr(log)
            .spawn()
            .expect("sh runs");
        let supervisor = self.supervisor.insert(supervisor);
        let cluster = Cluster::new(&self.bootstrap);
        let started = std::time::Instant::now();
        while !cluster.is_reachable().await {
            let ended = supervisor
                .try_wait()
                .expect("sh can be waited for")
                .is_some();
            if ended || started.elapsed() > TIMEOUT {
                return Err(tail(&self.folder.path().join("broker.log")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The file with the records of a partition that has only one segment.
    pub fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        self.folder
            .path()
            .join(format!("log/{topic}-{partition}/00000000000000000000.log"))
    }

    fn signal_and_wait(&mut self, signal: &str) {
        let mut supervisor = self
            .supervisor
            .take()
            .unwrap_or_else(|| panic!("Kafka {} is not running", self.name));
        let stdin = supervisor.stdin.as_mut().expect("standard input is a pipe");
        // This fails only when the JVM has already ended.
        let _ = writeln!(stdin, "{signal}");
        supervisor.wait().expect("sh can be waited for");
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            drop(supervisor.stdin.take());
            let _ = supervisor.wait();
        }
    }
}

/// The arguments of `java` that run a class of the Kafka jars.
fn java_args(class: &str) -> Vec<OsString> {
    let jars = kafka_jars().expect("java and Kafka's jars are there: ask kafka_jars() first");
    let mut args: Vec<OsString> = JVM.iter().map(OsString::from).collect();
    args.extend(["-cp".into(), jars.join("*").into_os_string(), class.into()]);
    args
}

/// Four free ports below the range of ephemeral ports. Otherwise a client that reconnects to a
/// stopped broker could get the port of the broker and connect to itself.
pub fn free_ports() -> [u16; 4] {
    let mut listeners = Vec::new();
    while listeners.len() < 4 {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let port = u16::try_from(15_000 + random % 17_000).expect("below 32,000");
        listeners.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    [0, 1, 2, 3].map(|i: usize| {
        listeners[i]
            .local_addr()
            .expect("a bound listener has an address")
            .port()
    })
}

/// The last 40 lines, which name the cause.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|err| format!("(no log: {err})"));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
