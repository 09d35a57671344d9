/// What can be wrong with the arguments of an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operand has another shape than the geometry and the other operands ask for.
    #[error("{operand}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The argument's name.
        operand: &'static str,
        /// The shape that fits.
        expected: Vec<usize>,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// An operand of a fast function is not contiguous in row-major order.
    #[error("{operand}: expected a contiguous row-major array, found strides {strides:?}")]
    Layout {
        /// The argument's name.
        operand: &'static str,
        /// The strides that were given, in elements.
        strides: Vec<isize>,
    },
    /// The memory lent to an operation for the length of a call is too small.
    #[error("scratch: expected at least {expected} numbers, found {found}")]
    Scratch {
        /// What the geometry asks for.
        expected: usize,
        /// What was lent.
        found: usize,
    },
    /// A size that must be at least one is zero.
    #[error("{what}: expected at least 1, found 0")]
    Zero {
        /// The size's name.
        what: &'static str,
    },
    /// A window reaches over the whole padded input, so that no output remains.
    #[error(
        "{axis}: a window of {window} does not fit into an input of {input} with padding {before} + {after}"
    )]
    Window {
        /// `rows` or `columns`.
        axis: &'static str,
        /// The window's extent: `dilation · (kernel − 1) + 1`.
        window: usize,
        /// The input's extent.
        input: usize,
        /// Padding in front.
        before: usize,
        /// Padding behind.
        after: usize,
    },
    /// A pooling window could lie in the padding alone, where it has no maximum, minimum or mean.
    #[error(
        "{axis}: a pooling window of {kernel} needs padding below {kernel} on each side, found {before} and {after}"
    )]
    PoolPadding {
        /// `rows` or `columns`.
        axis: &'static str,
        /// The window's extent.
        kernel: usize,
        /// Padding in front.
        before: usize,
        /// Padding behind.
        after: usize,
    },
    /// The channels of a grouped convolution cannot be divided into the groups.
    #[error("groups: {what} {channels} cannot be divided into {groups} groups")]
    Groups {
        /// `input channels` or `filters`.
        what: &'static str,
        /// How many there are.
        channels: usize,
        /// How many groups were asked for.
        groups: usize,
    },
    /// A size overflows what memory can address.
    #[error("{what}: the size overflows")]
    Overflow {
        /// The size's name.
        what: &'static str,
    },
    /// There is a different number of labels than rows of logits.
    #[error("labels: expected {expected}, one a row of logits, found {found}")]
    LabelCount {
        /// Rows of logits.
        expected: usize,
        /// Labels given.
        found: usize,
    },
    /// A label names a class that the logits do not have.
    #[error("label {index}: expected a class below {classes}, found {found}")]
    Label {
        /// The label's place in the batch.
        index: usize,
        /// The number of classes.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// Batch normalisation in training has too few values to take a variance of.
    #[error("batch norm: training expected more than 1 value per channel, found {found}")]
    TooFewValues {
        /// Values of each channel: samples × rows × columns.
        found: usize,
    },
    /// No kernels have this name.
    #[error("kernels: expected one of naive, portable, avx2, avx512, found {found:?}")]
    UnknownKernels {
        /// The name that was given.
        found: String,
    },
    /// The processor lacks the instructions that these kernels need.
    #[error("kernels: {name} needs instructions that this processor does not have")]
    UnavailableKernels {
        /// The kernels' name.
        name: &'static str,
    },
}
