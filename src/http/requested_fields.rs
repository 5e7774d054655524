//! Which members of the events a stream request asks for: `fields` (docs/protocol.md, "Fields").

use std::sync::Arc;

use super::query::Parameters;
use crate::event::Projection;
use crate::problem::Problem;

/// The members that a request asks for; `None` for all.
pub(super) fn requested_fields(
    parameters: &Parameters,
) -> Result<Option<Arc<Projection>>, Problem> {
    let Some(text) = parameters.get("fields") else {
        return Ok(None);
    };
    let fields = Projection::parse(text).map_err(|error| Problem::InvalidValue {
        name: "fields",
        expected: error.expected(),
    })?;
    Ok(Some(Arc::new(fields)))
}
