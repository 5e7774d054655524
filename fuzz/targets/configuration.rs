//! Any text as the operator's file, with any environment: either the errors are reported, or the
//! configuration can be described. After a NUL come the variables, one `NAME=value` a line.

#![no_main]

use eventstreams::cli::config_report::report;
use eventstreams::config::Config;
use eventstreams::stream::Catalog;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variable = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((format!("EVENTSTREAMS__{name}"), value.to_owned()))
    };
    let config = match Config::parse(file, variables.lines().filter_map(variable)) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.diagnostics.is_empty());
            return assert!(!error.to_string().is_empty());
        }
    };
    match Catalog::build(&Value::Null, &config.streams) {
        Ok(catalog) => {
            assert!(report(&config, &catalog).contains("streams"));
            for stream in catalog.streams() {
                assert_eq!(
                    catalog
                        .resolve(stream.name.as_str())
                        .map(|found| &found.name),
                    Some(&stream.name)
                );
                let allowed = config.streams.allowed_streams.as_ref();
                assert!(
                    allowed.is_none_or(|allowed| allowed
                        .iter()
                        .any(|name| name == stream.name.as_str())),
                    "{stream:?}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
