"""What a result was measured on."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch


def describe_machine() -> str:
    """Return processor, cores, memory, GPU, Python and library versions in one line of Markdown."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "lightning", "numpy", "scikit-learn"))
    capability = torch.backends.cpu.get_cpu_capability()
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return (
        f"{len(models)} cores {models[0]} ({capability}), {int(memory) / 2**20:.0f} GiB, {gpu}"
        f"Python {platform.python_version()}, {packages}"
    )


def describe_commit() -> str:
    """Return the short hash of the commit that is checked out, and whether files differ from it."""
    called = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return called.stdout.strip() or "unknown"
