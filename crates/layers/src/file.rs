//! The one file format: safetensors, with everything that is no tensor as JSON in the metadata.

use crate::parameters::Layout;
use crate::{
    Error, Network, NetworkSpec, Normalization, Parameter, Parameters, Progress, Result, TrainConfig,
};
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

/// What a file says beside its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    format: u32,
    pub spec: NetworkSpec,
    pub normalization: Normalization,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
}

/// Where a training run is, apart from its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Training {
    pub config: TrainConfig,
    pub progress: Progress,
    /// The optimiser's steps.
    pub steps: u64,
}

impl Header {
    pub fn new(spec: &NetworkSpec, normalization: Normalization, class_names: &[String]) -> Self {
        let class_names = class_names.to_vec();
        Self { format: FORMAT, spec: spec.clone(), normalization, class_names, training: None }
    }
}

/// The tensors of a file that is to be written.
#[derive(Default)]
pub(crate) struct Tensors(Vec<(String, Vec<usize>, Vec<u8>)>);

impl Tensors {
    /// Adds every part of the parameters and statistics, its name behind `prefix`.
    pub fn push_all(&mut self, prefix: &str, parameters: &Parameters) {
        let Layout { parameters: learned, statistics } = parameters.layout();
        self.push_parts(prefix, learned, parameters.values());
        self.push_parts(prefix, statistics, parameters.statistics());
    }

    /// Adds the parts of a flat buffer, each row-major, its name behind `prefix`.
    pub fn push_parts(&mut self, prefix: &str, parts: &[Parameter], values: &[f32]) {
        self.0.extend(parts.iter().map(|part| {
            let bytes = part.view(values).iter().flat_map(|value| value.to_le_bytes()).collect();
            (format!("{prefix}{}", part.name), part.shape.clone(), bytes)
        }));
    }

    /// The file's bytes: the same for the same header and tensors.
    pub fn to_bytes(&self, header: &Header) -> Vec<u8> {
        let header = serde_json::to_string(header).expect("a header has nothing that JSON lacks");
        let tensors = self.0.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name, view.expect("a tensor has as many values as its shape says"))
        });
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(tensors, Some(metadata)).expect("the tensors fit their shapes")
    }
}

/// A file that was read: its header is understood and its network planned; its tensors are yet to be taken.
pub(crate) struct File<'a> {
    pub header: Header,
    pub network: Network,
    tensors: SafeTensors<'a>,
}

impl<'a> File<'a> {
    /// Reads a file's bytes, or says what is wrong with them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let not_one = |error| format!("expected a model in safetensors format; {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(not_one)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(not_one)?;
        let json = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let json =
            json.ok_or_else(|| format!("expected a model of this program; the metadata has no key {KEY:?}"))?;

        let version: serde_json::Value = from_json(json)?;
        match version.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("expected format {FORMAT}, found {format}")),
            None => return Err(format!("expected format {FORMAT}, found none")),
        }
        let header: Header = from_json(json)?;
        let Normalization { mean, std } = header.normalization;
        if !(mean.is_finite() && std.is_finite() && std > 0.0) {
            return Err(format!("expected a finite mean and a positive std, found {mean} and {std}"));
        }
        let network = Network::new(&header.spec).map_err(|error| error.to_string())?;
        if let (names @ 1.., Ok(classes)) = (header.class_names.len(), network.classes())
            && names != classes
        {
            return Err(format!("expected {classes} class names, found {names}"));
        }
        Ok(Self { header, network, tensors })
    }

    /// The values of one tensor, which must have this shape.
    fn take(&self, name: &str, shape: &[usize]) -> Result<impl Iterator<Item = f32> + use<'a>, String> {
        let tensor =
            self.tensors.tensor(name).map_err(|_| format!("expected a tensor {name:?}, found none"))?;
        if (tensor.dtype(), tensor.shape()) != (Dtype::F32, shape) {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            return Err(format!(
                "tensor {name:?}: expected F32 of shape {shape:?}, found {dtype:?} of {found:?}"
            ));
        }
        Ok(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
    }

    /// Every part of the parameters, its name behind `prefix`.
    pub fn take_all(&self, prefix: &str) -> Result<Parameters, String> {
        let Layout { parameters: learned, statistics } = &**self.network.layout();
        let (values, gathered) = (self.take_parts(prefix, learned)?, self.take_parts(prefix, statistics)?);
        let mut parameters = self.network.zero_parameters();
        parameters.values_mut().copy_from_slice(&values);
        parameters.statistics_mut().copy_from_slice(&gathered);
        Ok(parameters)
    }

    /// A flat buffer of these parts, each one's name behind `prefix`.
    pub fn take_parts(&self, prefix: &str, parts: &[Parameter]) -> Result<Vec<f32>, String> {
        // All are checked before memory is taken by what the header says.
        for part in parts {
            let _ = self.take(&format!("{prefix}{}", part.name), &part.shape)?;
        }
        let mut buffer = vec![0.0; parts.last().map_or(0, |part| part.range.end)];
        for part in parts {
            let values = self.take(&format!("{prefix}{}", part.name), &part.shape)?;
            part.view_mut(&mut buffer).iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
        Ok(buffer)
    }

    /// Fails where the file has more tensors than `expected` knows.
    pub fn expect_only(&self, expected: impl Fn(&str) -> bool) -> Result<(), String> {
        match self.tensors.names().into_iter().find(|name| !expected(name)) {
            Some(name) => Err(format!("tensor {name:?}: expected none of this name")),
            None => Ok(()),
        }
    }
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("expected a model of this program; metadata: {error}"))
}

/// Reads a file, and hands its bytes to `parse`.
pub(crate) fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T> {
    let bytes = fs::read(path).map_err(|source| Error::File { path: path.into(), source })?;
    parse(&bytes).map_err(|problem| Error::Model { path: path.into(), problem })
}

/// Writes a file so that its name only ever stands for the old bytes or for all of the new ones.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, bytes).map_err(|source| Error::File { path: path.into(), source })
}

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
