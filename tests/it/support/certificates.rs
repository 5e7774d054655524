//! Certificates of one test, made by keytool of the JDK. The keys are on the curve P-256, as in
//! production.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The password of the key stores.
pub const STORE_PASSWORD: &str = "of-this-test";

/// A certificate authority and the certificate of a broker, signed for 127.0.0.1. The files go when
/// this is dropped.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// A new authority and a broker certificate.
    pub fn generate() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pair = [
            "-genkeypair",
            "-keyalg",
            "EC",
            "-groupname",
            "secp256r1",
            "-sigalg",
            "SHA256withECDSA",
            "-validity",
            "2",
        ];
        let make = |more: &[&str]| keytool(folder.path(), &[&pair[..], more].concat());
        make(&[
            "-alias",
            "authority",
            "-dname",
            "CN=Authority of a test",
            "-ext",
            "bc:c",
        ]);
        make(&[
            "-alias",
            "broker",
            "-dname",
            "CN=broker",
            "-ext",
            "san=ip:127.0.0.1",
            "-signer",
            "authority",
        ]);
        keytool(
            folder.path(),
            &[
                "-exportcert",
                "-rfc",
                "-alias",
                "authority",
                "-file",
                "authority.pem",
            ],
        );
        // Otherwise the broker may choose the key of the authority.
        keytool(folder.path(), &["-delete", "-alias", "authority"]);
        Self { folder }
    }

    /// The authority's certificate as PEM, for librdkafka's `ssl.ca.location`.
    pub fn authority_pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("authority.pem"))
            .expect("keytool has written it")
    }

    /// The broker's key store, PKCS #12 under [`STORE_PASSWORD`].
    pub fn key_store(&self) -> PathBuf {
        self.folder.path().join("broker.p12")
    }
}

fn keytool(folder: &Path, args: &[&str]) {
    let store = [
        "-keystore",
        "broker.p12",
        "-storetype",
        "PKCS12",
        "-storepass",
        STORE_PASSWORD,
    ];
    let output = Command::new("keytool")
        .current_dir(folder)
        .args(args)
        .args(store)
        .output()
        .expect("the JDK has keytool");
    assert!(
        output.status.success(),
        "keytool {args:?}: {}",
        String::from_utf8_lossy(&output.stdout)
    );
}
