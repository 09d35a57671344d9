"""Models that `cnn` saved, run by other programs: an ONNX file by onnxruntime, a state_dict by PyTorch.

    pip install numpy onnxruntime safetensors torch
    python docs/exports.py

trains every preset for a moment, adds networks of unusual layers, exports them all, and compares the logits with the
tool's own. It needs cargo, and fails where a logit is off by more than 1e-4.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_state_dict
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
CNN = ["cargo", "run", "--quiet", "-p", "cnn-cli", "--"]
TOLERANCE = 1e-4


def run(*command, **options):
    return subprocess.run([str(word) for word in command], cwd=ROOT, check=True, **options)


def presets():
    """The names of all presets."""
    listed = run(*CNN, "presets", capture_output=True, text=True).stdout
    return re.findall(r"^(\S+): ", listed, re.MULTILINE)


def spec_of(model):
    """The network of a model file: its metadata has it as JSON."""
    with safe_open(model, "numpy") as file:
        return json.loads(file.metadata()["cnn"])["spec"]


# PyTorch. Only what its modules do not have is written here: padding of unequal sides, and pooling that skips it.


def sides(padding, size, kernel, stride, dilation):
    """Padding as PyTorch's `pad` takes it: left, right, top, bottom."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding != "same":
        (top, bottom), (left, right) = padding["explicit"]
        return [left, right, top, bottom]
    pads = []
    for n, k, s, d in reversed(list(zip(size, kernel, stride, dilation))):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        pads += [total // 2, total - total // 2]
    return pads


class Convolution(nn.Conv2d):
    """A convolution with any padding."""

    def __init__(self, inputs, layer):
        settings = {name: layer[name] for name in ("stride", "dilation", "groups", "bias")}
        super().__init__(inputs, layer["filters"], layer["kernel"], **settings)
        self.any_padding = layer["padding"]

    def forward(self, x):
        pads = sides(self.any_padding, x.shape[2:], self.kernel_size, self.stride, self.dilation)
        return super().forward(nn.functional.pad(x, pads))


class Pooling(nn.Module):
    """Windows whose padding is never chosen, and counts in a mean only where `count_padding` says so."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.stride = layer, layer.get("stride") or layer["kernel"]

    def forward(self, x):
        kernel, kind = self.layer["kernel"], self.layer["type"]
        pads = sides(self.layer["padding"], x.shape[2:], kernel, self.stride, (1, 1))
        if kind == "avg_pool2d":
            mean = nn.functional.avg_pool2d(nn.functional.pad(x, pads), kernel, self.stride)
            if self.layer["count_padding"]:
                return mean
            inside = nn.functional.pad(torch.ones_like(x), pads)
            return mean / nn.functional.avg_pool2d(inside, kernel, self.stride)
        sign = -1 if kind == "min_pool2d" else 1
        padded = nn.functional.pad(sign * x, pads, value=-torch.inf)
        return sign * nn.functional.max_pool2d(padded, kernel, self.stride)


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class GlobalMean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def module(layer, shape):
    """The module of a layer whose input has this shape, without the batch."""
    match layer["type"]:
        case "conv2d":
            return Convolution(shape[0], layer)
        case "dense":
            return nn.Linear(shape[0], layer["outputs"])
        case "batch_norm2d":
            return nn.BatchNorm2d(shape[0], eps=layer["epsilon"])
        case "max_pool2d" | "min_pool2d" | "avg_pool2d":
            return Pooling(layer)
        case "global_avg_pool2d":
            return GlobalMean()
        case "flatten":
            return nn.Flatten()
        case "dropout":
            return nn.Dropout(layer["rate"])
        case "leaky_relu":
            return nn.LeakyReLU(layer["slope"])
        case "softmax":
            return nn.Softmax(dim=1)
        case "residual":
            return Residual(sequential(layer["body"], shape), sequential(layer["shortcut"], shape))
        case kind:
            return {"relu": nn.ReLU, "gelu": nn.GELU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[kind]()


def sequential(layers, shape):
    """A module for each layer, so that a state_dict has the layers' places for names."""
    modules = nn.Sequential()
    for layer in layers:
        modules.append(module(layer, shape).eval())
        shape = modules[-1](torch.zeros(1, *shape)).shape[1:]
    return modules


def run_torch(model, images):
    state_dict = model.with_suffix(".torch")
    run(*CNN, "export", model, "--format", "safetensors-torch", "-o", state_dict, stdout=subprocess.DEVNULL)
    spec = spec_of(model)
    rows, columns, channels = spec["input"]
    network = sequential(spec["layers"], (channels, rows, columns)).eval()
    # BatchNorm2d counts its batches as well, which nothing here needs.
    missing, unexpected = network.load_state_dict(load_state_dict(state_dict), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


def run_onnx(model, images):
    path = model.with_suffix(".onnx")
    run(*CNN, "export", model, "--format", "onnx", "-o", path, stdout=subprocess.DEVNULL)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert "preprocessing" in session.get_modelmeta().custom_metadata_map
    # The batch is of any size.
    halves = [session.run(None, {"images": part})[0] for part in (images[:2], images[2:])]
    return np.concatenate(halves)


def main():
    found = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for preset in presets():
            out = folder / f"preset-{preset}.safetensors"
            train = [*CNN, "train", "--preset", preset, "--limit", "200", "--epochs", "1", "--progress", "none"]
            run(*train, "--run", folder / preset, "--out", out)
        run("cargo", "run", "--quiet", "-p", "layers", "--example", "exports", "--", folder)
        for model in sorted(folder.glob("*.safetensors")):
            case = load_file(model.with_suffix(".case"))
            differences = [
                np.abs(other(model, case["images"]) - case["logits"]).max() for other in (run_onnx, run_torch)
            ]
            print(f"{model.stem:20} onnxruntime {differences[0]:.1e}  PyTorch {differences[1]:.1e}")
            found += differences
    worst = np.max(found)
    print(f"worst difference of a logit: {worst:.1e}, at most {TOLERANCE:.0e} expected")
    return 0 if worst <= TOLERANCE else 1


sys.exit(main())
