r"""Curves of a fleet: every student judged again and again while it is trained, killed or not.

After each of the given numbers of steps all students are judged on every sample, and what they
need to go on is saved. A run that is killed continues from there to the same bits.

notation: S = number of students, L = number of readings
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kdtheory._checks import check_choice
from kdtheory.neural.checkpoints import load_checkpoint, save_checkpoint
from kdtheory.neural.fleet import Fleet
from kdtheory.neural.teachers import digest_of_data

__all__ = ["FleetCurves", "fleet_curves"]

Reals = NDArray[np.float64]
MEASURES = ("cross_entropy", "accuracy")


@dataclass(frozen=True, eq=False)
class FleetCurves:
    """What became of every student.

    Attributes
    ----------
    steps : (L,) ndarray of int
        Steps done at each reading.
    cross_entropy, accuracy : mapping of str to (L, S) ndarray
        For each judged sample.
    best : (S,) ndarray of int
        The reading of least cross-entropy on the sample that chooses, for each student.
    last_weights, best_weights : tuple of dict of str to ndarray
        Parameters of each student at the last and at its best reading; `best_weights` is empty
        unless they were asked for.
    """

    steps: NDArray[np.intp]
    cross_entropy: Mapping[str, Reals]
    accuracy: Mapping[str, Reals]
    best: NDArray[np.intp]
    last_weights: tuple[dict[str, Reals], ...]
    best_weights: tuple[dict[str, Reals], ...]


def fleet_curves(
    fleet: Fleet,
    steps: Sequence[int],
    judged: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    chosen_on: str = "validation",
    keep_best: bool = True,
    folder: Path | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> FleetCurves:
    """Train a fleet and judge its students after each of the given numbers of steps.

    Parameters
    ----------
    fleet : Fleet
        Not yet trained.
    steps : sequence of int
        Increasing numbers of steps, at least 1.
    judged : mapping of str to (X, y)
        Samples; the one named `chosen_on` chooses the best reading. That is never the test
        sample: its curves are for the eye.
    chosen_on : str, default "validation"
    keep_best : bool, default True
        Whether the weights of the best readings are kept.
    folder : pathlib.Path, optional
        Where the state after each reading is kept. What it holds already of the same run is not
        done again.
    tell : callable, optional
        Called with ``advance=1`` after each reading, also those of an earlier run.

    Returns
    -------
    FleetCurves

    Raises
    ------
    ValueError
        If the folder holds the state of another run, or cannot be written, or `chosen_on` is not
        one of the judged samples.
    """
    check_choice("chosen_on", chosen_on, tuple(judged))
    run = {
        "chosen_on": chosen_on,
        "keep_best": keep_best,
        "judged": {
            name: [digest_of_data(part) for part in sample] for name, sample in judged.items()
        },
    }
    curves: dict[tuple[str, str], list[Reals]] = {
        (measure, name): [] for name in judged for measure in MEASURES
    }
    best: list[dict[str, Tensor]] = [{} for _ in fleet.students] if keep_best else []
    n_done = 0
    if folder is not None:
        n_done = _restored(folder, run, list(steps), fleet, curves, best)
    if n_done:
        tell(advance=n_done)
    for done, until in enumerate(steps[n_done:], start=n_done + 1):
        fleet.train(until - fleet.step)
        for name, (X, y) in judged.items():
            scores = fleet.scores(X, y)
            for measure in MEASURES:
                curves[measure, name].append(getattr(scores, measure))
        if keep_best:
            losses = np.array(curves["cross_entropy", chosen_on])
            for index in np.flatnonzero(losses.argmin(axis=0) == done - 1).tolist():
                best[index] = _weights(fleet, index)
        if folder is not None:
            tensors = {f"fleet/{name}": tensor for name, tensor in fleet.state_dict().items()}
            for key, values in curves.items():
                tensors["/".join(("curve", *key))] = torch.from_numpy(np.array(values))
            for number, weights in enumerate(best):
                tensors |= {f"best/{number}/{name}": tensor for name, tensor in weights.items()}
            save_checkpoint(folder, tensors, run | {"steps": list(steps[:done])})
        tell(advance=1)
    found = {key: np.array(values) for key, values in curves.items()}
    return FleetCurves(
        steps=np.array(steps),
        cross_entropy={name: found["cross_entropy", name] for name in judged},
        accuracy={name: found["accuracy", name] for name in judged},
        best=found["cross_entropy", chosen_on].argmin(axis=0),
        last_weights=tuple(_numbers(_weights(fleet, i)) for i in range(len(fleet.students))),
        best_weights=tuple(_numbers(weights) for weights in best),
    )


def _restored(
    folder: Path,
    run: Mapping[str, Any],
    steps: Sequence[int],
    fleet: Fleet,
    curves: Mapping[tuple[str, str], list[Reals]],
    best: list[dict[str, Tensor]],
) -> int:
    """Bring all to where the folder has it; the number of readings that are done."""
    saved = load_checkpoint(folder)
    if saved is None:
        return 0
    n_done = len(saved.state.get("steps", ()))
    wanted = dict(run) | {"steps": steps[:n_done]}
    for name, value in wanted.items():
        if saved.state.get(name) != value:
            msg = f"`folder` must hold a run of the same {name}, got '{folder}', which does not"
            raise ValueError(msg)
    parts = [(*key.split("/", 1), tensor) for key, tensor in saved.tensors.items()]
    # first: it refuses the state of another fleet
    fleet.load_state_dict({name: tensor for part, name, tensor in parts if part == "fleet"})
    for part, name, tensor in parts:
        if part == "best":
            number, key = name.split("/", 1)
            best[int(number)][key] = tensor
    for one, values in curves.items():
        values.extend(saved.tensors["/".join(("curve", *one))].numpy())
    return n_done


def _weights(fleet: Fleet, index: int) -> dict[str, Tensor]:
    module = fleet.student_module(index)
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def _numbers(weights: Mapping[str, Tensor]) -> dict[str, Reals]:
    return {name: tensor.double().numpy() for name, tensor in weights.items()}
