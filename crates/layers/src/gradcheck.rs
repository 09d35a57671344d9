//! Are the gradients right? The fast `f32` backward pass against differences of the plain `f64` forward pass.

use crate::layer::Draw;
use crate::random::{Purpose, stream};
use crate::{Flatten, Layer, Network, NetworkSpec, Result, Shape};
use rand::seq::index::sample;
use rand::{Rng, RngExt};
use std::fmt;
use tensor_ops::Kernels;
use tensor_ops::ndarray::{Array4, ArrayD, IxDyn};

/// The numbers that are moved in each part.
const MOVED: usize = 60;

/// How far a number is moved to each side: far enough for `f64`, near enough not to cross a kink.
const STEP: f64 = 1e-6;

/// The error that `f32` may make in a long sum.
const TOLERANCE: f64 = 1e-3;

/// A part whose gradients are smaller than this share of the largest of all is measured by that share: those of a bias
/// before a batch normalisation are nothing but rounding.
const FLOOR: f64 = 1e-3;

/// Gradients checked part by part; shown, it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradcheck {
    /// The kernels that were checked.
    pub kernels: &'static str,
    /// Each layer by itself, and then the whole network.
    pub rows: Vec<GradcheckRow>,
}

/// One part of a [`Gradcheck`].
#[derive(Clone, Debug, PartialEq)]
pub struct GradcheckRow {
    /// The layer, with its place, or `network`.
    pub of: String,
    /// The parameter, or `input`.
    pub part: String,
    /// How many of its numbers were moved.
    pub moved: usize,
    /// The largest difference of a gradient to the central difference, as a share of the part's largest
    /// gradient.
    pub worst: f64,
}

impl Gradcheck {
    /// Whether all gradients are as exact as `f32` allows.
    pub fn is_right(&self) -> bool {
        self.rows.iter().all(|row| row.worst <= TOLERANCE)
    }
}

/// Checks every gradient of a network, for each layer alone and for the whole, on random numbers drawn under `seed`.
///
/// With `L = Σ g · y` for random `g`, the backward pass gives `∂L/∂p` for each parameter and input. A number of them are
/// compared with `(L(p + h) − L(p − h)) / 2h`, where `L` is computed in `f64` by the plain loops of
/// [`tensor_ops::naive`]. Everything is as in training: statistics of the batch, dropout with the same draws.
///
/// # Errors
/// A network that cannot be planned.
pub fn gradcheck(spec: &NetworkSpec, kernels: Kernels, seed: u64) -> Result<Gradcheck> {
    let network = Network::with_kernels(spec, kernels)?;
    let mut rows = Vec::new();
    let mut input = Shape::Map(spec.input);
    for (index, layer) in spec.layers.iter().enumerate() {
        let alone = alone(layer, input);
        let operation = layer.plan(input, &mut network.context()).expect("the network was planned");
        input = operation.output();
        if !operation.is_view() {
            let name = format!("{index} {}", layer.kind());
            rows.extend(check(&name, &Network::with_kernels(&alone, kernels)?, seed + 1 + index as u64)?);
        }
    }
    rows.extend(check("network", &network, seed)?);
    Ok(Gradcheck { kernels: kernels.name(), rows })
}

/// A network of one layer; flat rows reach it as maps of one position.
fn alone(layer: &Layer, input: Shape) -> NetworkSpec {
    match input {
        Shape::Map(map) => NetworkSpec::new(map).with(layer.clone()),
        Shape::Flat(n) => NetworkSpec::new([1, 1, n]).with(Flatten).with(layer.clone()),
    }
}

/// All parts of one network.
fn check(of: &str, network: &Network, seed: u64) -> Result<Vec<GradcheckRow>> {
    const BATCH: usize = 3;
    let mut rng = stream(seed, Purpose::Gradcheck);
    let mut uniform =
        |count: usize| -> Vec<f32> { (0..count).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect() };
    let [rows, columns, channels] = network.spec().input;
    let x = uniform(BATCH * rows * columns * channels);
    let outputs = match network.output() {
        Shape::Map([rows, columns, channels]) => vec![BATCH, rows, columns, channels],
        Shape::Flat(n) => vec![BATCH, n],
    };
    let g = uniform(outputs.iter().product());
    let mut parameters = network.initial_parameters(seed);
    // Initial biases and scales are all alike; what is alike hides mistakes.
    for value in parameters.values_mut() {
        *value += 0.2 * rng.random::<f32>() - 0.1;
    }

    let draw = Draw { seed, step: 7 };
    let mut workspace = network.workspace(BATCH)?;
    let images =
        Array4::from_shape_vec((BATCH, rows, columns, channels), x.clone()).expect("drawn in this shape");
    let dy = ArrayD::from_shape_vec(IxDyn(&outputs), g.clone()).expect("drawn in this shape");
    network.backward(&parameters, images.view(), dy.view(), draw, &mut workspace)?;

    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
    let (mut p, mut x, statistics) = (wide(parameters.values()), wide(&x), wide(parameters.statistics()));
    let mut y = vec![0.0; g.len()];
    let mut loss = |p: &[f64], x: &[f64]| -> f64 {
        network.reference(p, &statistics, x, draw, &mut y);
        y.iter().zip(&g).map(|(y, &g)| y * f64::from(g)).sum()
    };

    let all = largest(workspace.gradients()).max(largest(workspace.input_gradient()));
    let row = |part: &str, gradients: &[f32], differences: Vec<(usize, f64)>| {
        let largest = largest(gradients).max(FLOOR * all);
        let errors =
            differences.iter().map(|&(place, difference)| (f64::from(gradients[place]) - difference).abs());
        let worst = errors.fold(0.0, f64::max) / largest;
        GradcheckRow { of: of.into(), part: part.into(), moved: differences.len(), worst }
    };
    let mut found = Vec::new();
    for part in &network.layout().parameters {
        let places = places(&mut rng, part.range.len()).into_iter();
        let differences =
            places.map(|place| (place, central(&mut p, part.range.start + place, |p| loss(p, &x))));
        let differences = differences.collect();
        found.push(row(&part.name, &workspace.gradients()[part.range.clone()], differences));
    }
    let places = places(&mut rng, x.len()).into_iter();
    let differences = places.map(|place| (place, central(&mut x, place, |x| loss(&p, x)))).collect();
    found.push(row("input", workspace.input_gradient(), differences));
    Ok(found)
}

/// The largest absolute value.
fn largest(gradients: &[f32]) -> f64 {
    gradients.iter().fold(f64::MIN_POSITIVE, |largest, g| largest.max(f64::from(g.abs())))
}

/// Some of `len` places, none twice.
fn places(rng: &mut impl Rng, len: usize) -> Vec<usize> {
    sample(rng, len, len.min(MOVED)).into_vec()
}

/// The central difference of `f` along one of its numbers.
fn central(values: &mut [f64], place: usize, mut f: impl FnMut(&[f64]) -> f64) -> f64 {
    let value = values[place];
    values[place] = value + STEP;
    let above = f(values);
    values[place] = value - STEP;
    let below = f(values);
    values[place] = value;
    (above - below) / (2.0 * STEP)
}

impl fmt::Display for Gradcheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&GradcheckRow) -> &str, least: usize| {
            self.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let (of, part) = (width(|row| &row.of, "layer".len()), width(|row| &row.part, "part".len()));
        writeln!(f, "{:of$}  {:part$}  moved  worst error", "layer", "part")?;
        for row in &self.rows {
            let mark = if row.worst <= TOLERANCE { "" } else { "  WRONG" };
            writeln!(f, "{:of$}  {:part$}  {:5}  {:11.1e}{mark}", row.of, row.part, row.moved, row.worst)?;
        }
        write!(f, "kernels: {}", self.kernels)
    }
}
