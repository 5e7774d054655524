//! `eventstreams schema`: judges events by their schemas.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write, stdin, stdout};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::error::CliError;
use crate::schema::{Json, LoaderConfig, SchemaLoader, ValidationError};

/// Options of `eventstreams schema`.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Check events by their schemas: valid ones go to standard output, with the defaults of the
    /// schema, and a line for each invalid one to standard error
    Validate(ValidateArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct ValidateArgs {
    /// Where schemas are: a folder or an http(s) URL, again for each further one; tried in order
    #[arg(long = "schemas", required = true, value_name = "DIR")]
    bases: Vec<String>,
    /// Appended to the URI of a schema that has no extension: .yaml
    #[arg(long, value_name = "EXTENSION")]
    extension: Option<String>,
    /// The URI of the schema of events that name none in $schema
    #[arg(long, value_name = "URI")]
    schema: Option<String>,
    /// A file with one event on each line; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  eventstreams schema validate --schemas ./jsonschema events.ndjson
  eventstreams tail recentchange --json | eventstreams schema validate --schemas ./jsonschema";

/// Errors that the line of an event has.
const ERRORS_MAX: usize = 100;

/// Runs until all events are checked, or nobody reads the valid ones any more.
pub(super) async fn run(args: &SchemaArgs) -> Result<(), CliError> {
    let SchemaCommand::Validate(args) = &args.command;
    let config = LoaderConfig {
        base_uris: args.bases.clone(),
        file_extension: args.extension.clone(),
        ..LoaderConfig::default()
    };
    let loader = SchemaLoader::new(config).map_err(|error| CliError::Config(anyhow!(error)))?;
    let events: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(BufReader::new(stdin()))
    } else {
        let file = File::open(&args.file).with_context(|| args.file.display().to_string())?;
        Box::new(BufReader::new(file))
    };
    let check = Check {
        loader,
        schema: args.schema.clone(),
    };
    let invalid = |line: u64, text: &str| eprintln!("line {line}: {text}");
    let counts = check
        .lines(events, BufWriter::new(stdout()), invalid)
        .await?;
    if counts.invalid > 0 {
        let Counts { all, invalid } = counts;
        return Err(anyhow!("{invalid} of {all} events are invalid").into());
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    all: u64,
    invalid: u64,
}

struct Check {
    loader: SchemaLoader,
    schema: Option<String>,
}

impl Check {
    async fn lines(
        &self,
        mut events: impl BufRead,
        mut valid: impl Write,
        mut invalid: impl FnMut(u64, &str),
    ) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if events.read_until(b'\n', &mut line).context("the events")? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            counts.all += 1;
            match self.event(&line).await {
                Ok(event) => {
                    if !is_written(writeln!(valid, "{event}"))? {
                        return Ok(counts);
                    }
                }
                Err(error) => {
                    counts.invalid += 1;
                    // In the order of the events, where both go to a terminal.
                    is_written(valid.flush())?;
                    invalid(number, &error);
                }
            }
        }
        is_written(valid.flush())?;
        Ok(counts)
    }

    /// The event with its defaults, or what is wrong with it.
    async fn event(&self, line: &[u8]) -> Result<String, String> {
        let text = std::str::from_utf8(line).map_err(|_| "the event is not UTF-8".to_owned())?;
        let json = Json::parse(text).map_err(|error| error.to_string())?;
        let named = json.root().get("$schema").and_then(|uri| uri.as_str());
        let uri = named.or_else(|| self.schema.as_deref().map(Into::into));
        let uri = uri.ok_or("the event has no text in $schema, and there is no --schema")?;
        let schema = self
            .loader
            .load(&uri)
            .await
            .map_err(|error| error.to_string())?;
        let outcome = schema.validate(json.root(), ERRORS_MAX);
        if !outcome.is_valid() {
            return Err(describe(outcome.errors()));
        }
        Ok(outcome.filled().text(json.root()))
    }
}

/// All errors of an event in a line, each with its place in the schema.
fn describe(errors: &[ValidationError]) -> String {
    let line = |error: &ValidationError| {
        let ValidationError {
            data_path,
            schema_path,
            message,
            ..
        } = error;
        format!("'{data_path}' {message} ({schema_path})")
    };
    errors.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// Whether the output is still read.
fn is_written(result: std::io::Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "
type: object
properties:
  n: {type: integer}
  d: {default: x}
required: [n]
";

    fn check(folder: &tempfile::TempDir, schema: Option<&str>) -> Check {
        std::fs::write(folder.path().join("a.yaml"), SCHEMA).unwrap();
        let config = LoaderConfig {
            base_uris: vec![folder.path().display().to_string()],
            file_extension: Some(".yaml".to_owned()),
            ..LoaderConfig::default()
        };
        Check {
            loader: SchemaLoader::new(config).unwrap(),
            schema: schema.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn valid_events_go_on_with_defaults_and_others_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let events = "{\"$schema\":\"/a\",\"n\":1.0}\n\n\
                      {\"$schema\":\"/a\",\"n\":\"1\"}\n\
                      {\"$schema\":\"/b\"}\nnull\n{\n \
                      {\"$schema\":\"/a\", \"d\":null, \"n\":2 } ";
        let (mut valid, mut invalid) = (Vec::new(), Vec::new());
        let lines = check(&folder, None);
        let lines = lines.lines(events.as_bytes(), &mut valid, |line, text| {
            invalid.push(format!("{line}: {text}"));
        });
        assert_eq!(lines.await.unwrap(), Counts { all: 6, invalid: 4 });
        assert_eq!(
            String::from_utf8(valid).unwrap(),
            "{\"$schema\":\"/a\",\"n\":1.0,\"d\":\"x\"}\n\
             {\"$schema\":\"/a\", \"d\":null, \"n\":2 }\n"
        );
        assert_eq!(
            invalid,
            [
                "3: '.n' should be integer (#/properties/n/type)",
                "4: Failed loading schema at /b",
                "5: the event has no text in $schema, and there is no --schema",
                "6: the text is not valid JSON at byte 2",
            ]
        );
    }

    #[tokio::test]
    async fn events_without_a_schema_get_that_of_the_option() {
        let folder = tempfile::tempdir().unwrap();
        let mut valid = Vec::new();
        let check = check(&folder, Some("/a"));
        let counts = check.lines("{\"n\":1}".as_bytes(), &mut valid, |_, text| {
            panic!("{text}")
        });
        assert_eq!(counts.await.unwrap(), Counts { all: 1, invalid: 0 });
        assert_eq!(String::from_utf8(valid).unwrap(), "{\"n\":1,\"d\":\"x\"}\n");
    }
}
