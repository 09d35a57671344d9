use crate::Initializer;
use std::ops::Range;
use std::sync::Arc;
use tensor_ops::ndarray::{ArrayViewD, ArrayViewMutD};

/// One named part of the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// `<layer index>.weight` or `.bias`, as PyTorch's `Sequential` names them.
    pub name: String,
    /// The shape: HWIO for a convolution, (in, out) for a dense layer.
    pub shape: Vec<usize>,
    /// Where it lies in the flat buffer.
    pub range: Range<usize>,
}

/// A parameter that a layer asks for, before it has a place.
#[derive(Clone, Debug)]
pub(crate) struct ParameterSpec {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub initializer: Initializer,
    /// `[fan_in, fan_out]`.
    pub fans: [usize; 2],
}

/// All parameters of a network: one flat buffer with named parts, so that an optimiser is one loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    values: Vec<f32>,
    parts: Arc<[Parameter]>,
}

impl Parameters {
    /// All zero.
    pub(crate) fn zeros(parts: Arc<[Parameter]>) -> Self {
        let len = parts.last().map_or(0, |part| part.range.end);
        Self { values: vec![0.0; len], parts }
    }

    /// The parts, in the order of the flat buffer.
    pub fn parts(&self) -> &[Parameter] {
        &self.parts
    }

    /// Every value, as one buffer.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Every value, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The part of this name in its shape, if there is one.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, f32>> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        ArrayViewD::from_shape(part.shape.clone(), &self.values[part.range.clone()]).ok()
    }

    /// The part of this name in its shape, to be changed, if there is one.
    pub fn get_mut(&mut self, name: &str) -> Option<ArrayViewMutD<'_, f32>> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        ArrayViewMutD::from_shape(part.shape.clone(), &mut self.values[part.range.clone()]).ok()
    }
}
