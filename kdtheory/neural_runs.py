r"""A neural experiment from its data to its page: run, kept in a folder, shown.

A folder holds ``config.json``, what training keeps as it goes on in ``training/``, and at the end
``result.json``, the figures as SVG files and ``index.html``, the page. The result is written before
anything is drawn from it, and drawn from what was written.

notation: none
"""

import datetime as dt
import math
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdtheory._checks import check_choice, check_output_folder
from kdtheory.datasets import ImageData
from kdtheory.files import json_text, plain_data
from kdtheory.neural_page import FIGURES, KINDS, experiment_page, figures, read_result
from kdtheory.run_folder import run_folder

__all__ = [
    "FILES",
    "require_device",
    "require_folder",
    "require_networks",
    "run_experiment",
    "run_in_folder",
]

FILES = ("config.json", "result.json", "index.html")
TRAINING = "training"  # the folder in which the experiments keep what they have finished
DEVICES = ("cpu", "cuda")
PACKAGES = ("torch", "safetensors", "lightning_fabric")  # of the extra `neural`


def require_networks(name: str) -> None:
    """Refuse to go on without the packages of the extra ``kdtheory[neural]``.

    Parameters
    ----------
    name : str
        What needs them.

    Raises
    ------
    ImportError
        If one is not installed, or cannot be loaded, such as torch without a library of CUDA.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        msg = f'{name} needs {", ".join(missing)}: pip install "kdtheory[neural]"'
        raise ModuleNotFoundError(msg)
    try:
        import kdtheory.neural  # noqa: F401
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        msg = f"{name} needs torch and what it loads, which fails here ({reason})"
        raise ImportError(msg) from error


def require_folder(kind: str, name: str, out: str | os.PathLike[str]) -> None:
    """Refuse a folder that cannot hold a run, before anything is loaded or written.

    Parameters
    ----------
    kind : str
        One of `kdtheory.neural_page.KINDS`.
    name : str
        What the argument `out` is called where a mistake is told.
    out : path_like

    Raises
    ------
    ValueError
        If it cannot be written, or holds a folder under the name of a file of the run.
    """
    check_choice("kind", kind, KINDS)
    check_output_folder(name, out, (*FILES, *_pictures(kind)))


def require_device(name: str, device: str) -> None:
    """Refuse a device that this machine has not, before anything is loaded or written.

    Parameters
    ----------
    name : str
        What the argument `device` is called where a mistake is told.
    device : {"cpu", "cuda"}

    Raises
    ------
    ValueError
        If it is another one, or not there.
    """
    from kdtheory.neural.devices import check_device

    check_choice(name, device, DEVICES)
    check_device(name, device)


def run_experiment(
    kind: str,
    data: ImageData,
    *,
    seeds: int = 10,
    quick: bool = False,
    device: str = "cpu",
    folder: Path | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> dict[str, Any]:
    """Run an experiment; what it found is a document of JSON.

    Parameters
    ----------
    kind : str
        One of `kdtheory.neural_page.KINDS`.
    data : ImageData
        FashionMNIST.
    seeds, quick, device, folder, tell
        As of `kdtheory.experiments.fashion_mnist.experiment_of_gs_6_1` and
        `kdtheory.experiments.domains.experiment_of_md`.

    Returns
    -------
    dict
        ``{"config": …, "result": …, "run": …}``, None for a number that is not finite.

    Raises
    ------
    ValueError, TypeError
        If a number is outside its range, or not an integer; if the folder holds something else.
    FloatingPointError
        If a loss is not finite.
    """
    config = _settings(kind, data, seeds=seeds, quick=quick, device=device)
    options: dict[str, Any] = {
        "seeds": seeds, "quick": quick, "device": device, "folder": folder, "tell": tell,
    }  # fmt: skip
    if kind == "fashion-mnist":
        from kdtheory.experiments.fashion_mnist import experiment_of_gs_6_1

        found: Any = experiment_of_gs_6_1(data, **options)
    else:
        from kdtheory.experiments.domains import experiment_of_md

        found = experiment_of_md(data, **options)
    command = f"kdtheory experiment {kind} --seeds {seeds} --device {device}"
    command += " --quick" * quick + " --out DIR"
    run = {"command": command, "date": dt.datetime.now(tz=dt.UTC).date().isoformat()}
    return {"config": config, "result": _finite(plain_data(found)), "run": run}


def run_in_folder(
    kind: str,
    data: ImageData,
    out: str | os.PathLike[str],
    *,
    seeds: int = 10,
    quick: bool = False,
    device: str = "cpu",
    resume: bool = False,
    tell: Callable[..., None] = lambda **_: None,
    name: str = "out",
) -> tuple[Mapping[str, Any], tuple[Path, ...]]:
    """Run an experiment in a folder, or continue it there, and write its page.

    Parameters
    ----------
    kind : str
        One of `kdtheory.neural_page.KINDS`.
    data : ImageData
    out : path_like
        The folder; made if absent, with its parents.
    seeds, quick, device, tell
        As of `run_experiment`.
    resume : bool, default False
        Continue the run that the folder holds, if any. Without it a folder with a run is refused.
    name : str, default "out"
        What the argument `out` is called where a mistake is told.

    Returns
    -------
    document : mapping
    paths : tuple of pathlib.Path
        The files at the top of the folder.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As of `run_experiment`; or if the folder cannot be written, holds a run that is not to be
        continued, or another process is at it.
    """
    config = _settings(kind, data, seeds=seeds, quick=quick, device=device)
    with run_folder(
        name, out, config, files=FILES[:2], folders=(TRAINING,),
        others=(*FILES[2:], *_pictures(kind)), resume=resume,
    ) as run:  # fmt: skip
        document = run_experiment(
            kind, data, seeds=seeds, quick=quick, device=device, folder=run.path / TRAINING,
            tell=tell,
        )  # fmt: skip
        run.write({"result.json": json_text(document)})
        tell(description="page")
        kept = read_result(name, run.path, kind)
        pictures = {f"{key}.svg": svg for key, svg in figures(kind, kept["result"]).items()}
        written = run.write({"index.html": experiment_page(kind, kept)} | pictures)
    return kept, (run.path / FILES[0], run.path / FILES[1], *written)


def _pictures(kind: str) -> tuple[str, ...]:
    """Files of the figures."""
    return tuple(f"{figure}.svg" for figure in FIGURES[kind])


def _settings(kind: str, data: ImageData, **options: Any) -> dict[str, Any]:
    """What the experiment hangs on."""
    check_choice("kind", kind, KINDS)
    if kind == "fashion-mnist":
        from kdtheory.experiments.fashion_mnist import settings
    else:
        from kdtheory.experiments.domains import settings  # type: ignore[assignment]
    return settings(data, **options)


def _finite(value: Any) -> Any:
    """The same with None for each number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
