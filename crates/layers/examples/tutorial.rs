//! The tutorial's network in one file, to be read beside `docs/tutorial.md`, whose section numbers stand here.
//! All its mathematics is [`tensor_ops::naive`]: plain loops that you can open and follow.
//!
//! ```sh
//! cargo run -p layers --example tutorial         # seed 0
//! cargo run -p layers --example tutorial -- 7    # seed 7
//! ```

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use mnist_io::{Dataset, Normalization, sample};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use tensor_ops::naive::{conv2d, dense, pool2d, softmax};
use tensor_ops::ndarray::{Array1, Array2, Array4};
use tensor_ops::{Conv2dConfig, Conv2dGeometry, Pool2dConfig, Pool2dGeometry, Pooling, Ties};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const LEARNING_RATE: f32 = 0.005;

// Section 1. An image: 28×28 grey pixels as numbers from −0.5 (black) to 0.5 (white).

fn image(data: &Dataset, index: usize) -> Result<Array4<f32>> {
    let mut pixels = vec![0.0; 28 * 28];
    Normalization::CENTERED.apply(data.image(index), &mut pixels);
    Ok(Array4::from_shape_vec((1, 28, 28, 1), pixels)?) // sample, row, column, channel
}

// Sections 2 and 9. Convolution: 3×3 filters, no padding, no bias.

struct Conv3x3 {
    geometry: Conv2dGeometry,
    filters: Array4<f32>, // row, column, input channel, filter
    last_input: Array4<f32>,
}

impl Conv3x3 {
    fn new(num_filters: usize, rng: &mut impl Rng) -> Result<Self> {
        let geometry = Conv2dGeometry::new([28, 28, 1], num_filters, &Conv2dConfig::new([3, 3]))?;
        // N(0, 1) / 9: nine products are summed, and the sum should not outgrow the image.
        let filters = Array4::from_shape_simple_fn(geometry.weight_shape(), || normal(rng) / 9.0);
        Ok(Self { geometry, filters, last_input: Array4::default([0; 4]) })
    }

    fn forward(&mut self, input: Array4<f32>) -> Result<Array4<f32>> {
        let mut output = Array4::zeros(self.geometry.output_shape(1));
        conv2d::forward(&self.geometry, input.view(), self.filters.view(), None, output.view_mut())?;
        self.last_input = input;
        Ok(output)
    }

    fn backprop(&mut self, d_l_d_out: &Array4<f32>, learning_rate: f32) -> Result<()> {
        let mut d_l_d_filters = Array4::zeros(self.filters.dim());
        let (x, dy) = (self.last_input.view(), d_l_d_out.view());
        // ∂L/∂w[k, l, f] = Σ x[i + k, j + l] · ∂L/∂y[i, j, f], summed over all positions i, j
        conv2d::grad_weight(&self.geometry, x, dy, d_l_d_filters.view_mut())?;
        // w ← w − η · ∂L/∂w. Nothing lies below that could learn from ∂L/∂x.
        self.filters.scaled_add(-learning_rate, &d_l_d_filters);
        Ok(())
    }
}

// Sections 3 and 8. Max-pooling: the largest value of each 2×2 window.

struct MaxPool2 {
    geometry: Pool2dGeometry,
    last_input: Array4<f32>,
}

impl MaxPool2 {
    const POOLING: Pooling = Pooling::Max(Ties::All);

    fn new(input: [usize; 3]) -> Result<Self> {
        let geometry = Pool2dGeometry::new(input, &Pool2dConfig::new([2, 2]))?;
        Ok(Self { geometry, last_input: Array4::default([0; 4]) })
    }

    fn forward(&mut self, input: Array4<f32>) -> Result<Array4<f32>> {
        let mut output = Array4::zeros(self.geometry.output_shape(1));
        pool2d::forward(Self::POOLING, &self.geometry, input.view(), output.view_mut())?;
        self.last_input = input;
        Ok(output)
    }

    fn backprop(&self, d_l_d_out: &Array4<f32>) -> Result<Array4<f32>> {
        let mut d_l_d_input = Array4::zeros(self.last_input.dim());
        let (x, dy) = (self.last_input.view(), d_l_d_out.view());
        // ∂L/∂x = ∂L/∂y of the window where x is its maximum, 0 elsewhere
        pool2d::backward(Self::POOLING, &self.geometry, x, dy, d_l_d_input.view_mut())?;
        Ok(d_l_d_input)
    }
}

// Sections 4, 6 and 7. A dense layer and the softmax of its totals: a probability for each digit.

struct Softmax {
    weights: Array2<f32>, // input, digit
    biases: Array1<f32>,
    last_input: Array4<f32>,
    last_probabilities: Array2<f32>,
}

impl Softmax {
    fn new(input_len: usize, nodes: usize, rng: &mut impl Rng) -> Self {
        Self {
            weights: Array2::from_shape_simple_fn((input_len, nodes), || normal(rng) / input_len as f32),
            biases: Array1::zeros(nodes),
            last_input: Array4::default([0; 4]),
            last_probabilities: Array2::zeros((1, nodes)),
        }
    }

    fn forward(&mut self, input: Array4<f32>) -> Result<&Array2<f32>> {
        let x = input.to_shape((1, self.weights.nrows()))?;
        let mut totals = Array2::zeros((1, self.biases.len()));
        dense::forward(x.view(), self.weights.view(), Some(self.biases.view()), totals.view_mut())?;
        softmax::forward(totals.view(), self.last_probabilities.view_mut())?;
        self.last_input = input;
        Ok(&self.last_probabilities)
    }

    fn backprop(&mut self, label: usize, learning_rate: f32) -> Result<Array4<f32>> {
        let x = self.last_input.to_shape((1, self.weights.nrows()))?;
        let mut d_l_d_t = Array2::zeros((1, self.biases.len()));
        let mut d_l_d_weights = Array2::zeros(self.weights.dim());
        let mut d_l_d_biases = Array1::zeros(self.biases.dim());
        let mut d_l_d_input = Array2::zeros(x.dim());
        // ∂L/∂t[c] = p[c] − 1 for the label, p[c] for every other digit
        softmax::cross_entropy_backward(self.last_probabilities.view(), &[label], d_l_d_t.view_mut())?;
        // ∂L/∂w[i, c] = x[i] · ∂L/∂t[c]
        dense::grad_weight(x.view(), d_l_d_t.view(), d_l_d_weights.view_mut())?;
        // ∂L/∂b[c] = ∂L/∂t[c]
        dense::grad_bias(d_l_d_t.view(), d_l_d_biases.view_mut())?;
        // ∂L/∂x[i] = Σ w[i, c] · ∂L/∂t[c] over the digits c, with the weights from before their update
        dense::grad_input(d_l_d_t.view(), self.weights.view(), d_l_d_input.view_mut())?;
        // w ← w − η · ∂L/∂w and b ← b − η · ∂L/∂b
        self.weights.scaled_add(-learning_rate, &d_l_d_weights);
        self.biases.scaled_add(-learning_rate, &d_l_d_biases);
        Ok(d_l_d_input.into_shape_with_order(self.last_input.dim())?)
    }
}

// Sections 5 and 10. The network: `forward` tells the loss and whether the guess was right, `train` learns too.

struct Cnn {
    conv: Conv3x3,    // 28×28×1 → 26×26×8
    pool: MaxPool2,   // 26×26×8 → 13×13×8
    softmax: Softmax, // 13×13×8 → 10
}

impl Cnn {
    fn new(rng: &mut impl Rng) -> Result<Self> {
        let (conv, pool) = (Conv3x3::new(8, rng)?, MaxPool2::new([26, 26, 8])?);
        Ok(Self { conv, pool, softmax: Softmax::new(13 * 13 * 8, 10, rng) })
    }

    fn forward(&mut self, data: &Dataset, index: usize) -> Result<(f32, bool)> {
        let output = self.conv.forward(image(data, index)?)?;
        let output = self.pool.forward(output)?;
        let p = self.softmax.forward(output)?.row(0);
        // L = −ln p[label]; the guess is right where no digit is more probable than the label.
        let p_label = p[data.label(index)];
        Ok((-p_label.ln(), p.iter().all(|&other| other <= p_label)))
    }

    fn train(&mut self, data: &Dataset, index: usize) -> Result<(f32, bool)> {
        let result = self.forward(data, index)?;
        let gradient = self.softmax.backprop(data.label(index), LEARNING_RATE)?;
        let gradient = self.pool.backprop(&gradient)?;
        self.conv.backprop(&gradient, LEARNING_RATE)?;
        Ok(result)
    }
}

/// A draw from N(0, 1).
fn normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
}

/// The average loss of `step` over these images, and the percentage it had right.
fn average(images: &[usize], mut step: impl FnMut(usize) -> Result<(f32, bool)>) -> Result<(f32, f32)> {
    let (mut loss, mut right) = (0.0, 0.0);
    for &index in images {
        let (image_loss, image_right) = step(index)?;
        loss += image_loss;
        right += f32::from(image_right);
    }
    let count = images.len() as f32;
    Ok((loss / count, 100.0 * right / count))
}

/// Takes the images in their order, with a line after every hundred.
fn report(images: &[usize], mut step: impl FnMut(usize) -> Result<(f32, bool)>) -> Result<()> {
    for (n, hundred) in (1..).zip(images.chunks(100)) {
        let (loss, accuracy) = average(hundred, &mut step)?;
        println!("[Step {n}00] Past 100 steps: Average Loss {loss:.3} | Accuracy: {accuracy:.0}%");
    }
    Ok(())
}

fn main() -> Result<()> {
    let seed = match std::env::args().nth(1) {
        Some(seed) => seed.parse().map_err(|error| format!("seed {seed:?}: {error}"))?,
        None => 0,
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (train, test) = (sample::train()?, sample::test()?);
    let mut train_order: Vec<usize> = (0..train.len()).collect();
    let test_order: Vec<usize> = (0..test.len()).collect();
    let mut cnn = Cnn::new(&mut rng)?;

    println!("--- The untrained CNN ---");
    report(&test_order, |index| cnn.forward(&test, index))?;
    for epoch in 1..=3 {
        println!("--- Epoch {epoch} ---");
        train_order.shuffle(&mut rng);
        report(&train_order, |index| cnn.train(&train, index))?;
    }
    println!("--- Testing the CNN ---");
    let (loss, accuracy) = average(&test_order, |index| cnn.forward(&test, index))?;
    println!("Test Loss: {loss:.3}");
    println!("Test Accuracy: {accuracy:.1}%");
    Ok(())
}
