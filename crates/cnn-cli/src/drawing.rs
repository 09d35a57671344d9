//! Pictures of numbers: text in pixels, colours for values, and pages that both stand on.

pub mod color;
pub mod page;
pub mod text;
