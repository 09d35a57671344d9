"""What the Python peers share: the workloads, the images, the clock and the line that is printed."""

import argparse
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np


def arguments():
    """The command line, and what the named workload is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="how long each form is timed")
    parser.add_argument("--form", help="this form alone; all of them without it")
    options = parser.parse_args()
    described = json.loads((Path(__file__).parent / "workloads.json").read_text())
    workload = dict(described["workloads"][options.workload])
    workload["layers"] = parse(described["networks"][workload["network"]])
    return options, workload


def parse(text):
    """A line of text as layers: the part of the project's form that the workloads use."""
    words = re.findall(r"[(),|]|[^\s(),|]+", text.removeprefix("28x28x1:"))

    def layers():
        found = []
        while words and words[0] not in ")|":
            word = words.pop(0)
            if word == "conv":
                channels, size = int(words.pop(0)), int(words.pop(0).split("x")[0])
                layer = {"channels": channels, "size": size, "pad": 0, "stride": 1, "bias": True}
                while words and words[0] in ("same", "pad", "nobias", "stride"):
                    option = words.pop(0)
                    if option == "same":
                        layer["pad"] = (size - 1) // 2
                    elif option == "nobias":
                        layer["bias"] = False
                    else:
                        layer[option] = int(words.pop(0))
                found.append(("conv", layer))
            elif word == "dense":
                found.append(("dense", {"units": int(words.pop(0))}))
            elif word == "maxpool":
                found.append(("maxpool", {"size": int(words.pop(0))}))
            elif word == "residual":
                words.pop(0)
                body, shortcut = layers(), []
                if words.pop(0) == "|":
                    shortcut = layers()
                    words.pop(0)
                found.append(("residual", {"body": body, "shortcut": shortcut}))
            elif word != ",":
                found.append((word, {}))
        return found

    return layers()


def images(batch):
    """Images of one channel, four fifths of them zero: rings of several sizes, smooth across the stroke."""
    index = np.arange(batch).reshape(-1, 1, 1)
    row, column = np.mgrid[0:28, 0:28]
    distance = np.hypot(row - 12.5 - index % 3, column - 11.5 - index % 5)
    pixels = np.maximum(0.0, 1.0 - ((distance - 5 - index % 4) / 2) ** 2)
    return pixels[..., None].astype(np.float32), (np.arange(batch) % 10).astype(np.int64)


def repeated(jax, step, state, *batch):
    """Calls of a step of JAX that takes its state over, one behind the other."""
    compiled = jax.jit(step, donate_argnums=0)

    def run(calls):
        nonlocal state
        for _ in range(calls):
            state = compiled(state, *batch)
        jax.block_until_ready(state)

    return run


def measure(run, seconds, samples, group):
    """Microseconds a sample: the median of groups of calls, each group about `group` seconds long or a single call.

    `run(calls)` makes so many calls of `samples` each, and returns when their results are there.
    """
    start = time.perf_counter()
    run(1)
    calls = 1
    while time.perf_counter() - start < seconds / 4:
        begin = time.perf_counter()
        run(calls)
        calls = max(1, round(group / (time.perf_counter() - begin) * calls))
    times = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        run(calls)
        times.append((time.perf_counter() - begin) / (calls * samples))
    return statistics.median(times) * 1e6


def report(peer, forms, versions):
    """Times every form, and prints a line for each; a form that does not run says why and is left out.

    A form is a function from the workload to `(run, samples)`, as `measure` takes them.
    """
    options, workload = arguments()
    # A single image's inference is a latency: each call is timed on its own. The rest is throughput.
    single = options.workload.startswith("infer") and workload["batch"] == 1
    for form, prepare in forms(workload).items():
        if options.form not in (None, form):
            continue
        try:
            run, samples = prepare(workload)
            figure = measure(run, options.seconds, samples, 0.0 if single else 0.02)
        except Exception as error:
            print(f"{peer}, {form}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        line = {
            "peer": peer,
            "form": form,
            "name": options.workload,
            "threads": options.threads,
            "us_per_sample": figure,
            "versions": versions,
        }
        print(json.dumps(line), flush=True)


def limit_threads():
    """Reads `--threads` before a framework is loaded: XLA and OpenMP take their number of threads when they start."""
    threads = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else str(os.cpu_count())
    for name in ("NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = threads
    return int(threads)
