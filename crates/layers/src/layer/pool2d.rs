//! What the pooling layers share: windows that reduce each channel to one value.

use super::{Backward, Context, Forward, Operation, PLANNED, Reference, array, array_mut, expect_map};
use crate::parallel::map_chunks;
use crate::text::{self, Words};
use crate::{Misfit, Padding, Shape};
use tensor_ops::{Kernels, Pool2dConfig, Pool2dGeometry, Pooling, naive, pool2d};

/// Where windows lie; side by side where no stride is given.
pub(super) struct Windows {
    pub kernel: [usize; 2],
    pub stride: Option<[usize; 2]>,
    pub padding: Padding,
}

/// Checks that the windows fit an input of this shape.
pub(super) fn geometry(
    Windows { kernel, stride, padding }: Windows,
    input: Shape,
) -> Result<Pool2dGeometry, Misfit> {
    let config = Pool2dConfig { kernel, stride: stride.unwrap_or(kernel), padding };
    Ok(Pool2dGeometry::new(expect_map(input)?, &config)?)
}

/// Plans a pooling layer.
pub(super) fn plan(
    pooling: Pooling,
    windows: Windows,
    input: Shape,
    context: &Context,
) -> Result<Box<dyn Operation>, Misfit> {
    let geometry = geometry(windows, input)?;
    let [_, rows, columns, channels] = geometry.output_shape(1);
    let output = Shape::Map([rows, columns, channels]);
    Ok(Box::new(Plan { pooling, geometry, output, kernels: context.kernels }))
}

/// Reads a window, its stride and padding, and whether the word `flag` is among the options.
pub(super) fn parse(words: &mut Words, flag: &str) -> Result<(Windows, bool), String> {
    let kernel = words.pair("a window")?;
    let (mut windows, mut flagged) = (Windows { kernel, stride: None, padding: Padding::Valid }, false);
    loop {
        if let Some(padding) = words.padding()? {
            windows.padding = padding;
        } else if let Some(stride) = words.option("stride", |words| words.pair("a stride"))? {
            windows.stride = Some(stride);
        } else if words.take(flag) {
            flagged = true;
        } else {
            return Ok((windows, flagged));
        }
    }
}

/// Writes what [`parse`] reads.
pub(super) fn text(Windows { kernel, stride, padding }: Windows, flag: Option<&str>) -> String {
    let stride = stride.map_or(String::new(), |stride| format!(" stride {}", text::pair(stride)));
    let flag = flag.map_or(String::new(), |flag| format!(" {flag}"));
    format!(" {}{}{stride}{flag}", text::pair(kernel), text::padding(padding))
}

/// Declares the settings of a layer whose windows give one of their inputs: the same but for the comparison.
macro_rules! extremum {
    ($(#[$docs:meta])* $layer:ident, $word:literal) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $layer {
            /// Rows and columns of the window.
            pub kernel: [usize; 2],
            /// Step between windows, down and across; the window's size by default, so that they lie side by side.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub stride: Option<[usize; 2]>,
            /// Room around the map; none by default. It holds no values, so none of them is ever chosen.
            #[serde(default)]
            pub padding: Padding,
            /// Which of equal inputs takes the gradient; the first by default.
            #[serde(default)]
            pub ties: Ties,
        }

        impl $layer {
            /// Windows side by side; of equal inputs the first takes the gradient.
            pub fn new(kernel: [usize; 2]) -> Self {
                Self { kernel, stride: None, padding: Padding::Valid, ties: Ties::First }
            }

            fn windows(&self) -> Windows {
                let Self { kernel, stride, padding, .. } = *self;
                Windows { kernel, stride, padding }
            }
        }

        impl Settings for $layer {
            const WORD: &'static str = $word;

            fn parse(words: &mut Words) -> Result<Self, String> {
                let (Windows { kernel, stride, padding }, all) = pool2d::parse(words, "all")?;
                Ok(Self { kernel, stride, padding, ties: if all { Ties::All } else { Ties::First } })
            }

            fn text(&self) -> String {
                pool2d::text(self.windows(), (self.ties == Ties::All).then_some("all"))
            }

            fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
                pool2d::plan(Self::pooling(self.ties), self.windows(), input, context)
            }
        }
    };
}
pub(super) use extremum;

/// Plans the mean of each whole channel.
pub(super) fn plan_global(input: Shape, context: &Context) -> Result<Box<dyn Operation>, Misfit> {
    let map @ [rows, columns, channels] = expect_map(input)?;
    let geometry = Pool2dGeometry::new(map, &Pool2dConfig::new([rows, columns]))?;
    let (pooling, output) = (Pooling::Average { count_padding: false }, Shape::Flat(channels));
    Ok(Box::new(Plan { pooling, geometry, output, kernels: context.kernels }))
}

#[derive(Debug)]
struct Plan {
    pooling: Pooling,
    geometry: Pool2dGeometry,
    output: Shape,
    kernels: Kernels,
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        self.output
    }

    fn forward(&self, Forward { batch, x, y, .. }: Forward<'_>) {
        let Self { pooling, geometry, kernels, .. } = self;
        map_chunks(batch, [x], y, |n, [x], y| {
            let (x, y) = (array(geometry.input_shape(n), x), array_mut(geometry.output_shape(n), y));
            pool2d::forward(*kernels, *pooling, geometry, x, y).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, x, dy, dx, .. }: Backward<'_>) {
        let Self { pooling, geometry, kernels, .. } = self;
        let Some(dx) = dx else { return };
        map_chunks(batch, [x, dy], dx, |n, [x, dy], dx| {
            let (x, dy) = (array(geometry.input_shape(n), x), array(geometry.output_shape(n), dy));
            let dx = array_mut(geometry.input_shape(n), dx);
            pool2d::backward(*kernels, *pooling, geometry, x, dy, dx).expect(PLANNED);
        });
    }

    fn reference(&self, Reference { batch, x, y, .. }: Reference<'_>) {
        let (x, y) =
            (array(self.geometry.input_shape(batch), x), array_mut(self.geometry.output_shape(batch), y));
        naive::pool2d::forward(self.pooling, &self.geometry, x, y).expect(PLANNED);
    }
}
