//! The errors of an event, and where in it they are.

use serde_json::{Map, Value};

use super::super::error::ValidationError;
use super::super::node::Node;

/// Where in the event: the way from its root, as a list on the stack.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    /// A property of the schema, as JavaScript reaches it.
    Access(&'p str),
    /// A name of the event.
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Self = Self {
        above: None,
        step: Step::Root,
    };

    fn then(&'p self, step: Step<'p>) -> Self {
        let above = Some(self);
        Self { above, step }
    }

    pub(super) fn access(&'p self, access: &'p str) -> Self {
        self.then(Step::Access(access))
    }

    pub(super) fn name(&'p self, name: &'p str) -> Self {
        self.then(Step::Name(name))
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn text(&self) -> String {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(path) = at {
            steps.push(path.step);
            at = path.above;
        }
        let mut text = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Root => {}
                Step::Access(access) => text.push_str(access),
                // AJV does not escape these.
                Step::Name(name) => text.extend(["['", name, "']"]),
                Step::Index(index) => text.extend(["[", &index.to_string(), "]"]),
            }
        }
        text
    }
}

/// The level of the schema and the value of the event that it judges.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) node: &'p Node,
    pub(super) path: &'p Path<'p>,
}

/// What an error says beside its place.
pub(super) struct Detail {
    message: String,
    params: Map<String, Value>,
}

impl Detail {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            params: Map::new(),
        }
    }

    pub(super) fn with(mut self, param: &str, value: impl Into<Value>) -> Self {
        self.params.insert(param.to_owned(), value.into());
        self
    }

    /// A number as JSON has it: integers without a point.
    pub(super) fn with_number(self, param: &str, number: f64) -> Self {
        const SAFE: f64 = 9_007_199_254_740_992.0;
        #[expect(clippy::cast_possible_truncation, reason = "a safe integer")]
        if number.fract() == 0.0 && number.abs() <= SAFE {
            self.with(param, number as i64)
        } else {
            self.with(param, number)
        }
    }
}

/// The errors so far. Those beyond the maximum are only counted.
pub(super) struct Report {
    errors: Vec<ValidationError>,
    count: usize,
    max: usize,
    /// Errors are not kept, because they will be forgotten.
    is_quiet: bool,
    /// Set when the judgement ends early.
    reason_to_end: Option<ValidationError>,
}

impl Report {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            errors: Vec::new(),
            count: 0,
            max,
            is_quiet: false,
            reason_to_end: None,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn add(
        &mut self,
        place: Place<'_>,
        keyword: &'static str,
        detail: impl FnOnce() -> Detail,
    ) {
        self.count += 1;
        if self.is_quiet || self.errors.len() >= self.max {
            return;
        }
        let Detail { message, params } = detail();
        self.errors.push(ValidationError {
            keyword,
            data_path: place.path.text(),
            schema_path: format!("{}/{keyword}", place.node.path),
            params: Value::Object(params),
            message,
            property_name: None,
        });
    }

    /// Forgets the errors after the first `count`.
    pub(super) fn reset(&mut self, count: usize) {
        self.count = count;
        self.errors.truncate(count);
    }

    /// Judges without keeping errors; returns whether there was none, and forgets them.
    pub(super) fn set_quiet(&mut self, is_quiet: bool) -> bool {
        std::mem::replace(&mut self.is_quiet, is_quiet)
    }

    /// Names the member whose name is wrong in all errors after the first `count`.
    pub(super) fn name_errors(&mut self, count: usize, name: &str) {
        for error in self.errors.iter_mut().skip(count) {
            error.property_name = Some(name.to_owned());
        }
    }

    /// Ends the judgement.
    pub(super) fn give_up(&mut self, path: &Path<'_>, keyword: &'static str, message: &str) {
        self.reason_to_end.get_or_insert_with(|| ValidationError {
            keyword,
            data_path: path.text(),
            schema_path: "#".to_owned(),
            params: Value::Object(Map::new()),
            message: message.to_owned(),
            property_name: None,
        });
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.reason_to_end.is_some()
    }

    pub(super) fn finish(self) -> Vec<ValidationError> {
        if let Some(error) = self.reason_to_end {
            return vec![error];
        }
        let mut errors = self.errors;
        let more = self.count - errors.len();
        if more > 0 {
            errors.push(ValidationError {
                keyword: "tooManyErrors",
                data_path: String::new(),
                schema_path: "#".to_owned(),
                params: Map::from_iter([("count".to_owned(), more.into())]).into(),
                message: format!("and {more} more errors"),
                property_name: None,
            });
        }
        errors
    }
}
