//! What can be said of the Containerfile without building it: its stages, files and ports are ones that are there.

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

/// Says what does not fit. `is_there` answers for a path of the project, `ports` are the program's defaults, `program` its name.
pub fn check_containerfile(
    text: &str,
    program: &str,
    ports: &[&str],
    is_there: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut told = Vec::new();
    let (mut stages, mut arguments) = (BTreeSet::new(), BTreeSet::new());
    let (mut runs, mut copied, mut user, mut entry) =
        (String::new(), Vec::new(), String::new(), String::new());
    let mut exposed = Vec::new();
    for (number, instruction) in instructions(text) {
        let mut tell = |what: String| told.push(format!("Containerfile:{number}: {what}"));
        for variable in instruction
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
        {
            if !arguments.contains(variable) {
                tell(format!("no ARG is named {variable}"));
            }
        }
        let words: Vec<&str> = instruction.split_whitespace().collect();
        match words.as_slice() {
            ["ARG", argument, ..] => {
                drop(arguments.insert(argument.split('=').next().unwrap_or_default().to_owned()));
            }
            ["FROM", _, "AS", stage] => drop(stages.insert((*stage).to_owned())),
            ["FROM", ..] => (copied, user, entry) = (Vec::new(), String::new(), String::new()),
            ["COPY", from, source, to] if from.starts_with("--from=") => {
                let stage = &from["--from=".len()..];
                if !stages.contains(stage) {
                    tell(format!("no stage is named {stage}"));
                }
                if !runs.contains(source) {
                    tell(format!("no stage makes {source}"));
                }
                copied.push((*to).to_owned());
            }
            ["COPY", source, _] if !is_there(source) => tell(format!("{source} is not there")),
            ["RUN", ..] => runs.push_str(&instruction),
            ["USER", name] => (*name).clone_into(&mut user),
            ["EXPOSE", given @ ..] => {
                exposed = given.iter().map(|port| (*port).to_owned()).collect();
            }
            ["ENTRYPOINT", ..] => instruction
                .split('"')
                .nth(1)
                .unwrap_or_default()
                .clone_into(&mut entry),
            _ => {}
        }
    }
    let whole = [
        (
            !copied.contains(&entry),
            format!("the entry point {entry} was not copied into the last stage"),
        ),
        (
            !entry.ends_with(&format!("/{program}")),
            format!("the entry point {entry} is not {program}"),
        ),
        (
            !runs.contains("strip -o"),
            "the program keeps its line tables: strip it".to_owned(),
        ),
        (
            !runs.contains(&format!("target/release/{program}")),
            format!("nothing takes target/release/{program}"),
        ),
        (
            user.is_empty() || user.starts_with('0') || user == "root",
            "the last stage runs as root".to_owned(),
        ),
        (
            exposed != ports,
            format!("exposes {exposed:?}, the program listens on {ports:?}"),
        ),
    ];
    told.extend(
        whole
            .into_iter()
            .filter(|(wrong, _)| *wrong)
            .map(|(_, what)| format!("Containerfile: {what}")),
    );
    let removed = runs
        .split("rm ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next())
        .filter(|file| !file.starts_with('-'));
    told.extend(
        removed
            .filter(|file| !is_there(file))
            .map(|file| format!("Containerfile: removes {file}, which is not there")),
    );
    told
}

#[cfg(test)]
mod tests {
    use super::check_containerfile;

    const GOOD: &str = "ARG D=x\nFROM rust:${D} AS build\nRUN apt-get update \\\n    && rm -rf /lists\nCOPY . .\nRUN rm a.toml && cargo build \\\n  && strip -o /p target/release/p\n\
                        FROM slim\nCOPY --from=build /p /usr/bin/p\nUSER 65532\nEXPOSE 1 2\nENTRYPOINT [\"/usr/bin/p\"]\n";

    fn told(text: &str) -> Vec<String> {
        check_containerfile(text, "p", &["1", "2"], |path| {
            [".", "a.toml"].contains(&path)
        })
    }

    #[test]
    fn a_containerfile_that_fits_is_good() {
        assert_eq!(told(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_containerfile_that_does_not_fit_is_found() {
        for (from, to, says) in [
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
            assert_eq!(told(&GOOD.replace(from, to)), [says], "{to}");
        }
    }
}
