//! * `cases`: tables of filters, events and results. `index`: many filters at once. `oracle`:
//!   random filters against the `cel` crate.
//! * `generate`: random filters and events.

mod cases;
mod generate;
mod index;
mod oracle;
