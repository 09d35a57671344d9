//! A training step, an inference and the augmentation of an image allocate nothing, on one thread and on
//! several, with any kernels. The counter counts everything in the process, so this runs without the test
//! harness, whose own thread allocates when it likes.

use std::sync::Barrier;

use layers::ndarray::Array4;
use layers::{
    Adam, Augment, Augmentation, Average, Draw, Images, Kernels, Loss, Network, NetworkSpec, Optimizer,
    TrainConfig, TrainState, Trainer, Update,
};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    an_image_is_changed_without_allocation();
    a_step_allocates_nothing();
}

fn a_step_allocates_nothing() {
    let line = "12x12x2: conv 6 3x3 same batchnorm relu, maxpool 2, dropout 0.3 spatial, \
                residual(conv 6 3x3 same groups 2, minpool 2 stride 1 | conv 6 2x2), \
                avgpool 2 same leakyrelu, dense 8 gelu sigmoid tanh, dropout 0.5, dense 5, softmax";
    let spec: NetworkSpec = line.parse().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    // A thread allocates when it first looks for work: on a busy machine that may be late.
    let both = Barrier::new(2);
    pool.install(|| rayon::join(|| both.wait(), || both.wait()));
    let wide: NetworkSpec =
        "12x12x2: conv 16 3x3, conv 16 3x3 same relu, conv 16 3x3, maxpool 2, dense 5".parse().unwrap();
    for (kernels, is_wide) in Kernels::available().flat_map(|kernels| [(kernels, false), (kernels, true)]) {
        let network = match is_wide {
            false => Network::with_kernels(&spec, kernels).unwrap(),
            true => Network::with_winograd(&wide, kernels).unwrap(),
        };
        // The plain loops of Winograd's algorithm are slow.
        let batches: &[usize] = if is_wide && kernels == Kernels::NAIVE { &[1] } else { &[1, 64] };
        for &batch in batches {
            let mut parameters = network.initial_parameters(1);
            let x = Array4::from_shape_fn((batch, 12, 12, 2), |(n, i, j, c)| {
                (n + 3 * i + 5 * j + c) as f32 % 7.0
            });
            let labels: Vec<usize> = (0..batch).map(|n| n % 5).collect();
            let mut workspace = network.workspace(batch).unwrap();
            let (loss, optimizer) = (Loss::default(), Optimizer::Adam(Adam::default()));
            let mut moments = optimizer.moments(network.parameter_count()).unwrap();
            let mut work = || {
                network
                    .gradients(
                        &parameters,
                        x.view(),
                        &labels,
                        &loss,
                        Draw { seed: 1, step: 2 },
                        &mut workspace,
                    )
                    .unwrap();
                let learning_rate = optimizer.learning_rate();
                optimizer
                    .step(learning_rate, parameters.values_mut(), workspace.gradients(), &mut moments)
                    .unwrap();
                let draw = Draw { seed: 1, step: 3 };
                let update =
                    Update { loss: &loss, optimizer: &optimizer, learning_rate, clip_norm: None, draw };
                network
                    .step(&mut parameters, &mut moments, x.view(), &labels, &update, &mut workspace)
                    .unwrap();
                network.judge(&parameters, x.view(), &labels, workspace.activations()).unwrap();
            };
            pool.install(|| {
                // The pool's queues grow on first use.
                (0..20).for_each(|_| work());
                let before = dhat::HeapStats::get().total_blocks;
                (0..20).for_each(|_| work());
                let blocks = dhat::HeapStats::get().total_blocks - before;
                assert_eq!(blocks, 0, "{kernels} kernels, batch {batch}");
            });
        }
    }

    // A trainer's step gathers and augments its batch, too.
    let network = Network::new(&spec).unwrap();
    let x = Array4::from_shape_fn((640, 12, 12, 2), |(n, i, j, c)| (n + 3 * i + 5 * j + c) as f32 % 7.0);
    let labels: Vec<usize> = (0..640).map(|n| n % 5).collect();
    let samples = Images::new(x.view(), &labels).unwrap();
    let augmentation = Augmentation::new([
        Augment::Rotate { degrees: 9.0 },
        Augment::Elastic { pixels: 1.0, smoothness: 3.0 },
    ]);
    for batch_size in [2, 64] {
        let config = TrainConfig {
            batch_size,
            augmentation: augmentation.clone(),
            clip_norm: Some(1.0),
            average: Some(Average { keep: 0.9, every: 1 }),
            ..TrainConfig::default()
        };
        let state = TrainState::new(&config, network.initial_parameters(1)).unwrap();
        let mut trainer = Trainer::new(&network, config, &samples, None, state).unwrap();
        pool.install(|| {
            let mut step = || _ = trainer.advance().unwrap();
            (0..4).for_each(|_| step());
            let before = dhat::HeapStats::get().total_blocks;
            (0..5).for_each(|_| step());
            let blocks = dhat::HeapStats::get().total_blocks - before;
            assert_eq!(blocks, 0, "a trainer's step with batches of {batch_size}");
        });
    }
}

fn an_image_is_changed_without_allocation() {
    let augmentation = Augmentation::new([
        Augment::Flip,
        Augment::Rotate { degrees: 10.0 },
        Augment::Shift { pixels: 2.0 },
        Augment::Scale { factor: 0.1 },
        Augment::Shear { degrees: 10.0 },
        Augment::Elastic { pixels: 1.4, smoothness: 4.0 },
        Augment::Cutout { rows: 8, columns: 8 },
    ]);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for shape in [[28, 28, 1], [32, 32, 3]] {
        let mut image = vec![1.0; shape.iter().product()];
        let mut scratch = vec![0.0; augmentation.scratch(shape)];
        let before = dhat::HeapStats::get().total_blocks;
        (0..20).for_each(|_| augmentation.apply(shape, &mut rng, &mut image, &mut scratch));
        assert_eq!(dhat::HeapStats::get().total_blocks - before, 0, "{shape:?}");
    }
}
