"""Made-up documents of the neural experiments: random numbers of the right shape, no results.

They have the form of what `kdtheory experiment fashion-mnist | domains --out DIR` writes, with the
names and grids of the experiments themselves.
"""

from dataclasses import asdict

import numpy as np

from kdtheory.experiments import domains as md
from kdtheory.experiments.fashion_mnist import (
    COMPARED,
    GROUPS,
    PUBLISHED,
    READINGS,
    RULES,
    STUDENTS,
)
from kdtheory.experiments.phase_diagram import SIZES, TEMPERATURES, TRUSTS

MACHINE = {"processor": "a made-up processor", "cores": 2, "device": "cpu"}
VERSIONS = {"python": "3.11.0", "kdtheory": "0.1.0", "torch": "2.13.0"}
RUN = {"command": "kdtheory experiment made-up --out DIR", "date": "2001-02-03"}


def fashion_mnist(seed=0, *, n_epochs=40, phase=True, quick=False):
    """As `kdtheory experiment fashion-mnist` writes it, with numbers that nobody measured."""
    rng = np.random.default_rng(seed)
    config = {"experiment": "GS 6.1", "seeds": 10, "quick": quick, "versions": VERSIONS}
    epoch = np.arange(1, n_epochs + 1)
    curves = []
    for k, student in enumerate(STUDENTS):
        fall = 0.5 * np.exp(-epoch / 3) + (1.1 if student == "printed" else 0)
        curve = {"student": student, "epoch": epoch.tolist()}
        for sample, level, drift in (
            ("train", 0.38, 0), ("validation", 0.43, 2e-4), ("test", 0.44, 2e-4)
        ):  # fmt: skip
            mean = level + 0.01 * k + fall + drift * epoch * (student == "without")
            curve[f"{sample}_cross_entropy"] = band(mean, 0.004)
        curve["test_accuracy"] = band(0.85 - 0.3 * fall / 2, 0.002)
        curves.append(curve)
    rows = [
        {
            "student": student,
            "rule": rule,
            "reading": reading,
            "cross_entropy": band(0.44 + 0.1 * (rule == "mean") + rng.uniform(0, 0.02), 0.001),
            "accuracy": band(0.84 + rng.uniform(0, 0.01), 0.001),
            "epoch": None if reading == "converged" else band(rng.uniform(10, 40), 2.0),
            "words": f"made-up words on the {reading}",
        }
        for student in STUDENTS
        for reading in READINGS
        for rule in RULES
        if was_read(student, reading)
    ]
    changes = [
        {"measure": measure, "reading": reading, "first": [*first], "second": [*second]}
        | change(rng, measure, 0.005)
        for reading in READINGS
        for first, second in COMPARED
        if was_read(first[0], reading) and was_read(second[0], reading)
        for measure in ("cross_entropy", "accuracy")
    ]
    calibration = []
    for student in STUDENTS:
        for rule in RULES:
            confidence = np.sort(rng.beta(4, 1, GROUPS))
            share = np.full(GROUPS, 1 / GROUPS)
            right = np.clip(confidence ** (1.2 if rule == "softmax" else 0.3), 0, 1)
            calibration.append(
                {
                    "student": student,
                    "rule": rule,
                    "confidence": confidence.tolist(),
                    "accuracy": right.tolist(),
                    "share": share.tolist(),
                    "error": float(share @ np.abs(right - confidence)),
                }
            )
    scores = {"cross_entropy": 0.33, "accuracy": 0.88}
    result = {
        "quick": quick,
        "data": {
            "n_train": 55000, "n_validation": 5000, "n_test": 10000,
            "digests": {"train-images-idx3-ubyte.gz": "ab" * 32},
        },
        "machine": MACHINE,
        "seconds": {"teacher": 60.5, "students": 30.2, "regularisers": 9.5, "limit": 20.1,
                    "phase": 200.7, "total": 321.0},
        "teacher": {"n_parameters": 30000, "epochs": 10}
        | {sample: dict(scores) for sample in ("train", "validation", "test")},
        "trust": 0.5,
        "temperature": 1.0,
        "student_size": 7850,
        "n_seeds": 10,
        "curves": curves,
        "rows": rows,
        "published": [asdict(row) for row in PUBLISHED],
        "changes": changes,
        "overfitting": {
            "since": n_epochs // 2,
            "until": n_epochs,
            "test_rise": {"without": band(0.004, 0.0005), "with": band(0.0003, 0.0004)},
            "train_fall": {"without": band(0.012, 0.0005), "with": band(0.007, 0.0004)},
            "test_difference": band(-0.0037, 0.0006),
            "train_difference": band(0.005, 0.0006),
        },
        "calibration": calibration,
        "phase": phase_document(rng) if phase else None,
    }  # fmt: skip
    return {"config": config, "result": result, "run": RUN}


def domains(seed=0, *, quick=False):
    """As `kdtheory experiment domains` writes it, with numbers that nobody measured."""
    rng = np.random.default_rng(seed)
    epochs = np.arange(1, 21)
    changes = [
        {"student": name, "against": kind.against, "measure": measure, "reading": reading}
        | change(rng, measure, 0.003)
        for reading in md.READINGS
        for name, kind in md.KINDS.items()
        if kind.against is not None
        for measure in md.MEASURES
    ]
    base = {
        "teacher": {"accuracy": 0.88, "cross_entropy": 0.34},
        "epochs": epochs.tolist(),
        "curves": [
            {
                "student": name,
                "words": kind.words,
                "test_accuracy": band(0.84 + 0.002 * k - 0.2 * np.exp(-epochs), 0.002),
                "test_cross_entropy": band(0.45 + 0.01 * k + 0.5 * np.exp(-epochs), 0.004),
            }
            for k, (name, kind) in enumerate(md.KINDS.items())
        ],
        "readings": [
            {"student": name, "reading": reading, "accuracy": band(0.84, 0.001),
             "cross_entropy": band(0.45, 0.002)}
            for reading in md.READINGS
            for name in md.KINDS
        ],
        "changes": changes,
        "n_comparisons": len(changes),
    }  # fmt: skip
    regression = {
        "quantity": "area", "words": "made-up words", "n_source": 55000, "n_target": 500,
        "n_comparisons": 15, "source_teacher": {"rmse": 0.01, "r2": 0.9},
        "links": [
            {
                "link": link, "words": "made-up words",
                "teacher_through_link": {"rmse": 0.02, "r2": 0.5},
                "rows": [
                    {"md_lambda": md_lambda, "trust": 0.4 if md_lambda == "loo" else 1 - md_lambda,
                     "rmse": band(0.015, 0.001), "r2": band(0.7, 0.01),
                     "rmse_change": None if md_lambda == 1 else change(rng, "rmse", 0.001)}
                    for md_lambda in (1.0, *md.MD_LAMBDAS, "loo")
                ],
            }
            for link in md.REGRESSION_LINKS
        ],
    }  # fmt: skip
    result = {
        "quick": quick,
        "data": {"n_train": 60000, "n_test": 10000, "digests": {"train-images": "cd" * 32}},
        "machine": MACHINE,
        "seconds": {"teacher": 10.0, "base": 20.0, "total": 30.0},
        "base": base,
        "pairs": [domain_pair(rng, name, pair) for name, pair in md.PAIRS.items()],
        "regression": regression,
        "examples": [
            {"domain": name, "pictures": rng.integers(0, 256, (3, side, side)).tolist()}
            for name in ("source", *md.PAIRS)
            if name != "few"
            for side in (md.COARSE if name == "coarse" else md.SIDE,)
        ],
    }
    config = {"experiment": "MD 4", "seeds": 10, "quick": quick, "versions": VERSIONS}
    return {"config": config, "result": result, "run": RUN}


def was_read(student, reading):
    """The optimum exists for those without a last term."""
    return student in ("without", "with") or reading != "converged"


def domain_pair(rng, name, pair):
    def student(loss, md_lambda):
        mean = 0.75 + 0.05 * (0 if isinstance(md_lambda, str) else 1 - md_lambda)
        alone = md_lambda == 1
        return {
            "loss": loss, "md_lambda": md_lambda,
            "accuracy": band(mean + rng.uniform(-0.01, 0.01), 0.005),
            "cross_entropy": band(0.8, 0.02),
            "accuracy_change": None if alone else change(rng, "accuracy", 0.01, 0.02),
            "cross_entropy_change": None if alone else change(rng, "cross_entropy", 0.02),
            "steps": 100.0, "at_last_step": 0.0,
        }  # fmt: skip

    return {
        "pair": name, "words": pair.words, "n_source": 55000, "n_target": 500,
        "n_validation": 500, "n_unlabelled": 4000, "source_features": 784,
        "target_features": 49 if name == "coarse" else 784,
        "n_comparisons": 2 * len(pair.links) * (len(md.LOSSES) * (len(md.MD_LAMBDAS) + 1) + 1),
        "source_teacher": {"accuracy": 0.88, "cross_entropy": 0.34},
        "links": [
            {
                "link": link,
                "words": md.LINKS[link],
                "teacher_through_link": {
                    "accuracy": band(0.6 + 0.04 * k, 0.01), "cross_entropy": band(1.1, 0.1)
                },
                "rows": [
                    student(loss, md_lambda)
                    for loss in md.LOSSES
                    for md_lambda in (1.0, *md.MD_LAMBDAS, "chosen")
                ] + [student(md.UNLABELLED, md.UNLABELLED_LAMBDA)],
            }
            for k, link in enumerate(pair.links)
        ],
    }  # fmt: skip


def phase_document(rng):
    sizes = [size or 60_000 for size in SIZES]
    trusts, temperatures = list(TRUSTS), list(TEMPERATURES)
    cells = []
    for n in sizes:
        for answered in ("all", "labelled"):
            for trust in trusts:
                for temperature in temperatures:
                    if answered == "all" and n == sizes[-1]:
                        continue  # where all are labelled the two are one
                    gain = (0.3 if answered == "all" else 0.05) * trust * (1 - np.log10(n) / 4.5)
                    cells.append(
                        {
                            "n_labels": n,
                            "answered": answered,
                            "trust": trust,
                            "temperature": temperature,
                            "cross_entropy": band(0.9 - gain, 0.01),
                            "accuracy": band(0.7 + gain / 3, 0.01),
                            "cross_entropy_change": change(rng, "cross_entropy", 0.01, -gain),
                            "accuracy_change": change(rng, "accuracy", 0.01, gain / 3),
                            "chosen": (trust, temperature) == (TRUSTS[-2], TEMPERATURES[-1]),
                            "at_last_step": 0.8 if (n, trust) == (10_000, TRUSTS[0]) else 0.4,
                        }
                    )
    baselines = [
        {"n_labels": n, "cross_entropy": band(1.5 - 0.22 * np.log10(n), 0.02),
         "accuracy": band(0.55 + 0.06 * np.log10(n), 0.01)}
        for n in sizes
    ]  # fmt: skip
    return {
        "sizes": sizes, "trusts": trusts, "temperatures": temperatures, "n_students": 735,
        "n_seeds": 5, "n_steps": 8000, "baselines": baselines, "cells": cells,
    }  # fmt: skip


def band(mean, half):
    mean = np.asarray(mean, dtype=float)
    return {
        "mean": mean.tolist(), "low": (mean - half).tolist(), "high": (mean + half).tolist()
    }  # fmt: skip


def change(rng, measure, half, middle=0.0):
    """A paired difference with the verdict that its interval gives."""
    found = float(middle + rng.normal(0, half))
    low, high = found - half, found + half
    sign = -1 if measure == "accuracy" else 1
    ends = sorted((sign * low, sign * high))
    verdict = "better" if ends[1] < 0 else "worse" if ends[0] > 0 else "undecided"
    return {"change": found, "low": low, "high": high, "verdict": verdict}
