//! What training is made of: losses, schedules, clipping, early stopping, splits; and that networks learn.

mod bars;

use bars::{NETWORK, bars, config};
use layers::ndarray::{Array2, Array4, array};
use layers::{
    Adam, CrossEntropy, Curve, Draw, Event, Images, Loss, Network, Optimizer, Reduction, RmsProp, Samples,
    Schedule, Sgd, Subset, TrainConfig, TrainState, Trainer, Update, clip_norm, evaluate, loss,
};
use std::ops::ControlFlow;

#[test]
fn schedules() {
    let factors = |curve, warmup, steps: &[u64]| -> Vec<f64> {
        let schedule = Schedule { warmup, curve };
        steps.iter().map(|&step| schedule.factor(step, 10, 4)).collect()
    };
    let near = |found: Vec<f64>, expected: &[f64]| {
        assert!(
            found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12),
            "{found:?}, expected {expected:?}"
        );
    };
    near(factors(Curve::Constant, 0.0, &[0, 39]), &[1.0, 1.0]);
    near(factors(Curve::Step { every: 2, factor: 0.1 }, 0.0, &[0, 19, 20, 39]), &[1.0, 1.0, 0.1, 0.1]);
    near(factors(Curve::Exponential { factor: 0.5 }, 0.0, &[0, 9, 10, 35]), &[1.0, 1.0, 0.5, 0.125]);
    near(factors(Curve::Cosine { last: 0.2 }, 0.0, &[0, 39]), &[1.0, 0.2]);
    // Half way, a cosine is in the middle.
    let middle = Schedule { warmup: 0.0, curve: Curve::Cosine { last: 0.2 } }.factor(5, 11, 1);
    assert!((middle - 0.6).abs() < 1e-12);
    near(factors(Curve::Constant, 1.0, &[0, 4, 9, 10]), &[0.1, 0.5, 1.0, 1.0]);
    // PyTorch's OneCycleLR(max_lr=1, total_steps=40, pct_start=0.3, div_factor=25, final_div_factor=1e4): steps 0, 5, 11,
    // 20 and 39 by its formula, each phase ending at pct_start · total − 1 and total − 1.
    let cosine = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share).cos())
    };
    let (first, last) = (1.0 / 25.0, 1.0 / 25.0 / 1e4);
    near(
        factors(Curve::OneCycle { rise: 0.3, first, last }, 0.0, &[0, 5, 11, 20, 39]),
        &[first, cosine(first, 1.0, 5.0 / 11.0), 1.0, cosine(1.0, last, 9.0 / 28.0), last],
    );
}

#[test]
fn losses_by_their_definition() {
    let logits = array![[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]];
    let labels = [2, 0];
    let weights = [0.5f32, 2.0, 1.5];
    let log_p = |n: usize, k: usize| -> f64 {
        let sum: f64 = logits.row(n).iter().map(|z: &f64| z.exp()).sum();
        logits[[n, k]] - sum.ln()
    };
    // PyTorch's definition, term by term: the label's own loss, and the smoothing over all classes.
    let sample = |n: usize, smoothing: f64, w: &dyn Fn(usize) -> f64| -> f64 {
        let own = -(1.0 - smoothing) * w(labels[n]) * log_p(n, labels[n]);
        own - (0..3).map(|k| smoothing / 3.0 * w(k) * log_p(n, k)).sum::<f64>()
    };
    let check = |settings: CrossEntropy, expected: f64| {
        let mut dlogits = Array2::zeros((2, 3));
        let total = loss::cross_entropy(&settings, logits.view(), &labels, None, dlogits.view_mut()).unwrap();
        assert!((total - expected).abs() < 1e-7, "{settings:?}: {total}, expected {expected}");
        for n in 0..2 {
            for k in 0..3 {
                let moved = |h: f64| {
                    let mut logits = logits.clone();
                    logits[[n, k]] += h;
                    let mut unused = Array2::zeros((2, 3));
                    loss::cross_entropy(&settings, logits.view(), &labels, None, unused.view_mut()).unwrap()
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((dlogits[[n, k]] - slope).abs() < 1e-8, "{settings:?}");
            }
        }
    };
    let one = |_: usize| 1.0;
    let weighted = |k: usize| f64::from(weights[k]);
    check(CrossEntropy::default(), (sample(0, 0.0, &one) + sample(1, 0.0, &one)) / 2.0);
    let smooth = f64::from(0.1f32);
    check(
        CrossEntropy { label_smoothing: 0.1, reduction: Reduction::Sum, ..CrossEntropy::default() },
        sample(0, smooth, &one) + sample(1, smooth, &one),
    );
    check(
        CrossEntropy {
            label_smoothing: 0.1,
            class_weights: Some(weights.to_vec()),
            ..CrossEntropy::default()
        },
        (sample(0, smooth, &weighted) + sample(1, smooth, &weighted)) / (weighted(2) + weighted(0)),
    );

    let mut dy = Array2::zeros((2, 3));
    let squares = Loss::MeanSquaredError.compute(logits.view(), &labels, dy.view_mut()).unwrap();
    let targets = array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]];
    let mut again = Array2::zeros((2, 3));
    let direct =
        loss::mean_squared_error(Reduction::Mean, logits.view(), targets.view(), again.view_mut()).unwrap();
    assert!(
        (squares - direct).abs() < 1e-15
            && (squares - (1.0 + 4.0 + 0.25 + 1.0 + 9.0 + 1.0) / 6.0).abs() < 1e-12
    );
    assert_eq!(dy, again);
    assert_eq!(dy, (&logits - &targets) * 2.0 / 6.0);
}

#[test]
fn clipping() {
    let mut long = [3.0, 0.0, -4.0];
    assert_eq!(clip_norm(&mut long, 2.5), 5.0);
    assert!(long.iter().zip([1.5, 0.0, -2.0]).all(|(g, e)| (g - e).abs() < 1e-6), "{long:?}");
    let mut short = [0.3, -0.4];
    assert_eq!(clip_norm(&mut short, 2.5), 0.5);
    assert_eq!(short, [0.3, -0.4]);
}

#[test]
fn each_optimizer_learns() {
    let (x, labels) = bars();
    let samples = Images::new(x.view(), &labels).unwrap();
    let rms_prop = RmsProp { learning_rate: 0.003, ..RmsProp::default() };
    for optimizer in [
        Optimizer::Sgd(Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 1e-4 }),
        Optimizer::Adam(Adam { learning_rate: 0.01, ..Adam::default() }),
        config().optimizer,
        Optimizer::RmsProp(rms_prop),
    ] {
        let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
        let config = TrainConfig { epochs: 12, optimizer, average: None, patience: None, ..config() };
        let state = TrainState::new(&config, network.initial_parameters(config.seed)).unwrap();
        let mut trainer = Trainer::new(&network, config, &samples, None, state).unwrap();
        trainer.run(|_, _| ControlFlow::Continue(())).unwrap();
        let score = evaluate(&network, &trainer.into_state().into_result(), &samples, 32, |_| ()).unwrap();
        assert!(score.accuracy() > 0.95, "{optimizer:?}: {}", score.accuracy());
    }
}

#[test]
fn patience_ends_a_run_and_keeps_the_best() {
    let (x, labels) = bars();
    let samples = Images::new(x.view(), &labels).unwrap();
    let (train, validation) = Subset::split(&samples, 0.25, 3).unwrap();
    let network = Network::new(&"9x9: dense 2".parse().unwrap()).unwrap();
    // Wild steps: the validation loss goes up and down.
    let optimizer = Optimizer::Sgd(Sgd { learning_rate: 3.0, momentum: 0.9, ..Sgd::default() });
    let config =
        TrainConfig { epochs: 200, batch_size: 10, optimizer, patience: Some(2), ..TrainConfig::default() };
    let state = TrainState::new(&config, network.initial_parameters(0)).unwrap();
    let mut trainer = Trainer::new(&network, config, &train, Some(&validation), state).unwrap();
    let mut losses = Vec::new();
    trainer
        .run(|_, event| {
            if let Event::Epoch { validation, .. } = event {
                losses.push(validation.unwrap().loss());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let best = losses.iter().position(|loss| *loss == lowest).unwrap() + 1;
    assert_eq!(losses.len(), (best + 3).min(200), "{losses:?}");
    let state = trainer.into_state();
    assert_eq!(state.progress.best, Some((lowest, best)));
    let score = evaluate(&network, state.result(), &validation, 10, |_| ()).unwrap();
    assert!((score.loss() - lowest).abs() < 1e-6, "{} is kept, {lowest} was best", score.loss());
}

#[test]
fn a_split_has_each_class_in_both_parts() {
    let (x, _) = bars();
    let labels: Vec<usize> = (0..140).map(|n| if n < 100 { 0 } else { 1 + n % 2 }).collect();
    let samples = Images::new(x.view(), &labels).unwrap();
    let (train, validation) = Subset::split(&samples, 0.1, 7).unwrap();
    let counts = |set: &Subset| {
        let mut counts = [0; 3];
        (0..set.len()).for_each(|index| counts[set.label(index)] += 1);
        counts
    };
    assert_eq!((counts(&train), counts(&validation)), ([90, 18, 18], [10, 2, 2]));
    let (other, _) = Subset::split(&samples, 0.1, 8).unwrap();
    let first = |set: &Subset| {
        (0..set.len())
            .map(|i| {
                let mut v = vec![0.0; 81];
                set.image(i, &mut v);
                v
            })
            .collect::<Vec<_>>()
    };
    assert_ne!(first(&train), first(&other));

    // Shares that round to nothing or to all.
    let few = [0, 0, 0, 1, 2, 2];
    let samples = Images::new(x.slice(layers::ndarray::s![..6, .., .., ..]), &few).unwrap();
    for (share, expected) in [(0.01, [[2, 1, 1], [1, 0, 1]]), (0.99, [[1, 1, 1], [2, 0, 1]])] {
        let (train, validation) = Subset::split(&samples, share, 7).unwrap();
        assert_eq!([counts(&train), counts(&validation)], expected, "{share}");
    }
}

/// A training step is its parts: the gradients, the optimiser and the statistics, up to rounding.
#[test]
fn a_step_is_gradients_update_and_statistics() {
    let networks = [
        "8x8: conv 8 3x3 nobias, maxpool 2 all, dense 4",
        "8x8: conv 5 3x3 same relu, maxpool 2, dense 40 relu, dense 4",
        "8x8: conv 6 3x3 same batchnorm relu, residual(conv 6 3x3 same batchnorm | conv 6 1x1), avgpool 2, dense 4",
    ];
    let optimizers = [
        Optimizer::Sgd(Sgd { learning_rate: 0.05, ..Sgd::default() }),
        Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01, ..Sgd::default() }),
        Optimizer::Adam(Adam::default()),
        Optimizer::RmsProp(RmsProp { momentum: 0.5, ..RmsProp::default() }),
    ];
    for (line, optimizer) in networks.iter().flat_map(|line| optimizers.iter().map(move |o| (line, o))) {
        for (batch, clip_norm) in [(1, None), (6, None), (6, Some(0.3))] {
            let network = Network::new(&line.parse().unwrap()).unwrap();
            if network.workspace(batch).is_err() || (batch == 1 && line.contains("batchnorm")) {
                continue;
            }
            let x = Array4::from_shape_fn((batch, 8, 8, 1), |(n, i, j, _)| {
                ((n + 3 * i + i * j) % 7) as f32 / 3.0 - 1.0
            });
            let labels: Vec<usize> = (0..batch).map(|n| n % 4).collect();
            let (loss, learning_rate) = (Loss::default(), optimizer.learning_rate());
            let mut workspace = network.workspace(batch).unwrap();
            let mut whole = network.initial_parameters(3);
            let mut parts = whole.clone();
            let mut whole_moments = optimizer.moments(network.parameter_count()).unwrap();
            let mut parts_moments = whole_moments.clone();
            for step in 0..5 {
                let draw = Draw { seed: 1, step };
                let update = Update { loss: &loss, optimizer, learning_rate, clip_norm, draw };
                let found = network
                    .step(&mut whole, &mut whole_moments, x.view(), &labels, &update, &mut workspace)
                    .unwrap();
                let expected =
                    network.gradients(&parts, x.view(), &labels, &loss, draw, &mut workspace).unwrap();
                let mut gradients = workspace.gradients().to_vec();
                clip_norm.map(|limit| layers::clip_norm(&mut gradients, limit));
                optimizer.step(learning_rate, parts.values_mut(), &gradients, &mut parts_moments).unwrap();
                network.settle(batch, &workspace, &mut parts).unwrap();
                let case = format!("{line}, {optimizer:?}, batch {batch}, step {step}");
                assert!((found.loss - expected.loss).abs() <= 1e-5 * expected.loss.abs().max(1.0), "{case}");
                assert_eq!(found.correct, expected.correct, "{case}");
                let pairs = whole.values().iter().zip(parts.values());
                let statistics = whole.statistics().iter().zip(parts.statistics());
                for (a, b) in pairs.chain(statistics) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{case}: {a}, expected {b}");
                }
            }
        }
    }
}

/// A loss that is no number leaves everything as it was.
#[test]
fn a_step_that_diverges_changes_nothing() {
    let network = Network::new(&"4x4: conv 3 3x3 batchnorm, dense 2".parse().unwrap()).unwrap();
    let mut parameters = network.initial_parameters(1);
    parameters.values_mut()[0] = f32::NAN;
    let before = parameters.clone();
    let (loss, optimizer) = (Loss::default(), Optimizer::Adam(Adam::default()));
    let mut moments = optimizer.moments(network.parameter_count()).unwrap();
    let draw = Draw::default();
    let update = Update { loss: &loss, optimizer: &optimizer, learning_rate: 0.1, clip_norm: None, draw };
    let mut workspace = network.workspace(2).unwrap();
    let x = Array4::ones((2, 4, 4, 1));
    let step =
        network.step(&mut parameters, &mut moments, x.view(), &[0, 1], &update, &mut workspace).unwrap();
    assert!(step.loss.is_nan());
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(parameters.values()), bits(before.values()));
    assert_eq!(bits(parameters.statistics()), bits(before.statistics()));
    assert_eq!(moments, optimizer.moments(network.parameter_count()).unwrap());
}

/// 17 samples are cut into fewer chunks than 16: the buffers are for any batch up to their capacity.
#[test]
fn buffers_fit_every_smaller_batch() {
    let line =
        "8x8: conv 6 3x3 same batchnorm relu, conv 4 3x3 same relu, maxpool 2, dense 600, dense 40, dense 4";
    let network = Network::new(&line.parse().unwrap()).unwrap();
    let parameters = network.initial_parameters(1);
    let x = Array4::from_shape_fn((40, 8, 8, 1), |(n, i, j, _)| ((n + 3 * i + i * j) % 7) as f32 - 3.0);
    let labels: Vec<usize> = (0..40).map(|n| n % 4).collect();
    for capacity in 2..=40 {
        let mut workspace = network.workspace(capacity).unwrap();
        for batch in 2..=capacity {
            let (x, _) = x.view().split_at(layers::ndarray::Axis(0), batch);
            network
                .gradients(
                    &parameters,
                    x,
                    &labels[..batch],
                    &Loss::default(),
                    Draw::default(),
                    &mut workspace,
                )
                .unwrap();
        }
    }
}

/// Samples that hand out copies alone.
struct Copies<'a>(Images<'a>);

impl Samples for Copies<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.0.shape()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize, x: &mut [f32]) {
        self.0.image(index, x);
    }
}

#[test]
fn an_image_that_is_kept_is_trained_on_like_its_copy() {
    let network = Network::new(&"9x9: conv 6 3 relu, maxpool 2, dense 2".parse().unwrap()).unwrap();
    let (x, labels) = bars();
    let kept = Images::new(x.view(), &labels).unwrap();
    assert!(kept.kept(3).is_some() && Copies(kept).kept(3).is_none());
    let train = |samples: &dyn Samples| {
        let config = TrainConfig { epochs: 1, batch_size: 1, ..TrainConfig::default() };
        let state = TrainState::new(&config, network.initial_parameters(1)).unwrap();
        let mut trainer = Trainer::new(&network, config, samples, None, state).unwrap();
        trainer.run(|_, _| ControlFlow::Continue(())).unwrap();
        trainer.into_state().parameters
    };
    assert_eq!(train(&kept).values(), train(&Copies(kept)).values());
}
