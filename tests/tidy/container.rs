//! Checks of the Containerfile that need no build: its stages, files and ports exist.

use std::collections::BTreeSet;

/// An instruction with its continuation lines joined, and its line.
fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut instructions: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, continued) = line
            .strip_suffix('\\')
            .map_or((line, false), |part| (part.trim(), true));
        match instructions.last_mut().filter(|_| goes_on) {
            Some((_, instruction)) => instruction.extend([" ", part]),
            None => instructions.push((number, part.to_owned())),
        }
        goes_on = continued;
    }
    instructions
}

/// What does not fit. `is_there` answers for a path of the project, `ports` are the program's
/// defaults, `program` is its name.
pub fn check_containerfile(
    text: &str,
    program: &str,
    ports: &[&str],
    is_there: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut image = Image::default();
    for (number, instruction) in instructions(text) {
        let found = image.apply(&instruction, &is_there);
        let locate = |what| format!("Containerfile:{number}: {what}");
        image.findings.extend(found.into_iter().map(locate));
    }
    let mut findings = std::mem::take(&mut image.findings);
    let whole = image
        .check(program, ports)
        .into_iter()
        .chain(image.removed_and_missing(&is_there));
    findings.extend(whole.map(|what| format!("Containerfile: {what}")));
    findings
}

/// What the instructions so far make.
#[derive(Default)]
struct Image {
    findings: Vec<String>,
    stages: BTreeSet<String>,
    arguments: BTreeSet<String>,
    /// All `RUN` instructions.
    runs: String,
    last: Stage,
    exposed: Vec<String>,
}

/// The stage that an instruction is in.
#[derive(Default)]
struct Stage {
    /// The paths that come from other stages.
    copied: Vec<String>,
    user: String,
    entry_point: String,
}

impl Image {
    /// Applies an instruction; returns what is wrong with it.
    fn apply(&mut self, instruction: &str, is_there: &impl Fn(&str) -> bool) -> Vec<String> {
        let mut findings = self.unknown_arguments(instruction);
        let words: Vec<&str> = instruction.split_whitespace().collect();
        match words.as_slice() {
            ["ARG", argument, ..] => {
                let name = argument.split('=').next().unwrap_or_default();
                self.arguments.insert(name.to_owned());
            }
            ["FROM", _, "AS", stage] => {
                self.stages.insert((*stage).to_owned());
            }
            ["FROM", ..] => self.last = Stage::default(),
            ["COPY", from, source, to] if from.starts_with("--from=") => {
                let stage = &from["--from=".len()..];
                if !self.stages.contains(stage) {
                    findings.push(format!("no stage is named {stage}"));
                }
                if !self.runs.contains(source) {
                    findings.push(format!("no stage makes {source}"));
                }
                self.last.copied.push((*to).to_owned());
            }
            ["COPY", source, _] if !is_there(source) => {
                findings.push(format!("{source} is not there"));
            }
            ["RUN", ..] => self.runs.push_str(instruction),
            ["USER", name] => (*name).clone_into(&mut self.last.user),
            ["EXPOSE", given @ ..] => {
                self.exposed = given.iter().map(|port| (*port).to_owned()).collect();
            }
            ["ENTRYPOINT", ..] => {
                let entry_point = instruction.split('"').nth(1).unwrap_or_default();
                entry_point.clone_into(&mut self.last.entry_point);
            }
            _ => {}
        }
        findings
    }

    fn unknown_arguments(&self, instruction: &str) -> Vec<String> {
        instruction
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .filter(|variable| !self.arguments.contains(*variable))
            .map(|variable| format!("no ARG is named {variable}"))
            .collect()
    }

    /// What is wrong with the whole.
    fn check(&self, program: &str, ports: &[&str]) -> Vec<String> {
        let Stage {
            copied,
            user,
            entry_point,
        } = &self.last;
        let mut findings = Vec::new();
        let mut require = |holds: bool, otherwise: String| {
            if !holds {
                findings.push(otherwise);
            }
        };
        require(
            copied.contains(entry_point),
            format!("the entry point {entry_point} was not copied into the last stage"),
        );
        require(
            entry_point.ends_with(&format!("/{program}")),
            format!("the entry point {entry_point} is not {program}"),
        );
        require(
            self.runs.contains("strip -o"),
            "the program keeps its line tables: strip it".to_owned(),
        );
        require(
            self.runs.contains(&format!("target/release/{program}")),
            format!("nothing takes target/release/{program}"),
        );
        require(
            !(user.is_empty() || user.starts_with('0') || user == "root"),
            "the last stage runs as root".to_owned(),
        );
        require(
            self.exposed == ports,
            format!(
                "exposes {:?}, the program listens on {ports:?}",
                self.exposed
            ),
        );
        findings
    }

    fn removed_and_missing(&self, is_there: &impl Fn(&str) -> bool) -> Vec<String> {
        self.runs
            .split("rm ")
            .skip(1)
            .filter_map(|rest| rest.split_whitespace().next())
            .filter(|file| !file.starts_with('-') && !is_there(file))
            .map(|file| format!("removes {file}, which is not there"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::check_containerfile;

    const GOOD: &str = "ARG D=x\nFROM rust:${D} AS build\n\
                        RUN apt-get update \\\n    && rm -rf /lists\nCOPY . .\n\
                        RUN rm a.toml && cargo build \\\n  && strip -o /p target/release/p\n\
                        FROM slim\nCOPY --from=build /p /usr/bin/p\n\
                        USER 65532\nEXPOSE 1 2\nENTRYPOINT [\"/usr/bin/p\"]\n";

    fn findings(text: &str) -> Vec<String> {
        check_containerfile(text, "p", &["1", "2"], |path| {
            [".", "a.toml"].contains(&path)
        })
    }

    #[test]
    fn a_containerfile_that_fits_is_good() {
        assert_eq!(findings(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_containerfile_that_does_not_fit_is_found() {
        for (from, to, expected) in [
            ("${D}", "${E}", "Containerfile:2: no ARG is named E"),
            (
                "--from=build",
                "--from=built",
                "Containerfile:9: no stage is named built",
            ),
            ("build /p", "build /q", "Containerfile:9: no stage makes /q"),
            (
                "COPY . .",
                "COPY src .",
                "Containerfile:5: src is not there",
            ),
            (
                "rm a.toml",
                "rm b.toml",
                "Containerfile: removes b.toml, which is not there",
            ),
            (
                "strip -o /p target/release/p",
                "cp target/release/p /p",
                "Containerfile: the program keeps its line tables: strip it",
            ),
            (
                "USER 65532",
                "USER root",
                "Containerfile: the last stage runs as root",
            ),
            (
                "EXPOSE 1 2",
                "EXPOSE 1",
                "Containerfile: exposes [\"1\"], the program listens on [\"1\", \"2\"]",
            ),
            (
                "[\"/usr/bin/p\"]",
                "[\"/bin/p\"]",
                "Containerfile: the entry point /bin/p was not copied into the last stage",
            ),
        ] {
            assert_eq!(findings(&GOOD.replace(from, to)), [expected], "{to}");
        }
    }
}
