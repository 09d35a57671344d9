"""The workloads in PyTorch."""

from peers import common

threads = common.limit_threads()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

torch.set_num_threads(threads)


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def build(layers, channels=1):
    """Layers as a module, and the channels it ends in. A dense layer takes its number of inputs from its first call."""
    modules = []
    flat = False
    for kind, layer in layers:
        if kind == "conv":
            modules.append(
                nn.Conv2d(
                    channels,
                    layer["channels"],
                    layer["size"],
                    stride=layer["stride"],
                    padding=layer["pad"],
                    bias=layer["bias"],
                )
            )
            channels = layer["channels"]
        elif kind == "batchnorm":
            modules.append(nn.BatchNorm2d(channels))
        elif kind == "relu":
            modules.append(nn.ReLU(inplace=True))
        elif kind == "maxpool":
            modules.append(nn.MaxPool2d(layer["size"]))
        elif kind == "globalavgpool":
            modules.append(nn.AdaptiveAvgPool2d(1))
        elif kind == "dense":
            modules.extend([] if flat else [nn.Flatten()])
            flat = True
            modules.append(nn.LazyLinear(layer["units"]))
        else:
            body, channels_after = build(layer["body"], channels)
            shortcut = build(layer["shortcut"], channels)[0] if layer["shortcut"] else nn.Identity()
            modules.append(Residual(body, shortcut))
            channels = channels_after
    return nn.Sequential(*modules), channels


def prepared(workload, memory_format):
    x, labels = (torch.from_numpy(array) for array in common.images(workload["batch"]))
    x = x.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    model, _ = build(workload["layers"])
    with torch.no_grad():
        model(x[:2])
    return model.to(memory_format=memory_format), x, labels


def optimizer(workload, model):
    if workload["optimizer"] == "adam":
        return torch.optim.Adam(model.parameters(), lr=workload["learning_rate"], fused=True)
    return torch.optim.SGD(
        model.parameters(), lr=workload["learning_rate"], momentum=workload["momentum"], fused=True
    )


def repeated(call):
    def run(calls):
        for _ in range(calls):
            call()

    return run


def step(memory_format, compiled):
    """Module, loss and backward, compiled or not, and the fused optimizer."""

    def prepare(workload):
        model, x, labels = prepared(workload, memory_format)
        update = optimizer(workload, model)

        def loss(x, labels):
            return functional.cross_entropy(model(x), labels)

        if compiled:
            loss = torch.compile(loss)

        def call():
            update.zero_grad(set_to_none=True)
            loss(x, labels).backward()
            update.step()

        return repeated(call), workload["batch"]

    return prepare


def whole_step(memory_format, cpp_wrapper):
    """The step as one function of its parameters, gradient and update included, compiled as a whole."""

    def prepare(workload):
        model, x, labels = prepared(workload, memory_format)
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        buffers = dict(model.named_buffers())
        rate, momentum = workload["learning_rate"], workload.get("momentum", 0.0)
        moments = {name: torch.zeros_like(p) for name, p in parameters.items()}
        squares = {name: torch.zeros_like(p) for name, p in parameters.items()}
        steps = torch.zeros(())

        def loss(parameters, x, labels):
            logits = torch.func.functional_call(model, (parameters, buffers), (x,))
            return functional.cross_entropy(logits, labels)

        def call(x, labels):
            gradients = torch.func.grad(loss)(parameters, x, labels)
            if workload["optimizer"] == "adam":
                steps.add_(1)
                first, second = 1 - 0.9**steps, 1 - 0.999**steps
                for name, p in parameters.items():
                    g, m, v = gradients[name], moments[name], squares[name]
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g * g)
                    p.sub_(rate * (m / first) / ((v / second).sqrt() + 1e-8))
            else:
                for name, p in parameters.items():
                    direction = gradients[name]
                    if momentum:
                        direction = moments[name].mul_(momentum).add_(direction)
                    p.sub_(rate * direction)

        compiled = torch.compile(call, options={"cpp_wrapper": cpp_wrapper})
        no_grad = torch.no_grad()

        def run(calls):
            with no_grad:
                for _ in range(calls):
                    compiled(x, labels)

        return run, workload["batch"]

    return prepare


def inference(memory_format, kind):
    def prepare(workload):
        model, x, _ = prepared(workload, memory_format)
        model.eval()
        with torch.inference_mode():
            if kind == "compile":
                model = torch.compile(model, options={"freezing": True})
            elif kind == "compile, C++ wrapper":
                model = torch.compile(model, options={"freezing": True, "cpp_wrapper": True})
            elif kind == "frozen trace":
                traced = torch.jit.trace(model, x)
                model = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

        def run(calls):
            with torch.inference_mode():
                for _ in range(calls):
                    model(x)

        return run, workload["batch"]

    return prepare


def forms(workload):
    layouts = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}
    found = {}
    for name, layout in layouts.items():
        if "optimizer" in workload:
            found[f"eager, {name}"] = step(layout, False)
            found[f"compile, {name}"] = step(layout, True)
            found[f"compile of the whole step, {name}"] = whole_step(layout, False)
            found[f"compile of the whole step, C++ wrapper, {name}"] = whole_step(layout, True)
        else:
            for kind in ("eager", "compile", "compile, C++ wrapper", "frozen trace"):
                found[f"{kind}, {name}"] = inference(layout, kind)
    return found


common.report("pytorch", forms, {"torch": torch.__version__})
