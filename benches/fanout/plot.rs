//! The plot of README.
use crate::deliveries::Deliveries;
use crate::run::Options;
use std::path::Path;
/// Later.
pub fn write(_file: &Path, _case: Deliveries, _options: &Options) -> anyhow::Result<()> {
    Ok(())
}
