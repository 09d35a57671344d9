use crate::Shape;
use std::path::PathBuf;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a network, a batch or a model file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer does not fit the output of the one before it.
    #[error("layer {index} ({kind}): {misfit}")]
    Layer {
        /// The layer's place in the spec, from 0.
        index: usize,
        /// The layer's kind, as a spec names it.
        kind: &'static str,
        /// What does not fit.
        misfit: Misfit,
    },
    /// The network has no layer that computes anything.
    #[error("the network has no layer that computes anything; expected at least one")]
    Empty,
    /// The network ends in a map where a loss over classes needs a row of logits.
    #[error("the network ends in {found}; expected a flat row of logits: end it with flatten and dense")]
    Output {
        /// What the last layer gives.
        found: Shape,
    },
    /// A buffer of this size cannot be had.
    #[error("{what}: {numbers} numbers do not fit into memory")]
    Memory {
        /// What the buffer is for.
        what: &'static str,
        /// How many numbers it would hold.
        numbers: u128,
    },
    /// A batch of no samples.
    #[error("a batch needs at least 1 sample, found 0")]
    EmptyBatch,
    /// A batch whose channels have a single value each, where a batch normalisation needs their variance.
    #[error("training needs a batch of at least {smallest} samples for batch normalisation, found {found}")]
    SmallBatch {
        /// The smallest that will do.
        smallest: usize,
        /// The samples in the batch.
        found: usize,
    },
    /// A batch that is larger than its workspace.
    #[error("batch: the workspace holds {capacity} samples, found {found}")]
    Batch {
        /// What the workspace was made for.
        capacity: usize,
        /// The samples in the batch.
        found: usize,
    },
    /// Parameters or a workspace that were made for another network.
    #[error("{what}: made for another network: expected {expected} numbers, found {found}")]
    Foreign {
        /// `parameters`, `activations` or `gradients`.
        what: &'static str,
        /// What this network needs.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// An operand that does not fit, as the kernels say it.
    #[error(transparent)]
    Operand(#[from] tensor_ops::Error),
    /// Images of another shape than the network's input.
    #[error("images: expected {expected} as the network's input, found {found}")]
    Images {
        /// The network's input.
        expected: Shape,
        /// The images' shape.
        found: Shape,
    },
    /// A label that names a class beyond the network's output.
    #[error("sample {index}: expected a label below {classes}, found {found}")]
    Label {
        /// The sample's place in its set.
        index: usize,
        /// The network's classes.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// A class that the network does not tell apart from others.
    #[error("expected a class below {classes}, found {found}")]
    Class {
        /// The network's classes.
        classes: usize,
        /// The class that was asked for.
        found: usize,
    },
    /// A set without samples.
    #[error("expected at least 1 sample to train on or to judge by, found 0")]
    NoSamples,
    /// Training led to a loss or to parameters that are not a number or infinite.
    #[error(
        "training diverged in epoch {epoch}, step {step}: the loss is {loss} at learning rate {learning_rate}; \
         try a smaller one{}",
        kept(checkpoint)
    )]
    Diverged {
        /// From 1.
        epoch: usize,
        /// From 1, within the epoch.
        step: usize,
        /// The loss of that step.
        loss: f32,
        /// The learning rate of that step.
        learning_rate: f32,
        /// The file with the state at the end of the last good epoch, if one was kept.
        checkpoint: Option<PathBuf>,
    },
    /// Training that may end early needs samples to validate with.
    #[error("training with patience needs a validation set, found none")]
    NoValidation,
    /// An index beyond a set of samples.
    #[error("expected an index below {len}, the number of samples, found {found}")]
    Index {
        /// The samples in the set.
        len: usize,
        /// The index.
        found: usize,
    },
    /// A setting outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    Setting {
        /// The setting's name.
        what: &'static str,
        /// Its range, in words.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// There is not one weight for each class.
    #[error("class weights: expected {expected}, one a class, found {found}")]
    ClassWeights {
        /// The network's classes.
        expected: usize,
        /// The weights given.
        found: usize,
    },
    /// The row that a flatten gives is used in the order row, column, channel, where others have channels first.
    #[error(
        "layer {layer} (flatten): expected a dense layer behind it, whose weights could be in PyTorch's order, found none"
    )]
    Flattened {
        /// The layer's place in the spec and in the blocks within, as parameters are named.
        layer: String,
    },
    /// More numbers than a file of this format can hold.
    #[error("{format}: expected at most {limit} bytes of parameters, found {found}")]
    TooLarge {
        /// The format.
        format: &'static str,
        /// The most bytes.
        limit: u64,
        /// The parameters' bytes.
        found: u64,
    },
    /// A model file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no model, or a damaged one.
    #[error("{path}: {problem}")]
    Model {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
}

/// Where the last good state is.
fn kept(checkpoint: &Option<PathBuf>) -> String {
    checkpoint
        .as_ref()
        .map_or(String::new(), |path| format!("; the last good state is in {}", path.display()))
}

/// Why a layer does not fit its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Sizes that do not go together.
    #[error(transparent)]
    Geometry(#[from] tensor_ops::Error),
    /// A layer that works on maps was given a flat row.
    #[error("expected a map of rows × columns × channels, found {found}")]
    NotAMap {
        /// The layer's input.
        found: Shape,
    },
    /// A layer that works on flat rows was given a map.
    #[error("expected a flat input, found {found}; put a flatten layer before it")]
    NotFlat {
        /// The layer's input.
        found: Shape,
    },
    /// The branches of a residual block end in different shapes.
    #[error("the body ends in {body}, the shortcut in {shortcut}; expected the same shape")]
    Branches {
        /// What the body gives.
        body: Shape,
        /// What the shortcut gives.
        shortcut: Shape,
    },
    /// A layer within a branch of a residual block does not fit.
    #[error("{branch}: {error}")]
    Branch {
        /// `body` or `shortcut`.
        branch: &'static str,
        /// What does not fit there.
        error: Box<Error>,
    },
    /// A setting outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    Setting {
        /// The setting's name.
        what: &'static str,
        /// Its range, in words.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}
