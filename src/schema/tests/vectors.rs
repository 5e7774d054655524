//! Cases from outside of the project. Each test is skipped, loudly, where the environment does not
//! name its folder:
//!
//! * `EVENTSTREAMS_VECTORS`: `validator-errors.json` and `validator-formats.json`, the answers of
//!   AJV 6.12.6.
//! * `EVENTSTREAMS_SUITE`: the `JSON-Schema-Test-Suite`, as the sources of the Python package
//!   `jsonschema` have it in `json/`.
//! * `EVENTSTREAMS_SCHEMAS`: schemas as YAML files, with examples.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::formats::Format;
use super::super::{Documents, Schema, errors_text, insecurities};
use super::{compile, judge};

fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("NOT RUN: {variable} names no folder");
    }
    folder
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names that every object of JavaScript has: AJV takes them for present, we do not.
fn is_about_inherited_names(case: &Value) -> bool {
    ["toString", "constructor", "__proto__"]
        .iter()
        .any(|name| case.to_string().contains(name))
}

#[test]
fn errors_are_those_of_ajv() {
    let Some(folder) = folder("EVENTSTREAMS_VECTORS") else {
        return;
    };
    let cases = read(&folder.join("validator-errors.json"));
    let (mut wrong, mut left_out) = (Vec::new(), 0);
    let cases = cases.as_array().unwrap();
    for case in cases {
        if is_about_inherited_names(case) {
            left_out += 1;
            continue;
        }
        let (errors, after) = judge(&compile(&case["schema"]), &case["data"].to_string());
        let text = errors_text(&errors);
        let errors = serde_json::to_value(&errors).unwrap();
        if !same(&errors, &case["errors"])
            || !same(&after, &case["after"])
            || text != case["errorsText"]
        {
            wrong.push(format!("{case}\n  {errors}\n  {after}\n  {text}"));
        }
    }
    let passed = cases.len() - wrong.len() - left_out;
    eprintln!("{passed} of {} as AJV, {left_out} left out", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Equal, numbers by their value.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is = |(name, value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(is)
        }
        _ => one == other,
    }
}

#[test]
fn formats_are_those_of_ajv() {
    let Some(folder) = folder("EVENTSTREAMS_VECTORS") else {
        return;
    };
    let cases = read(&folder.join("validator-formats.json"));
    let is_wrong = |case: &&Value| {
        let format = Format::of_name(case["format"].as_str().unwrap()).unwrap();
        format.matches(case["value"].as_str().unwrap()) != case["valid"].as_bool().unwrap()
    };
    let cases = cases.as_array().unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .filter(is_wrong)
        .map(Value::to_string)
        .collect();
    eprintln!("{} of {} as AJV", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|known| known == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// AJV's ways with `$ref`, `default` and `format` cost so many of the tests.
const SUITE_FAILED_MAX: usize = 31;

#[test]
fn the_suite_of_draft_07_passes_but_for_what_ajv_does_otherwise() {
    let Some(folder) = folder("EVENTSTREAMS_SUITE") else {
        return;
    };
    let remotes = folder.join("remotes");
    let remotes: Documents = files(&remotes, "json")
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&remotes).unwrap().display();
            (
                format!("http://localhost:1234/{name}"),
                Arc::new(read(path)),
            )
        })
        .collect();
    let (mut passed, mut count, mut failed) = (0, 0, BTreeMap::new());
    for path in files(&folder.join("tests/draft7"), "json") {
        if path.components().any(|part| part.as_os_str() == "optional") {
            continue;
        }
        for group in read(&path).as_array().unwrap() {
            let schema = Schema::compile(&Arc::new(group["schema"].clone()), &remotes);
            for test in group["tests"].as_array().unwrap() {
                count += 1;
                let result = schema.as_ref().map(|schema| {
                    judge(schema, &test["data"].to_string()).0.is_empty() == test["valid"]
                });
                if result == Ok(true) {
                    passed += 1;
                } else {
                    let name = path.file_stem().unwrap().display().to_string();
                    let error = result.err().map(ToString::to_string).unwrap_or_default();
                    let what = format!("{}: {} {error}", group["description"], test["description"]);
                    failed.entry(name).or_insert_with(Vec::new).push(what);
                }
            }
        }
    }
    eprintln!("{passed} of {count} of the suite, failed: {failed:#?}");
    assert!(count - passed <= SUITE_FAILED_MAX, "{passed} of {count}");
}

#[test]
fn the_given_schemas_compile_and_their_examples_are_valid() {
    let Some(folder) = folder("EVENTSTREAMS_SCHEMAS") else {
        return;
    };
    let mut documents = Documents::new();
    let mut all = Vec::new();
    for path in files(&folder, "yaml") {
        // The source of the next version, with references inside of its examples.
        if path.file_stem().is_some_and(|stem| stem == "current") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let document: Value = crate::config::parse_yaml(&text).unwrap();
        // A symbolic link of the repository that became a file with the name of its target.
        if document.is_string() {
            continue;
        }
        if let Some(id) = document["$id"].as_str() {
            documents.insert(id.to_owned(), Arc::new(document.clone()));
        }
        all.push((path, Arc::new(document)));
    }
    let (mut count, mut examples, mut insecure) = (0, 0, 0);
    for (path, document) in &all {
        let schema = match Schema::compile(document, &documents) {
            Ok(schema) => schema,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        count += 1;
        insecure += usize::from(!insecurities(document).is_empty());
        for example in document["examples"].as_array().unwrap_or(&Vec::new()) {
            let (errors, _) = judge(&schema, &example.to_string());
            assert_eq!(json!(errors), json!([]), "{}", path.display());
            examples += 1;
        }
    }
    eprintln!("{count} schemas, {examples} examples, {insecure} not secure");
    assert!(count > 0);
}
