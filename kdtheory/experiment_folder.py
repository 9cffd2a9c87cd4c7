r"""A long experiment in a folder: every finished draw is kept, and a killed run is continued.

``config.json`` says what runs and with which versions, ``draws.jsonl`` has a line for each finished
draw, written when it is ready and sealed with a digest, ``result.json`` and the figures come at the
end, whole or not at all. A continued run ends with the bytes of an uninterrupted one: draws hang on
nothing but the configuration, and floats come back from JSON as they went in. A folder has one
process at a time.

notation: none
"""

import os
from collections.abc import Callable
from pathlib import Path

from kdtheory.experiments.synthetic import (
    PUBLISHED,
    Draw,
    SyntheticResult,
    experiment_of_gs_6_2,
    settings,
)
from kdtheory.files import json_text, plain_data
from kdtheory.run_folder import run_folder

__all__ = ["FIGURES", "FILES", "summary", "synthetic_in_folder"]

FILES = ("config.json", "draws.jsonl", "result.json")
FIGURES = ("figure_4.svg", "figure_5.svg", "figure_6.svg", "figure_7.svg")


def synthetic_in_folder(
    out: str | os.PathLike[str],
    seed: int = 0,
    *,
    n_draws: int = 200,
    n_jobs: int = 1,
    resume: bool = False,
    tell: Callable[..., None] = lambda **_: None,
    name: str = "out",
) -> tuple[SyntheticResult, tuple[Path, ...]]:
    """Run the experiment of GS 6.2 in a folder, or continue it there.

    Parameters
    ----------
    out : path_like
        The folder; made if absent, with its parents.
    seed, n_draws, n_jobs
        As of `kdtheory.experiments.synthetic.experiment_of_gs_6_2`.
    resume : bool, default False
        Continue the run that the folder holds, if any. Without it a folder with a run is refused:
        nothing finished is ever lost.
    tell : callable, optional
        Called as ``tell(total=..., completed=..., description=...)`` at the start, then with
        ``advance=1`` after each draw.
    name : str, default "out"
        What the argument `out` is called where a mistake is told.

    Returns
    -------
    result : SyntheticResult
    paths : tuple of pathlib.Path
        The files of the folder.

    Raises
    ------
    ValueError
        If the folder cannot be written, or holds a run that is not to be continued, or one of
        another configuration, or a damaged one, or one that another process is at, or something
        else than regular files under their names; or if a number is outside its range.
    TypeError
        If a number is not an integer.
    """
    config = settings(seed, n_draws)
    with run_folder(name, out, config, files=FILES, others=FIGURES, resume=resume) as run:
        log = run.lines(
            "draws.jsonl", what="draws", remedy="if it is deleted, its draw alone is done again"
        )
        done = [Draw(**line) for line in log.read(lambda line: line["index"] in range(n_draws))]
        tell(
            total=n_draws,
            completed=len({draw.index for draw in done}),
            description="draws of W",
        )

        def keep(draw: Draw) -> None:
            log.append(vars(draw))
            tell(advance=1)

        result = experiment_of_gs_6_2(seed, n_draws=n_draws, n_jobs=n_jobs, done=done, on_draw=keep)
        tell(description="figures")
        contents = {"result.json": json_text({"config": config, "result": plain_data(result)})}
        written = run.write(contents | _figures(result))
    return result, (run.path / "config.json", log.path, *written)


def summary(result: SyntheticResult) -> str:
    """What the experiment found, in lines of plain text.

    Parameters
    ----------
    result : SyntheticResult

    Returns
    -------
    str
    """
    bayes = result.quality("bayes")
    possible = [reading.name for reading in result.readings if reading.verdict == "possible"]
    lines = [
        f"{result.n_draws} draws of W; best possible cross-entropy "
        f"{bayes.interval('expected_cross_entropy').mean:.3f}, accuracy "
        f"{bayes.interval('expected_accuracy').mean:.3f}",
        "published: " + " -> ".join(f"{row.cross_entropy} / {row.accuracy}" for row in PUBLISHED),
        f"readings of the published row: {len(result.readings) - len(possible)} ruled out; "
        f"possible: {', '.join(possible) or 'none'}",
    ]
    if result.uncertified:
        lines.append(f"NOT certified: {', '.join(result.uncertified)}")
    else:
        lines.append(
            "every student converged; largest relative distance from the optimum "
            f"{result.largest_gap:.1g}"
        )
    return "\n".join(lines)


def _figures(result: SyntheticResult) -> dict[str, str]:
    """Figures 4 to 7 as SVG files."""
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    first, seven = result.first, result.first.figure_7
    words = "Triangle with a point for each of the training objects of the first draw."
    triangles = {
        "figure_4": (first.truth, "True class probabilities"),
        "figure_5": (first.without_teacher, "Class probabilities without a teacher"),
        "figure_6": (first.with_teacher, "Class probabilities with the teacher"),
    }
    pictures = {
        name: (plotting.class_probabilities(probs), title, words)
        for name, (probs, title) in triangles.items()
    }
    pictures["figure_7"] = (
        plotting.right_class_probability(seven.trusts, seven.temperatures, seven.right[1]),
        "Probability of the right class against temperature and trust",
        "Heat map for the test object of median confidence: the probability lies between "
        f"{seven.right[1, :, 0].min():.2f} and {seven.right[1, :, 0].max():.2f} at the lowest "
        f"temperature, whatever the trust, and between {seven.right[1, :, -1].min():.2f} and "
        f"{seven.right[1, :, -1].max():.2f} at the highest.",
    )
    return {
        f"{name}.svg": plotting.to_svg(figure, name=name, title=title, description=described)
        for name, (figure, title, described) in pictures.items()
    }
