"""Distilled regression on a file larger than memory: time beside that of reading it.

    python benchmarks/streaming.py [--quick] [--rows 20000000] [--folder DIR]

Writes a matrix of 50 features, a label and a teacher's answer, in float64, to a raw .npy file and a
tenth of its rows to Parquet, and deletes both afterwards. Noise comes in pairs of opposite signs at
the same features, so that it cancels and the answer is known. Each measurement is a process of its
own. `read` takes the same blocks from the same reader and does nothing with them; `fit` is one pass
of QR; `sandwich` is a second pass after it, for the standard errors. `disk` is with the file's
pages given back to the system first, `memory` with those that it kept. Goal: at most 500 MB
resident.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kdtheory.readers import Table
from kdtheory.streaming import distil_blocks

FEATURES = 50
CHUNK = 100_000  # rows written at once, half of them with the noise of the other half negated
TRUST = 0.3
GOAL_MB = 500


def answers() -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the labels and of the teacher."""
    rng = np.random.default_rng(1)
    return rng.standard_normal(FEATURES), rng.standard_normal(FEATURES)


def chunk(seed: int) -> np.ndarray:
    """Rows of the file."""
    rng = np.random.default_rng([2, seed])
    labels, teacher = answers()
    half = rng.standard_normal((CHUNK // 2, FEATURES)) + np.arange(FEATURES)
    noise = 3 * rng.standard_normal(CHUNK // 2)
    X = np.vstack([half, half])
    signed = np.concatenate([noise, -noise])
    return np.column_stack([X, X @ labels + signed, X @ teacher - signed / 2])


def write(folder: Path, rows: int) -> dict[str, Path]:
    """Both files, chunk by chunk."""
    import pyarrow as pa
    from pyarrow import parquet

    raw, table = folder / "rows.npy", folder / "rows.parquet"
    width = FEATURES + 2
    names = [str(j) for j in range(width)]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with raw.open("wb") as file, parquet.ParquetWriter(table, schema) as writer:
        header = {"descr": "<f8", "fortran_order": False, "shape": (rows, width)}
        np.lib.format.write_array_header_1_0(file, header)
        for k in range(rows // CHUNK):
            block = chunk(k)
            block.tofile(file)
            if k < max(1, rows // CHUNK // 10):
                writer.write_table(pa.table(list(block.T), names=names))
        file.flush()
        os.fsync(file.fileno())
    return {"raw": raw, "parquet": table}


def resident_mb() -> float:
    """Peak of this process alone; what getrusage says can be its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(task: str, path: str) -> dict[str, float]:
    """One measurement, in this process."""
    table = Table(path, target=FEATURES, teacher=FEATURES + 1)
    start = time.perf_counter()
    if task == "read":
        for _ in table:
            pass
        return {"read": time.perf_counter() - start, "resident": resident_mb()}
    solution = distil_blocks(table, trust=TRUST, fit_intercept=True)
    result = {"fit": time.perf_counter() - start}
    labels, teacher = answers()
    known = (1 - TRUST) * labels + TRUST * teacher
    result["error"] = float(np.abs(solution.coef - known).max() / np.abs(known).max())
    if task == "sandwich":
        start = time.perf_counter()
        solution.inference_sums(table)
        result["sandwich"] = time.perf_counter() - start
    return result | {"resident": resident_mb()}


def in_a_process(task: str, path: Path, *, cold: bool) -> dict[str, float]:
    """One measurement, in a process of its own."""
    if cold and hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, __file__, "--task", task, "--path", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tables(files: dict[str, Path], rows: int) -> None:
    """Print what was measured, one run of each."""
    for kind, path in files.items():
        count = rows if kind == "raw" else max(CHUNK, rows // CHUNK // 10 * CHUNK)
        size = path.stat().st_size / 1e9
        print(f"\n{kind}: {count:,} x {FEATURES}, {size:.2f} GB on disk")
        print("from     task        seconds     rows/s   x reading   resident MB   error")
        for place in ("disk", "memory"):
            times = {}
            for task in ("read", "fit" if place == "disk" else "sandwich"):
                found = in_a_process(task, path, cold=place == "disk")
                error = f"{found.pop('error'):.1e}" if "error" in found else ""
                resident = found.pop("resident")
                over = "" if resident <= GOAL_MB else f"  more than {GOAL_MB} MB"
                for name, seconds in found.items():
                    times[name] = seconds
                    print(
                        f"{place:8s} {name:9s} {seconds:9.2f} {count / seconds:10,.0f}"
                        f" {seconds / times['read']:11.2f} {resident:13.0f}   {error}{over}",
                        flush=True,
                    )


def main() -> None:
    """Write, measure, delete."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a million rows")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--folder", help="where the files are written for the while")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        print(json.dumps(measured(options.task, options.path)))
        return
    rows = 1_000_000 if options.quick else max(1, options.rows // CHUNK) * CHUNK
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        needed = 1.2 * rows * (FEATURES + 2) * 8
        free = shutil.disk_usage(folder).free
        if free < needed:
            print(f"needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free")
            return
        tables(write(Path(folder), rows), rows)


if __name__ == "__main__":
    main()
