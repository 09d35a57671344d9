//! Every misfit is an error that names the layer, what it expected and what it found; nothing panics.

use layers::ndarray::{Array4, ArrayView4};
use layers::{
    Activations, Adam, Average, AvgPool2d, Conv2d, CrossEntropy, Curve, Dense, Draw, Flatten, Images, Layer,
    Loss, MaxPool2d, MinPool2d, Network, NetworkSpec, Optimizer, Padding, Parameters, RmsProp, Schedule, Sgd,
    Subset, TrainConfig, TrainState, Trainer, evaluate,
};

use std::ops::ControlFlow;

fn check(input: [usize; 3], layers: impl IntoIterator<Item = Layer>, expected: &str) {
    let spec = NetworkSpec { input, layers: layers.into_iter().collect() };
    assert_eq!(Network::new(&spec).expect_err(expected).to_string(), expected);
}

#[test]
fn planning() {
    let conv = |change: fn(&mut Conv2d)| {
        let mut layer = Conv2d::new(4, [3, 3]);
        change(&mut layer);
        Layer::from(layer)
    };
    check([28, 28, 1], [], "the network has no layer that computes anything; expected at least one");
    check(
        [28, 28, 1],
        [conv(|_| ()), Dense::new(10).into()],
        "layer 1 (dense): expected a flat input, found a 26×26×4 map; put a flatten layer before it",
    );
    check(
        [28, 28, 1],
        [Flatten.into(), conv(|_| ())],
        "layer 1 (conv2d): expected a map of rows × columns × channels, found a flat row of 784",
    );
    check(
        [28, 28, 1],
        [Flatten.into(), MaxPool2d::new([2, 2]).into()],
        "layer 1 (max_pool2d): expected a map of rows × columns × channels, found a flat row of 784",
    );
    check(
        [2, 28, 1],
        [conv(|_| ())],
        "layer 0 (conv2d): rows: a window of 3 does not fit into an input of 2 with padding 0 + 0",
    );
    check([28, 28, 1], [conv(|c| c.filters = 0)], "layer 0 (conv2d): filters: expected at least 1, found 0");
    check(
        [28, 28, 1],
        [conv(|c| c.stride = [0, 1])],
        "layer 0 (conv2d): stride: expected at least 1, found 0",
    );
    check([28, 28, 1], [conv(|c| c.groups = 0)], "layer 0 (conv2d): groups: expected at least 1, found 0");
    check(
        [28, 28, 3],
        [conv(|c| c.groups = 2)],
        "layer 0 (conv2d): groups: input channels 3 cannot be divided into 2 groups",
    );
    check(
        [28, 28, 3],
        [conv(|c| c.groups = 3)],
        "layer 0 (conv2d): groups: filters 4 cannot be divided into 3 groups",
    );
    check([0, 28, 1], [conv(|_| ())], "layer 0 (conv2d): input: expected at least 1, found 0");
    check([28, 28, 1], [conv(|c| c.filters = usize::MAX)], "layer 0 (conv2d): output: the size overflows");
    check(
        [28, 28, 1],
        [Flatten.into(), Dense::new(0).into()],
        "layer 1 (dense): outputs: expected at least 1, found 0",
    );
    check(
        [28, 28, 1],
        [Flatten.into(), Dense::new(usize::MAX).into()],
        "layer 1 (dense): weight: the size overflows",
    );
    check([usize::MAX, 2, 1], [Flatten.into()], "layer 0 (flatten): input: the size overflows");
    check(
        [1, 5, 1],
        [AvgPool2d::new([2, 2]).into()],
        "layer 0 (avg_pool2d): rows: a window of 2 does not fit into an input of 1 with padding 0 + 0",
    );
    check(
        [5, 5, 1],
        [MinPool2d { padding: Padding::Explicit([[2, 0], [0, 0]]), ..MinPool2d::new([2, 2]) }.into()],
        "layer 0 (min_pool2d): rows: a pooling window of 2 needs padding below 2 on each side, found 2 and 0",
    );
}

fn network() -> Network {
    let spec = NetworkSpec::new([4, 4, 1]).with(Conv2d::new(2, [3, 3])).with(Flatten).with(Dense::new(3));
    Network::new(&spec).unwrap()
}

#[test]
fn calls() {
    let network = network();
    let other = Network::new(&NetworkSpec::new([4, 4, 1]).with(Flatten).with(Dense::new(3))).unwrap();
    let parameters = network.initial_parameters(0);
    let mut workspace = network.workspace(2).unwrap();
    let mut judge = |batch, labels: &[usize]| {
        let x = Array4::zeros((batch, 4, 4, 1));
        network
            .gradients(&parameters, x.view(), labels, &Loss::default(), Draw::default(), &mut workspace)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(judge(0, &[]), "a batch needs at least 1 sample, found 0");
    assert_eq!(judge(3, &[0, 0, 0]), "batch: the workspace holds 2 samples, found 3");
    assert_eq!(judge(2, &[0]), "labels: expected 2, one a row of logits, found 1");
    assert_eq!(judge(2, &[0, 3]), "label 1: expected a class below 3, found 3");

    let own = || network.activations(2).unwrap();
    let forward = |parameters: &Parameters, x: ArrayView4<f32>, mut activations: Activations| {
        network.forward(parameters, x, &mut activations).unwrap_err().to_string()
    };
    let x = Array4::zeros((2, 4, 4, 1));
    assert_eq!(
        forward(&parameters, Array4::zeros((2, 4, 5, 1)).view(), own()),
        "images: expected a 4×4×1 map as the network's input, found a 4×5×1 map"
    );
    assert_eq!(
        forward(&parameters, x.view().permuted_axes([0, 2, 1, 3]), own()),
        "images: expected a contiguous row-major array, found strides [16, 1, 4, 1]"
    );
    assert_eq!(
        forward(&other.initial_parameters(0), x.view(), own()),
        "parameters: made for another network: expected 47 numbers, found 51"
    );
    assert_eq!(
        forward(&parameters, x.view(), other.activations(2).unwrap()),
        "activations: made for another network: expected 16 numbers, found 0"
    );
    assert_eq!(
        network.workspace(0).map(|_| ()).unwrap_err().to_string(),
        "a batch needs at least 1 sample, found 0"
    );
    assert_eq!(
        network.workspace(usize::MAX).map(|_| ()).unwrap_err().to_string(),
        "batch: 18446744073709551615 numbers do not fit into memory"
    );
}

#[test]
fn training() {
    let x = Array4::zeros((3, 4, 4, 1));
    let images = |x, labels| Images::new(x, labels).unwrap();
    let run = |spec: &str, samples: Images, config: TrainConfig| {
        let network = Network::new(&spec.parse().unwrap()).unwrap();
        let state = TrainState::new(&config, network.initial_parameters(0))?;
        Trainer::new(&network, config, &samples, None, state)?.run(|_, _| ControlFlow::Continue(()))
    };
    let check = |spec: &str, samples, change: fn(&mut TrainConfig), expected: &str| {
        let mut config = TrainConfig { epochs: 2, batch_size: 3, ..TrainConfig::default() };
        change(&mut config);
        assert_eq!(run(spec, samples, config).unwrap_err().to_string(), expected);
    };
    let (net, good) = ("4x4: conv 2 3, dense 3", images(x.view(), &[0, 1, 2]));
    check(net, good, |c| c.batch_size = 0, "a batch needs at least 1 sample, found 0");
    let small = Array4::zeros((3, 2, 2, 1));
    let shape = "images: expected a 4×4×1 map as the network's input, found a 2×2×1 map";
    check(net, images(small.view(), &[0, 1, 2]), |_| (), shape);
    check(net, images(x.view(), &[0, 1, 7]), |_| (), "sample 2: expected a label below 3, found 7");
    let none = Array4::zeros((0, 4, 4, 1));
    check(
        net,
        images(none.view(), &[]),
        |_| (),
        "expected at least 1 sample to train on or to judge by, found 0",
    );
    let map = "the network ends in a 2×2×2 map; expected a flat row of logits: end it with flatten and dense";
    check("4x4: conv 2 3", good, |_| (), map);
    let patience = "training with patience needs a validation set, found none";
    check(net, good, |c| c.patience = Some(1), patience);
    let adam = |change: fn(&mut Adam)| {
        let mut adam = Adam::default();
        change(&mut adam);
        Optimizer::Adam(adam)
    };
    let settings: [(TrainConfig, &str); 11] = [
        (
            TrainConfig { optimizer: adam(|a| a.learning_rate = f32::NAN), ..TrainConfig::default() },
            "learning rate: expected a finite number above 0, found NaN",
        ),
        (
            TrainConfig { optimizer: adam(|a| a.betas[1] = 1.0), ..TrainConfig::default() },
            "beta 2: expected a share from 0 to below 1, found 1",
        ),
        (
            TrainConfig { optimizer: adam(|a| a.weight_decay = -0.5), ..TrainConfig::default() },
            "weight decay: expected a finite number of at least 0, found -0.5",
        ),
        (
            TrainConfig {
                optimizer: Optimizer::Sgd(Sgd { nesterov: true, ..Sgd::default() }),
                ..TrainConfig::default()
            },
            "momentum: expected more than 0 with nesterov, found 0",
        ),
        (
            TrainConfig {
                optimizer: Optimizer::RmsProp(RmsProp { epsilon: 0.0, ..RmsProp::default() }),
                ..TrainConfig::default()
            },
            "epsilon: expected a finite number above 0, found 0",
        ),
        (
            TrainConfig { clip_norm: Some(0.0), ..TrainConfig::default() },
            "clip norm: expected a number above 0, found 0",
        ),
        (
            TrainConfig { average: Some(Average { keep: 1.0, every: 1 }), ..TrainConfig::default() },
            "average: expected a share from 0 to below 1, found 1",
        ),
        (
            TrainConfig {
                schedule: Schedule { curve: Curve::Step { every: 0, factor: 0.5 }, ..Schedule::default() },
                ..TrainConfig::default()
            },
            "every: expected at least 1 epoch, found 0",
        ),
        (
            TrainConfig {
                schedule: Schedule { warmup: -1.0, ..Schedule::default() },
                ..TrainConfig::default()
            },
            "warmup: expected a number of epochs of at least 0, found -1",
        ),
        (
            TrainConfig {
                loss: Loss::CrossEntropy(CrossEntropy { label_smoothing: 1.5, ..CrossEntropy::default() }),
                ..TrainConfig::default()
            },
            "label smoothing: expected a share from 0 to 1, found 1.5",
        ),
        (
            TrainConfig {
                loss: Loss::CrossEntropy(CrossEntropy {
                    class_weights: Some(vec![1.0; 4]),
                    ..CrossEntropy::default()
                }),
                ..TrainConfig::default()
            },
            "class weights: expected 3, one a class, found 4",
        ),
    ];
    for (config, expected) in settings {
        assert_eq!(run(net, good, config).unwrap_err().to_string(), expected);
    }
    assert_eq!(
        Images::new(x.view(), &[0]).unwrap_err().to_string(),
        "labels: expected 3, one a row of logits, found 1"
    );
    let network = Network::new(&net.parse().unwrap()).unwrap();
    let empty = images(none.view(), &[]);
    assert_eq!(
        evaluate(&network, &network.initial_parameters(0), &empty, 1, |_| ()).unwrap_err().to_string(),
        "expected at least 1 sample to train on or to judge by, found 0"
    );
    let far = Subset::new(&good, vec![0, 3]).map(|_| ()).unwrap_err().to_string();
    assert_eq!(far, "expected an index below 3, the number of samples, found 3");
    let all = Subset::split(&good, 1.0, 0).map(|_| ()).unwrap_err().to_string();
    assert_eq!(all, "validation share: expected a share between 0 and 1, found 1");
}

#[test]
fn divergence() {
    let x = Array4::ones((3, 4, 4, 1));
    let samples = Images::new(x.view(), &[0, 1, 2]).unwrap();
    let network = network();
    let optimizer = Optimizer::Sgd(Sgd { learning_rate: f32::MAX, ..Sgd::default() });
    let config = TrainConfig { epochs: 2, batch_size: 2, optimizer, ..TrainConfig::default() };
    let state = TrainState::new(&config, network.initial_parameters(0)).unwrap();
    let mut trainer = Trainer::new(&network, config, &samples, None, state).unwrap();
    assert_eq!(
        trainer.run(|_, _| ControlFlow::Continue(())).unwrap_err().to_string(),
        "training diverged in epoch 1, step 2: the loss is NaN at learning rate \
         340282350000000000000000000000000000000; try a smaller one"
    );
}

#[test]
fn residual_blocks() {
    let line = |body: &str| format!("8x8x2: residual({body}), dense 2");
    let check_line = |body: &str, expected: &str| {
        let error = Network::new(&line(body).parse().unwrap()).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check_line(
        "conv 2 3",
        "layer 0 (residual): the body ends in a 6×6×2 map, the shortcut in a 8×8×2 map; expected the same shape",
    );
    check_line(
        "conv 2 3 same, conv 2 9",
        "layer 0 (residual): body: layer 1 (conv2d): rows: a window of 9 does not fit into an input of 8 with padding 0 + 0",
    );
    check_line(
        "conv 4 3 same | conv 4 1 groups 3",
        "layer 0 (residual): shortcut: layer 0 (conv2d): groups: input channels 2 cannot be divided into 3 groups",
    );
}
