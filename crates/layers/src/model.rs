use crate::file::{File, Header, Tensors, read, write};
use crate::{Network, Parameters, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How pixels from 0 to 255 become the network's input: `(pixel / 255 − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// What is subtracted.
    pub mean: f32,
    /// What is divided by.
    pub std: f32,
}

/// A trained network: its parameters, how its images were prepared, and what its classes are called. In a file, it is
/// safetensors.
#[derive(Debug)]
pub struct Model {
    /// The planned network.
    pub network: Network,
    /// Its parameters.
    pub parameters: Parameters,
    /// What was done to the pixels.
    pub normalization: Normalization,
    /// A name for each class, or none at all.
    pub class_names: Vec<String>,
}

impl Model {
    /// Writes the model under a temporary name beside `path`, and gives it its name when it is complete.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        write(path, &self.to_bytes())
    }

    /// Reads a model, and checks all of it before any of it is used. From a checkpoint, it takes the parameters that
    /// [`TrainState::result`](crate::TrainState::result) names.
    ///
    /// # Errors
    /// A file that cannot be read, is no safetensors file, was not written by this crate, or whose tensors are not those
    /// of its network.
    pub fn load(path: &Path) -> Result<Self> {
        read(path, Self::from_bytes)
    }

    /// The model as the bytes of a file. The same model gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors = Tensors::default();
        tensors.push_all("", &self.parameters);
        tensors.to_bytes(&Header::new(self.network.spec(), self.normalization, &self.class_names))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file = File::parse(bytes)?;
        if file.header.training.is_some() {
            return crate::Checkpoint::from_file(file).map(crate::Checkpoint::into_model);
        }
        let parameters = file.take_all("")?;
        file.expect_only(|name| file.network.parts().any(|part| part.name == name))?;
        let File { header: Header { normalization, class_names, .. }, network, .. } = file;
        Ok(Self { network, parameters, normalization, class_names })
    }
}
