//! The same seed gives the same bits, for any number of threads.

use layers::ndarray::Array4;
use layers::{
    Adam, Augment, Augmentation, Average, Checkpoint, CrossEntropy, Curve, Event, Images, Loss, Model,
    Network, Normalization, Optimizer, Schedule, TrainConfig, TrainState, Trainer,
};
use std::fs;
use std::ops::ControlFlow;

const NETWORK: &str = "10x10: conv 6 3x3, maxpool 2, batchnorm relu, dropout 0.2 spatial, residual(conv 6 3x3 same batchnorm), dropout 0.3, dense 4";

fn config(seed: u64) -> TrainConfig {
    TrainConfig {
        epochs: 2,
        batch_size: 37,
        seed,
        loss: Loss::CrossEntropy(CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() }),
        optimizer: Optimizer::Adam(Adam::default()),
        schedule: Schedule { warmup: 0.5, curve: Curve::Cosine { last: 0.1 } },
        augmentation: Augmentation::new([
            Augment::Rotate { degrees: 10.0 },
            Augment::Elastic { pixels: 0.5, smoothness: 2.0 },
            Augment::Cutout { rows: 2, columns: 3 },
        ]),
        clip_norm: Some(1.0),
        average: Some(Average { keep: 0.9, every: 2 }),
        patience: Some(5),
    }
}

/// Calls `go` with a trainer on a small problem, `state` or the start, and so many threads.
fn with_trainer<T: Send>(
    seed: u64,
    threads: usize,
    state: Option<TrainState>,
    go: impl Fn(Trainer) -> T + Sync,
) -> T {
    let x = Array4::from_shape_fn((100, 10, 10, 1), |(n, i, j, _)| {
        ((n * 7 + i * i + 3 * j) % 11) as f32 / 11.0 - 0.5
    });
    let labels: Vec<usize> = (0..100).map(|n| n % 4).collect();
    let samples = Images::new(x.view(), &labels).unwrap();
    let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
    let config = config(seed);
    let state = state.unwrap_or_else(|| TrainState::new(&config, network.initial_parameters(seed)).unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        go(Trainer::new(&network, config.clone(), &samples, Some(&samples), state.clone()).unwrap())
    })
}

/// The state after the run, and every event but the times.
fn run(
    seed: u64,
    threads: usize,
    state: Option<TrainState>,
    stop: Option<usize>,
) -> (TrainState, Vec<Event>) {
    with_trainer(seed, threads, state, |mut trainer| {
        let mut events = Vec::new();
        let on_event = |_: &Trainer, event| {
            events.push(match event {
                Event::Epoch { epoch, train, validation, .. } => {
                    Event::Epoch { epoch, train, validation, seconds: 0.0 }
                }
                event => event,
            });
            match Some(events.len()) == stop {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        trainer.run(on_event).unwrap();
        (trainer.into_state(), events)
    })
}

#[test]
fn bits_do_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
    let bytes = |state: &TrainState| {
        let normalization = Normalization { mean: 0.5, std: 1.0 };
        Checkpoint::save(&path, &network, normalization, &[], &config(1), state).unwrap();
        fs::read(&path).unwrap()
    };
    let first = run(1, 1, None, None);
    for threads in [1, 2, 3, 7] {
        let (state, events) = run(1, threads, None, None);
        assert!(events == first.1, "{threads} threads");
        assert!(bytes(&state) == bytes(&first.0), "{threads} threads");
    }
    assert!(run(2, 1, None, None).0.parameters != first.0.parameters, "another seed");
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let whole = run(3, 2, None, None);
    for stop in 1..whole.1.len() {
        let (state, mut events) = run(3, 2, None, Some(stop));
        assert_eq!(events.len(), stop);
        let (state, rest) = run(3, 3, Some(state), None);
        events.extend(rest);
        assert!((state, events) == whole, "stopped after event {stop}");
    }
}

#[test]
fn events_tell_the_whole_story() {
    let (state, events) = run(1, 2, None, None);
    let mut expected_steps = Vec::new();
    for epoch in 1..=2 {
        expected_steps.extend((1..=3).map(|step| (epoch, step, if step == 3 { 26 } else { 37 })));
    }
    let steps = events.iter().filter_map(|event| match event {
        Event::Step { epoch, step, score, .. } => Some((*epoch, *step, score.images)),
        _ => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), expected_steps);
    let ends = events.iter().filter_map(|event| match event {
        Event::Epoch { train, validation, .. } => Some((*train, validation.unwrap())),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|(train, validation)| train.images == 100 && validation.images == 100));
    assert_eq!(state.progress.epochs, 2);
    let losses: Vec<_> = ends.iter().map(|(_, validation)| validation.loss()).collect();
    let best = if losses[1] < losses[0] { (losses[1], 2) } else { (losses[0], 1) };
    assert_eq!(state.progress.best, Some(best));
}

#[test]
fn the_model_file_is_the_same() {
    let bytes = |seed| {
        let (state, _) = run(seed, 2, None, None);
        let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
        let normalization = Normalization { mean: 0.5, std: 1.0 };
        Model { network, parameters: state.parameters, normalization, class_names: Vec::new() }.to_bytes()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}
