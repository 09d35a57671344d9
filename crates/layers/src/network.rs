//! A planned network: the forward pass, the backward pass, and the training step made of both.

use crate::chain::{Chain, check_size};
use crate::layer::{Backward, Context, Draw, Forward, Mode, Operation, Reference, Weights, array, array_mut};
use crate::optimizer::{self, Learner};
use crate::parallel;
use crate::parameters::{Layout, ParameterSpec};
use crate::random::{Purpose, stream};
use crate::workspace::{buffer, check_batch};
use crate::{
    Activations, Error, Loss, Moments, NetworkSpec, Optimizer, Parameter, Parameters, Result, Shape,
    Workspace,
};
use std::sync::Arc;
use tensor_ops::ndarray::{ArrayView2, ArrayView4, ArrayViewD, Dimension, IxDyn};
use tensor_ops::{Kernels, softmax};

/// A network that was checked and planned for its input. It holds no parameters and no buffers.
#[derive(Debug)]
pub struct Network {
    spec: NetworkSpec,
    kernels: Kernels,
    fusion: bool,
    winograd: bool,
    chain: Chain,
    layout: Arc<Layout>,
    /// How each of the parameters and statistics starts.
    initial: Vec<ParameterSpec>,
}

/// How a training step changes the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// What is made small.
    pub loss: &'a Loss,
    /// How the parameters follow their gradients.
    pub optimizer: &'a Optimizer,
    /// How far, which a schedule may have moved from the optimiser's own.
    pub learning_rate: f32,
    /// The largest norm of all gradients together, if there is one.
    pub clip_norm: Option<f32>,
    /// What the step's random numbers follow from.
    pub draw: Draw,
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
    /// The first layer that does not fit, with what it expected and what it was given; a network without a layer
    /// that computes anything.
    pub fn new(spec: &NetworkSpec) -> Result<Self> {
        Self::with_kernels(spec, Kernels::from_env()?)
    }

    /// As [`Network::new`], with the given kernels.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_kernels(spec: &NetworkSpec, kernels: Kernels) -> Result<Self> {
        Self::plan(spec, Context { kernels, fusion: true, winograd: false, streams: 0 })
    }

    /// As [`Network::with_kernels`], with each layer run by itself: slower, and the same up to rounding.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn without_fusion(spec: &NetworkSpec, kernels: Kernels) -> Result<Self> {
        Self::plan(spec, Context { kernels, fusion: false, winograd: false, streams: 0 })
    }

    /// As [`Network::with_kernels`], with [Winograd's algorithm](tensor_ops::winograd) where it pays, in 3×3 convolutions of
    /// stride 1 with many channels: faster, with two to five times the rounding of each. Before a max-pool it is used in
    /// inference alone, for the gradient there is cheaper at the maxima.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_winograd(spec: &NetworkSpec, kernels: Kernels) -> Result<Self> {
        Self::plan(spec, Context { kernels, fusion: true, winograd: true, streams: 0 })
    }

    fn plan(spec: &NetworkSpec, mut context: Context) -> Result<Self> {
        let chain = Chain::plan(&spec.layers, Shape::Map(spec.input), &mut context)?;
        if chain.is_identity() {
            return Err(Error::Empty);
        }
        let (mut initial, statistics) = (chain.parameters(), chain.statistics());
        let layout = Arc::new(Layout::new(&initial, &statistics));
        initial.extend(statistics);
        let Context { kernels, fusion, winograd, .. } = context;
        Ok(Self { spec: spec.clone(), kernels, fusion, winograd, chain, layout, initial })
    }

    /// What planning a layer of this network needs.
    pub(crate) fn context(&self) -> Context {
        let Self { kernels, fusion, winograd, .. } = *self;
        Context { kernels, fusion, winograd, streams: 0 }
    }

    /// The output of a batch in float64 and by plain loops, as in training.
    pub(crate) fn reference(
        &self,
        parameters: &[f64],
        statistics: &[f64],
        x: &[f64],
        draw: Draw,
        y: &mut [f64],
    ) {
        let batch = y.len() / self.output().len();
        self.chain.reference(Reference { batch, mode: Mode::Train(draw), parameters, statistics, x, y });
    }

    /// Which layers run as one operation: the places of each group, in the spec and in the blocks within.
    pub fn fusions(&self) -> Vec<Vec<String>> {
        self.chain.fusions()
    }

    /// What was planned.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The kernels that run.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The shape of the output for one image.
    pub fn output(&self) -> Shape {
        self.chain.output()
    }

    /// How many classes the output tells apart.
    ///
    /// # Errors
    /// An output that is no flat row of logits.
    pub fn classes(&self) -> Result<usize> {
        match self.output() {
            Shape::Flat(classes) => Ok(classes),
            found @ Shape::Map(_) => Err(Error::Output { found }),
        }
    }

    /// The names, shapes and places.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The names, shapes and places of the parameters and then of the statistics.
    pub fn parts(&self) -> impl Iterator<Item = &Parameter> {
        self.layout.parts()
    }

    /// How many parameters there are.
    pub fn parameter_count(&self) -> usize {
        self.layout.parameter_count()
    }

    /// Parameters of this network, all zero: to be filled by their names.
    pub fn zero_parameters(&self) -> Parameters {
        Parameters::zeros(self.layout.clone())
    }

    /// Parameters and statistics as their initialisers draw them under `seed`.
    pub fn initial_parameters(&self, seed: u64) -> Parameters {
        let mut parameters = self.zero_parameters();
        let count = self.layout.parameters.len();
        for (index, (part, ParameterSpec { initializer, fans, .. })) in
            self.parts().zip(&self.initial).enumerate()
        {
            let buffer = if index < count { parameters.values_mut() } else { parameters.statistics_mut() };
            let mut rng = stream(seed, Purpose::Initialize { parameter: index });
            // Drawn row-major, so that a seed's values do not depend on how a part is kept.
            let mut values = vec![0.0; part.range.len()];
            initializer.fill(*fans, &mut rng, &mut values);
            part.view_mut(buffer).iter_mut().zip(values).for_each(|(to, value)| *to = value);
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
        check_size("batch", capacity)?;
        let output = self.output().len();
        let numbers = capacity as u128 * (self.chain.saved(1) + output) as u128;
        if numbers > 1 << 40 {
            return Err(Error::Memory { what: "activations", numbers });
        }
        Ok(Activations {
            made_for: self.layout.clone(),
            capacity,
            saved: buffer("activations", self.chain.saved(capacity))?,
            y: buffer("activations", capacity * output)?,
            scratch: buffer("scratch", self.chain.forward_scratch(capacity))?,
            wide: buffer("scratch", self.chain.wide_scratch(capacity))?,
        })
    }

    /// The buffers of a training step over up to `capacity` samples.
    ///
    /// # Errors
    /// A capacity of 0, or one that does not fit into memory.
    pub fn workspace(&self, capacity: usize) -> Result<Workspace> {
        Ok(Workspace {
            activations: self.activations(capacity)?,
            dy: buffer("gradients", capacity * self.output().len())?,
            dx: buffer("gradients", capacity * Shape::Map(self.spec.input).len())?,
            gradients: buffer("gradients", self.parameter_count())?,
            scratch: buffer("scratch", self.chain.backward_scratch(capacity))?,
        })
    }

    /// The output for a batch of images (sample, row, column, channel), as when predicting: (sample, class) where it is
    /// flat, (sample, row, column, channel) where it is a map.
    ///
    /// # Errors
    /// Images of another shape than the network's input or not contiguous, a batch that is empty or larger than
    /// `activations` were made for, and parameters or activations of another network.
    pub fn forward<'a>(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        activations: &'a mut Activations,
    ) -> Result<ArrayViewD<'a, f32>> {
        self.run(Mode::Evaluate, parameters, &x, activations)?;
        let batch = x.dim().0;
        Ok(array(self.output_shape(batch), &activations.y[..batch * self.output().len()]))
    }

    /// Loss and correct answers for a batch.
    ///
    /// # Errors
    /// As [`Network::forward`]; an output that is no row of logits; unless there is a label for each image, each below the
    /// number of classes.
    pub fn judge(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        labels: &[usize],
        activations: &mut Activations,
    ) -> Result<Step> {
        self.run(Mode::Evaluate, parameters, &x, activations)?;
        let logits = self.logits(x.dim().0, activations)?;
        Ok(Step { loss: softmax::cross_entropy(logits, labels)?, correct: correct(logits, labels) })
    }

    /// Runs forward in training and then backward from `dy`, the gradient of the output. The gradients are then in
    /// [`Workspace::gradients`] and [`Workspace::input_gradient`], the output in [`Workspace::output`].
    ///
    /// # Errors
    /// As [`Network::forward`]; a `dy` of another shape than the output.
    pub fn backward(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        dy: ArrayViewD<f32>,
        draw: Draw,
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.check_workspace(workspace)?;
        let images = self.run(Mode::Train(draw), parameters, &x, &mut workspace.activations)?;
        let batch = x.dim().0;
        let expected = self.output_shape(batch);
        if dy.raw_dim() != expected {
            let (expected, found) = (expected.as_array_view().to_vec(), dy.shape().to_vec());
            return Err(tensor_ops::Error::Shape { operand: "dy", expected, found }.into());
        }
        workspace.dy.iter_mut().zip(dy).for_each(|(to, from)| *to = *from);
        let weights = Weights::Fixed(parameters.values());
        let pass = Pass { mode: Mode::Train(draw), images, batch, input_gradient: true };
        self.run_backward(pass, weights, parameters.statistics(), workspace);
        Ok(())
    }

    /// The loss and correct answers of a batch in training and, in [`Workspace::gradients`], the loss's gradient for
    /// every parameter.
    ///
    /// # Errors
    /// As [`Network::judge`].
    pub fn gradients(
        &self,
        parameters: &Parameters,
        x: ArrayView4<f32>,
        labels: &[usize],
        loss: &Loss,
        draw: Draw,
        workspace: &mut Workspace,
    ) -> Result<Step> {
        let (step, pass) = self.loss(parameters, &x, labels, loss, draw, workspace)?;
        self.run_backward(pass, Weights::Fixed(parameters.values()), parameters.statistics(), workspace);
        Ok(step)
    }

    /// A training step: the loss and correct answers of a batch, then, from the last layer to the first, each one's
    /// gradients and at once its update, and last the statistics. The same as [`Network::gradients`],
    /// [`Optimizer::step`] and [`Network::settle`] but for the last bits, and faster; [`Workspace::gradients`] holds
    /// nothing of use afterwards. Where the loss is no finite number, nothing is changed.
    ///
    /// # Errors
    /// As [`Network::gradients`]; moments of another optimiser or network.
    pub fn step(
        &self,
        parameters: &mut Parameters,
        moments: &mut Moments,
        x: ArrayView4<f32>,
        labels: &[usize],
        update: &Update,
        workspace: &mut Workspace,
    ) -> Result<Step> {
        let Update { loss, optimizer, learning_rate, clip_norm, draw } = *update;
        optimizer.check_moments(self.parameter_count(), moments)?;
        let (step, pass) = self.loss(parameters, &x, labels, loss, draw, workspace)?;
        if !step.loss.is_finite() {
            return Ok(step);
        }
        let (values, statistics) = parameters.split_mut();
        if let Some(limit) = clip_norm {
            self.run_backward(pass, Weights::Fixed(values), statistics, workspace);
            optimizer::clip_norm(&mut workspace.gradients, limit);
            Learner::new(optimizer, learning_rate, values, moments).update(&workspace.gradients);
        } else {
            let learner = Learner::new(optimizer, learning_rate, values, moments);
            self.run_backward(pass, Weights::Learning(learner), statistics, workspace);
        }
        self.chain.settle(pass.batch, &workspace.activations.saved, statistics);
        Ok(step)
    }

    /// The forward pass in training, and the loss with its gradient in `workspace.dy`.
    fn loss<'a>(
        &self,
        parameters: &Parameters,
        x: &ArrayView4<'a, f32>,
        labels: &[usize],
        loss: &Loss,
        draw: Draw,
        workspace: &mut Workspace,
    ) -> Result<(Step, Pass<'a>)> {
        self.check_workspace(workspace)?;
        let mode = Mode::Train(draw);
        let images = self.run(mode, parameters, x, &mut workspace.activations)?;
        let batch = x.dim().0;
        let logits = self.logits(batch, &workspace.activations)?;
        let dlogits = array_mut(logits.dim(), &mut workspace.dy[..logits.len()]);
        let step = Step { loss: loss.compute(logits, labels, dlogits)?, correct: correct(logits, labels) };
        Ok((step, Pass { mode, images, batch, input_gradient: false }))
    }

    /// Takes what the last forward pass in training saw of its batch into the statistics. [`Network::step`] does so by
    /// itself.
    ///
    /// # Errors
    /// A batch, a workspace or parameters that were not those of that pass.
    pub fn settle(&self, batch: usize, workspace: &Workspace, parameters: &mut Parameters) -> Result<()> {
        self.check_workspace(workspace)?;
        check_batch(workspace.activations.capacity, batch)?;
        parameters.check(&self.layout)?;
        self.chain.settle(batch, &workspace.activations.saved, parameters.statistics_mut());
        Ok(())
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

    /// Checks the operands and fills the activations; gives back the numbers of the images.
    fn run<'a>(
        &self,
        mode: Mode,
        parameters: &Parameters,
        x: &ArrayView4<'a, f32>,
        activations: &mut Activations,
    ) -> Result<&'a [f32]> {
        let images = self.images(x)?;
        parameters.check(&self.layout)?;
        self.check_activations(activations)?;
        let Activations { capacity, saved, y, scratch, wide, .. } = activations;
        let batch = x.dim().0;
        check_batch(*capacity, batch)?;
        if mode != Mode::Evaluate {
            self.check_training_batch(batch)?;
        }
        let y = &mut y[..batch * self.output().len()];
        let (parameters, statistics) = (parameters.values(), parameters.statistics());
        let pass = Forward { batch, mode, parameters, statistics, x: images, y, saved, scratch, wide };
        parallel::pass(batch, || self.chain.forward(pass));
        Ok(images)
    }

    /// Fails where a batch is too small to learn from.
    pub(crate) fn check_training_batch(&self, found: usize) -> Result<()> {
        let smallest = self.chain.smallest_batch();
        if found < smallest { Err(Error::SmallBatch { smallest, found }) } else { Ok(()) }
    }

    /// Fails where activations were made for another network.
    fn check_activations(&self, activations: &Activations) -> Result<()> {
        let Activations { made_for, capacity, saved, y, scratch, wide } = activations;
        if Arc::ptr_eq(made_for, &self.layout) {
            return Ok(());
        }
        for (expected, found) in [
            (self.chain.saved(*capacity), saved.len()),
            (*capacity * self.output().len(), y.len()),
            (self.chain.forward_scratch(*capacity), scratch.len()),
            (self.chain.wide_scratch(*capacity), wide.len()),
        ] {
            if found != expected {
                return Err(Error::Foreign { what: "activations", expected, found });
            }
        }
        Ok(())
    }

    /// Fails where a workspace was made for another network.
    fn check_workspace(&self, workspace: &Workspace) -> Result<()> {
        let Workspace { activations, dy, dx, gradients, scratch } = workspace;
        let capacity = activations.capacity;
        if Arc::ptr_eq(&activations.made_for, &self.layout) {
            return Ok(());
        }
        for (expected, found) in [
            (capacity * self.output().len(), dy.len()),
            (capacity * Shape::Map(self.spec.input).len(), dx.len()),
            (self.parameter_count(), gradients.len()),
            (self.chain.backward_scratch(capacity), scratch.len()),
        ] {
            if found != expected {
                return Err(Error::Foreign { what: "workspace", expected, found });
            }
        }
        Ok(())
    }

    /// From the output's gradient to every parameter's and, where it is wanted, to the images'.
    fn run_backward(&self, pass: Pass, weights: Weights, statistics: &[f32], workspace: &mut Workspace) {
        let Pass { mode, images, batch, input_gradient } = pass;
        let Workspace { activations, dy, dx, gradients, scratch } = workspace;
        let outputs = batch * self.output().len();
        let pass = Backward {
            batch,
            mode,
            parameters: (),
            statistics,
            x: images,
            y: &activations.y[..outputs],
            dy: &dy[..outputs],
            dx: input_gradient.then_some(&mut dx[..images.len()]),
            gradients,
            saved: &activations.saved,
            scratch,
            wide: &mut activations.wide,
        };
        parallel::pass(batch, || pass.run(&self.chain, weights));
    }

    /// The output's shape for a batch.
    fn output_shape(&self, batch: usize) -> IxDyn {
        match self.output() {
            Shape::Map([rows, columns, channels]) => IxDyn(&[batch, rows, columns, channels]),
            Shape::Flat(outputs) => IxDyn(&[batch, outputs]),
        }
    }

    /// The output of the last forward pass, as rows of logits.
    fn logits<'a>(&self, batch: usize, activations: &'a Activations) -> Result<ArrayView2<'a, f32>> {
        let classes = self.classes()?;
        Ok(array((batch, classes), &activations.y[..batch * classes]))
    }
}

/// What a backward pass has to know of its forward pass.
#[derive(Clone, Copy)]
struct Pass<'a> {
    mode: Mode,
    images: &'a [f32],
    batch: usize,
    input_gradient: bool,
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
