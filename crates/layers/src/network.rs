//! A planned network: the forward pass, the backward pass, and the training step made of both.

use crate::layer::{Backward, Forward, Operation, array, array_mut};
use crate::optimizer::Sgd;
use crate::parameters::{Parameter, ParameterSpec};
use crate::random::{Purpose, stream};
use crate::workspace::buffer;
use crate::{Activations, Error, NetworkSpec, Parameters, Result, Shape, Workspace};
use std::ops::Range;
use std::sync::Arc;
use tensor_ops::ndarray::{ArrayView2, ArrayView4};
use tensor_ops::{Kernels, softmax};

/// A network that was checked and planned for its input. It holds no parameters and no buffers.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    kernels: Kernels,
    /// The layers that compute; a flatten, whose numbers stay where they are, is none.
    nodes: Vec<Node>,
    parts: Arc<[Parameter]>,
    /// How each of the parts starts.
    initial: Vec<ParameterSpec>,
    classes: usize,
}

#[derive(Debug)]
struct Node {
    operation: Box<dyn Operation>,
    /// Its part of the flat parameters.
    parameters: Range<usize>,
    /// Numbers of a sample behind it.
    output: usize,
}

/// What a training step or a judgement of a batch found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The mean loss over the batch, before the update.
    pub loss: f32,
    /// How many samples had their label's logit as the largest.
    pub correct: usize,
}

impl Network {
    /// Checks that the layers fit together and plans them, with the kernels that `CNN_KERNELS` names or else
    /// the fastest that this processor has.
    ///
    /// # Errors
    /// The first layer that does not fit, with what it expected and what it was given; a network without
    /// layers, or one that does not end in a row of logits.
    pub fn new(spec: &NetworkSpec) -> Result<Self> {
        Self::with_kernels(spec, Kernels::from_env()?)
    }

    /// As [`Network::new`], with the given kernels.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_kernels(spec: &NetworkSpec, kernels: Kernels) -> Result<Self> {
        let mut shape = Shape::Map(spec.input);
        let (mut nodes, mut parts, mut initial) = (Vec::new(), Vec::new(), Vec::new());
        let mut end = 0usize;
        for (index, layer) in spec.layers.iter().enumerate() {
            let misfit = |misfit| Error::Layer { index, kind: layer.kind(), misfit };
            let operation = layer.plan(shape, kernels).map_err(misfit)?;
            shape = operation.output();
            let start = end;
            for parameter in operation.parameters() {
                let len: usize = parameter.shape.iter().product();
                let range = end..end.checked_add(len).ok_or_else(|| too_large("parameters", end, len))?;
                end = range.end;
                parts.push(Parameter {
                    name: format!("{index}.{}", parameter.name),
                    shape: parameter.shape.clone(),
                    range,
                });
                initial.push(parameter);
            }
            if !operation.is_view() {
                nodes.push(Node { operation, parameters: start..end, output: shape.len() });
            }
        }
        if nodes.is_empty() {
            return Err(Error::Empty);
        }
        let Shape::Flat(classes) = shape else {
            return Err(Error::Output { found: shape });
        };
        Ok(Self { spec: spec.clone(), kernels, nodes, parts: parts.into(), initial, classes })
    }

    /// What was planned.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The kernels that run.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// How many classes the logits tell apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The names, shapes and places of the parameters.
    pub fn parts(&self) -> &[Parameter] {
        &self.parts
    }

    /// How many parameters there are.
    pub fn parameter_count(&self) -> usize {
        self.parts.last().map_or(0, |part| part.range.end)
    }

    /// Parameters of this network, all zero: to be filled by their names.
    pub fn zero_parameters(&self) -> Parameters {
        Parameters::zeros(self.parts.clone())
    }

    /// Parameters as their initialisers draw them under `seed`.
    pub fn initial_parameters(&self, seed: u64) -> Parameters {
        let mut parameters = self.zero_parameters();
        for (index, (part, ParameterSpec { initializer, fans, .. })) in
            self.parts.iter().zip(&self.initial).enumerate()
        {
            let mut rng = stream(seed, Purpose::Initialize { parameter: index });
            initializer.fill(*fans, &mut rng, &mut parameters.values_mut()[part.range.clone()]);
        }
        parameters
    }

    /// The buffers of a forward pass over up to `capacity` samples.
    ///
    /// # Errors
    /// A capacity of 0, or one that does not fit into memory.
    pub fn activations(&self, capacity: usize) -> Result<Activations> {
        if capacity == 0 {
            return Err(Error::EmptyBatch);
        }
        let outputs = self
            .nodes
            .iter()
            .map(|node| buffer("activations", capacity, node.output))
            .collect::<Result<_>>()?;
        Ok(Activations { capacity, outputs })
    }

    /// The buffers of a training step over up to `capacity` samples.
    ///
    /// # Errors
    /// A capacity of 0, or one that does not fit into memory.
    pub fn workspace(&self, capacity: usize) -> Result<Workspace> {
        let activations = self.activations(capacity)?;
        let scratch = self.nodes.iter().map(|node| node.operation.scratch(capacity)).max().unwrap_or(0);
        Ok(Workspace {
            doutputs: activations.outputs.clone(),
            activations,
            probabilities: buffer("probabilities", capacity, self.classes)?,
            gradients: buffer("gradients", 1, self.parameter_count())?,
            scratch: buffer("scratch", 1, scratch)?,
        })
    }

    /// The logits of a batch of images (sample, row, column, channel): (sample, class).
    ///
    /// # Errors
    /// Images of another shape than the network's input or not contiguous, a batch that is empty or larger than
    /// `activations` were made for, and parameters or activations of another network.
    pub fn forward<'a>(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        activations: &'a mut Activations,
    ) -> Result<ArrayView2<'a, f32>> {
        let batch = x.dim().0;
        self.run(parameters, self.images(&x)?, batch, activations)?;
        Ok(self.logits(batch, activations))
    }

    /// Loss and correct answers for a batch.
    ///
    /// # Errors
    /// As [`Network::forward`]; a label for each image, each below the number of classes.
    pub fn judge(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        labels: &[usize],
        activations: &mut Activations,
    ) -> Result<Step> {
        let logits = self.forward(parameters, x, activations)?;
        Ok(Step { loss: softmax::cross_entropy(logits, labels)?, correct: correct(logits, labels) })
    }

    /// Loss, correct answers and, in [`Workspace::gradients`], the gradient of the mean loss for every parameter.
    ///
    /// # Errors
    /// As [`Network::judge`].
    pub fn gradients(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        labels: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Step> {
        let batch = x.dim().0;
        let images = self.images(&x)?;
        let step = self.judge(parameters, x, labels, &mut workspace.activations)?;

        let shape = (batch, self.classes);
        let numbers = batch * self.classes;
        let logits = self.logits(batch, &workspace.activations);
        let mut probabilities = array_mut(shape, &mut workspace.probabilities[..numbers]);
        softmax::forward(logits, probabilities.view_mut())?;
        let last = self.nodes.len() - 1;
        let dlogits = array_mut(shape, &mut workspace.doutputs[last][..numbers]);
        softmax::cross_entropy_backward(probabilities.view(), labels, dlogits)?;

        self.backward(parameters, images, batch, workspace);
        Ok(step)
    }

    /// One step of training: the gradients of a batch, and the optimiser's update.
    ///
    /// # Errors
    /// As [`Network::judge`].
    pub fn train_step(
        &self,
        parameters: &mut Parameters,
        sgd: &Sgd,
        x: ArrayView4<f32>,
        labels: &[usize],
        workspace: &mut Workspace,
    ) -> Result<Step> {
        let step = self.gradients(parameters, x, labels, workspace)?;
        sgd.step(parameters.values_mut(), &workspace.gradients);
        Ok(step)
    }

    /// The numbers of a batch of images that fit this network.
    fn images<'a>(&self, x: &ArrayView4<'a, f32>) -> Result<&'a [f32]> {
        let (batch, rows, columns, channels) = x.dim();
        let (expected, found) = (self.spec.input, [rows, columns, channels]);
        if found != expected {
            return Err(Error::Images { expected: Shape::Map(expected), found: Shape::Map(found) });
        }
        if batch == 0 {
            return Err(Error::EmptyBatch);
        }
        x.to_slice().ok_or_else(|| {
            tensor_ops::Error::Layout { operand: "images", strides: x.strides().to_vec() }.into()
        })
    }

    /// Fills the activations, node by node.
    fn run(
        &self,
        parameters: &Parameters,
        x: &[f32],
        batch: usize,
        activations: &mut Activations,
    ) -> Result<()> {
        self.check(parameters, activations)?;
        activations.check_batch(batch)?;
        let mut x = x;
        for (node, output) in self.nodes.iter().zip(&mut activations.outputs) {
            let y = &mut output[..batch * node.output];
            let parameters = &parameters.values()[node.parameters.clone()];
            node.operation.forward(Forward { batch, parameters, x, y });
            x = y;
        }
        Ok(())
    }

    /// From the last activation's gradient to every parameter's, node by node from the end.
    fn backward(&self, parameters: &Parameters, images: &[f32], batch: usize, workspace: &mut Workspace) {
        let Workspace { activations, doutputs, gradients, scratch, .. } = workspace;
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let (before, dy) = doutputs.split_at_mut(index);
            // The images are data: nobody needs their gradient.
            let (x, dx) = match index.checked_sub(1) {
                None => (images, None),
                Some(previous) => {
                    let numbers = batch * self.nodes[previous].output;
                    (&activations.outputs[previous][..numbers], Some(&mut before[previous][..numbers]))
                }
            };
            node.operation.backward(Backward {
                batch,
                parameters: &parameters.values()[node.parameters.clone()],
                x,
                dy: &dy[0][..batch * node.output],
                dx,
                gradients: &mut gradients[node.parameters.clone()],
                scratch,
            });
        }
    }

    /// The last activation, as rows of logits.
    fn logits<'a>(&self, batch: usize, activations: &'a Activations) -> ArrayView2<'a, f32> {
        let logits = &activations.outputs[self.nodes.len() - 1][..batch * self.classes];
        array((batch, self.classes), logits)
    }

    /// Fails where the parameters or the activations were made for another network.
    fn check(&self, parameters: &Parameters, activations: &Activations) -> Result<()> {
        let (expected, found) = (self.parameter_count(), parameters.values().len());
        if found != expected {
            return Err(Error::Foreign { what: "parameters", expected, found });
        }
        let found = activations.outputs.iter().map(Vec::len);
        let expected = self.nodes.iter().map(|node| activations.capacity * node.output);
        if !found.clone().eq(expected.clone()) {
            return Err(Error::Foreign { what: "activations", expected: expected.sum(), found: found.sum() });
        }
        Ok(())
    }
}

/// How many rows have their label's logit as the first largest.
fn correct(logits: ArrayView2<f32>, labels: &[usize]) -> usize {
    let rows = logits.rows().into_iter().zip(labels);
    rows.filter(|(row, label)| argmax(row.iter().copied()) == Some(**label)).count()
}

/// The place of the first largest value; of none where there is no number.
fn argmax(values: impl Iterator<Item = f32>) -> Option<usize> {
    let mut best = (None, f32::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (Some(index), value);
        }
    }
    best.0
}

fn too_large(what: &'static str, elements: usize, more: usize) -> Error {
    Error::Memory { what, elements: elements as u128 + more as u128 }
}
