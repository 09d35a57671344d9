use crate::{Error, Result};

/// The buffers of a forward pass over batches up to a size: what each layer gives. Made once by
/// [`Network::activations`](crate::Network::activations).
#[derive(Clone, Debug)]
pub struct Activations {
    pub(crate) capacity: usize,
    /// One buffer behind each operation, in order.
    pub(crate) outputs: Vec<Vec<f32>>,
}

/// The buffers of a training step over batches up to a size. Made once by
/// [`Network::workspace`](crate::Network::workspace).
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) activations: Activations,
    /// The gradient of each of the activations.
    pub(crate) doutputs: Vec<Vec<f32>>,
    pub(crate) probabilities: Vec<f32>,
    pub(crate) gradients: Vec<f32>,
    pub(crate) scratch: Vec<f32>,
}

impl Activations {
    /// The largest batch that fits.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Fails where the batch is empty or does not fit.
    pub(crate) fn check_batch(&self, found: usize) -> Result<()> {
        match found {
            0 => Err(Error::EmptyBatch),
            _ if found > self.capacity => Err(Error::Batch { capacity: self.capacity, found }),
            _ => Ok(()),
        }
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
}

/// A zeroed buffer of `batch × len` numbers.
pub(crate) fn buffer(what: &'static str, batch: usize, len: usize) -> Result<Vec<f32>> {
    let memory = Error::Memory { what, elements: batch as u128 * len as u128 };
    let Some(elements) = batch.checked_mul(len) else { return Err(memory) };
    let mut values = Vec::new();
    values.try_reserve_exact(elements).map_err(|_| memory)?;
    values.resize(elements, 0.0);
    Ok(values)
}
