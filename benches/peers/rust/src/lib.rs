//! What the Rust peers share: the workloads, the images, the clock and the line that is printed.

#![forbid(unsafe_code)]

use serde_json::{Value, json};
use std::env;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A layer as the workloads name it.
pub enum Layer {
    Conv { channels: usize, size: usize, pad: usize, stride: usize, bias: bool },
    BatchNorm,
    Relu,
    MaxPool(usize),
    GlobalAvgPool,
    Dense(usize),
    Residual { body: Vec<Layer>, shortcut: Vec<Layer> },
}

/// The shape of images after some layers: the channels, and the rows, which are as many as the columns.
#[derive(Clone, Copy)]
pub struct Shape {
    pub channels: usize,
    pub side: usize,
}

impl Shape {
    pub const IMAGE: Self = Self { channels: 1, side: 28 };

    pub fn after(self, layer: &Layer) -> Self {
        match layer {
            &Layer::Conv { channels, size, pad, stride, .. } => {
                let side = (self.side + 2 * pad - size) / stride + 1;
                Self { channels, side }
            }
            Layer::MaxPool(size) => Self { side: self.side / size, ..self },
            Layer::GlobalAvgPool => Self { side: 1, ..self },
            Layer::Dense(units) => Self { channels: *units, side: 1 },
            Layer::Residual { body, .. } => body.iter().fold(self, Self::after),
            Layer::BatchNorm | Layer::Relu => self,
        }
    }

    pub fn size(self) -> usize {
        self.channels * self.side * self.side
    }
}

pub enum Optimizer {
    Sgd { momentum: f64 },
    Adam,
}

/// The named workload of the command line.
pub struct Workload {
    pub layers: Vec<Layer>,
    pub batch: usize,
    /// The optimizer and its learning rate; none where the workload is an inference.
    pub training: Option<(Optimizer, f64)>,
}

impl Workload {
    fn named(name: &str) -> Result<Self> {
        let described: Value = serde_json::from_str(include_str!("../../workloads.json"))?;
        let workload = &described["workloads"][name];
        let network = workload["network"].as_str().ok_or_else(|| format!("no workload is named {name}"))?;
        let text = described["networks"][network].as_str().ok_or("a network is a line of text")?;
        let optimizer = match workload["optimizer"].as_str() {
            Some("adam") => Some(Optimizer::Adam),
            Some(_) => Some(Optimizer::Sgd { momentum: workload["momentum"].as_f64().unwrap_or(0.0) }),
            None => None,
        };
        let rate = workload["learning_rate"].as_f64().unwrap_or(0.0);
        Ok(Self {
            layers: parse(text)?,
            batch: workload["batch"].as_u64().ok_or("a batch is a number")? as usize,
            training: optimizer.map(|optimizer| (optimizer, rate)),
        })
    }

    /// Images of one channel, four fifths of them zero: rings of several sizes, smooth across the stroke.
    pub fn images(&self) -> Vec<f32> {
        let pixel = |n: usize, p: usize| {
            let row = (p / 28) as f32 - 12.5 - (n % 3) as f32;
            let column = (p % 28) as f32 - 11.5 - (n % 5) as f32;
            let off = (row.hypot(column) - 5.0 - (n % 4) as f32) / 2.0;
            (1.0 - off * off).max(0.0)
        };
        (0..self.batch).flat_map(|n| (0..28 * 28).map(move |p| pixel(n, p))).collect()
    }

    pub fn labels(&self) -> Vec<u32> {
        (0..self.batch as u32).map(|n| n % 10).collect()
    }
}

/// A line of text as layers: the part of the project's form that the workloads use.
fn parse(text: &str) -> Result<Vec<Layer>> {
    let spaced =
        ["(", ")", "|", ","].iter().fold(text.to_owned(), |text, c| text.replace(c, &format!(" {c} ")));
    let mut words: Vec<_> =
        spaced.trim_start_matches("28x28x1:").split_whitespace().filter(|&word| word != ",").rev().collect();
    layers(&mut words)
}

/// The next word, of the two of `3x3` the first.
fn number(words: &mut Vec<&str>) -> Result<usize> {
    Ok(words.pop().and_then(|word| word.split('x').next()).unwrap_or_default().parse()?)
}

/// Layers up to a bar, a closing parenthesis or the end; `words` are taken from the back.
fn layers(words: &mut Vec<&str>) -> Result<Vec<Layer>> {
    let mut found = Vec::new();
    while let Some(word) = words.pop_if(|word| *word != ")" && *word != "|") {
        found.push(match word {
            "conv" => {
                let (channels, size) = (number(words)?, number(words)?);
                let (mut pad, mut stride, mut bias) = (0, 1, true);
                while let Some(option) =
                    words.pop_if(|word| ["same", "pad", "nobias", "stride"].contains(word))
                {
                    match option {
                        "same" => pad = (size - 1) / 2,
                        "nobias" => bias = false,
                        "pad" => pad = number(words)?,
                        _ => stride = number(words)?,
                    }
                }
                Layer::Conv { channels, size, pad, stride, bias }
            }
            "batchnorm" => Layer::BatchNorm,
            "relu" => Layer::Relu,
            "maxpool" => Layer::MaxPool(number(words)?),
            "globalavgpool" => Layer::GlobalAvgPool,
            "dense" => Layer::Dense(number(words)?),
            "residual" => {
                words.pop();
                let body = layers(words)?;
                let shortcut = match words.pop() {
                    Some("|") => {
                        let shortcut = layers(words)?;
                        words.pop();
                        shortcut
                    }
                    _ => Vec::new(),
                };
                Layer::Residual { body, shortcut }
            }
            word => return Err(format!("no layer is named {word}").into()),
        });
    }
    Ok(found)
}

/// Times the workload of the command line, and prints its line.
///
/// `prepare` makes of it a function that does one step or one inference.
pub fn run<C>(peer: &str, form: &str, prepare: impl FnOnce(&Workload) -> Result<C>) -> Result<()>
where
    C: FnMut() -> Result<()>,
{
    let words: Vec<_> = env::args().collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| word == name).ok_or_else(|| format!("{name} is missing"))?;
        words.get(at + 1).ok_or_else(|| format!("{name} needs a value"))
    };
    let (name, threads, seconds) = (option("--workload")?, option("--threads")?, option("--seconds")?);

    // Rayon and candle read their number of threads when they are first used.
    const THREADS: &str = "RAYON_NUM_THREADS";
    if env::var(THREADS).ok().as_ref() != Some(threads) {
        let status = Command::new(env::current_exe()?).args(&words[1..]).env(THREADS, threads).status()?;
        return if status.success() { Ok(()) } else { Err(status.to_string().into()) };
    }

    let workload = Workload::named(name)?;
    let mut call = prepare(&workload)?;
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    let figure = measure(&mut call, seconds)? / workload.batch as f64;
    println!(
        "{}",
        json!({
            "peer": peer,
            "form": form,
            "name": name,
            "threads": threads.parse::<usize>()?,
            "us_per_sample": figure,
            "versions": { peer: version(peer) },
        })
    );
    Ok(())
}

/// Microseconds a call: the median.
fn measure(call: &mut impl FnMut() -> Result<()>, seconds: Duration) -> Result<f64> {
    let start = Instant::now();
    call()?;
    while start.elapsed() < seconds / 4 {
        call()?;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 3 || start.elapsed() < seconds {
        let begin = Instant::now();
        call()?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// The version of a package, as the lock file has it.
fn version(peer: &str) -> &'static str {
    let package = if peer == "candle" { "candle-core" } else { peer };
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).map_or("", |(_, rest)| rest);
    entry.split('"').next().unwrap_or_default()
}
