"""Regression on a file: the same numbers however it is read, and files that are whole."""

import csv
import gzip
import json
import re
import sys
import warnings
from xml.etree import ElementTree as ET

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import kdtheory.regress
import kdtheory.selection
from kdtheory import plotting
from kdtheory.evidence import maximum_evidence
from kdtheory.inference import inference
from kdtheory.readers import Block
from kdtheory.regress import FILES, TRUSTS, regression_of_file, write_regression
from kdtheory.regression import distil_regression
from kdtheory.selection import trust_path

SAME = 1e-10  # two ways of summing some thousands of products of order 1
EXACT = 1e-13  # the same numbers after a CSV has told all their digits


def columns(m=900, *, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, 3))
    truth = X @ [1.0, -2.0, 0.5] + 3.0
    inside = rng.random(m) < 0.6
    noise = np.where(inside, 2.0, 1.0)
    return {
        "a": X[:, 0] + offset,
        "b": X[:, 1],
        "c": X[:, 2],
        "y": truth + noise * rng.standard_normal(m),
        "s": np.where(inside, truth + 0.5 * rng.standard_normal(m), np.nan),
        "known": inside,
        "w": rng.integers(0, 4, m).astype(float),
    }


def write_csv(path, table):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        for row in zip(*table.values(), strict=True):
            cells = [v.item() for v in row]
            writer.writerow(["" if isinstance(v, float) and np.isnan(v) else v for v in cells])
    return path


def write_parquet(path, table):
    pq.write_table(pa.table(table), path, row_group_size=200)
    return path


WRITERS = {"csv": write_csv, "parquet": write_parquet}
ROLES = {"target": "y", "teacher": "s", "privileged": "known", "weight": "w"}


@pytest.fixture(params=WRITERS)
def file(request, tmp_path):
    return WRITERS[request.param](tmp_path / f"data.{request.param}", columns())


def numbers(result):
    found = result.inference
    return np.concatenate(
        [
            found.estimates, found.standard_errors, found.statistics, found.p_values, found.low,
            found.high, found.covariance.ravel(),
            [found.df, found.noise, found.r_squared, found.n_objects, found.n_privileged],
            [found.trust, found.rank, result.document["fit"]["leave_one_out_error"]],
        ]
    )  # fmt: skip


# --- the command against the functions that it calls


def test_numbers_are_those_of_the_library(file):
    table = columns()
    X = np.column_stack([table["a"], table["b"], table["c"]])
    fit = distil_regression(
        X, table["y"], table["s"], privileged=table["known"], trust=0.3, sample_weight=table["w"],
        ridge=2.0, fit_intercept=True,
    )  # fmt: skip
    judge = inference(fit, confidence=0.9)
    result = regression_of_file(file, **ROLES, trust=0.3, ridge=2.0, confidence=0.9)
    assert result.inference.names == ("intercept", "a", "b", "c")
    assert result.inference.target_names == ("y",)
    for name in ("estimates", "standard_errors", "low", "high", "covariance"):
        assert_allclose(getattr(result.inference, name), getattr(judge, name), rtol=EXACT)
    assert_allclose(result.document["fit"]["leave_one_out_error"], fit.loo_error, rtol=EXACT)
    assert_allclose(result.cloud.points, [fit.fitted, fit.y - fit.fitted], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("large", [2**28, 0])
def test_error_left_out_is_that_of_one_copy_with_frequency_weights(file, large, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 1000)
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 8000)
    table = columns()
    X = np.column_stack([table["a"], table["b"], table["c"]])
    copies = np.repeat(np.arange(900), table["w"].astype(int))
    judge = distil_regression(
        X[copies], table["y"][copies], table["s"][copies], privileged=table["known"][copies],
        trust=0.3, ridge=2.0, fit_intercept=True,
    )  # fmt: skip
    path = trust_path(
        X, table["y"], table["s"], privileged=table["known"], sample_weight=table["w"],
        trusts=[0.3], ridge=2.0, fit_intercept=True, weights_kind="frequency",
    )  # fmt: skip
    result = regression_of_file(
        file, **ROLES, trust=0.3, ridge=2.0, weights_kind="frequency", large=large
    )
    found = result.document["fit"]["leave_one_out_error"]
    assert_allclose(found, judge.loo_error, rtol=SAME)
    assert_allclose(found, path.loo_error[0], rtol=SAME)
    assert f"Leave-one-out error: {found:.6g}" in result.text


@pytest.mark.parametrize("large", [2**28, 0])
def test_error_left_out_is_not_told_where_one_copy_holds_up_a_direction(tmp_path, large):
    table = columns(20) | {"alone": np.eye(20)[0], "w": np.ones(20)}
    arguments = ROLES | {"teacher": None, "privileged": None, "features": ["a", "alone"]}
    for times, told in ((1.0, False), (2.0, True)):
        table["w"][0] = times
        file = write_parquet(tmp_path / "data.parquet", table)
        result = regression_of_file(file, **arguments, weights_kind="frequency", large=large)
        assert (result.document["fit"]["leave_one_out_error"] is not None) == told
        assert ("Leave-one-out error" in result.text) == told


@pytest.mark.parametrize("criterion", ["loo", "gcv"])
def test_trust_by_cross_validation_is_the_best_of_the_path(file, criterion, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 1000)
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 8000)
    table = columns()
    X = np.column_stack([table["a"], table["b"], table["c"]])
    path = trust_path(
        X, table["y"], table["s"], privileged=table["known"], sample_weight=table["w"],
        fit_intercept=True,
    )  # fmt: skip
    assert_array_equal(path.trusts, TRUSTS)
    for large in (2**28, 0):
        result = regression_of_file(file, **ROLES, trust=criterion, large=large)
        assert result.inference.trust == path.best(criterion)
        assert result.document["arguments"]["trust_by"] == criterion
        assert "Trust chosen by: " in result.text


def test_trust_comes_from_all_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 1000)
    table = columns(m=900)
    bad = np.arange(900) >= 100  # the first block has a good teacher, the others a bad one
    table["s"] = np.where(bad, table["s"] + 8 * np.cos(np.arange(900)), table["s"])
    file = write_parquet(tmp_path / "data.parquet", table)
    X = np.column_stack([table["a"], table["b"], table["c"]])
    path = trust_path(X, table["y"], table["s"], privileged=table["known"], fit_intercept=True)
    sums = []
    real = kdtheory.selection.PathSolutions.path
    monkeypatch.setattr(
        kdtheory.selection.PathSolutions,
        "path",
        lambda self, total: sums.append(real(self, total)) or sums[-1],
    )
    regression_of_file(
        file, **(ROLES | {"weight": None}), trust="loo", large=0, features=list("abc")
    )
    assert_allclose(sums[-1].loo_error, path.loo_error, rtol=SAME)
    assert_allclose(sums[-1].coef[:, :, 0], path.coef, rtol=1e-8, atol=1e-8)


def test_sums_leave_their_terms_as_they_were():
    table = columns()
    X = np.column_stack([table["a"], table["b"]])
    question = kdtheory.regress._Question(
        "y", True, "loo", None, None, "precision", 0.0, True, "precision", 0.95
    )
    one, other = (
        kdtheory.regress._first_sums(
            question, True, Block(X[rows], table["y"][rows], table["s"][rows], table["known"][rows])
        )
        for rows in (slice(0, 400), slice(400, 900))
    )
    once = (one + other).path.grams.copy()
    assert_array_equal((one + other).path.grams, once)


def test_trust_by_evidence_comes_with_the_noise(file):
    table = columns()
    X = np.column_stack([table["a"], table["b"], table["c"]])
    judge = maximum_evidence(
        X, table["y"], table["s"], privileged=table["known"], sample_weight=table["w"],
        fit_intercept=True,
    )  # fmt: skip
    result = regression_of_file(file, **ROLES, trust="evidence")
    arguments = result.document["arguments"]
    assert_allclose(result.inference.estimates[1:], judge.coef, rtol=SAME)
    for name in ("trust", "sigma", "sigma_teacher"):
        assert_allclose(arguments[name], getattr(judge, name), rtol=EXACT)
    assert result.inference.kind == "sandwich"
    assert f"Noise of labels and answers: {arguments['sigma']:.6g}, " in result.text


@pytest.mark.parametrize("large", [2**28, 0])
def test_errors_are_of_the_model_only_if_the_noise_is_known(file, large):
    known = {"sigma": 2.0, "sigma_teacher": 0.5}
    for changes, kind in (
        ({}, "sandwich"),
        (known, "model"),
        (known | {"convention": "printed"}, "sandwich"),
        ({"teacher": None, "privileged": None, "features": ["a", "b"]}, "classical"),
        ({"teacher": None, "privileged": None, "features": ["a"], "sigma": 2.0}, "model"),
    ):
        assert regression_of_file(file, **(ROLES | changes), large=large).inference.kind == kind


# --- laws: one answer, however the file is read


@pytest.mark.parametrize(
    "changes",
    [
        {"trust": 0.3},
        {"trust": 1, "fit_intercept": False},
        {"trust": 0},
        {"trust": 0, "sigma": 2.0, "sigma_teacher": 0.5},
        {"trust": 0.5, "sigma": 2.0, "sigma_teacher": 0.5},
        {"trust": 0.5, "sigma": 2.0, "sigma_teacher": 0.5, "convention": "printed"},
        {"trust": 0.7, "ridge": 5.0, "weights_kind": "frequency"},
        {"trust": 0.4, "weight": None, "features": ["c", "a"]},
        {"trust": None, "privileged": None, "features": ["a", "b"]},
        {"trust": None, "teacher": None, "privileged": None, "features": ["a", "b"]},
        {"trust": None, "teacher": None, "privileged": None, "features": ["a"], "sigma": 2.0},
    ],
)
def test_blocks_give_the_numbers_of_the_whole(file, changes, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 1000)
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 8000)
    arguments = ROLES | changes
    whole = regression_of_file(file, **arguments)
    blocks = regression_of_file(file, **arguments, large=0)
    assert (whole.document["file"]["read"], blocks.document["file"]["read"]) == (
        "whole", "in blocks"
    )  # fmt: skip
    assert_allclose(numbers(blocks), numbers(whole), rtol=SAME, atol=1e-300)
    assert blocks.inference.kind == whole.inference.kind
    assert blocks.document["arguments"] == whole.document["arguments"]
    assert_allclose(blocks.cloud.points, whole.cloud.points, rtol=SAME, atol=SAME)


def test_compressed_file_is_judged_by_what_is_in_it(tmp_path):
    content = write_csv(tmp_path / "data.csv", columns()).read_bytes()
    file = tmp_path / "data.csv.gz"
    file.write_bytes(gzip.compress(content))
    large = file.stat().st_size + 1
    assert regression_of_file(file, **ROLES, large=large).document["file"]["read"] == "in blocks"
    assert regression_of_file(file, **ROLES).document["file"]["read"] == "whole"


def test_large_offset_costs_no_digits_of_the_slopes(tmp_path):
    plain = write_parquet(tmp_path / "plain.parquet", columns())
    far = write_parquet(tmp_path / "far.parquet", columns(offset=2.0**27))
    judge = regression_of_file(plain, **ROLES).inference
    for large in (2**28, 0):
        found = regression_of_file(far, **ROLES, large=large).inference
        # the offset itself has taken eight of the feature's digits
        assert_allclose(found.estimates[1:], judge.estimates[1:], rtol=1e-6)
        assert_allclose(found.standard_errors[1:], judge.standard_errors[1:], rtol=1e-6)


def test_teacher_that_changes_nothing_is_told_once(tmp_path):
    table = columns()
    X = np.column_stack([np.ones(900), table["a"], table["b"], table["c"]])
    table["s"] = X @ np.linalg.lstsq(X, table["y"], rcond=None)[0]
    del table["known"], table["w"]
    file = write_parquet(tmp_path / "data.parquet", table)
    for large in (2**28, 0):
        told = regression_of_file(file, target="y", teacher="s", large=large).document["warnings"]
        assert [words for words in told if "changes nothing" in words] == told
        assert len(told) == 1


def test_dependent_columns_are_told_and_fitted(tmp_path):
    table = columns() | {"twice": 2 * columns()["a"], "one": np.ones(900)}
    file = write_parquet(tmp_path / "data.parquet", table)
    judge = regression_of_file(file, **ROLES, features=["a", "b", "c"])
    for large in (2**28, 0):
        result = regression_of_file(file, **ROLES, large=large)
        found = result.inference
        (told,) = result.document["warnings"]
        assert "numerical rank 3 with 5 column(s)" in told
        at = found.names.index("b")
        assert_allclose(found.estimates[at], judge.inference.estimates[2], rtol=SAME)
        assert_allclose(found.standard_errors[at], judge.inference.standard_errors[2], rtol=SAME)
        assert result.document["coefficients"][1]["standard_error"] is None


def test_progress_grows_to_one(file, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 8000)
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 1000)
    for large in (2**28, 0):
        shares = []
        regression_of_file(
            file, **ROLES, large=large,
            tell=lambda shares=shares, **words: shares.append(words.get("completed")),
        )  # fmt: skip
        shares = [share for share in shares if share is not None]
        assert shares[0] == 0.0
        assert shares[-1] == 1.0
        assert len(shares) > 4


# --- what is written


def test_files_hold_what_was_found(file, tmp_path):
    result = regression_of_file(file, **ROLES)
    written = write_regression(tmp_path / "made" / "out", result)
    assert tuple(path.name for path in written) == FILES
    document = json.loads(written[0].read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(result.document))
    assert document["file"] == {
        "name": file.name, "bytes": file.stat().st_size, "rows": 900, "read": "whole"
    }  # fmt: skip
    assert str(tmp_path) not in written[0].read_text(encoding="utf-8")
    with written[1].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == list(result.inference.names)
    for name, values in {
        "estimate": "estimates", "standard_error": "standard_errors", "statistic": "statistics",
        "p_value": "p_values", "low": "low", "high": "high",
    }.items():  # fmt: skip
        told = [float(row[name]) for row in rows]
        assert_array_equal(told, getattr(result.inference, values))
    assert written[2].read_text(encoding="utf-8").startswith("<svg")
    assert "Residuals of y" in written[2].read_text(encoding="utf-8")


def test_figure_is_xml_whatever_the_target_is_called(tmp_path):
    table = columns()
    table["y\x01 <&>"] = table.pop("y")
    file = write_parquet(tmp_path / "data.parquet", table)
    result = regression_of_file(file, **(ROLES | {"target": "y\x01 <&>"}))
    figure = write_regression(tmp_path / "out", result)[2]
    title = ET.fromstring(figure.read_text(encoding="utf-8"))[0]
    assert title.text == "Residuals of y\ufffd <&> against fitted values"


def test_files_are_the_same_bytes_each_time(file, tmp_path):
    first = write_regression(tmp_path / "a", regression_of_file(file, **ROLES))
    second = write_regression(tmp_path / "b", regression_of_file(file, **ROLES))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_failure_while_drawing_leaves_nothing(file, tmp_path, monkeypatch):
    def breaks(*_):
        raise KeyboardInterrupt

    result = regression_of_file(file, **ROLES)
    monkeypatch.setattr(plotting, "residuals_against_fitted", breaks)
    with pytest.raises(KeyboardInterrupt):
        write_regression(tmp_path / "out", result)
    assert not (tmp_path / "out").exists()


# --- bad input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trust": 1.5}, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"trust": float("nan")}, r"`trust` must be in \[0, 1\], got nan"),
        ({"trust": "best"}, r"`trust` must be in \[0, 1\] or one of 'loo', .* got 'best'"),
        ({"trust": "evidence", "convention": "printed"}, "`convention` must be 'precision' for"),
        (
            {"trust": "evidence", "weights_kind": "frequency"},
            "`weights_kind` must be 'precision' for the trust 'evidence', got 'frequency'",
        ),
        ({"sigma": 0.0, "sigma_teacher": 1.0}, "`sigma` must be finite and positive, got 0.0"),
        ({"sigma": 1.0, "sigma_teacher": -1.0}, "`sigma_teacher` must be .* got -1.0"),
        ({"sigma": 1.0}, "`sigma` and `sigma_teacher` must be given both or neither"),
        ({"ridge": -1.0}, "`ridge` must be finite and at least 0, got -1.0"),
        ({"confidence": 1.0}, "`confidence` must be .* got 1.0"),
        ({"convention": "x"}, "`convention` must be 'precision' or 'printed', got 'x'"),
        ({"weights_kind": "x"}, "`weights_kind` must be 'precision' or 'frequency', got 'x'"),
        ({"teacher": None, "privileged": None, "trust": 0.5}, "`trust` must be left out where"),
        (
            {"teacher": None, "privileged": None, "sigma_teacher": 0.5},
            "`sigma_teacher` must be left out where there is no teacher, got 0.5",
        ),
    ],
)
def test_bad_arguments_are_told_before_the_file_is_read(changes, words):
    with pytest.raises(ValueError, match=words):
        regression_of_file("not-there.csv", **(ROLES | changes))


@pytest.mark.parametrize("large", [2**28, 0])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("a", np.nan, "column 'a' .*must hold a finite number, got nothing"),
        ("y", np.inf, "column 'y' .*must hold a finite number, got '?inf"),
        (
            "w",
            -1.0,
            "column 'w' must hold whole numbers of at least 0, got -1.0 in row 7 \\(from 0\\)",
        ),
        (
            "w",
            0.5,
            "column 'w' must hold whole numbers of at least 0, got 0.5 in row 7 \\(from 0\\)",
        ),
        ("a", 1e200, "column 'a' must hold numbers of at most 1e+150 in size, got 1e+200 in row 7"),
        ("y", -1e160, "column 'y' must hold numbers of at most 1e+150 in size, got -1e+160 in row"),
    ],
)
def test_bad_cell_is_told_with_its_column(tmp_path, kind, column, value, words, large):
    table = columns()
    table[column] = table[column].copy()
    table[column][7] = value
    if kind == "csv":  # which tells lines, the header among them
        words = re.sub(r"got (\S+) in row.*", r"got '\1' in line 9", words)
    file = WRITERS[kind](tmp_path / f"data.{kind}", table)
    with pytest.raises(ValueError, match=words.replace("+", ".")):
        regression_of_file(file, **ROLES, weights_kind="frequency", large=large)
    if value == -1.0:
        with pytest.raises(
            ValueError, match=r"'w' must hold weights of at least 0, got '?-1.0'? in"
        ):
            regression_of_file(file, **ROLES, large=large)


@pytest.mark.parametrize("large", [2**28, 0])
@pytest.mark.parametrize("kind", WRITERS)
def test_answer_beyond_squares_is_told_where_it_enters(tmp_path, kind, large):
    table = columns()
    outside, inside = (int(np.argmax(table["known"] == known)) for known in (False, True))
    table["s"] = np.where(table["known"], table["s"], 1e200)
    file = WRITERS[kind](tmp_path / f"data.{kind}", table)
    assert np.isfinite(regression_of_file(file, **ROLES, large=large).inference.estimates).all()
    assert not table["known"][outside]
    table["s"][inside] = 1e160
    file = WRITERS[kind](tmp_path / f"data.{kind}", table)
    where = f"'1e.160' in line {inside + 2}" if kind == "csv" else f"1e.160 in row {inside} "
    with pytest.raises(ValueError, match=f"column 's' must hold numbers of at most .*got {where}"):
        regression_of_file(file, **ROLES, large=large)


@pytest.mark.parametrize("large", [2**28, 0])
def test_numbers_up_to_the_limit_scale_the_answer(tmp_path, large):
    table = columns()
    judge = regression_of_file(write_parquet(tmp_path / "data.parquet", table), **ROLES).inference
    for name in "abc":
        table[name] = table[name] / 4 * 1e149
    table["y"], table["s"] = table["y"] / 16 * 1e149, table["s"] / 16 * 1e149
    file = write_parquet(tmp_path / "data.parquet", table)
    found = regression_of_file(file, **ROLES, large=large).inference
    assert_allclose(found.estimates[1:], judge.estimates[1:] / 4, rtol=SAME)


def test_feature_called_intercept_needs_that_there_is_no_other(tmp_path):
    table = columns()
    table["intercept"] = table.pop("a")
    file = write_parquet(tmp_path / "data.parquet", table)
    with pytest.raises(
        ValueError, match="`features` must leave out the column 'intercept' where an"
    ):
        regression_of_file(file, **ROLES)
    found = regression_of_file(file, **ROLES, fit_intercept=False).inference
    assert "intercept" in found.names
    assert len(set(found.names)) == 3
    regression_of_file(file, **ROLES, features=["b", "c"])


@pytest.mark.parametrize("large", [2**28, 0])
def test_objects_that_say_too_little_are_told(tmp_path, large):
    table = columns()
    few = {name: values[:3] for name, values in table.items()} | {"w": np.ones(3)}
    none = table | {"w": np.zeros(900)}
    for rows, words in (
        (few, "`X` must have more rows of positive weight than its rank"),
        (none, "column 'w' must hold a positive weight, got only zeros"),
    ):
        file = write_parquet(tmp_path / "data.parquet", rows)
        with pytest.raises(ValueError, match=words), warnings.catch_warnings():
            regression_of_file(file, **ROLES, large=large)


def test_evidence_needs_the_whole_file(file):
    with pytest.raises(ValueError, match=r"`trust` must not be 'evidence' for a file .* in blocks"):
        regression_of_file(file, **ROLES, trust="evidence", large=0)


def test_choice_in_blocks_needs_independent_columns(tmp_path):
    table = columns() | {"twice": 2 * columns()["a"]}
    file = write_parquet(tmp_path / "data.parquet", table)
    with pytest.raises(ValueError, match=r"`trust` must be a number .* dependent, got 'loo'"):
        regression_of_file(file, **ROLES, trust="loo", large=0)
    assert regression_of_file(file, **ROLES, trust="loo").inference.rank == 4


cells = st.sampled_from([b"1", b"-2.5", b"x", b"", b'"', b",", b"\n", b"\r", b"nan", b"1e999"])
texts = st.one_of(
    st.binary(max_size=200),
    st.lists(cells, max_size=60).map(b",".join).map(lambda body: b"a,y,s\n" + body),
    st.lists(cells, max_size=60).map(b"".join).map(lambda body: b"a,y,s\n1,2,3\n" + body),
)


@given(texts, st.sampled_from([".csv", ".parquet", ".csv.gz"]), st.sampled_from([0, 2**28]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_an_answer_or_one_line(tmp_path, content, ending, large):
    file = tmp_path / f"data{ending}"
    file.write_bytes(content)
    told = "an answer"
    try:
        regression_of_file(file, target="y", teacher="s", large=large)
    except (ValueError, TypeError) as error:
        told = str(error)
    assert len(told.splitlines()) == 1


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_parquet_file_gives_an_answer_or_one_line(tmp_path, at, content, cut):
    file = write_parquet(tmp_path / "data.parquet", columns(60))
    whole = file.read_bytes()
    at %= len(whole)
    file.write_bytes(whole[:at] + content + (b"" if cut else whole[at + len(content) :]))
    told = "an answer"
    try:
        regression_of_file(file, **ROLES)
    except (ValueError, TypeError) as error:
        told = str(error)
    assert len(told.splitlines()) == 1


# --- a cluster


@pytest.fixture(scope="module")
def scheduler():
    """Address of a scheduler with two workers, in threads of this process but talking by TCP."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp",
        dashboard_address="127.0.0.1:0", host="127.0.0.1", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


@pytest.mark.parametrize(
    "changes",
    [
        {"trust": 0.3, "weights_kind": "frequency"},
        {"trust": "loo", "privileged": None},
        {"trust": None, "teacher": None, "privileged": None, "features": ["b", "a"]},
    ],
)
def test_cluster_gives_the_numbers_of_the_whole(file, scheduler, changes, monkeypatch):
    monkeypatch.setattr("kdtheory.regress.PARTITION", 10_000)
    monkeypatch.setattr("kdtheory.residual_cloud.POINTS", 100)
    whole = regression_of_file(file, **(ROLES | changes))
    far = regression_of_file(file, **(ROLES | changes), dask=scheduler)
    assert far.document["file"]["read"] == "by a cluster"
    assert_allclose(numbers(far), numbers(whole), rtol=SAME, atol=1e-300)
    for one, other in zip(far.cloud.table(), whole.cloud.table(), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("a", np.nan, "column 'a' must hold a finite number, got nan in row"),
        ("w", -1.0, "column 'w' must hold weights of at least 0, got -1.0 in row"),
        ("s", np.nan, "column 's' must hold a finite number, got nan in row"),
        ("b", 1e151, "column 'b' must hold numbers of at most 1e.150 in size, got 1e.151 in row"),
    ],
)
def test_bad_cell_far_away_is_one_line(file, scheduler, column, value, words):
    table = columns()
    table[column] = table[column].copy()
    row = np.flatnonzero(table["known"])[3]
    table[column][row] = value
    WRITERS[file.suffix[1:]](file, table)
    if file.suffix == ".csv":
        words = re.sub(r"got (\S+) in row", rf"got '?\1'? in line {row + 2} of", words)
        words = words.replace("nan", "nothing")
    else:
        words += rf" {row} \(from 0\) of partition 0"
    with pytest.raises(ValueError, match=words):
        regression_of_file(file, **ROLES, dask=scheduler)


@pytest.mark.parametrize("trust", [0.5, "loo"])
def test_weights_that_are_all_zero_are_told_of_the_column(tmp_path, scheduler, trust):
    file = write_parquet(tmp_path / "data.parquet", columns() | {"w": np.zeros(900)})
    with pytest.raises(ValueError, match="column 'w' must hold a positive weight, got only zeros"):
        regression_of_file(file, **ROLES, trust=trust, dask=scheduler)


@pytest.mark.parametrize("mask", [float, lambda inside: np.where(inside, " TRUE", "0.0")])
def test_masks_mean_the_same_far_away(tmp_path, scheduler, mask):
    table = columns()
    judge = regression_of_file(write_parquet(tmp_path / "data.parquet", table), **ROLES)
    known = table["known"].astype(float) if mask is float else mask(table["known"])
    file = write_parquet(tmp_path / "data.parquet", table | {"known": known})
    for dask in (None, scheduler):
        found = regression_of_file(file, **ROLES, dask=dask)
        assert_allclose(numbers(found), numbers(judge), rtol=SAME, atol=1e-300)


def test_mask_of_words_is_read_as_words(tmp_path, scheduler):
    file = write_csv(tmp_path / "data.csv", columns())
    content = file.read_text(encoding="utf-8")
    file.write_text(content.replace("True", "perhaps", 1), encoding="utf-8")
    with pytest.raises(ValueError, match="column 'known' must hold true or false, got 'perhaps'"):
        regression_of_file(file, **ROLES, dask=scheduler)
    file.write_text(content.replace(",3.0\n", ",x\n", 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"column 'w' must hold a finite .*, got 'x' in line 4 of"):
        regression_of_file(file, **ROLES, dask=scheduler)


def test_the_same_words_are_missing_far_away(tmp_path, scheduler):
    table = columns(60)
    del table["known"], table["w"]
    file = write_csv(tmp_path / "data.csv", table | {"note": np.full(60, "a, b")})
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for at, word in enumerate(("none", "#NA", "N/A", "Null", "-NaN", "#n/a"), start=1):
        cells = lines[at].split(",", 5)
        lines[at] = ",".join([*cells[:4], word, *cells[5:]])
    file.write_text("".join(lines), encoding="utf-8")
    near, far = (
        regression_of_file(file, target="y", teacher="s", dask=dask) for dask in (None, scheduler)
    )
    assert_allclose(numbers(far), numbers(near), rtol=SAME, atol=1e-300)
    # what pandas alone would take for missing is refused in both
    cells = lines[9].split(",", 5)
    lines[9] = ",".join([*cells[:4], "<NA>", *cells[5:]])
    file.write_text("".join(lines), encoding="utf-8")
    for dask in (None, scheduler):
        with pytest.raises(
            ValueError, match=r"column 's' must hold a .*, got '<NA>' in line 10 of"
        ):
            regression_of_file(file, target="y", teacher="s", dask=dask)


def test_blank_lines_before_the_header_are_refused_far_away(tmp_path, scheduler):
    file = write_csv(tmp_path / "data.csv", columns())
    judge = regression_of_file(file, **ROLES)
    file.write_bytes(b"\n\r\n" + file.read_bytes())
    assert_array_equal(numbers(regression_of_file(file, **ROLES)), numbers(judge))
    with pytest.raises(ValueError, match="`path` must begin with its header for a cluster, got"):
        regression_of_file(file, **ROLES, dask=scheduler)


@pytest.mark.parametrize("line", [2, 40])
def test_surplus_cells_are_refused_far_away(tmp_path, scheduler, line):
    table = columns(60)
    file = write_csv(tmp_path / "data.csv", table)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[line - 1] += ",5"
    file.write_text("\n".join(lines), encoding="utf-8")
    for dask in (None, scheduler):
        with pytest.raises(ValueError, match=f"every row must have 7 cells, got 8 in line {line}"):
            regression_of_file(file, **ROLES, dask=dask)


def test_surplus_cell_does_not_move_the_columns_far_away(tmp_path, scheduler):
    table = {name: columns(60)[name] for name in "abcy"} | {"note": np.arange(60.0)}
    file = write_csv(tmp_path / "data.csv", table)
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[1] += ",5"  # for pandas the first cells are labels then
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match="every row must have 5 cells, got 6 in line 2"):
        regression_of_file(file, target="y", features=["a", "b"], dask=scheduler)


def test_parquet_file_that_is_damaged_inside_is_named_far_away(tmp_path, scheduler):
    file = write_parquet(tmp_path / "data.parquet", columns())
    content = bytearray(file.read_bytes())
    content[4:3000] = bytes(2996)
    file.write_bytes(content)
    for dask in (None, scheduler):
        with pytest.raises(ValueError, match=r"`path` must be a whole Parquet file.*data.parquet"):
            regression_of_file(file, **ROLES, dask=dask)


def test_file_that_a_cluster_cannot_cut_is_refused(tmp_path, scheduler):
    np.save(tmp_path / "data.npy", np.eye(9))
    with pytest.raises(ValueError, match=r"`path` must end in .parquet, .pq or .csv for a cluster"):
        regression_of_file(tmp_path / "data.npy", target="0", dask=scheduler)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "missing port number"),
        ("tcp://127.0.0.1:1", "no answer in 0.2 s|refused|Timed out"),
        ("foo://x:1", "unknown address scheme"),
        ("tls://127.0.0.1:1", "TLS"),
        ("ucx://127.0.0.1:1", "UCX|ucx|ucp|connect"),
    ],
)
def test_cluster_that_does_not_answer_is_told(file, address, words, monkeypatch):
    monkeypatch.setattr("kdtheory.regress.SECONDS", 0.2)
    rule = f"`dask` must be the address of a running scheduler, got '{address}' .*({words})"
    with pytest.raises(ValueError, match=rule):
        regression_of_file(file, **ROLES, dask=address)


def test_scheduler_that_answers_and_takes_no_client_is_told(file, scheduler, monkeypatch):
    def gone(*_args, **_options):
        msg = "gone\nsince"
        raise TypeError(msg)

    monkeypatch.setattr("dask.distributed.Client", gone)
    with pytest.raises(ValueError, match=r"`dask` must be .* scheduler, got '.*' \(gone since\)"):
        regression_of_file(file, **ROLES, dask=scheduler)


def test_whoever_else_listens_is_not_a_scheduler(file):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdtheory.regress.SECONDS", 0.2)
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ValueError, match=r"running scheduler, got .* \(no answer in 0.2 s\)"):
            regression_of_file(file, **ROLES, dask=address)


@pytest.mark.parametrize(
    ("module", "dask", "extra"),
    [("pyarrow", None, "tables"), ("dask.distributed", "tcp://127.0.0.1:1", "distributed")],
)
def test_package_that_is_missing_is_named_with_its_extra(file, monkeypatch, module, dask, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"kdtheory\[{extra}\]"):
        regression_of_file(file, **ROLES, dask=dask)
