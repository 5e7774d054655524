//! What the project's files say together.

/// Where some machine keeps its files: never ours to name. (Written apart, so that this file does not hold them.)
const MACHINE_PATHS: [[&str; 2]; 4] = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"]];

/// Says every line of a text file that names a path of some machine.
pub fn check_machine_paths(file: &str, text: &str) -> Vec<String> {
    let paths = MACHINE_PATHS.map(|parts| parts.concat());
    let machine_path = |line: &str| paths.iter().find(|path| begins_in(line, path)).cloned();
    let found = (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, machine_path(line)?)));
    found.map(|(number, path)| format!("{file}:{number}: names {path}, a path of some machine")).collect()
}

/// Whether `path` begins in the line as an absolute path: `example.org/home/` and `$dir/work/` are none.
fn begins_in(line: &str, path: &str) -> bool {
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "}_-.*".contains(before)))
}

/// `.ci/run` leaves it to cargo, apt and Maven where things come from.
pub fn check_ci(text: &str) -> Vec<String> {
    let found = (1..).zip(text.lines()).filter(|(_, line)| line.contains("://"));
    found.map(|(number, _): (usize, _)| format!(".ci/run:{number}: names a host")).collect()
}

/// Every folder of src/ (`kafka`, `http/ui`) stands in ARCHITECTURE.md as `` `name/` `` or in its tree as `name/`.
pub fn check_map(architecture: &str, folders: &[String]) -> Vec<String> {
    let stands = |folder: &&String| !architecture.contains(&format!("{}/", folder.rsplit('/').next().unwrap_or(folder)));
    folders.iter().filter(stands).map(|folder| format!("ARCHITECTURE.md: does not name src/{folder}/")).collect()
}

#[cfg(test)]
mod tests {
    use super::{check_ci, check_machine_paths, check_map};

    #[test]
    fn paths_of_machines_are_found() {
        let path = |name: &str| format!("let a = \"/{name}/x\";");
        for name in ["work", "root", "home"] {
            assert_eq!(
                check_machine_paths("a", &format!("\n{}", path(name))),
                [format!("a:2: names /{name}/, a path of some machine")]
            );
        }
        assert_eq!(
            check_machine_paths("a", "GET /_info/home 301 https://example.org/home/\n$folder/work/x"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn hosts_in_ci_are_found() {
        assert_eq!(check_ci("curl https://example.org").len(), 1);
        assert_eq!(check_ci("cargo test"), Vec::<String>::new());
    }

    #[test]
    fn folders_missing_on_the_map_are_found() {
        let folders = ["kafka".to_owned(), "http/ui".to_owned()];
        assert_eq!(check_map("`kafka/` reads; http has ui/", &folders), Vec::<String>::new());
        assert_eq!(check_map("`kafka/` reads", &folders), ["ARCHITECTURE.md: does not name src/http/ui/"]);
    }
}
