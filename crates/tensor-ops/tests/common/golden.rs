//! Reading the reference tensors, and comparing with them.
//!
//! The folder is `GOLDEN_DIR`, by default `tests/golden`, whose README says where the tensors come from.

use ndarray::{Array, Dimension, NdFloat};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use tensor_ops::Padding;

/// What results in `f64` may differ by, relative to the tensor's largest element.
pub const F64: f64 = 1e-12;
/// The same for results in `f32`.
pub const F32: f64 = 1e-5;

/// Calls `run` with every case of the folder and the name of its operation.
pub fn for_each_case(run: impl Fn(&Case, &str)) {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = std::env::var_os("GOLDEN_DIR").map_or(default, PathBuf::from);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    assert!(!paths.is_empty(), "{}: no .safetensors file", folder.display());

    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let case = Case::parse(path.display().to_string(), &bytes);
        run(&case, case.text("op").unwrap_or_else(|| panic!("{}: no op", case.file)));
    }
}

/// One file: its tensors and the JSON that says what they are.
pub struct Case<'a> {
    /// The file's path, for messages.
    pub file: String,
    settings: Value,
    tensors: SafeTensors<'a>,
}

impl<'a> Case<'a> {
    fn parse(file: String, bytes: &'a [u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
        let json = metadata.metadata().as_ref().and_then(|metadata| metadata.get("case"));
        let json = json.unwrap_or_else(|| panic!("{file}: no metadata key \"case\""));
        let settings = serde_json::from_str(json).unwrap_or_else(|e| panic!("{file}: {e}"));
        Self { settings, tensors: SafeTensors::deserialize(bytes).unwrap(), file }
    }

    /// A setting that is there and not null.
    pub fn setting(&self, key: &str) -> Option<&Value> {
        self.settings.get(key).filter(|value| !value.is_null())
    }

    /// A setting that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.setting(key).and_then(Value::as_str)
    }

    /// `[down, across]` of a setting that may be a single number.
    pub fn pair(&self, key: &str) -> Option<[usize; 2]> {
        let value = self.setting(key)?;
        let pair = match value.as_u64() {
            Some(n) => Some([n as usize; 2]),
            None => serde_json::from_value(value.clone()).ok(),
        };
        Some(pair.unwrap_or_else(|| panic!("{}: {key} is {value}", self.file)))
    }

    /// The padding, in any of the forms that PyTorch takes.
    pub fn padding(&self) -> Padding {
        match self.setting("padding") {
            None => Padding::Valid,
            Some(Value::String(name)) if name == "valid" => Padding::Valid,
            Some(Value::String(name)) if name == "same" => Padding::Same,
            Some(value) => match serde_json::from_value(value.clone()) {
                Ok(sides) => Padding::Explicit(sides),
                Err(_) => Padding::Explicit(self.pair("padding").unwrap().map(|n| [n; 2])),
            },
        }
    }

    /// Whether the file holds such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.names().contains(&name)
    }

    /// A tensor of one of the element types that the files hold.
    pub fn tensor<D: Dimension, T: Element>(&self, name: &str) -> Array<T, D> {
        let tensor = self.tensors.tensor(name).unwrap_or_else(|e| panic!("{}: {name}: {e}", self.file));
        assert_eq!(tensor.dtype(), T::DTYPE, "{}: type of {name}", self.file);
        let data = tensor.data().chunks_exact(size_of::<T>()).map(T::read).collect();
        let array = Array::from_shape_vec(tensor.shape().to_vec(), data).unwrap();
        array.into_dimensionality().unwrap_or_else(|e| panic!("{}: {name}: {e}", self.file))
    }

    /// Compares those results that the file holds: the largest difference with the largest element.
    pub fn check<T: NdFloat + Into<f64>, D: Dimension, const N: usize>(
        &self,
        who: impl Display,
        tolerance: f64,
        results: [(&str, &Array<T, D>); N],
    ) {
        for (name, found) in results.into_iter().filter(|(name, _)| self.has(name)) {
            let expected: Array<f64, D> = self.tensor(name);
            assert_eq!(found.shape(), expected.shape(), "{}: {who}: shape of {name}", self.file);
            let largest = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            let difference = |(f, e): (&T, &f64)| ((*f).into() - e).abs();
            let differences: Vec<f64> = found.iter().zip(&expected).map(difference).collect();
            let worse = |a: f64, b: f64| a.is_nan() || a > b;
            let worst = (0..differences.len())
                .reduce(|w, i| if worse(differences[i], differences[w]) { i } else { w })
                .unwrap_or_else(|| panic!("{}: {name} is empty", self.file));
            let (at, e) = expected.indexed_iter().nth(worst).unwrap();
            let f: f64 = (*found.iter().nth(worst).unwrap()).into();
            assert!(
                differences[worst] <= tolerance * largest,
                "{}: {who}: {name}: worst at {at:?}: expected {e}, found {f}; the largest element is {largest}",
                self.file
            );
        }
    }
}

/// A number type and how a file stores it.
pub trait Element: Sized {
    /// Its name in the file.
    const DTYPE: Dtype;
    /// The number from its bytes.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($number:ty, $dtype:ident;)*) => {$(
        impl Element for $number {
            /// Its name in the file.
    const DTYPE: Dtype = Dtype::$dtype;
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )*};
}

element! { f32, F32; f64, F64; i64, I64; }

/// An operand as either of the two types; both hold it exactly.
pub fn exactly<T: NdFloat>(value: f32) -> T {
    T::from(value).unwrap()
}

/// An output that shows which of its elements were not written.
pub fn nan<T: NdFloat, D: Dimension>(shape: D) -> Array<T, D> {
    Array::from_elem(shape, T::nan())
}
