use crate::workspace::Buffer;
use crate::{Error, Initializer, Result};
use std::ops::Range;
use std::sync::Arc;
use tensor_ops::ndarray::{ArrayViewD, ArrayViewMutD, IxDyn, ShapeBuilder};

/// One named part of the parameters or of the statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The layer's index, `body` or `shortcut` and an index within a residual block, and the part: `0.weight`,
    /// `3.body.1.bias`. These are the names that PyTorch gives to layers in a `Sequential`.
    pub name: String,
    /// The shape: HWIO for a convolution, (in, out) for a dense layer.
    pub shape: Vec<usize>,
    /// Where it lies in its flat buffer.
    pub range: Range<usize>,
    /// Whether its numbers lie there with the first axis innermost: a dense layer of few outputs keeps its weights so,
    /// since every kernel then runs along the many inputs.
    pub column_major: bool,
}

impl Parameter {
    /// This part of a flat buffer, such as [`Parameters::values`] or [`Workspace::gradients`](crate::Workspace::gradients),
    /// in its shape.
    ///
    /// # Panics
    /// If the buffer ends before the part does.
    pub fn view<'a, T>(&self, values: &'a [T]) -> ArrayViewD<'a, T> {
        let shape = IxDyn(&self.shape).set_f(self.column_major);
        ArrayViewD::from_shape(shape, &values[self.range.clone()]).expect(PLACED)
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// If the buffer ends before the part does.
    pub fn view_mut<'a, T>(&self, values: &'a mut [T]) -> ArrayViewMutD<'a, T> {
        let shape = IxDyn(&self.shape).set_f(self.column_major);
        ArrayViewMutD::from_shape(shape, &mut values[self.range.clone()]).expect(PLACED)
    }
}

/// Why a part's range and shape fit.
const PLACED: &str = "a part's place has as many numbers as its shape";

/// A part that a layer asks for, before it has a place.
#[derive(Clone, Debug)]
pub(crate) struct ParameterSpec {
    pub name: String,
    pub shape: Vec<usize>,
    pub initializer: Initializer,
    /// `[fan_in, fan_out]`.
    pub fans: [usize; 2],
    /// As [`Parameter::column_major`].
    pub column_major: bool,
}

impl ParameterSpec {
    /// These specs, each name behind the name of what holds them.
    pub fn within(holder: &str, specs: Vec<Self>) -> impl Iterator<Item = Self> {
        specs.into_iter().map(move |spec| Self { name: format!("{holder}.{}", spec.name), ..spec })
    }
}

/// Everything that a network learns: the parameters, one flat buffer with named parts, so that an optimiser is one
/// loop; and beside them the statistics that are gathered during training and not moved by gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    values: Buffer<f32>,
    statistics: Buffer<f32>,
    layout: Arc<Layout>,
}

/// The names, shapes and places of a network's parameters and statistics.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub parameters: Vec<Parameter>,
    pub statistics: Vec<Parameter>,
}

impl Layout {
    /// Places specs one behind the other.
    pub fn new(parameters: &[ParameterSpec], statistics: &[ParameterSpec]) -> Self {
        let place = |specs: &[ParameterSpec]| {
            let mut end = 0;
            let part = |spec: &ParameterSpec| {
                let start = end;
                end += spec.shape.iter().product::<usize>();
                let ParameterSpec { name, shape, column_major, .. } = spec.clone();
                Parameter { name, shape, range: start..end, column_major }
            };
            specs.iter().map(part).collect()
        };
        Self { parameters: place(parameters), statistics: place(statistics) }
    }

    /// Numbers of all the parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.last().map_or(0, |part| part.range.end)
    }

    /// Numbers of all the statistics.
    pub fn statistic_count(&self) -> usize {
        self.statistics.last().map_or(0, |part| part.range.end)
    }

    /// Both, in this order.
    pub fn parts(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().chain(&self.statistics)
    }
}

impl Parameters {
    /// All zero.
    pub(crate) fn zeros(layout: Arc<Layout>) -> Self {
        let zeros = |count: usize| Buffer::from_iter(0, std::iter::repeat_n(0.0, count));
        let (values, statistics) = (zeros(layout.parameter_count()), zeros(layout.statistic_count()));
        Self { values, statistics, layout }
    }

    /// The names, shapes and places.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The parts of the parameters and then of the statistics, each in the order of its flat buffer.
    pub fn parts(&self) -> impl Iterator<Item = &Parameter> {
        self.layout.parts()
    }

    /// Every parameter, as one buffer.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Every parameter, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Every statistic, as one buffer.
    pub fn statistics(&self) -> &[f32] {
        &self.statistics
    }

    /// Every statistic, to be changed.
    pub fn statistics_mut(&mut self) -> &mut [f32] {
        &mut self.statistics
    }

    /// Both buffers, to be changed at once.
    pub(crate) fn split_mut(&mut self) -> (&mut [f32], &mut [f32]) {
        (&mut self.values, &mut self.statistics)
    }

    /// The part of this name in its shape, if there is one.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, f32>> {
        let (Self { values, statistics, layout }, named) = (self, |part: &&Parameter| part.name == name);
        match layout.parameters.iter().find(named) {
            Some(part) => Some(part.view(values)),
            None => layout.statistics.iter().find(named).map(|part| part.view(statistics)),
        }
    }

    /// The part of this name in its shape, to be changed, if there is one.
    pub fn get_mut(&mut self, name: &str) -> Option<ArrayViewMutD<'_, f32>> {
        let (Self { values, statistics, layout }, named) = (self, |part: &&Parameter| part.name == name);
        match layout.parameters.iter().find(named) {
            Some(part) => Some(part.view_mut(values)),
            None => layout.statistics.iter().find(named).map(|part| part.view_mut(statistics)),
        }
    }

    /// Moves towards `others`: of what is here, the share `keep` stays. The statistics are taken over as they are.
    pub(crate) fn approach(&mut self, others: &Self, keep: f32) {
        for (mine, other) in self.values.iter_mut().zip(others.values.iter()) {
            *mine = keep * *mine + (1.0 - keep) * other;
        }
        self.statistics.copy_from_slice(&others.statistics);
    }

    /// Fails where these are not of this layout.
    pub(crate) fn check(&self, layout: &Arc<Layout>) -> Result<()> {
        if Arc::ptr_eq(&self.layout, layout) || self.layout == *layout {
            return Ok(());
        }
        let (expected, found) = (layout.parameter_count(), self.values.len());
        Err(Error::Foreign { what: "parameters", expected, found })
    }
}
