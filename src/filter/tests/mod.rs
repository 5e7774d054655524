//! * `cases`: tables of filters, events and results. `errors`: filters that are refused. `index`:
//!   many filters at once. `oracle`: random filters against the `cel` crate.
//! * `bounds`: what takes the most stack. `shorthand`: parameters as expressions.
//! * `generate`: random filters and events.

mod bounds;
pub(super) mod cases;
mod errors;
mod generate;
mod index;
mod oracle;
mod shorthand;
