//! A headless Chromium, driven through `WebDriver`.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel};

use crate::support::brokers::print_uncaptured;
use crate::support::deadline::{TIMEOUT, eventually, within};

/// When this variable is `1` (`.ci/run` sets it), a missing browser fails the tests instead of
/// skipping them.
const REQUIRE_BROWSER: &str = "EVENTSTREAMS_REQUIRE_BROWSER";

/// Ends the driver and the browser when its standard input closes, so neither outlives its test
/// process. All of them are in the process group of this shell.
const SUPERVISOR: &str = "chromedriver --port=0 </dev/null & read -r end; kill -s KILL 0";

/// Nothing that asks other hosts, and no state of earlier runs.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,850",
];

/// A browser with one window. Dropping it ends it.
pub struct Browser {
    driver: WebDriver,
    supervisor: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with a fresh profile. `None` when there is none and none is required; the
    /// skip was reported.
    pub async fn start() -> Option<Self> {
        let mut supervisor = match start_driver() {
            Ok(child) => child,
            Err(cause) => {
                skip(&cause);
                return None;
            }
        };
        let stdout = supervisor.stdout.take().expect("standard output is a pipe");
        let port = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let port = lines.find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            });
            // A closed pipe would end the driver when it prints.
            std::thread::spawn(move || lines.count());
            port
        });
        let port = within("the driver", port).await.expect("no panic");
        let port = port.expect("chromedriver prints its port");
        let profile = tempfile::tempdir().expect("a temporary folder");
        let session = WebDriver::new(
            format!("http://127.0.0.1:{port}"),
            capabilities(profile.path()).expect("capabilities"),
        );
        let driver = within("the browser", session).await.expect("a session");
        // The supervisor ends the session. A drop would wait for the driver.
        driver.clone().leak().expect("it has not ended");
        Some(Self {
            driver,
            supervisor,
            _profile: profile,
        })
    }

    pub async fn open(&self, url: &str) {
        within(url, self.driver.goto(url)).await.expect("a page");
    }

    pub async fn reload(&self) {
        within("a reload", self.driver.refresh())
            .await
            .expect("a page");
    }

    /// The value of a JavaScript expression.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let value = within(&script, self.driver.execute(script.clone(), Vec::new())).await;
        value
            .unwrap_or_else(|error| panic!("{script}: {error}"))
            .json()
            .clone()
    }

    /// The text of an element.
    pub async fn text(&self, selector: &str) -> String {
        let selector = json!(selector);
        let text = self
            .value(&format!("document.querySelector({selector}).innerText"))
            .await;
        text.as_str().expect("text").to_owned()
    }

    /// Waits until a JavaScript expression is true.
    pub async fn until(&self, expression: &str) {
        let what = format!("the page to have {expression}");
        eventually(what, async || {
            (self.value(expression).await == true).then_some(())
        })
        .await;
    }

    /// Waits until an element has a text.
    pub async fn until_text(&self, selector: &str, part: &str) {
        let last = Cell::new(String::new());
        let found = eventually("a text", async || {
            last.set(self.text(selector).await);
            let text = last.take();
            let found = text.contains(part).then_some(());
            last.set(text);
            found
        });
        let what = format!("{selector} to have {part:?}");
        let found = tokio::time::timeout(TIMEOUT / 2, found).await;
        assert!(
            found.is_ok(),
            "waited for {what}, which has {:?}",
            last.take()
        );
    }

    pub async fn click(&self, selector: &str) {
        let element = self.driver.find(By::Css(selector)).await.expect(selector);
        element.click().await.expect(selector);
    }

    /// Replaces the text of a field and presses Enter.
    pub async fn enter(&self, selector: &str, text: &str) {
        let field = self.driver.find(By::Css(selector)).await.expect(selector);
        field.clear().await.expect(selector);
        field
            .send_keys(text.to_owned() + Key::Enter)
            .await
            .expect(selector);
    }

    /// Runs a command of the Chrome `DevTools` Protocol.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        let tools = self.driver.cdp();
        within(name, tools.send_raw(name, parameters))
            .await
            .expect("the browser knows it")
    }

    /// Keeps a picture of the window for those who look: `target/tmp/page/NAME.png`.
    pub async fn picture(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{name}.png"));
        within("a picture", self.driver.screenshot(&file))
            .await
            .expect("a picture");
    }

    /// Checks that the page loaded nothing from other hosts, and that the browser complains of
    /// nothing but responses with these statuses: no exception, no violation of the policy.
    pub async fn assert_quiet(&self, expected: &[&str]) {
        let log = within("the log", self.driver.browser_log())
            .await
            .expect("a log");
        let is_expected = |message: &str| expected.iter().any(|part| message.contains(part));
        let complaints: Vec<_> = log
            .into_iter()
            .filter(|entry| entry.level != "INFO" && !is_expected(&entry.message))
            .map(|entry| entry.message)
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        let others = "performance.getEntriesByType('resource').map(({ name }) => name)\
                      .filter((name) => !name.startsWith(location.origin))";
        assert_eq!(self.value(others).await, json!([]));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn capabilities(profile: &Path) -> WebDriverResult<ChromeCapabilities> {
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in ARGUMENTS {
        capabilities.add_arg(argument)?;
    }
    capabilities.add_arg(&format!("--user-data-dir={}", profile.display()))?;
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    Ok(capabilities)
}

/// # Errors
/// What is missing.
fn start_driver() -> Result<Child, String> {
    for program in ["chromium", "chromedriver"] {
        let version = Command::new(program).arg("--version").output();
        version.map_err(|error| format!("{program}: {error}"))?;
    }
    let supervisor = Command::new("sh")
        .args(["-c", SUPERVISOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    supervisor.map_err(|error| format!("sh: {error}"))
}

fn skip(cause: &str) {
    static REPORTED: Once = Once::new();
    let required = std::env::var_os(REQUIRE_BROWSER).is_some_and(|value| value == "1");
    assert!(!required, "{REQUIRE_BROWSER}=1, but: {cause}");
    REPORTED.call_once(|| print_uncaptured(&format!("BROWSER TESTS SKIPPED: {cause}")));
}
