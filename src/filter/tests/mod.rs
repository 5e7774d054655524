//! * `cases`: tables of filters, events and results. `oracle`: random filters against the `cel`
//!   crate.
//! * `generate`: random filters and events.

mod cases;
mod generate;
mod oracle;
