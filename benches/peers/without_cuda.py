"""Makes PyTorch's wheel for Linux load without the CUDA packages it asks for: some gigabytes that a CPU never runs.

The wheel's libraries name CUDA's and their functions, and the loader insists on finding all of them. So each missing
library gets a stand-in beside PyTorch's own: a library with those functions, every one of which says "no device".
What PyTorch computes on the CPU is in libraries of its own, and is not touched.

    python without_cuda.py      in an environment with torch installed by `pip install --no-deps`
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# cudaErrorNoDevice.
NO_DEVICE = 100


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    folder = Path(importlib.util.find_spec("torch").submodule_search_locations[0]) / "lib"
    libraries = [str(path) for path in folder.glob("*.so")]
    missing = set(re.findall(r"(\S+) => not found", output("ldd", *libraries)))
    # The driver is loaded only where there is one.
    missing.discard("libcuda.so.1")
    named = re.findall(r" U (\w+)(?:@(\S+))?$", output("nm", "-D", "--undefined-only", *libraries), re.MULTILINE)
    versions = {}
    for function, version in named:
        if re.match(r"(__cuda|cu[a-zA-Z]|nccl|nv)", function):
            versions.setdefault(version, set()).add(function)
    with tempfile.TemporaryDirectory() as scratch:
        source, script = Path(scratch) / "stand_in.c", Path(scratch) / "versions"
        for library in sorted(missing):
            # Symbols are versioned by their library's name; NVSHMEM's by its own, and some not at all.
            version = "NVSHMEM" if "nvshmem" in library else library
            functions = versions.get(version, set()) | versions.get("", set())
            source.write_text("".join(f"long {name}(void) {{ return {NO_DEVICE}; }}\n" for name in sorted(functions)))
            script.write_text(f"{version} {{ *; }};\n")
            output(
                *("cc", "-shared", "-fPIC", "-w", "-fno-builtin", str(source), "-o", str(folder / library)),
                *(f"-Wl,-soname,{library}", f"-Wl,--version-script={script}"),
            )
            print(f"{library}: a stand-in with {len(functions)} functions", file=sys.stderr)


main()
