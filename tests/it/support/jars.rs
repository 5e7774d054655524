//! Java, Maven and the jars of Kafka: whether the suite can run against Apache Kafka.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The only place that names the version of Kafka.
const POM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/pom.xml");
/// In the target directory of cargo: fetched once, removed by `cargo clean`.
const JARS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kafka-jars");
/// The oldest Java that Kafka 4 runs on.
const JAVA_MIN: u32 = 17;

/// The folder with the jars of the Kafka broker. The first call fetches them through Maven; all
/// calls of a process return the same result.
///
/// # Errors
/// Java is missing or too old, Maven is missing, or Maven cannot fetch the jars. The message says
/// what to do.
pub fn kafka_jars() -> Result<&'static Path, String> {
    static ANSWER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| check_java().and_then(|()| fetch_jars()))
        .as_deref()
        .map_err(Clone::clone)
}

fn check_java() -> Result<(), String> {
    let install =
        format!("install a JDK {JAVA_MIN} or newer to run the suite against Apache Kafka");
    let output = Command::new("java")
        .arg("-version")
        .output()
        .map_err(|_| format!("java not found; {install}"))?;
    // Written to standard error: openjdk version "17.0.15" 2025-04-15
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = java_version(&text)
        .ok_or_else(|| format!("`java -version` printed no version; {install}"))?;
    if version < JAVA_MIN {
        Err(format!("java is version {version}; {install}"))
    } else {
        Ok(())
    }
}

/// The feature release in the first line of `java -version`: 17 for `17.0.15`, 8 for `1.8.0_402`.
pub fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut numbers = quoted.split(['.', '-', '_', '+']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        version => Some(version),
    }
}

/// Fetches the jars under a file lock, because several test processes may run at once. The marker
/// file holds the pom of the jars, so that a new version of Kafka is fetched and an incomplete
/// fetch is not used.
fn fetch_jars() -> Result<PathBuf, String> {
    let folder = PathBuf::from(JARS);
    let failed_to = |what: &str, err: std::io::Error| format!("{what} {}: {err}", folder.display());
    let pom = fs::read_to_string(POM).map_err(|err| format!("read {POM}: {err}"))?;
    let lock = File::create(folder.with_extension("lock"))
        .map_err(|err| failed_to("create the lock beside", err))?;
    lock.lock().map_err(|err| failed_to("lock", err))?;
    let marker = folder.join("complete");
    if fs::read_to_string(&marker).is_ok_and(|made_from| made_from == pom) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|err| failed_to("empty", err))?;
    }
    run_maven(&folder)?;
    fs::write(&marker, pom).map_err(|err| failed_to("mark as complete", err))?;
    Ok(folder)
}

fn run_maven(folder: &Path) -> Result<(), String> {
    let output = Command::new("mvn")
        .args(["-B", "-q", "-f", POM, "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|_| {
            "mvn not found; install Maven to run the suite against Apache Kafka".to_owned()
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cause = text
        .lines()
        .find(|line| line.contains("ERROR"))
        .unwrap_or("(no output)");
    Err(format!(
        "mvn could not fetch Kafka's jars ({}): {cause}",
        output.status
    ))
}
