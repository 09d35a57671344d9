//! The commands, one file each.

pub mod completions;
pub mod convolve;
pub mod data;
pub mod eval;
pub mod export;
pub mod gradcheck;
pub mod man;
pub mod predict;
pub mod presets;
pub mod train;
pub mod tutorial;

/// Images that are judged at once. It is one number for all commands, so that the same model and images get the
/// same figures to the last bit.
pub const JUDGE_BATCH: usize = 64;
