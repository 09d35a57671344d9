//! Looking inside: what each layer makes of one image, and what in it speaks for a class.

use crate::chain::Chain;
use crate::layer::{Backward, Context, Forward, Mode, Operation};
use crate::workspace::{Buffer, buffer};
use crate::{Error, Layer, Network, Parameters, Result, Shape};
use tensor_ops::ndarray::{Array2, Array3, ArrayD, ArrayView3, ArrayViewD, Axis, Ix3, IxDyn};

/// A network run on one image as when predicting, with the output of every layer kept. A residual block is one layer.
///
/// ```
/// use layers::{Network, NetworkSpec, ndarray::Array3};
///
/// let spec: NetworkSpec = "8x8: conv 4 3x3 relu, maxpool 2, dense 10".parse()?;
/// let network = Network::new(&spec)?;
/// let parameters = network.initial_parameters(1);
/// let trace = network.trace(&parameters, Array3::ones((8, 8, 1)).view())?;
/// assert_eq!(trace.output(0).shape(), [6, 6, 4]);
/// assert_eq!(trace.logits()?.len(), 10);
/// assert_eq!(trace.gradients(7)?.image.dim(), (8, 8, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trace<'a> {
    network: &'a Network,
    parameters: &'a Parameters,
    image: Vec<f32>,
    stages: Vec<Stage>,
}

/// A layer by itself, and what it made of its input.
#[derive(Debug)]
struct Stage {
    chain: Chain,
    /// Where its parameters and its statistics begin.
    starts: [usize; 2],
    y: Buffer<f32>,
    saved: Buffer<f32>,
}

/// How one logit follows the image and what the layers make of it.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// `∂logit / ∂image` (row, column, channel).
    pub image: Array3<f32>,
    /// The same for the output of each layer, in its shape, up to the logits themselves.
    pub outputs: Vec<ArrayD<f32>>,
}

/// Where the network looked: see [`Trace::grad_cam`].
#[derive(Clone, Debug)]
pub struct GradCam {
    /// The place of the layer whose maps were weighted.
    pub layer: usize,
    /// What speaks for the class at each position (row, column) of its maps; never below 0.
    pub map: Array2<f32>,
}

impl Network {
    /// Runs each layer by itself on an image (row, column, channel), with statistics as they were learned.
    ///
    /// # Errors
    /// An image of another shape than the network's input, parameters of another network, buffers that do not fit into
    /// memory.
    pub fn trace<'a>(&'a self, parameters: &'a Parameters, image: ArrayView3<f32>) -> Result<Trace<'a>> {
        let (expected, found) = (self.spec().input, <[usize; 3]>::from(image.dim()));
        if found != expected {
            return Err(Error::Images { expected: Shape::Map(expected), found: Shape::Map(found) });
        }
        parameters.check(self.layout())?;
        // Operations that are made of several keep for the way back only what training needs.
        let mut context = Context { fusion: false, ..self.context() };
        let (mut shape, mut starts) = (Shape::Map(expected), [0; 2]);
        let mut trace = Trace {
            network: self,
            parameters,
            image: image.iter().copied().collect(),
            stages: Vec::with_capacity(self.spec().layers.len()),
        };
        for layer in &self.spec().layers {
            let chain = Chain::plan(std::slice::from_ref(layer), shape, &mut context)?;
            shape = chain.output();
            let ends = [starts[0] + chain.parameter_count(), starts[1] + chain.statistic_count()];
            let stage = Stage {
                y: buffer("activations", shape.len())?,
                saved: buffer("activations", chain.saved(1))?,
                chain,
                starts,
            };
            trace.push(stage)?;
            starts = ends;
        }
        Ok(trace)
    }
}

impl Stage {
    /// Its part of the parameters and of the statistics.
    fn parts<'a>(&self, parameters: &'a Parameters) -> [&'a [f32]; 2] {
        let part = |values: &'a [f32], start: usize, count: usize| &values[start..start + count];
        [
            part(parameters.values(), self.starts[0], self.chain.parameter_count()),
            part(parameters.statistics(), self.starts[1], self.chain.statistic_count()),
        ]
    }
}

impl Trace<'_> {
    /// The network that ran.
    pub fn network(&self) -> &Network {
        self.network
    }

    /// The image (row, column, channel).
    pub fn image(&self) -> ArrayView3<'_, f32> {
        ArrayView3::from_shape(self.network.spec().input, &self.image).expect(SHAPED)
    }

    /// The output of the layer at this place of the spec: (row, column, channel), or a row of numbers.
    ///
    /// # Panics
    /// If the spec has no such layer.
    pub fn output(&self, layer: usize) -> ArrayViewD<'_, f32> {
        let stage = &self.stages[layer];
        ArrayViewD::from_shape(dimensions(stage.chain.output()), &stage.y).expect(SHAPED)
    }

    /// What that layer was given.
    ///
    /// # Panics
    /// If the spec has no such layer.
    pub fn input(&self, layer: usize) -> ArrayViewD<'_, f32> {
        match layer {
            0 => self.image().into_dyn(),
            _ => self.output(layer - 1),
        }
    }

    /// One number a class, before a softmax at the end.
    ///
    /// # Errors
    /// A network that ends in a map.
    pub fn logits(&self) -> Result<&[f32]> {
        self.network.classes()?;
        Ok(self.before(self.up_to_logits()))
    }

    /// `∂logit / ∂x` for the logit of a class, where `x` is the image or what a layer made of it.
    ///
    /// # Errors
    /// A network that ends in a map; a class that it does not have; buffers that do not fit into memory.
    pub fn gradients(&self, class: usize) -> Result<Gradients> {
        let classes = self.network.classes()?;
        if class >= classes {
            return Err(Error::Class { classes, found: class });
        }
        let mut dy = buffer("gradients", classes)?;
        dy[class] = 1.0;
        let mut outputs = Vec::new();
        for layer in (0..self.up_to_logits()).rev() {
            let dx = self.back(layer, &dy)?;
            outputs.push(owned(self.stages[layer].chain.output(), &dy));
            dy = dx;
        }
        outputs.reverse();
        let image = owned(Shape::Map(self.network.spec().input), &dy);
        Ok(Gradients { image: image.into_dimensionality().expect(SHAPED), outputs })
    }

    /// What in the image speaks for a class (Grad-CAM: Selvaraju et al., "Visual Explanations from Deep Networks via
    /// Gradient-based Localization", 2017), at the last layer that gives maps `A[row, column, k]`; `None` where no layer
    /// does.
    ///
    /// `map = max(0, Σₖ wₖ · A[·, ·, k])` with `wₖ = mean over rows and columns of ∂logit / ∂A[row, column, k]`
    ///
    /// # Errors
    /// As [`Trace::gradients`].
    pub fn grad_cam(&self, class: usize) -> Result<Option<GradCam>> {
        let gradients = self.gradients(class)?;
        let is_map = |layer: &usize| matches!(self.stages[*layer].chain.output(), Shape::Map(_));
        let Some(layer) = (0..self.up_to_logits()).rev().find(is_map) else { return Ok(None) };
        let maps = self.output(layer).into_dimensionality::<Ix3>().expect(SHAPED);
        let gradients = gradients.outputs[layer].view().into_dimensionality::<Ix3>().expect(SHAPED);
        let mut map = Array2::zeros((maps.dim().0, maps.dim().1));
        for (a, gradient) in maps.axis_iter(Axis(2)).zip(gradients.axis_iter(Axis(2))) {
            map.scaled_add(gradient.mean().unwrap_or(0.0), &a);
        }
        map.mapv_inplace(|value: f32| value.max(0.0));
        Ok(Some(GradCam { layer, map }))
    }

    /// How many windows of a max-pooling or min-pooling took their value from each number of its input (row, column,
    /// channel); of equal ones, from those that take the gradient. `None` for other layers.
    ///
    /// # Errors
    /// Buffers that do not fit into memory.
    ///
    /// # Panics
    /// If the spec has no such layer.
    pub fn chosen(&self, layer: usize) -> Result<Option<Array3<f32>>> {
        let &[rows, columns, channels] = self.input(layer).shape() else { return Ok(None) };
        if !matches!(self.network.spec().layers[layer], Layer::MaxPool2d(_) | Layer::MinPool2d(_)) {
            return Ok(None);
        }
        // Each window hands its gradient to what it chose: where all are 1, they are counted.
        let mut dy = buffer("gradients", self.stages[layer].y.len())?;
        dy.fill(1.0);
        let chosen = owned(Shape::Map([rows, columns, channels]), &self.back(layer, &dy)?);
        Ok(Some(chosen.into_dimensionality().expect(SHAPED)))
    }

    /// Runs the next layer.
    fn push(&mut self, mut stage: Stage) -> Result<()> {
        let [parameters, statistics] = stage.parts(self.parameters);
        stage.chain.forward(Forward {
            batch: 1,
            mode: Mode::Evaluate,
            parameters,
            statistics,
            x: self.before(self.stages.len()),
            y: &mut stage.y,
            saved: &mut stage.saved,
            scratch: &mut buffer("scratch", stage.chain.forward_scratch(1))?,
            wide: &mut buffer("scratch", stage.chain.wide_scratch(1))?,
        });
        self.stages.push(stage);
        Ok(())
    }

    /// From the gradient of a layer's output to that of its input.
    fn back(&self, layer: usize, dy: &[f32]) -> Result<Buffer<f32>> {
        let stage = &self.stages[layer];
        let x = self.before(layer);
        let mut dx = buffer("gradients", x.len())?;
        if stage.chain.is_identity() {
            dx.copy_from_slice(dy);
            return Ok(dx);
        }
        let [parameters, statistics] = stage.parts(self.parameters);
        stage.chain.backward(Backward {
            batch: 1,
            mode: Mode::Evaluate,
            parameters,
            statistics,
            x,
            y: &stage.y,
            dy,
            dx: Some(&mut dx),
            gradients: &mut buffer("gradients", parameters.len())?,
            saved: &stage.saved,
            scratch: &mut buffer("scratch", stage.chain.backward_scratch(1))?,
            wide: &mut buffer("scratch", stage.chain.wide_scratch(1))?,
        });
        Ok(dx)
    }

    /// The numbers before the layer of this place.
    fn before(&self, layer: usize) -> &[f32] {
        layer.checked_sub(1).map_or(&self.image, |layer| &self.stages[layer].y)
    }

    /// How many layers give the logits: all but a softmax at the end.
    fn up_to_logits(&self) -> usize {
        let layers = &self.network.spec().layers;
        layers.len() - usize::from(matches!(layers.last(), Some(Layer::Softmax(_))))
    }
}

const SHAPED: &str = "as many numbers as the planned shape has";

fn dimensions(shape: Shape) -> IxDyn {
    match shape {
        Shape::Map(map) => IxDyn(&map),
        Shape::Flat(n) => IxDyn(&[n]),
    }
}

fn owned(shape: Shape, values: &[f32]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(dimensions(shape), values.to_vec()).expect(SHAPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Reference;
    use crate::random::{Purpose, stream};
    use crate::{Kernels, NetworkSpec};
    use rand::RngExt;

    /// Every kind of layer, blocks, a softmax at the end, and a network without maps. No pooling sees the equal numbers that
    /// a ReLU gives: they are kinks, where a difference is no gradient.
    const NETWORKS: [&str; 6] = [
        "9x8x2: conv 4 3x3 batchnorm leakyrelu, maxpool 2, dropout 0.5, conv 5 2x2 gelu, dense 7 tanh, dense 3",
        "8x8x3: residual(conv 3 3 same batchnorm relu, conv 3 3 same) leakyrelu, minpool 2, globalavgpool, dense 4 softmax",
        "8x8: residual(conv 8 3 same relu, maxpool 2 | conv 8 1 stride 2 batchnorm), avgpool 2, dense 5 softmax",
        "1x1x6: dense 4 sigmoid, dense 3",
        "6x6: conv 16 3x3 same tanh, maxpool 3 stride 1 same all, dense 2",
        "1x1: conv 2 1x1, flatten",
    ];

    /// A network whose statistics are as after some training, and an image.
    fn random(line: &str, seed: u64, kernels: Kernels) -> (Network, Parameters, Array3<f32>) {
        let network = Network::with_kernels(&line.parse().expect("a network"), kernels).expect("it fits");
        let mut rng = stream(seed, Purpose::Gradcheck);
        let mut parameters = network.initial_parameters(seed);
        parameters.values_mut().iter_mut().for_each(|value| *value += 0.2 * rng.random::<f32>() - 0.1);
        parameters.statistics_mut().iter_mut().for_each(|value| *value += 0.5 * rng.random::<f32>());
        let image = Array3::from_shape_simple_fn(network.spec().input, || 2.0 * rng.random::<f32>() - 1.0);
        (network, parameters, image)
    }

    /// The output of these layers in double precision, by the plain loops.
    fn reference(
        spec: &NetworkSpec,
        layers: std::ops::Range<usize>,
        parameters: &Parameters,
        x: &[f64],
    ) -> Vec<f64> {
        let mut context = Context { kernels: Kernels::NAIVE, fusion: false, winograd: false, streams: 0 };
        let mut plan = |layers: &[Layer], shape| Chain::plan(layers, shape, &mut context).expect("it fits");
        let head = plan(&spec.layers[..layers.start], Shape::Map(spec.input));
        let chain = plan(&spec.layers[layers], head.output());
        let wide = |values: &[f32], start: usize, count: usize| -> Vec<f64> {
            values[start..start + count].iter().map(|&value| value.into()).collect()
        };
        let mut y = vec![0.0; chain.output().len()];
        chain.reference(Reference {
            batch: 1,
            mode: Mode::Evaluate,
            parameters: &wide(parameters.values(), head.parameter_count(), chain.parameter_count()),
            statistics: &wide(parameters.statistics(), head.statistic_count(), chain.statistic_count()),
            x,
            y: &mut y,
        });
        y
    }

    #[track_caller]
    fn assert_close(found: &[f32], expected: &[f64], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let largest = expected.iter().fold(1e-3f64, |largest, value| largest.max(value.abs()));
        for (place, (&found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(found) - expected).abs() / largest;
            assert!(error < 1e-4, "{what}: {found} at {place}, expected {expected}");
        }
    }

    fn wide<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<f64> {
        values.into_iter().map(|&value| value.into()).collect()
    }

    #[test]
    fn outputs_and_gradients_are_those_of_the_plain_loops() {
        const STEP: f64 = 1e-6;
        for kernels in Kernels::available() {
            for (seed, line) in (0..).zip(NETWORKS) {
                let what = format!("{line}, seed {seed}, {kernels}");
                let (network, parameters, image) = random(line, seed, kernels);
                let spec = network.spec();
                let trace = network.trace(&parameters, image.view()).expect("it fits");
                let layers = spec.layers.len();
                for layer in 0..layers {
                    let expected = reference(spec, 0..layer + 1, &parameters, &wide(&image));
                    assert_close(trace.output(layer).as_slice().expect(SHAPED), &expected, &what);
                }
                let logits = layers - usize::from(line.ends_with("softmax"));
                let expected = reference(spec, 0..logits, &parameters, &wide(&image));
                assert_close(trace.logits().expect("a row"), &expected, &what);

                let class = expected.len() - 1;
                let gradients = trace.gradients(class).expect("a class");
                assert_eq!(gradients.outputs.len(), logits, "{what}");
                let check = |layer: usize, found: &[f32]| {
                    let mut x = wide(trace.input(layer));
                    let differences = (0..x.len()).map(|place| {
                        let mut at = |value| {
                            let before = std::mem::replace(&mut x[place], value);
                            let y = reference(spec, layer..logits, &parameters, &x)[class];
                            (y, x[place] = before).0
                        };
                        let value = wide(trace.input(layer))[place];
                        (at(value + STEP) - at(value - STEP)) / (2.0 * STEP)
                    });
                    let differences: Vec<f64> = differences.collect();
                    assert_close(found, &differences, &format!("{what}, before layer {layer}"));
                };
                check(0, gradients.image.as_slice().expect(SHAPED));
                for layer in 1..logits {
                    check(layer, gradients.outputs[layer - 1].as_slice().expect(SHAPED));
                }
                let of_logits = gradients.outputs[logits - 1].as_slice().expect(SHAPED);
                let expected: Vec<f32> =
                    (0..of_logits.len()).map(|k| if k == class { 1.0 } else { 0.0 }).collect();
                assert_eq!(of_logits, expected, "{what}");
            }
        }
    }

    /// Two maps of 2×2, the second twice the first, and logits that follow one position of each.
    #[test]
    fn grad_cam_weighs_maps_by_their_mean_gradients() {
        let network = Network::new(&"2x2: conv 2 1x1, dense 2 softmax".parse().expect("a network"));
        let network = network.expect("it fits");
        let mut parameters = network.zero_parameters();
        let mut set = |name, values: &[f32]| {
            let mut part = parameters.get_mut(name).expect("a part");
            part.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
        };
        set("0.weight", &[1.0, 2.0]);
        // For each input (row, column, channel) a weight of each of the two outputs.
        let mut dense = [0.0; 16];
        (dense[2 * 6], dense[2 * 7]) = (8.0, -2.0);
        dense[1] = -1.0;
        set("2.weight", &dense);
        let image = Array3::from_shape_vec((2, 2, 1), vec![1.0, -2.0, 3.0, 0.5]).expect(SHAPED);
        let trace = network.trace(&parameters, image.view()).expect("it fits");
        // Class 0: weights 8/4 and −2/4, so 2·x − 0.5·2x = x where it is above 0. Class 1: −x/4.
        let check = |class, expected: [f32; 4]| {
            let cam = trace.grad_cam(class).expect("a class").expect("maps");
            assert_eq!((cam.layer, cam.map.as_slice().expect(SHAPED)), (0, &expected[..]), "class {class}");
        };
        check(0, [1.0, 0.0, 3.0, 0.5]);
        check(1, [0.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn windows_name_what_they_chose() {
        let check = |line: &str, x: [f32; 6], expected: Option<[f32; 6]>| {
            let (network, parameters, _) = random(line, 0, Kernels::detect());
            let image = Array3::from_shape_vec((2, 3, 1), x.to_vec()).expect(SHAPED);
            let trace = network.trace(&parameters, image.view()).expect("it fits");
            let chosen = trace.chosen(0).expect("it fits");
            assert_eq!(chosen.map(|chosen| chosen.into_iter().collect()), expected.map(Vec::from), "{line}");
        };
        let x = [1.0, 5.0, 2.0, 0.0, 5.0, 4.0];
        check("2x3: maxpool 2 stride 1", x, Some([0.0, 2.0, 0.0, 0.0, 0.0, 0.0]));
        check("2x3: maxpool 2 stride 1 all", x, Some([0.0, 2.0, 0.0, 0.0, 2.0, 0.0]));
        check("2x3: minpool 2 stride 1", x, Some([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]));
        check("2x3: avgpool 2 stride 1", x, None);
        check("2x3: dense 2", x, None);
    }

    #[test]
    fn what_does_not_fit() {
        let (network, parameters, image) = random(NETWORKS[0], 0, Kernels::detect());
        let (other, _, _) = random(NETWORKS[2], 0, Kernels::detect());
        let message = |result: Result<Trace>| result.expect_err("it does not fit").to_string();
        let wrong = Array3::zeros((8, 8, 2));
        assert_eq!(
            message(network.trace(&parameters, wrong.view())),
            "images: expected a 9×8×2 map as the network's input, found a 8×8×2 map"
        );
        assert!(message(other.trace(&parameters, Array3::zeros((8, 8, 1)).view())).starts_with("parameters"));
        let trace = network.trace(&parameters, image.view()).expect("it fits");
        let error = trace.gradients(3).expect_err("there are three");
        assert_eq!(error.to_string(), "expected a class below 3, found 3");

        let (maps, parameters, _) = random("2x2: conv 2 1x1", 0, Kernels::detect());
        let trace = maps.trace(&parameters, Array3::zeros((2, 2, 1)).view()).expect("it fits");
        assert!(matches!(trace.logits(), Err(Error::Output { .. })));
        assert!(matches!(trace.grad_cam(0), Err(Error::Output { .. })));
        let (rows, parameters, image) = random(NETWORKS[3], 0, Kernels::detect());
        let trace = rows.trace(&parameters, image.view()).expect("it fits");
        assert!(trace.grad_cam(0).expect("a class").is_none(), "no layer gives maps");
    }
}
