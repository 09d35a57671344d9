//! A trained network in one file: safetensors, with everything else it needs in the metadata.

use crate::{Error, Network, NetworkSpec, Parameters, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The metadata key that holds the [`Header`]. It is one key, so that a file's bytes do not depend on the order
/// of a map.
const KEY: &str = "cnn";

/// The version of the header; a file with another one is not read.
const FORMAT: u32 = 1;

/// How pixels from 0 to 255 become the network's input: `(pixel / 255 − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// What is subtracted.
    pub mean: f32,
    /// What is divided by.
    pub std: f32,
}

/// A network with its parameters, and how its images were prepared.
#[derive(Debug)]
pub struct Model {
    /// The planned network.
    pub network: Network,
    /// Its parameters.
    pub parameters: Parameters,
    /// What was done to the pixels.
    pub normalization: Normalization,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    spec: NetworkSpec,
    normalization: Normalization,
}

impl Model {
    /// Writes the model under a temporary name beside `path`, and gives it its name when it is complete.
    ///
    /// The same model gives the same bytes.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.to_bytes()).map_err(|source| Error::File { path: path.into(), source })
    }

    /// Reads a model, and checks all of it before any of it is used.
    ///
    /// # Errors
    /// A file that cannot be read, is no safetensors file, was not written by [`Model::save`], or whose tensors
    /// are not those of its network.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::File { path: path.into(), source })?;
        Self::from_bytes(&bytes).map_err(|problem| Error::Model { path: path.into(), problem })
    }

    /// The model as the bytes of a safetensors file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (spec, normalization) = (self.network.spec().clone(), self.normalization);
        let header = serde_json::to_string(&Header { format: FORMAT, spec, normalization });
        let metadata =
            HashMap::from([(KEY.to_owned(), header.expect("a header has nothing that JSON lacks"))]);
        let bytes: Vec<u8> = self.parameters.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensors = self.parameters.parts().iter().map(|part| {
            let bytes = &bytes[4 * part.range.start..4 * part.range.end];
            let view = TensorView::new(Dtype::F32, part.shape.clone(), bytes);
            (&part.name, view.expect("a part has as many values as its shape says"))
        });
        safetensors::serialize(tensors, Some(metadata)).expect("the tensors fit their shapes")
    }

    /// The model in the bytes of a safetensors file, or what is wrong with them.
    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let not_one = |error| format!("expected a model in safetensors format; {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| not_one(format!("{error}")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| not_one(format!("{error}")))?;

        let header = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let header = header
            .ok_or_else(|| format!("expected a model of this program; the metadata has no key {KEY:?}"))?;
        let version: serde_json::Value = parse(header)?;
        match version.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("expected format {FORMAT}, found {format}")),
            None => return Err(format!("expected format {FORMAT}, found none")),
        }
        let Header { spec, normalization, .. } = parse(header)?;
        let Normalization { mean, std } = normalization;
        if !(mean.is_finite() && std.is_finite() && std > 0.0) {
            return Err(format!("expected a finite mean and a positive std, found {mean} and {std}"));
        }
        let network = Network::new(&spec).map_err(|error| error.to_string())?;

        // Before anything is allocated by what the header says.
        for part in network.parts() {
            let name = &part.name;
            let tensor =
                tensors.tensor(name).map_err(|_| format!("expected a tensor {name:?}, found none"))?;
            if (tensor.dtype(), tensor.shape()) != (Dtype::F32, &part.shape) {
                let (shape, dtype, found) = (&part.shape, tensor.dtype(), tensor.shape());
                return Err(format!(
                    "tensor {name:?}: expected F32 of shape {shape:?}, found {dtype:?} of {found:?}"
                ));
            }
        }
        if let Some(name) =
            tensors.names().into_iter().find(|name| network.parts().iter().all(|p| &p.name != name))
        {
            return Err(format!("tensor {name:?}: expected none of this name"));
        }
        let mut parameters = network.zero_parameters();
        for part in network.parts() {
            let tensor = tensors.tensor(&part.name).map_err(|error| error.to_string())?;
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            parameters.values_mut()[part.range.clone()]
                .iter_mut()
                .zip(values)
                .for_each(|(p, value)| *p = value);
        }
        Ok(Self { network, parameters, normalization })
    }
}

fn parse<T: serde::de::DeserializeOwned>(header: &str) -> Result<T, String> {
    serde_json::from_str(header)
        .map_err(|error| format!("expected a model of this program; metadata: {error}"))
}

/// Writes a file so that its name only ever stands for the old bytes or for all of the new ones.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // A temporary file is private by default; a model is a file like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".cnn-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename itself is only on disk when the directory is.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}
