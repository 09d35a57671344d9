//! A training step and an inference allocate nothing, on one thread and on several, with any kernels.

use layers::ndarray::Array4;
use layers::{
    AvgPool2d, Conv2d, Dense, Flatten, Kernels, MaxPool2d, MinPool2d, Network, NetworkSpec, Padding, Sgd,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn a_step_allocates_nothing() {
    let spec = NetworkSpec::new([12, 12, 2])
        .with(Conv2d { padding: Padding::Same, ..Conv2d::new(6, [3, 3]) })
        .with(MaxPool2d::new([2, 2]))
        .with(Conv2d { groups: 2, ..Conv2d::new(4, [3, 3]) })
        .with(MinPool2d { stride: Some([1, 1]), ..MinPool2d::new([2, 2]) })
        .with(AvgPool2d { padding: Padding::Same, ..AvgPool2d::new([2, 2]) })
        .with(Flatten)
        .with(Dense::new(5));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let _profiler = dhat::Profiler::builder().testing().build();
    for kernels in Kernels::available() {
        let network = Network::with_kernels(&spec, kernels).unwrap();
        for batch in [1, 64] {
            let mut parameters = network.initial_parameters(1);
            let x = Array4::from_shape_fn((batch, 12, 12, 2), |(n, i, j, c)| {
                (n + 3 * i + 5 * j + c) as f32 % 7.0
            });
            let labels: Vec<usize> = (0..batch).map(|n| n % 5).collect();
            let mut workspace = network.workspace(batch).unwrap();
            let mut work = || {
                let sgd = Sgd { learning_rate: 0.01 };
                network.train_step(&mut parameters, &sgd, x.view(), &labels, &mut workspace).unwrap();
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
}
