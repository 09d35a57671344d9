//! The same seed gives the same bits, for any number of threads.

use layers::ndarray::Array4;
use layers::{
    Conv2d, Dense, Event, Flatten, Images, MaxPool2d, Model, Network, NetworkSpec, Normalization, Sgd,
    TrainConfig, train,
};

fn spec() -> NetworkSpec {
    NetworkSpec::new([10, 10, 1])
        .with(Conv2d::new(6, [3, 3]))
        .with(MaxPool2d::new([2, 2]))
        .with(Conv2d::new(8, [3, 3]))
        .with(Flatten)
        .with(Dense::new(4))
}

/// The model file's bytes after two epochs, and every event but the times.
fn run(seed: u64, threads: usize) -> (Vec<u8>, Vec<Event>) {
    let x = Array4::from_shape_fn((100, 10, 10, 1), |(n, i, j, _)| {
        ((n * 7 + i * i + 3 * j) % 11) as f32 / 11.0 - 0.5
    });
    let labels: Vec<usize> = (0..100).map(|n| n % 4).collect();
    let samples = Images::new(x.view(), &labels).unwrap();
    let network = Network::new(&spec()).unwrap();
    let mut parameters = network.initial_parameters(seed);
    let config = TrainConfig { epochs: 2, batch_size: 37, sgd: Sgd { learning_rate: 0.05 }, seed };
    let mut events = Vec::new();
    let on_event = |event| {
        events.push(match event {
            Event::EpochEnd { epoch, train, validation, .. } => {
                Event::EpochEnd { epoch, train, validation, seconds: 0.0 }
            }
            event => event,
        });
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| train(&network, &mut parameters, &config, &samples, Some(&samples), on_event)).unwrap();
    let model = Model { network, parameters, normalization: Normalization { mean: 0.5, std: 1.0 } };
    (model.to_bytes(), events)
}

#[test]
fn bits_do_not_depend_on_threads() {
    let first = run(1, 1);
    for threads in [1, 2, 3, 7] {
        assert!(run(1, threads) == first, "{threads} threads");
    }
    assert!(run(2, 1).0 != first.0, "another seed");
}

#[test]
fn events_tell_the_whole_story() {
    let (_, events) = run(1, 2);
    let mut expected_steps = Vec::new();
    for epoch in 1..=2 {
        expected_steps.extend((1..=3).map(|step| (epoch, step, if step == 3 { 26 } else { 37 })));
    }
    let steps = events.iter().filter_map(|event| match event {
        Event::Step { epoch, step, score } => Some((*epoch, *step, score.images)),
        _ => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), expected_steps);
    let ends = events.iter().filter_map(|event| match event {
        Event::EpochEnd { train, validation, .. } => Some((*train, validation.unwrap())),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|(train, validation)| train.images == 100 && validation.images == 100));
    assert!(ends[1].1.loss() < ends[0].1.loss(), "the second epoch learns more: {ends:?}");
}
