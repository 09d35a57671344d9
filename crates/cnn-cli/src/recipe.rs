//! What to train and how: a network, its data and its training, as a TOML file. The presets are such files, and each
//! run keeps its own as `config.toml`.

use crate::data::Origin;
use anyhow::{Context, Result};
use layers::{Layer, NetworkSpec, Normalization, Ties, TrainConfig};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The presets' names, and what is in their files.
const PRESETS: [(&str, &str); 6] = [
    ("tutorial", include_str!("../presets/tutorial.toml")),
    ("keras", include_str!("../presets/keras.toml")),
    ("lenet", include_str!("../presets/lenet.toml")),
    ("fast99", include_str!("../presets/fast99.toml")),
    ("best", include_str!("../presets/best.toml")),
    ("fashion", include_str!("../presets/fashion.toml")),
];

/// What MNIST's images are, and the number of its classes.
const MNIST: ([usize; 3], usize) = ([28, 28, 1], 10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What its runs are called.
    #[serde(default)]
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The test accuracy that it was seen to reach, and how long that took.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub measured: String,
    #[serde(with = "line")]
    pub network: NetworkSpec,
    /// How many training and test images are used, where not all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    #[serde(default)]
    pub validation: Validation,
    /// A line for people every so many steps, as the tutorial prints one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_every: Option<usize>,
    /// Which images; the flags and what is there decide where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Origin>,
    /// How pixels are prepared: to mean 0 and standard deviation 1 where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    pub training: TrainConfig,
}

/// What is judged after each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Validation {
    /// Nothing.
    None,
    /// A share of each class of the training images, which then are not trained on.
    Share(f64),
    /// The test images, as the article and Keras do. Nothing may be chosen by that.
    Test,
}

impl Recipe {
    pub fn presets() -> impl Iterator<Item = Self> {
        PRESETS.into_iter().map(|(name, text)| Self::parse(name, text).expect("the presets are recipes"))
    }

    pub fn preset_names() -> [&'static str; PRESETS.len()] {
        PRESETS.map(|(name, _)| name)
    }

    /// The text of a preset's file.
    pub fn preset_text(name: &str) -> Option<&'static str> {
        PRESETS.iter().find_map(|(known, text)| (*known == name).then_some(*text))
    }

    /// The preset of this name, which there is.
    pub fn preset(name: &str) -> Self {
        let text = Self::preset_text(name).expect("a preset's name");
        Self::parse(name, text).expect("the presets are recipes")
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&name, &text).with_context(|| path.display().to_string())
    }

    fn parse(name: &str, text: &str) -> Result<Self, toml::de::Error> {
        let mut recipe: Self = toml::from_str(text)?;
        if recipe.name.is_empty() {
            name.clone_into(&mut recipe.name);
        }
        Ok(recipe)
    }

    /// The recipe as the text of a file.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("the recipe as TOML")
    }

    /// Makes the network one for images of this shape and so many classes: the last dense layer gets as many outputs.
    pub fn fit(&mut self, input: [usize; 3], classes: usize) {
        self.network.input = input;
        let mut layers = self.network.layers.iter_mut().rev();
        if let Some(Layer::Dense(last)) = layers.find(|layer| !matches!(layer, Layer::Softmax(_))) {
            last.outputs = classes;
        }
    }

    /// The shape and the number of classes of a data set that names its classes, and of MNIST.
    pub fn fit_to(&mut self, images: &mnist_io::Dataset) {
        match images.class_names() {
            [] => self.fit(MNIST.0, MNIST.1),
            names => self.fit(images.shape(), names.len()),
        }
    }

    /// Which of equal maxima takes the gradient, in all of the network's max-pooling layers.
    pub fn set_ties(&mut self, ties: Ties) {
        set_ties(&mut self.network.layers, ties);
    }
}

fn set_ties(layers: &mut [Layer], new: Ties) {
    for layer in layers {
        match layer {
            Layer::MaxPool2d(pool) => pool.ties = new,
            Layer::MinPool2d(pool) => pool.ties = new,
            Layer::Residual(block) => {
                set_ties(&mut block.body, new);
                set_ties(&mut block.shortcut, new);
            }
            _ => {}
        }
    }
}

/// A network from a TOML file, or from the line of text itself.
pub fn network(text: &str) -> Result<NetworkSpec> {
    if Path::new(text).extension().is_some_and(|extension| extension == "toml") {
        let file = fs::read_to_string(text).with_context(|| text.to_owned())?;
        return toml::from_str(&file).with_context(|| text.to_owned());
    }
    text.parse().map_err(|error| anyhow::anyhow!("{text:?} is no network: {error}"))
}

/// A network as a line of text in a file.
mod line {
    use super::NetworkSpec;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(spec: &NetworkSpec, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(spec)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NetworkSpec, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self::Share(0.1)
    }
}

impl FromStr for Validation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("none", _) => Ok(Self::None),
            ("test", _) => Ok(Self::Test),
            (_, Ok(share)) if share > 0.0 && share < 1.0 => Ok(Self::Share(share)),
            _ => Err(format!("expected a share between 0 and 1, \"test\" or \"none\", found {text:?}")),
        }
    }
}

impl TryFrom<String> for Validation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Share(share) => share.fmt(f),
            Self::Test => f.write_str("test"),
        }
    }
}

impl From<Validation> for String {
    fn from(validation: Validation) -> Self {
        validation.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_what_their_files_say() {
        let presets: Vec<Recipe> = Recipe::presets().collect();
        assert_eq!(
            presets.iter().map(|preset| preset.name.as_str()).collect::<Vec<_>>(),
            Recipe::preset_names()
        );
        for preset in presets {
            assert!(!preset.about.is_empty() && preset.data.is_none(), "{}", preset.name);
            layers::Network::new(&preset.network).unwrap();
            assert_eq!(Recipe::parse("", &preset.to_toml().unwrap()).unwrap(), preset);
        }
    }

    #[test]
    fn a_recipe_fits_its_images() {
        let mut recipe = Recipe::preset("lenet");
        recipe.fit([32, 40, 3], 7);
        let network = layers::Network::new(&recipe.network).unwrap();
        assert_eq!((network.spec().input, network.classes().unwrap()), ([32, 40, 3], 7));
        recipe.network = "dense 10, softmax".parse().unwrap();
        recipe.fit([8, 8, 1], 3);
        assert_eq!(layers::Network::new(&recipe.network).unwrap().classes().unwrap(), 3);
    }

    #[test]
    fn ties_are_set_everywhere() {
        let line = "conv 2 3x3, maxpool 2 all, residual(maxpool 3 same stride 1 | minpool 3 same stride 1), dense 10";
        let mut recipe = Recipe { network: line.parse().unwrap(), ..Recipe::preset("keras") };
        recipe.set_ties(Ties::All);
        assert_eq!(recipe.network.to_string().matches(" all").count(), 3);
        recipe.set_ties(Ties::First);
        assert_eq!(recipe.network.to_string().matches(" all").count(), 0);
    }

    #[test]
    fn what_validates() {
        for (text, expected) in [
            ("0.25", Some(Validation::Share(0.25))),
            ("none", Some(Validation::None)),
            ("test", Some(Validation::Test)),
        ] {
            assert_eq!(text.parse().ok(), expected);
            assert_eq!(expected.unwrap().to_string(), text);
        }
        for text in ["0", "1", "-0.1", "nan", "inf", "", "Test"] {
            text.parse::<Validation>().unwrap_err();
        }
    }
}
