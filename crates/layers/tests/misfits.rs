//! Every misfit is an error that names the layer, what it expected and what it found; nothing panics.

use layers::ndarray::{Array4, ArrayView4};
use layers::{
    Activations, AvgPool2d, Conv2d, Dense, Flatten, Images, Layer, MaxPool2d, MinPool2d, Network,
    NetworkSpec, Padding, Parameters, Sgd, TrainConfig, evaluate, train,
};

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
        [conv(|_| ())],
        "the network ends in a 26×26×4 map; expected a flat row of logits: end it with flatten and dense",
    );
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
        network.gradients(&parameters, x.view(), labels, &mut workspace).unwrap_err().to_string()
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
        "activations: made for another network: expected 22 numbers, found 6"
    );
    assert_eq!(
        network.workspace(0).map(|_| ()).unwrap_err().to_string(),
        "a batch needs at least 1 sample, found 0"
    );
    assert_eq!(
        network.workspace(usize::MAX).map(|_| ()).unwrap_err().to_string(),
        "activations: 147573952589676412920 numbers do not fit into memory"
    );
}

#[test]
fn training() {
    let network = network();
    let x = Array4::zeros((3, 4, 4, 1));
    let small = Array4::zeros((3, 2, 2, 1));
    let run = |samples: &Images, batch_size, learning_rate| {
        let mut parameters = network.initial_parameters(0);
        let config = TrainConfig { epochs: 2, batch_size, sgd: Sgd { learning_rate }, seed: 0 };
        train(&network, &mut parameters, &config, samples, None, |_| ()).unwrap_err().to_string()
    };
    let good = Images::new(x.view(), &[0, 1, 2]).unwrap();
    assert_eq!(run(&good, 0, 0.1), "a batch needs at least 1 sample, found 0");
    let shape = "images: expected a 4×4×1 map as the network's input, found a 2×2×1 map";
    assert_eq!(run(&Images::new(small.view(), &[0, 1, 2]).unwrap(), 1, 0.1), shape);
    let label = "sample 2: expected a label below 3, found 7";
    assert_eq!(run(&Images::new(x.view(), &[0, 1, 7]).unwrap(), 1, 0.1), label);
    assert_eq!(
        Images::new(x.view(), &[0]).unwrap_err().to_string(),
        "labels: expected 3, one a row of logits, found 1"
    );
    let ones = Array4::ones((3, 4, 4, 1));
    assert_eq!(
        run(&Images::new(ones.view(), &[0, 1, 2]).unwrap(), 3, f32::MAX),
        "training diverged in epoch 2, step 1: the loss is NaN at learning rate 340282350000000000000000000000000000000; \
         try a smaller one"
    );
    let none = Array4::zeros((0, 4, 4, 1));
    let nothing = "expected at least 1 sample to train on or to judge by, found 0";
    let none = Images::new(none.view(), &[]).unwrap();
    assert_eq!(run(&none, 1, 0.1), nothing);
    let parameters = network.initial_parameters(0);
    assert_eq!(evaluate(&network, &parameters, &none, 1, |_| ()).unwrap_err().to_string(), nothing);
}
