//! What the pooling layers share: windows that reduce each channel to one value.

use super::{Backward, Forward, Operation, PLANNED, array, array_mut, expect_map};
use crate::parallel::map_chunks;
use crate::{Misfit, Padding, Shape};
use tensor_ops::{Kernels, Pool2dConfig, Pool2dGeometry, Pooling, pool2d};

/// Plans a pooling layer; windows lie side by side where no stride is given.
pub(super) fn plan(
    pooling: Pooling,
    kernel: [usize; 2],
    stride: Option<[usize; 2]>,
    padding: Padding,
    input: Shape,
    kernels: Kernels,
) -> Result<Box<dyn Operation>, Misfit> {
    let config = Pool2dConfig { kernel, stride: stride.unwrap_or(kernel), padding };
    let geometry = Pool2dGeometry::new(expect_map(input)?, &config)?;
    Ok(Box::new(Plan { pooling, geometry, kernels }))
}

#[derive(Debug)]
struct Plan {
    pooling: Pooling,
    geometry: Pool2dGeometry,
    kernels: Kernels,
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        let [_, rows, columns, channels] = self.geometry.output_shape(1);
        Shape::Map([rows, columns, channels])
    }

    fn forward(&self, Forward { batch, x, y, .. }: Forward<'_>) {
        let Self { pooling, geometry, kernels } = self;
        map_chunks(batch, [x], y, |n, [x], y| {
            let (x, y) = (array(geometry.input_shape(n), x), array_mut(geometry.output_shape(n), y));
            pool2d::forward(*kernels, *pooling, geometry, x, y).expect(PLANNED);
        });
    }

    fn backward(&self, Backward { batch, x, dy, dx, .. }: Backward<'_>) {
        let Self { pooling, geometry, kernels } = self;
        let Some(dx) = dx else { return };
        map_chunks(batch, [x, dy], dx, |n, [x, dy], dx| {
            let (x, dy) = (array(geometry.input_shape(n), x), array(geometry.output_shape(n), dy));
            let dx = array_mut(geometry.input_shape(n), dx);
            pool2d::backward(*kernels, *pooling, geometry, x, dy, dx).expect(PLANNED);
        });
    }
}
