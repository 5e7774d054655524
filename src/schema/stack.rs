//! A stack that grows, for what nests as deep as an event or a schema does.

/// The stack that a few levels need.
const LEFT: usize = 256 * 1024;
/// By how much the stack grows.
const MORE: usize = 1024 * 1024;

/// Runs `level` with enough stack for itself and some levels below it.
pub(super) fn with_room<T>(level: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(LEFT, MORE, level)
}
