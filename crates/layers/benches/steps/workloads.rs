//! What is timed, and what it is compared with first.
//!
//! The networks are lines of text, so that other libraries can build the same: `conv F KxK` is a convolution with
//! bias and without padding, unless `nobias`, `same` or `pad P` follow; `batchnorm` has epsilon 1e-5. Images are
//! the 1,000 training digits that `mnist-io` bundles, as pixel / 255; the first 960 are trained on, 15 whole batches.
//! The loss is the mean cross-entropy.

use layers::ndarray::{Array4, Axis};
use layers::{
    Adam, Event, Kernels, Network, NetworkSpec, Optimizer, Result, Samples, Sgd, TrainConfig, TrainState,
    Trainer,
};
use std::hint::black_box;

/// The networks, by the first part of their workloads' names.
const NETWORKS: [(&str, &str); 5] = [
    ("tutorial", "28x28x1: conv 8 3x3 nobias, maxpool 2, dense 10"),
    ("mnist-example", "28x28x1: conv 32 3x3 relu, conv 64 3x3 relu, maxpool 2, dense 128 relu, dense 10"),
    (
        "lenet",
        "28x28x1: conv 6 5x5 same relu, maxpool 2, conv 16 5x5 relu, maxpool 2, \
         dense 120 relu, dense 84 relu, dense 10",
    ),
    (
        "resnet",
        "28x28x1: conv 16 3x3 same nobias batchnorm relu, \
         residual(conv 16 3x3 same nobias batchnorm relu, conv 16 3x3 same nobias batchnorm) relu, \
         residual(conv 32 3x3 pad 1 stride 2 nobias batchnorm relu, conv 32 3x3 same nobias batchnorm \
         | conv 32 1x1 stride 2 nobias batchnorm) relu, \
         residual(conv 32 3x3 same nobias batchnorm relu, conv 32 3x3 same nobias batchnorm) relu, \
         globalavgpool, dense 10",
    ),
    ("fast99", "28x28x1: conv 24 5x5, maxpool 2 relu, conv 32 3x3, maxpool 2 relu, dense 256 relu, dense 10"),
];

/// Samples a workload is compared with the plain loops on.
const VERIFIED: usize = 4;

/// Samples that are trained on.
const TRAINED: usize = 768;

/// A step that can be made again and again.
pub type Step<'a> = Box<dyn FnMut() + 'a>;

/// A network and what is done with it.
pub struct Workload {
    pub name: String,
    /// The network's line.
    pub network: &'static str,
    /// Whether another process keeps one core busy.
    pub busy: bool,
    work: Work,
}

#[derive(Clone, Copy)]
enum Work {
    /// A step of a [`Trainer`]: gather, forward, loss, backward, update.
    Train { batch: usize, optimizer: Optimizer },
    /// [`Network::forward`].
    Infer { batch: usize },
}

/// All workloads in their order.
pub fn workloads(with_busy: bool) -> Vec<Workload> {
    let sgd = |learning_rate, momentum| Optimizer::Sgd(Sgd { learning_rate, momentum, ..Sgd::default() });
    let per_image = Work::Train { batch: 1, optimizer: sgd(0.005, 0.0) };
    let momentum = Work::Train { batch: 64, optimizer: sgd(0.01, 0.9) };
    let adam = Work::Train { batch: 64, optimizer: Optimizer::Adam(Adam::default()) };
    let large = Work::Train { batch: 256, optimizer: Optimizer::Adam(Adam::default()) };
    let [tutorial, mnist_example, lenet, resnet, fast99] = NETWORKS.map(|(_, line)| line);
    let new = |name: &str, network, work, busy| Workload { name: name.to_owned(), network, work, busy };

    let mut workloads = vec![
        new("tutorial-step", tutorial, per_image, false),
        new("mnist-example-step", mnist_example, momentum, false),
        new("mnist-example-adam-step", mnist_example, adam, false),
        new("lenet-step", lenet, momentum, false),
        new("resnet-step", resnet, momentum, false),
        new("fast99-step", fast99, large, false),
    ];
    for (name, network) in NETWORKS {
        for batch in [1, 1000] {
            workloads.push(new(&format!("infer-{name}-{batch}"), network, Work::Infer { batch }, false));
        }
    }
    if with_busy {
        workloads.push(new("busy-tutorial-step", tutorial, per_image, true));
        workloads.push(new("busy-mnist-example-step", mnist_example, momentum, true));
    }
    workloads
}

/// The images and their labels: as samples, those that are trained on.
pub struct Digits {
    images: Array4<f32>,
    labels: Vec<usize>,
}

impl Digits {
    /// Those that `mnist-io` bundles.
    pub fn bundled() -> mnist_io::Result<Self> {
        let digits = mnist_io::sample::train()?;
        let [rows, columns, channels] = digits.shape();
        let pixels = digits.images().iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        let images = Array4::from_shape_vec((digits.len(), rows, columns, channels), pixels)
            .expect("a set has the pixels of its images");
        Ok(Self { images, labels: digits.labels().to_vec() })
    }
}

impl Samples for Digits {
    fn len(&self) -> usize {
        TRAINED
    }

    fn shape(&self) -> [usize; 3] {
        let (_, rows, columns, channels) = self.images.dim();
        [rows, columns, channels]
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    fn image(&self, index: usize, x: &mut [f32]) {
        let image = self.images.index_axis(Axis(0), index);
        x.copy_from_slice(image.to_slice().expect("images are contiguous"));
    }

    fn kept(&self, index: usize) -> Option<&[f32]> {
        self.images.index_axis(Axis(0), index).to_slice()
    }
}

impl Workload {
    /// The network, planned.
    pub fn plan(&self, kernels: Kernels) -> Result<Network> {
        let spec: NetworkSpec = self.network.parse().expect("the line is right");
        Network::with_kernels(&spec, kernels)
    }

    /// Samples a step.
    pub fn batch(&self) -> usize {
        match self.work {
            Work::Train { batch, .. } | Work::Infer { batch } => batch,
        }
    }

    /// Whether a step depends on those before it.
    pub fn keeps_state(&self) -> bool {
        matches!(self.work, Work::Train { .. })
    }

    /// The dense-equivalent floating-point operations for a sample, two a multiply-add. Training does each layer's
    /// forward pass again for its weights' gradient and, but for the first layer, for its input's.
    pub fn operations(&self, network: &Network) -> f64 {
        let layers: Vec<_> =
            network.summary().rows.iter().map(|row| row.multiply_adds).filter(|&count| count > 0).collect();
        let forward: u64 = layers.iter().sum();
        let all = if self.keeps_state() { 3 * forward - layers[0] } else { forward };
        2.0 * all as f64
    }

    /// The workload before its first step, which is the same each time.
    pub fn start<'a>(&self, network: &'a Network, digits: &'a Digits) -> Result<Step<'a>> {
        match self.work {
            Work::Train { batch, optimizer } => {
                let mut trainer = trainer(network, digits, batch, optimizer)?;
                Ok(Box::new(move || {
                    step(&mut trainer).expect("the loss is finite");
                }))
            }
            Work::Infer { batch } => {
                let parameters = network.initial_parameters(0);
                let mut activations = network.activations(batch)?;
                let mut batches = digits.images.axis_chunks_iter(Axis(0), batch).cycle();
                Ok(Box::new(move || {
                    let x = batches.next().expect("there are images");
                    black_box(network.forward(&parameters, x, &mut activations).expect("they fit"));
                }))
            }
        }
    }

    /// Does the same with `network` and with plain loops for a few samples.
    ///
    /// # Panics
    /// If the results differ by more than rounding explains.
    pub fn verify(&self, network: &Network, digits: &Digits) -> Result<()> {
        let [found, expected] = [network.kernels(), Kernels::NAIVE].map(|kernels| -> Result<_> {
            let network = self.plan(kernels)?;
            match self.work {
                Work::Train { batch, optimizer } => trained(&network, digits, batch.min(VERIFIED), optimizer),
                Work::Infer { batch } => inferred(&network, digits, batch.min(VERIFIED)),
            }
        });
        for ((part, found), (_, expected)) in found?.iter().zip(&expected?) {
            let squares =
                |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
            let error = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
            let share = (error / squares(&mut expected.iter().copied())).sqrt();
            // One of two nearly equal maxima instead of the other moves a gradient by about 1e-3.
            assert!(share < 1e-2, "{}: {part} differs from that of plain loops by {share:.1e}", self.name);
        }
        Ok(())
    }
}

/// A training run before its first step.
fn trainer<'a>(
    network: &'a Network,
    digits: &'a Digits,
    batch_size: usize,
    optimizer: Optimizer,
) -> Result<Trainer<'a>> {
    let config = TrainConfig { epochs: u32::MAX as usize, batch_size, optimizer, ..TrainConfig::default() };
    let state = TrainState::new(&config, network.initial_parameters(0))?;
    Trainer::new(network, config, digits, None, state)
}

/// Makes a step, and gives back its loss. At an epoch's end there is an event that is none.
fn step(trainer: &mut Trainer) -> Result<f64> {
    loop {
        if let Some(Event::Step { score, .. }) = trainer.advance()? {
            return Ok(score.loss());
        }
    }
}

/// What training on the first few samples gives, by name: the losses, and what the optimiser made of each parameter's
/// gradients, which is its first moment where there is one and else the parameter's way.
fn trained(
    network: &Network,
    digits: &Digits,
    batch: usize,
    optimizer: Optimizer,
) -> Result<Vec<(String, Vec<f32>)>> {
    let mut trainer = trainer(network, digits, batch, optimizer)?;
    let losses: Result<Vec<_>> = (0..VERIFIED / batch).map(|_| Ok(step(&mut trainer)? as f32)).collect();
    let state = trainer.into_state();
    let start = network.initial_parameters(0);
    let learned = match state.moments.first.is_empty() {
        true => state.parameters.values().iter().zip(start.values()).map(|(p, start)| p - start).collect(),
        false => state.moments.first,
    };
    let mut results = vec![("the loss".to_owned(), losses?)];
    // The statistics follow the parameters, each in a buffer of its own.
    let mut end = 0;
    for part in
        network.parts().take_while(|part| std::mem::replace(&mut end, part.range.end) == part.range.start)
    {
        results.push((part.name.clone(), learned[part.range.clone()].to_vec()));
    }
    Ok(results)
}

/// The logits of the first few samples.
fn inferred(network: &Network, digits: &Digits, batch: usize) -> Result<Vec<(String, Vec<f32>)>> {
    let parameters = network.initial_parameters(0);
    let mut activations = network.activations(batch)?;
    let mut logits = Vec::new();
    for x in digits.images.axis_chunks_iter(Axis(0), batch).take(VERIFIED / batch) {
        logits.extend(network.forward(&parameters, x, &mut activations)?);
    }
    Ok(vec![("the output".to_owned(), logits)])
}
