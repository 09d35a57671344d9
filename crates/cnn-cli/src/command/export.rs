//! `cnn export`: a model for other programs.

use crate::args::{self, ExportFormat};
use crate::console::Console;
use crate::output;
use anyhow::Result;
use layers::weights::{self, Framework};
use layers::{Model, onnx};
use std::fs;

pub fn run(args: args::Export) -> Result<()> {
    let args::Export { model: path, format, out, force } = args;
    let model = Model::load(&path)?;
    let out = out.unwrap_or_else(|| path.with_extension(extension(format)));
    output::check_new(&out, force)?;
    output::check_other(&out, &path)?;

    let Model { network, parameters, .. } = &model;
    let tensors = |framework| weights::export(&out, network, parameters, framework, str::to_owned);
    let what = match format {
        ExportFormat::Onnx => {
            onnx::export(&out, &model).map(|()| "ONNX, an input `images` of (batch, channel, row, column)")
        }
        ExportFormat::SafetensorsTorch => tensors(Framework::PyTorch).map(|()| "a PyTorch state_dict"),
        ExportFormat::SafetensorsKeras => tensors(Framework::Keras).map(|()| "Keras weights"),
    }?;

    let mut console = Console::default();
    let (from, to, bytes) = (path.display(), out.display(), fs::metadata(&out)?.len());
    console.line(format_args!("{from} → {to}: {what}, {bytes} bytes"));
    console.finish()
}

fn extension(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Onnx => "onnx",
        ExportFormat::SafetensorsTorch => "torch.safetensors",
        ExportFormat::SafetensorsKeras => "keras.safetensors",
    }
}
