"""The machine that numbers come from: times mean nothing without it.

notation: none
"""

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["machine"]


def machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, its cores that this process may use, and the device of the networks.

    Parameters
    ----------
    device : str, default "cpu"

    Returns
    -------
    dict
        "processor", "cores" and "device".
    """
    name = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):  # only Linux tells
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line for line in lines if line.startswith("model name")).split(":")[1].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": name, "cores": cores, "device": device}
