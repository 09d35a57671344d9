//! Plots as SVG: on paper, that is on a white ground whatever the page around them is.

mod confusion;
mod curves;

pub use confusion::confusion;
pub use curves::{Series, curves};
