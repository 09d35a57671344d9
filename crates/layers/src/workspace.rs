use crate::chain::check_size;
use crate::parameters::Layout;
use crate::{Error, Result};
use aligned_vec::{AVec, ConstAlign};
use std::sync::Arc;

/// The buffers of a forward pass over batches up to a size. Made once by
/// [`Network::activations`](crate::Network::activations).
#[derive(Clone, Debug)]
pub struct Activations {
    /// The layout of the network that made them: with it, they need no further check.
    pub(crate) made_for: Arc<Layout>,
    pub(crate) capacity: usize,
    /// What lies between the operations, and what they keep for the way back.
    pub(crate) saved: Buffer<f32>,
    /// The network's output.
    pub(crate) y: Buffer<f32>,
    pub(crate) scratch: Buffer<f32>,
    /// Scratch in double precision, for the way there and back.
    pub(crate) wide: Buffer<f64>,
}

/// The buffers of a training step over batches up to a size. Made once by
/// [`Network::workspace`](crate::Network::workspace).
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) activations: Activations,
    /// The gradient of the network's output.
    pub(crate) dy: Buffer<f32>,
    /// The gradient of the batch's images, from [`Network::backward`](crate::Network::backward).
    pub(crate) dx: Buffer<f32>,
    /// The gradient of the parameters.
    pub(crate) gradients: Buffer<f32>,
    pub(crate) scratch: Buffer<f32>,
}

impl Activations {
    /// The largest batch that fits.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The output of the last forward pass, sample after sample.
    pub fn output(&self) -> &[f32] {
        &self.y
    }
}

impl Workspace {
    /// The buffers of the forward pass, to judge a network between steps without more memory.
    pub fn activations(&mut self) -> &mut Activations {
        &mut self.activations
    }

    /// The gradient of every parameter after a backward pass, in the order of
    /// [`Parameters::values`](crate::Parameters::values).
    pub fn gradients(&self) -> &[f32] {
        &self.gradients
    }

    /// The gradient of the first `batch` images after [`Network::backward`](crate::Network::backward).
    pub fn input_gradient(&self) -> &[f32] {
        &self.dx
    }

    /// [`Activations::output`].
    pub fn output(&self) -> &[f32] {
        self.activations.output()
    }
}

/// Fails where a batch is empty or larger than its buffers.
pub(crate) fn check_batch(capacity: usize, found: usize) -> Result<()> {
    match found {
        0 => Err(Error::EmptyBatch),
        _ if found > capacity => Err(Error::Batch { capacity, found }),
        _ => Ok(()),
    }
}

/// Numbers that start with a cache line: vectors that straddle two cost twice.
pub(crate) type Buffer<T> = AVec<T, ConstAlign<64>>;

/// A zeroed buffer of so many numbers.
pub(crate) fn buffer<T: Clone + Default>(what: &'static str, numbers: usize) -> Result<Buffer<T>> {
    check_size(what, numbers)?;
    let mut values = Buffer::new(0);
    values.try_reserve_exact(numbers).map_err(|_| Error::Memory { what, numbers: numbers as u128 })?;
    values.resize(numbers, T::default());
    Ok(values)
}
