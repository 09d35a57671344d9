"""The workloads in JAX: whole steps, compiled."""

import os

from peers import common

threads = common.limit_threads()
if threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

# How many images a scan of single-image steps goes over in one call.
SCANNED = 1000


def conv_lax(x, weight, stride, pad):
    return lax.conv_general_dilated(
        x, weight, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_im2col(x, weight, stride, pad):
    """Shifted copies of the input side by side, then one matrix product."""
    size, _, inputs, outputs = weight.shape
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    batch = x.shape[0]
    rows, columns = ((length - size) // stride + 1 for length in x.shape[1:3])
    taps = [
        x[:, i : i + (rows - 1) * stride + 1 : stride, j : j + (columns - 1) * stride + 1 : stride]
        for i in range(size)
        for j in range(size)
    ]
    patches = jnp.concatenate(taps, axis=-1).reshape(-1, size * size * inputs)
    return (patches @ weight.reshape(-1, outputs)).reshape(batch, rows, columns, outputs)


def pool_window(x, size):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, size, size, 1), "VALID")


def pool_slices(x, size):
    rows, columns = x.shape[1] // size * size, x.shape[2] // size * size
    x = x[:, :rows, :columns]
    parts = [x[:, i::size, j::size] for i in range(size) for j in range(size)]
    return jax.tree.reduce(jnp.maximum, parts)


def build(layers, conv, pool):
    """Layers as `(initial parameters and statistics, forward)`; `forward` gives the output and the new statistics."""
    random = np.random.default_rng(1)

    def normal(shape, inputs):
        return jnp.asarray(random.normal(0, inputs**-0.5, shape), jnp.float32)

    def chain(layers, shape):
        parameters, statistics, calls = [], [], []
        for kind, layer in layers:
            weights, running = {}, {}
            if kind == "conv":
                size, stride, channels = layer["size"], layer["stride"], layer["channels"]
                weights["weight"] = normal((size, size, shape[-1], channels), size * size * shape[-1])
                if layer["bias"]:
                    weights["bias"] = jnp.zeros(channels)

                def call(p, s, x, train, stride=stride, pad=layer["pad"]):
                    y = conv(x, p["weight"], stride, pad)
                    return (y + p["bias"] if "bias" in p else y), s
            elif kind == "batchnorm":
                weights = {"weight": jnp.ones(shape[-1]), "bias": jnp.zeros(shape[-1])}
                running = {"mean": jnp.zeros(shape[-1]), "variance": jnp.ones(shape[-1])}
                call = batch_norm
            elif kind == "relu":

                def call(p, s, x, train):
                    return jnp.maximum(x, 0), s
            elif kind == "maxpool":

                def call(p, s, x, train, size=layer["size"]):
                    return pool(x, size), s
            elif kind == "globalavgpool":

                def call(p, s, x, train):
                    return x.mean((1, 2)), s
            elif kind == "dense":
                inputs = int(np.prod(shape))
                weights = {"weight": normal((inputs, layer["units"]), inputs), "bias": jnp.zeros(layer["units"])}

                def call(p, s, x, train):
                    return x.reshape(x.shape[0], -1) @ p["weight"] + p["bias"], s
            else:
                *body, _ = chain(layer["body"], shape)
                *shortcut, _ = chain(layer["shortcut"], shape)
                weights = {"body": body[0], "shortcut": shortcut[0]}
                running = {"body": body[1], "shortcut": shortcut[1]}

                def call(p, s, x, train, body=body[2], shortcut=shortcut[2]):
                    y, body_statistics = body(p["body"], s["body"], x, train)
                    z, shortcut_statistics = shortcut(p["shortcut"], s["shortcut"], x, train)
                    return y + z, {"body": body_statistics, "shortcut": shortcut_statistics}

            image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
            shape = jax.eval_shape(lambda p, s, x: call(p, s, x, False)[0], weights, running, image).shape[1:]
            parameters.append(weights)
            statistics.append(running)
            calls.append(call)

        def forward(p, s, x, train):
            after = []
            for call, weights, running in zip(calls, p, s):
                x, running = call(weights, running, x, train)
                after.append(running)
            return x, after

        return parameters, statistics, forward, shape

    return chain(layers, (28, 28, 1))[:3]


def batch_norm(p, s, x, train):
    if not train:
        scale = p["weight"] * lax.rsqrt(s["variance"] + 1e-5)
        return x * scale + (p["bias"] - s["mean"] * scale), s
    mean = x.mean((0, 1, 2))
    variance = (x * x).mean((0, 1, 2)) - mean * mean
    count = x.size // x.shape[-1]
    after = {
        "mean": 0.9 * s["mean"] + 0.1 * mean,
        "variance": 0.9 * s["variance"] + 0.1 * variance * count / (count - 1),
    }
    scale = p["weight"] * lax.rsqrt(variance + 1e-5)
    return x * scale + (p["bias"] - mean * scale), after


def cross_entropy(logits, labels):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -chosen.mean()


def training(workload, conv, pool):
    """The state before the first step, and a function from a state and a batch to the next state."""
    parameters, statistics, forward = build(workload["layers"], conv, pool)
    rate, momentum = workload["learning_rate"], workload.get("momentum", 0.0)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    if workload["optimizer"] == "adam":
        moments = (zeros, jax.tree.map(jnp.zeros_like, parameters), jnp.zeros(()))
    else:
        moments = zeros if momentum else ()

    def loss(p, s, x, labels):
        logits, after = forward(p, s, x, True)
        return cross_entropy(logits, labels), after

    def step(state, x, labels):
        p, s, moments = state
        gradients, s = jax.grad(loss, has_aux=True)(p, s, x, labels)
        if workload["optimizer"] == "adam":
            first, second, steps = moments
            steps = steps + 1
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
            size, root = rate / (1 - 0.9**steps), jnp.sqrt(1 - 0.999**steps)
            p = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), p, first, second)
            moments = (first, second, steps)
        elif momentum:
            moments = jax.tree.map(lambda b, g: momentum * b + g, moments, gradients)
            p = jax.tree.map(lambda p, b: p - rate * b, p, moments)
        else:
            p = jax.tree.map(lambda p, g: p - rate * g, p, gradients)
        return p, s, moments

    return (parameters, statistics, moments), step


def step(conv, pool):
    def prepare(workload):
        state, call = training(workload, conv, pool)
        x, labels = (jnp.asarray(array) for array in common.images(workload["batch"]))
        return common.repeated(jax, call, state, x, labels), workload["batch"]

    return prepare


def scanned(conv, pool):
    """Many single-image steps, one behind the other, within one compiled call."""

    def prepare(workload):
        state, call = training(workload, conv, pool)
        x, labels = (jnp.asarray(array)[:, None] for array in common.images(SCANNED))

        def scan(state, x, labels):
            def one(state, sample):
                return call(state, *sample), None

            return lax.scan(one, state, (x, labels), unroll=4)[0]

        return common.repeated(jax, scan, state, x, labels), SCANNED

    return prepare


def hand_written(workload):
    """The tutorial's step with its gradient written out, in a scan: little is left for the compiler to find.

    The four pixels of every pooling window are columns of one matrix product, filters and windows its outer axes, so
    that the pool is a maximum of four slices.
    """
    rate = workload["learning_rate"]
    random = np.random.default_rng(1)
    filters = jnp.asarray(random.normal(0, 1 / 3, (8, 9)), jnp.float32)
    dense = jnp.asarray(random.normal(0, 1352**-0.5, (10, 8 * 169)), jnp.float32)
    images, labels = common.images(SCANNED)
    images, labels = jnp.asarray(images[..., 0]), jnp.asarray(labels)

    def call(state, sample):
        filters, dense, bias = state
        image, label = sample
        taps, pixels = list(np.ndindex(3, 3)), list(np.ndindex(2, 2))
        planes = [image[i + a : i + a + 26 : 2, j + b : j + b + 26 : 2] for i, j in taps for a, b in pixels]
        patches = jnp.stack(planes).reshape(9, 4 * 169)
        y = (filters @ patches).reshape(8, 4, 169)
        pooled = y.max(1)
        g = jax.nn.softmax(dense @ pooled.reshape(-1) + bias) - jax.nn.one_hot(label, 10)
        flow = (g @ dense).reshape(8, 169)
        # The first of equal maxima takes the gradient.
        dy, free = [], True
        for pixel in range(4):
            here = (y[:, pixel] == pooled) & free
            free = free & ~here
            dy.append(jnp.where(here, flow, 0))
        gradient = jnp.stack(dy, 1).reshape(8, 4 * 169) @ patches.T
        dense = dense - rate * g[:, None] * pooled.reshape(-1)
        return (filters - rate * gradient, dense, bias - rate * g), None

    def scan(state, images, labels):
        return lax.scan(call, state, (images, labels), unroll=4)[0]

    return common.repeated(jax, scan, (filters, dense, jnp.zeros(10)), images, labels), SCANNED


def inference(conv, pool):
    def prepare(workload):
        parameters, statistics, forward = build(workload["layers"], conv, pool)
        x, _ = common.images(workload["batch"])
        x = jnp.asarray(x)
        # The parameters are constants of the compiled function, for it to lay them out as it likes.
        compiled = jax.jit(lambda x: forward(parameters, statistics, x, False)[0])

        def run(calls):
            for _ in range(calls):
                y = compiled(x)
            y.block_until_ready()

        return run, workload["batch"]

    return prepare


def forms(workload):
    bodies = {
        "lax.conv": (conv_lax, pool_window),
        "lax.conv, pool by slices": (conv_lax, pool_slices),
        "im2col": (conv_im2col, pool_window),
        "im2col, pool by slices": (conv_im2col, pool_slices),
    }
    if not any(kind == "maxpool" for kind, _ in workload["layers"]):
        bodies = {name: body for name, body in bodies.items() if "pool" not in name}
    if "optimizer" not in workload:
        return {name: inference(*body) for name, body in bodies.items()}
    found = {name: step(*body) for name, body in bodies.items()}
    if workload["batch"] == 1:
        for name, body in bodies.items():
            found[f"scan, {name}"] = scanned(*body)
        found["scan, written by hand"] = hand_written
    return found


common.report("jax", forms, {"jax": jax.__version__, "jaxlib": jaxlib.__version__})
