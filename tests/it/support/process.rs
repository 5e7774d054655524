//! The program as a process: a test can kill it, signal it, or limit its file descriptors.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::deadline::{eventually, within};
use super::kafka::free_ports;
use super::server::{Settings, metric};
use super::wire::Request;

/// `eventstreams serve`. Dropping it kills it.
pub struct ServerProcess {
    /// The public address, which stays the same after a restart.
    pub address: SocketAddr,
    /// The admin address.
    pub admin: SocketAddr,
    file: NamedTempFile,
    log: NamedTempFile,
    open_files_max: Option<u32>,
    child: Option<Child>,
}

impl ServerProcess {
    /// Starts the program with these brokers and waits until it is ready.
    pub async fn start(brokers: &str, settings: &Settings) -> Self {
        Self::start_with_file_limit(brokers, settings, None).await
    }

    /// [`Self::start`] with a limit of open file descriptors.
    pub async fn start_with_file_limit(
        brokers: &str,
        settings: &Settings,
        open_files_max: Option<u32>,
    ) -> Self {
        let [port, admin_port, ..] = free_ports();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let settings = settings
            .clone()
            .key("port", &port.to_string())
            .key("admin_port", &admin_port.to_string());
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(settings.yaml(brokers).as_bytes())
            .expect("the configuration is written");
        let log = NamedTempFile::new().expect("a temporary file");
        let (address, admin) = (at(port), at(admin_port));
        let mut process = Self {
            address,
            admin,
            file,
            log,
            open_files_max,
            child: None,
        };
        process.restart().await;
        process
    }

    /// Starts the process, again after [`Self::kill`], and waits until it is ready.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = || {
            File::options()
                .append(true)
                .open(self.log.path())
                .expect("the log opens")
        };
        let mut command = match self.open_files_max {
            None => Command::new(env!("CARGO_BIN_EXE_eventstreams")),
            Some(max) => {
                let mut shell = Command::new("sh");
                shell.args([
                    "-c",
                    &format!("ulimit -n {max}; exec \"$0\" \"$@\""),
                    env!("CARGO_BIN_EXE_eventstreams"),
                ]);
                shell
            }
        };
        let child = command
            .args(["serve", "-c"])
            .arg(self.file.path())
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log());
        self.child = Some(child.spawn().expect("the program runs"));
        self.wait_until_ready().await;
    }

    /// Waits until it serves streams. Fails when it ends.
    pub async fn wait_until_ready(&mut self) {
        eventually("the process to be ready", async || {
            let ended = self
                .child
                .as_mut()
                .expect("it runs")
                .try_wait()
                .expect("it can be waited for");
            assert!(ended.is_none(), "it ended: {}", self.log_text());
            tokio::net::TcpStream::connect(self.admin).await.ok()?;
            (Request::get("/readyz").send(self.admin).await.status == 200).then_some(())
        })
        .await;
    }

    /// `kill -9`: streams end without a notice.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be waited for");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("it can be signalled");
    }

    /// Waits until the process ends.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let waiting =
            tokio::task::spawn_blocking(move || child.wait().expect("it can be waited for"));
        within("the process to end", waiting)
            .await
            .expect("waiting does not panic")
    }

    /// Bytes of its resident memory (`VmRSS`).
    pub fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number")
            * 1024
    }

    /// The number of its open file descriptors.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("its descriptors")
            .count()
    }

    /// See [`metric`].
    pub async fn metric(&self, sample: &str) -> u64 {
        metric(self.admin, sample).await
    }

    /// The log so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
