//! Checkpoints: a run goes on from one to the same bytes, however it was interrupted.

mod bars;

use bars::{NETWORK, bars, config};
use layers::{
    Checkpoint, Curve, Images, Model, Network, Normalization, Optimizer, Schedule, Sgd, TrainConfig,
    TrainState, Trainer,
};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const NORMALIZATION: Normalization = Normalization { mean: 0.5, std: 0.25 };

/// Trains from a checkpoint, or from the start where there is none, for so many events; saves; says whether it is done.
fn train_on(path: &Path, epochs: usize, events: usize) -> bool {
    let (x, labels) = bars();
    let samples = Images::new(x.view(), &labels).unwrap();
    let names = ["lying".to_owned(), "standing".to_owned()];
    let (network, config, state) = match path.exists() {
        true => {
            let Checkpoint { network, config, state, normalization, class_names } =
                Checkpoint::load(path).unwrap();
            assert_eq!((normalization, class_names.as_slice()), (NORMALIZATION, names.as_slice()));
            (network, config, state)
        }
        false => {
            let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
            // A patience that never runs out: the best parameters are kept, and the run has its full length.
            let config = TrainConfig { epochs, patience: Some(epochs), ..config() };
            let state = TrainState::new(&config, network.initial_parameters(config.seed)).unwrap();
            (network, config, state)
        }
    };
    let mut trainer = Trainer::new(&network, config, &samples, Some(&samples), state).unwrap();
    for _ in 0..events {
        if trainer.advance().unwrap().is_none() {
            break;
        }
    }
    Checkpoint::save(path, &network, NORMALIZATION, &names, trainer.config(), trainer.state()).unwrap();
    trainer.is_done()
}

#[test]
fn a_run_goes_on_from_its_checkpoint_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ckpt");
    assert!(train_on(&whole, 4, usize::MAX));
    for pause in [1, 3, 8, 9] {
        let parts = folder.path().join(format!("{pause}.ckpt"));
        while !train_on(&parts, 4, pause) {}
        assert!(fs::read(&parts).unwrap() == fs::read(&whole).unwrap(), "paused every {pause} events");
    }
    // A checkpoint is also a model: the one that the run keeps.
    let model = Model::load(&whole).unwrap();
    let checkpoint = Checkpoint::load(&whole).unwrap();
    assert_eq!(&model.parameters, checkpoint.state.result());
    assert_eq!(model.class_names, ["lying", "standing"]);

    let plain = folder.path().join("model.safetensors");
    model.save(&plain).unwrap();
    let error = Checkpoint::load(&plain).unwrap_err().to_string();
    assert_eq!(error, format!("{}: expected a training run, found a model", plain.display()));
}

/// Any bytes are a checkpoint or an error.
#[test]
fn damaged_checkpoints_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    train_on(&path, 4, 2);
    let whole = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for position in (0..header).step_by(3) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        fs::write(&path, &bytes).unwrap();
        if let Ok(Checkpoint { network, config, state, .. }) = Checkpoint::load(&path) {
            let (x, labels) = bars();
            let samples = Images::new(x.view(), &labels).unwrap();
            // What was read is fit to be trained on, or is refused.
            let _ = Trainer::new(&network, config, &samples, Some(&samples), state)
                .map(|mut trainer| trainer.advance());
        }
    }
    for length in [0, 7, 8, 100, header, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        Checkpoint::load(&path).unwrap_err();
    }
}

/// Not a test by itself: the process that [`killed_at_any_moment`] starts and kills.
#[test]
fn train_in_a_process_of_its_own() {
    if let Some(path) = std::env::var_os(RUN) {
        while !train_on(Path::new(&path), EPOCHS, 1) {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Names the checkpoint for the process of its own.
const RUN: &str = "LAYERS_TEST_RUN";

/// Eight events each. With a pause behind each event the run takes longer than fifty processes can live together, so none
/// is done before the last is killed, however quick the machine.
const EPOCHS: usize = 120;
const PAUSE: Duration = Duration::from_millis(2);
const LIFE: Duration = Duration::from_millis(32);

/// SIGKILL at fifty random moments, while it trains or writes; each time another process goes on.
#[test]
fn killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ckpt");
    assert!(train_on(&whole, EPOCHS, usize::MAX));

    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    println!("seed {seed}");
    let killed = folder.path().join("killed.ckpt");
    let start = || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "train_in_a_process_of_its_own"]).env(RUN, &killed);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut random = u64::from(seed);
    for _ in 0..50 {
        // Knuth's MMIX generator.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut process = start();
        std::thread::sleep(LIFE.mul_f64((random >> 32) as f64 / 2f64.powi(32)));
        process.kill().unwrap();
        assert!(!process.wait().unwrap().success(), "killed while it ran");
    }
    assert!(start().wait().unwrap().success());
    assert!(fs::read(&killed).unwrap() == fs::read(&whole).unwrap(), "seed {seed}");
}

#[test]
fn a_run_that_diverges_names_its_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let (x, labels) = bars();
    let samples = Images::new(x.view(), &labels).unwrap();
    let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
    let schedule = Schedule { warmup: 0.0, curve: Curve::Exponential { factor: 1e30 } };
    let optimizer = Optimizer::Sgd(Sgd::default());
    let config = TrainConfig { epochs: 9, schedule, optimizer, average: None, patience: None, ..config() };
    let state = TrainState::new(&config, network.initial_parameters(0)).unwrap();
    let mut trainer = Trainer::new(&network, config, &samples, None, state).unwrap();
    trainer.keep(&path, NORMALIZATION, &[]);
    let error = trainer.run(|_, _| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(error.starts_with("training diverged in epoch 2, step "), "{error}");
    assert!(error.contains(" at learning rate 10000000000000000000000000000;"), "{error}");
    assert!(error.ends_with(&format!("; the last good state is in {}", path.display())), "{error}");
    let kept = Checkpoint::load(&path).unwrap().state;
    assert_eq!(kept.progress.epochs, 1);
    assert!(kept.parameters.values().iter().all(|value| value.is_finite()));
}

#[test]
fn a_state_of_another_run_is_refused() {
    let (x, labels) = bars();
    let samples = Images::new(x.view(), &labels).unwrap();
    let network = Network::new(&NETWORK.parse().unwrap()).unwrap();
    let check = |change: fn(&mut TrainState, &mut TrainConfig), expected: &str| {
        let mut config = config();
        let mut state = TrainState::new(&config, network.initial_parameters(0)).unwrap();
        change(&mut state, &mut config);
        let error = Trainer::new(&network, config, &samples, Some(&samples), state).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let found = "first moments: made for another network: expected 0 numbers, found 182";
    check(|_, config| config.optimizer = Optimizer::Sgd(Sgd::default()), found);
    check(|state, _| state.average = None, "average: expected some, found none");
    check(|_, config| config.patience = None, "best parameters: expected none, found some");
    check(
        |_, config| config.epochs = usize::MAX,
        "epochs: expected a number of at most 32 bits, found 18446744073709551615",
    );
}
