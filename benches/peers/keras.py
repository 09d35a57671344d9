"""The workloads in Keras 3 on JAX: its own loop, and whole steps compiled by hand of its stateless functions.

Of its backends JAX makes the fastest steps on a CPU; JAX also compiles loss, gradient and update as one.
"""

import os

from peers import common

threads = common.limit_threads()
os.environ["KERAS_BACKEND"] = "jax"
if threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
from jax import lax  # noqa: E402

# How many images a scan of single-image steps goes over in one call.
SCANNED = 1000


def chain(layers, x):
    flat = False
    for kind, layer in layers:
        if kind == "conv":
            x = keras.layers.Conv2D(
                layer["channels"],
                layer["size"],
                strides=layer["stride"],
                # With a stride Keras pads one side more than the other: as many multiplications.
                padding="same" if layer["pad"] else "valid",
                use_bias=layer["bias"],
            )(x)
        elif kind == "batchnorm":
            x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        elif kind == "relu":
            x = keras.layers.ReLU()(x)
        elif kind == "maxpool":
            x = keras.layers.MaxPooling2D(layer["size"])(x)
        elif kind == "globalavgpool":
            x = keras.layers.GlobalAveragePooling2D()(x)
            flat = True
        elif kind == "dense":
            x = x if flat else keras.layers.Flatten()(x)
            flat = True
            x = keras.layers.Dense(layer["units"])(x)
        else:
            x = keras.layers.Add()([chain(layer["body"], x), chain(layer["shortcut"], x)])
    return x


def build(workload):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, chain(workload["layers"], image))
    optimizer = None
    if workload.get("optimizer") == "adam":
        optimizer = keras.optimizers.Adam(workload["learning_rate"], epsilon=1e-8)
    elif "optimizer" in workload:
        optimizer = keras.optimizers.SGD(workload["learning_rate"], momentum=workload["momentum"])
    return model, optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_on_batch(workload):
    """Keras's own step."""
    model, optimizer, loss = build(workload)
    model.compile(optimizer, loss, jit_compile=True)
    x, labels = (jnp.asarray(array) for array in common.images(workload["batch"]))

    def run(calls):
        for _ in range(calls):
            model.train_on_batch(x, labels)

    return run, workload["batch"]


def stateless(workload):
    """The state before the first step, and a step as a function from a state to the next."""
    model, optimizer, loss = build(workload)
    optimizer.build(model.trainable_variables)

    def objective(weights, statistics, x, labels):
        logits, statistics = model.stateless_call(weights, statistics, x, training=True)
        return loss(labels, logits), statistics

    def step(state, x, labels):
        weights, statistics, moments = state
        gradients, statistics = jax.grad(objective, has_aux=True)(weights, statistics, x, labels)
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return weights, statistics, moments

    state = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    return jax.tree.map(lambda variable: jnp.array(variable.value), state), step


def whole_step(workload):
    state, step = stateless(workload)
    x, labels = (jnp.asarray(array) for array in common.images(workload["batch"]))
    return common.repeated(jax, step, state, x, labels), workload["batch"]


def scanned(workload):
    """Many single-image steps, one behind the other, within one compiled call."""
    state, step = stateless(workload)
    x, labels = (jnp.asarray(array)[:, None] for array in common.images(SCANNED))

    def one(state, sample):
        return step(state, *sample), None

    return common.repeated(jax, lambda state, *batch: lax.scan(one, state, batch, unroll=4)[0], state, x, labels), SCANNED


def inference(workload):
    model, _, _ = build(workload)
    weights, statistics = ([v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables))
    x = jnp.asarray(common.images(workload["batch"])[0])
    compiled = jax.jit(lambda x: model.stateless_call(weights, statistics, x, training=False)[0])

    def run(calls):
        for _ in range(calls):
            y = compiled(x)
        y.block_until_ready()

    return run, workload["batch"]


def forms(workload):
    if "optimizer" not in workload:
        return {"compiled call": inference}
    found = {"train_on_batch": train_on_batch, "whole step": whole_step}
    if workload["batch"] == 1:
        found["scan of whole steps"] = scanned
    return found


common.report("keras", forms, {"keras": keras.__version__, "jax": jax.__version__})
