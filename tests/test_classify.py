"""Classification on a file: labels of any kind, the library's numbers, and files that are whole."""

import csv
import gzip
import json
import re
import warnings
from decimal import Decimal
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory import classify, plotting
from kdtheory.classification import distil_classification
from kdtheory.classify import FILES, classification_of_file, write_classification

SAME = 1e-12  # the same numbers in the same order, after a CSV has told all their digits
CLOSE = 1e-6  # two fits whose gradients vanish to 1e-8
NAMES = np.array(["cat", "dog", "emu"])
ANSWERS = ["p_cat", "p_dog", "p_emu"]


def columns(m=150, *, seed=0):
    """Three overlapping classes, and a teacher that saw the noise, for some."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, 2))
    logits = X @ rng.standard_normal((2, 3)) + rng.standard_normal((m, 3))
    s = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=p) for p in s])
    inside = rng.random(m) < 0.6
    table = {"a": X[:, 0], "b": X[:, 1], "y": NAMES[y]}
    table |= {name: np.where(inside, s[:, k], np.nan) for k, name in enumerate(ANSWERS)}
    return table | {"known": inside, "w": rng.integers(0, 4, m).astype(float)}


def write_csv(path, table):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        for row in zip(*table.values(), strict=True):
            cells = [v.item() if isinstance(v, np.generic) else v for v in row]
            empty = [v is None or (isinstance(v, float) and np.isnan(v)) for v in cells]
            writer.writerow(["" if e else v for v, e in zip(cells, empty, strict=True)])
    return path


def write_parquet(path, table):
    pq.write_table(pa.table(table), path, row_group_size=40)
    return path


WRITERS = {"csv": write_csv, "parquet": write_parquet}
ROLES = {"target": "y", "teacher": ANSWERS, "privileged": "known", "weight": "w"}
FEW = {"features": ["a", "b"]}
PLAIN = {"target": "y"} | FEW
both = pytest.mark.parametrize("kind", WRITERS)


@pytest.fixture(params=WRITERS)
def file(request, tmp_path):
    return WRITERS[request.param](tmp_path / f"data.{request.param}", columns())


def arrays(table):
    X = np.column_stack([table["a"], table["b"]])
    y = np.searchsorted(NAMES, table["y"])
    s = np.column_stack([table[name] for name in ANSWERS])
    return X, y, np.where(table["known"][:, None], s, 1 / 3)


def without(table, *names):
    return {name: values for name, values in table.items() if name not in names}


# --- the command against the functions that it calls


@pytest.mark.parametrize("regulariser", [None, "exact"])
def test_numbers_are_those_of_the_library(file, regulariser):
    table = columns()
    X, y, s = arrays(table)
    more = {
        "trust": 0.3, "temperature": 2.0, "regulariser": regulariser, "squared_temperature": True,
        "l2": 0.5,
    }  # fmt: skip
    judge = distil_classification(
        X, y, s, privileged=table["known"], sample_weight=table["w"], **more
    )
    result = classification_of_file(file, **ROLES, **more, rule="mean")
    assert result.classes == tuple(NAMES)
    assert_array_equal(result.labels, y)
    assert_allclose(result.fit.coef, judge.coef, rtol=CLOSE)
    assert_allclose(result.fit.intercept, judge.intercept, rtol=CLOSE)
    assert_allclose(result.probabilities, judge.probabilities(X, rule="mean"), rtol=CLOSE)
    found, weight = result.document["certificate"], table["w"].sum()
    assert_allclose(result.document["fit"]["objective"], judge.objective, rtol=SAME)
    assert_allclose(found["gap_per_object"] * weight, result.fit.certificate.gap, rtol=SAME)
    assert (found["converged"], found["convex"], found["separable"]) == (True, True, False)
    rows = {(r["name"], r["class"]): r["coefficient"] for r in result.document["coefficients"]}
    assert rows == {
        (name, k): values[j]
        for name, values in zip(
            ["intercept", "a", "b"], [result.fit.intercept, *result.fit.coef], strict=True
        )
        for j, k in enumerate(NAMES)
    }


@pytest.mark.parametrize("rule", ["softmax", "mean"])
def test_scores_are_weighted_means_over_the_rows(file, rule):
    table = columns()
    _, y, s = arrays(table)
    result = classification_of_file(file, **ROLES, rule=rule)
    c, p, scores = table["w"], result.probabilities, result.document["training"]
    assert scores["accuracy"] == pytest.approx(sum(c * (p.argmax(axis=1) == y)) / sum(c))
    losses = [-np.log(p[i, y[i]]) for i in range(150)]
    assert scores["cross_entropy"] == pytest.approx(sum(c * losses) / sum(c))
    c = c * table["known"]
    assert scores["teacher_accuracy"] == pytest.approx(sum(c * (s.argmax(axis=1) == y)) / sum(c))
    losses = [-np.log(s[i, y[i]]) for i in range(150)]
    assert scores["teacher_cross_entropy"] == pytest.approx(sum(c * losses) / sum(c))
    confusion = np.array(scores["confusion"])
    for i, j in np.ndindex(3, 3):
        assert confusion[i, j] == sum((y == i) & (p.argmax(axis=1) == j))
    told = result.document["classes"]
    assert [k["objects"] for k in told] == confusion.sum(axis=1).tolist()
    assert [k["predicted"] for k in told] == confusion.sum(axis=0).tolist()


def test_without_a_teacher_it_is_softmax_regression(file):
    table = columns()
    X, y, _ = arrays(table)
    judge = distil_classification(X, y, fit_intercept=False)
    result = classification_of_file(file, **PLAIN, fit_intercept=False)
    assert_allclose(result.fit.coef, judge.coef, rtol=SAME)
    assert {r["name"] for r in result.document["coefficients"]} == {"a", "b"}
    assert result.document["arguments"]["teacher"] is None
    assert "Trust" not in result.text
    assert "teacher" not in result.text


def test_summary_tells_what_was_paired_and_found(file):
    text = classification_of_file(file, **ROLES, trust=0.25, temperature=2).text
    assert re.search(r"Trust +0\.25", text)
    assert re.search(r"Temperature +2 ", text)
    for name in NAMES:
        assert re.search(rf"^{name} +\d+ +\d+ +p_{name}$", text, flags=re.MULTILINE)
    assert re.search(r"^ +cat +dog +emu$", text, flags=re.MULTILINE)
    words = " ".join(text.split())
    assert "On the rows that it was fitted to: accuracy 0." in words
    assert "The teacher, where it answers: accuracy 0." in words
    assert re.search(r"within \S+e-\d\d nats per object of the least possible loss", words)
    assert words.endswith(f"{file.name}: 150 rows, read whole")
    assert max(map(len, text.splitlines())) < 80


# --- laws: one answer, however labels and answers are written


@pytest.mark.parametrize("kind", [*WRITERS, "csv.gz"])
def test_every_kind_of_file_gives_the_same_numbers(tmp_path, kind):
    table = columns()
    judge = classification_of_file(write_parquet(tmp_path / "judge.parquet", table), **ROLES)
    file = WRITERS[kind.removesuffix(".gz")](tmp_path / f"data.{kind}", table)
    found = classification_of_file(file, **ROLES)
    assert_allclose(found.fit.coef, judge.fit.coef, rtol=SAME, atol=SAME)


def test_matrix_file_has_numbers_for_labels(tmp_path):
    table = columns()
    X, y, s = arrays(table)
    s = np.where(table["known"][:, None], s, np.nan)
    np.save(tmp_path / "data.npy", np.column_stack([y, X, s]))
    found = classification_of_file(tmp_path / "data.npy", target="0", teacher=["3", "4", "5"])
    judge = classification_of_file(
        write_csv(tmp_path / "data.csv", without(table, "w", "known")), target="y", teacher=ANSWERS
    )
    assert found.classes == ("0", "1", "2")
    assert_allclose(found.fit.coef, judge.fit.coef, rtol=SAME, atol=SAME)


def test_small_blocks_give_the_numbers_of_the_whole(file, monkeypatch):
    judge = classification_of_file(file, **ROLES)
    monkeypatch.setattr("kdtheory.readers.NUMBERS", 100)
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 1500)
    shares = []
    found = classification_of_file(
        file, **ROLES, tell=lambda **words: shares.append(words.get("completed"))
    )
    assert_allclose(found.fit.coef, judge.fit.coef, rtol=SAME, atol=SAME)
    shares = [share for share in shares if share is not None]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)
    assert len(shares) > 4


LABELS = [
    ("csv", ["0", "1", "2"], ("0", "1", "2")),
    ("csv", ["0", "1.0", "2."], ("0", "1", "2")),
    ("csv", ["2", "10", "0100"], ("2", "10", "100")),
    ("csv", ["-1", "0.5", "2e0"], ("-1", "0.5", "2")),
    ("csv", ["10", "9", "x"], ("10", "9", "x")),
    ("csv", ["1", "1.0.0", "2"], ("1", "1.0.0", "2")),
    ("csv", ["maybe", "no", " yes "], ("maybe", "no", "yes")),
    ("csv", ["Ärger", "élan", "日本"], ("Ärger", "élan", "日本")),
    ("csv", ["a,b", 'c"d', "e\nf"], ("a,b", 'c"d', "e\nf")),
    ("csv", ["1_0", "2", "3"], ("1_0", "2", "3")),
    ("csv", ["9007199254740993", "9007199254740994", "9007199254740995"], None),
    ("parquet", ["0", "1", "2"], ("0", "1", "2")),
    ("parquet", [0.0, 1.0, 2.5], ("0", "1", "2.5")),
    ("parquet", [2, 10, 2**53 + 1], ("2", "10", str(2**53 + 1))),
    ("parquet", [Decimal("0.00"), Decimal("1.50"), Decimal("2.00")], ("0", "1.5", "2")),
]


@pytest.mark.parametrize(("kind", "labels", "names"), LABELS)
def test_classes_are_numbers_if_all_labels_are_and_words_otherwise(tmp_path, kind, labels, names):
    table = columns()
    y = np.searchsorted(NAMES, table["y"])
    table["y"] = [labels[k] for k in y]
    found = classification_of_file(WRITERS[kind](tmp_path / f"data.{kind}", table), **ROLES)
    assert found.classes == (names or tuple(labels))
    assert_array_equal(found.labels, y)
    assert len(found.document["warnings"]) == ("0.5" in found.classes) + (
        "1.5" in found.classes
    ) + ("2.5" in found.classes)


def test_spellings_of_one_number_are_one_class(tmp_path):
    table = columns()
    y = np.searchsorted(NAMES, table["y"])
    table["y"] = [["0", "0.0", "00"][i % 3] if k == 0 else str(k) for i, k in enumerate(y)]
    found = classification_of_file(write_csv(tmp_path / "data.csv", table), **ROLES)
    assert found.classes == ("0", "1", "2")
    assert_array_equal(found.labels, y)


def test_truth_values_dates_and_categories_are_words(tmp_path):
    table = columns()
    y = np.searchsorted(NAMES, table["y"])
    days = np.array(["2020-01-01", "2020-02-01", "2021-01-01"], dtype="datetime64[D]")
    for values, names in (
        (pa.array(table["y"]).dictionary_encode(), tuple(NAMES)),
        (pa.array(days[y]), tuple(map(str, days))),
        (pa.array(list(table["y"]), pa.large_string()), tuple(NAMES)),
    ):
        path = write_parquet(tmp_path / "data.parquet", table | {"y": values})
        found = classification_of_file(path, **ROLES)
        assert (found.classes, found.labels.tolist()) == (names, y.tolist())
    path = write_parquet(tmp_path / "data.parquet", table | {"y": y > 0})
    assert classification_of_file(path, **PLAIN).classes == ("False", "True")


@both
def test_answers_may_be_named_with_their_labels_in_any_order(tmp_path, kind):
    table = columns()
    path = WRITERS[kind](tmp_path / f"data.{kind}", table)
    judge = classification_of_file(path, **ROLES)
    named = ROLES | {"teacher": ["emu=p_emu", "cat=p_cat", "dog=p_dog"]}
    found = classification_of_file(path, **named)
    assert_array_equal(found.fit.coef, judge.fit.coef)
    assert found.document["arguments"] == judge.document["arguments"]
    assert found.document["arguments"]["teacher"] == dict(zip(NAMES, ANSWERS, strict=True))
    # in the order of the classes, whatever the columns are called
    crossed = classification_of_file(path, **(ROLES | {"teacher": ANSWERS[::-1]}))
    assert crossed.document["arguments"]["teacher"] == dict(zip(NAMES, ANSWERS[::-1], strict=True))
    assert np.abs(crossed.fit.coef - judge.fit.coef).max() > 0.1


def test_equals_signs_may_be_part_of_columns_and_labels(tmp_path):
    table = columns()
    judge = classification_of_file(write_csv(tmp_path / "judge.csv", table), **ROLES)
    names = ["y=cat", "y=dog", "y=emu"]
    renamed = {dict(zip(ANSWERS, names, strict=True)).get(k, k): v for k, v in table.items()}
    path = write_csv(tmp_path / "data.csv", renamed)
    for teacher in (names, [f"{k}=y={k}" for k in NAMES]):
        found = classification_of_file(path, **(ROLES | {"teacher": teacher}))
        assert_array_equal(found.fit.coef, judge.fit.coef)
    table["y"] = [f"={label}=" for label in table["y"]]
    path = write_csv(tmp_path / "data.csv", table)
    found = classification_of_file(path, **(ROLES | {"teacher": [f"={k}==p_{k}" for k in NAMES]}))
    assert_array_equal(found.fit.coef, judge.fit.coef)


@both
def test_class_that_never_occurs_may_have_answers(tmp_path, kind):
    table = columns()
    table["p_fox"] = np.where(table["known"], 0.1, np.nan)
    for name in ANSWERS:
        table[name] = table[name] * 0.9
    path = WRITERS[kind](tmp_path / f"data.{kind}", table)
    teacher = [f"{name[2:]}={name}" for name in [*ANSWERS, "p_fox"]]
    found = classification_of_file(path, **(ROLES | {"teacher": teacher}))
    assert found.classes == (*NAMES, "fox")
    assert [k["objects"] for k in found.document["classes"]][3] == 0
    assert found.probabilities[:, 3].min() > 1e-4
    with pytest.raises(ValueError, match=r"`teacher` must name 3 columns, one .* 'emu', got 4"):
        classification_of_file(path, **(ROLES | {"teacher": [*ANSWERS, "p_fox"]}))


@both
def test_empty_answers_are_what_the_mask_says(tmp_path, kind):
    table = columns()
    path = WRITERS[kind](tmp_path / f"data.{kind}", without(table, "known"))
    found = classification_of_file(path, **(ROLES | {"privileged": None}))
    judge = classification_of_file(WRITERS[kind](tmp_path / f"j.{kind}", table), **ROLES)
    assert_array_equal(found.fit.coef, judge.fit.coef)
    assert found.document["fit"]["n_privileged"] == table["known"].sum()


@both
def test_what_the_mask_leaves_out_is_not_read_as_an_answer(tmp_path, kind):
    table = columns()
    judge = classification_of_file(WRITERS[kind](tmp_path / f"j.{kind}", table), **ROLES)
    for name, wrong in zip(ANSWERS, (-5.0, np.inf, np.nan), strict=True):
        table[name] = np.where(table["known"], table[name], wrong)
    found = classification_of_file(WRITERS[kind](tmp_path / f"data.{kind}", table), **ROLES)
    assert_array_equal(found.fit.coef, judge.fit.coef)


def test_rounded_answers_are_divided_by_their_sum_and_told(tmp_path):
    table = columns()
    for digits, warned in ((4, True), (9, False)):
        rounded = table | {name: table[name].round(digits) for name in ANSWERS}
        found = classification_of_file(write_csv(tmp_path / "data.csv", rounded), **ROLES)
        told = found.document["warnings"]
        assert [w for w in told if "each row was divided by its sum" in w] == told
        assert len(told) == warned
        total = sum(rounded[name] for name in ANSWERS)
        divided = rounded | {name: rounded[name] / total for name in ANSWERS}
        judge = classification_of_file(write_csv(tmp_path / "judge.csv", divided), **ROLES)
        assert_allclose(found.fit.coef, judge.fit.coef, rtol=CLOSE)
        assert judge.document["warnings"] == []


def test_single_precision_is_not_told(tmp_path):
    table = columns()
    single = table | {name: table[name].astype(np.float32) for name in ANSWERS}
    found = classification_of_file(write_parquet(tmp_path / "data.parquet", single), **ROLES)
    assert found.document["warnings"] == []


# --- limits


@both
def test_separable_classes_are_a_warning_and_l2_helps(tmp_path, kind):
    table = {"a": np.arange(20.0), "b": np.ones(20), "y": np.repeat(["no", "yes"], 10)}
    path = WRITERS[kind](tmp_path / f"data.{kind}", table)
    result = classification_of_file(path, target="y")
    assert result.document["certificate"]["separable"]
    assert result.document["warnings"] == [classify.SEPARABLE]
    assert "no optimum exists" in result.text
    assert result.document["certificate"]["existence"] in " ".join(result.text.split())
    assert result.document["certificate"]["gap_per_object"] is None
    json.dumps(result.document, allow_nan=False)
    result = classification_of_file(path, target="y", l2=0.1)
    assert result.document["warnings"] == []
    assert "within" in result.text


def test_printed_regulariser_is_told_to_be_not_convex(file):
    result = classification_of_file(file, **ROLES, regulariser="printed")
    assert "not convex, the least of 5 starts" in " ".join(result.text.split())
    assert result.document["certificate"]["gap"] is None
    again = classification_of_file(file, **ROLES, regulariser="printed")
    assert_array_equal(again.fit.coef, result.fit.coef)  # the starts are the same each time


def test_objects_without_weight_are_predicted_and_count_for_nothing(tmp_path):
    table = columns()
    few = {name: np.asarray(values)[table["w"] > 0] for name, values in table.items()}
    found = classification_of_file(write_csv(tmp_path / "all.csv", table), **ROLES)
    judge = classification_of_file(write_csv(tmp_path / "few.csv", few), **ROLES)
    assert len(found.probabilities) == 150
    assert_allclose(found.fit.coef, judge.fit.coef, rtol=CLOSE)
    for name in ("accuracy", "cross_entropy", "teacher_accuracy", "teacher_cross_entropy"):
        assert_allclose(
            found.document["training"][name], judge.document["training"][name], rtol=CLOSE
        )
    unweighted = table | {"w": np.where(table["known"], 0.0, 1.0)}
    found = classification_of_file(write_csv(tmp_path / "none.csv", unweighted), **ROLES)
    assert found.document["training"]["teacher_accuracy"] is None
    assert "The teacher, where it answers: accuracy none" in found.text


def test_class_that_a_teacher_excludes_has_infinite_loss_and_is_none(tmp_path):
    table = columns()
    at = int(np.flatnonzero(table["known"] & (table["y"] == "cat") & (table["w"] > 0))[0])
    for name, value in zip(ANSWERS, (0.0, 0.5, 0.5), strict=True):
        table[name][at] = value
    found = classification_of_file(write_csv(tmp_path / "data.csv", table), **ROLES)
    assert found.document["training"]["teacher_cross_entropy"] is None


def test_many_classes_and_features_are_cut_to_a_readable_summary(tmp_path):
    rng = np.random.default_rng(0)
    table = {f"feature number {j} of many": rng.standard_normal(300) for j in range(50)}
    table["y"] = [f"the class that is called {k % 12}\x1b" for k in range(300)]
    result = classification_of_file(write_csv(tmp_path / "data.csv", table), target="y", l2=1.0)
    text = result.text
    assert max(map(len, text.splitlines())) < 90
    assert "\x1b" not in text
    assert "… and 11 more: --out or --json tells all" in text
    assert len(result.document["coefficients"]) == 51 * 12


def test_search_that_ends_early_is_told(file, monkeypatch):
    def hurried(*args, **options):
        return distil_classification(*args, **options, max_iter=1)

    monkeypatch.setattr(classify, "distil_classification", hurried)
    result = classification_of_file(file, **ROLES)
    assert any("no certificate" in words for words in result.document["warnings"])
    assert "NOT converged" in result.text


# --- what is written


def test_files_hold_what_was_found(file, tmp_path):
    result = classification_of_file(file, **ROLES)
    written = write_classification(tmp_path / "made" / "out", result)
    assert tuple(path.name for path in written) == FILES
    document = json.loads(written[0].read_text(encoding="utf-8"))
    assert document == json.loads(json.dumps(result.document))
    assert document["file"] == {"name": file.name, "bytes": file.stat().st_size, "rows": 150}
    assert str(tmp_path) not in written[0].read_text(encoding="utf-8")
    with written[1].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    told = np.array([float(row["coefficient"]) for row in rows]).reshape(3, 3)
    assert_array_equal(told, [result.fit.intercept, *result.fit.coef])
    assert [row["name"] for row in rows[::3]] == ["intercept", "a", "b"]
    with written[2].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["row"]) for row in rows] == list(range(150))
    assert [row["label"] for row in rows] == columns()["y"].tolist()
    told = np.array([[float(row[f"p_{name}"]) for name in NAMES] for row in rows])
    assert_array_equal(told, result.probabilities)
    assert [row["predicted"] for row in rows] == NAMES[told.argmax(axis=1)].tolist()
    assert written[3].read_text(encoding="utf-8").startswith("<svg")


def test_figure_is_drawn_whatever_the_classes_are_called(tmp_path):
    table = columns()
    names = np.array(["$x_", "日本\x01", "<&>"])
    table["y\x01 <&>"] = names[np.searchsorted(NAMES, table.pop("y"))]
    path = write_csv(tmp_path / "data.csv", table)
    result = classification_of_file(path, **(ROLES | {"target": "y\x01 <&>"}))
    figure = write_classification(tmp_path / "out", result)[3]
    title = ET.fromstring(figure.read_text(encoding="utf-8"))[0]
    assert title.text == "Classes of y\ufffd <&> and those predicted"


def test_files_are_the_same_bytes_each_time(file, tmp_path):
    first = write_classification(tmp_path / "a", classification_of_file(file, **ROLES))
    second = write_classification(tmp_path / "b", classification_of_file(file, **ROLES))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_failure_while_drawing_leaves_nothing(file, tmp_path, monkeypatch):
    def breaks(*_):
        raise KeyboardInterrupt

    result = classification_of_file(file, **ROLES)
    monkeypatch.setattr(plotting, "confusion_matrix", breaks)
    with pytest.raises(KeyboardInterrupt):
        write_classification(tmp_path / "out", result)
    assert not (tmp_path / "out").exists()


# --- bad input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trust": 1.5}, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"trust": float("nan")}, r"`trust` must be in \[0, 1\], got nan"),
        ({"temperature": 0.0}, "`temperature` must be finite and positive, got 0.0"),
        ({"temperature": float("inf")}, "`temperature` must be finite and positive, got inf"),
        ({"l2": -1.0}, "`l2` must be finite and at least 0, got -1.0"),
        ({"regulariser": "x"}, "`regulariser` must be 'exact' or 'printed', got 'x'"),
        ({"rule": "x"}, "`rule` must be 'softmax' or 'mean', got 'x'"),
        ({"teacher": None, "trust": 0.5}, "`trust` must be left out where there is no teacher"),
        ({"teacher": None, "temperature": 2.0}, "`temperature` must be left out where there is"),
        ({"teacher": None, "regulariser": "exact"}, "`regulariser` must be left out where there"),
        (
            {"teacher": None, "squared_temperature": True},
            "`squared_temperature` must be left out where there is no teacher, got True",
        ),
    ],
)
def test_bad_arguments_are_told_before_the_file_is_read(changes, words):
    with pytest.raises(ValueError, match=words):
        classification_of_file("not-there.csv", **(ROLES | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "z"}, "`target` must be a column, got 'z'"),
        ({"teacher": []}, "`teacher` must name a column for each class, got none"),
        (FEW | {"teacher": ["p_cat", "p_dog"]}, "3 columns, .* classes 'cat', 'dog', 'emu', got 2"),
        ({"teacher": ["p_cat", "p_dog", "p_owl"]}, "`teacher` must be a column, got 'p_owl'"),
        ({"teacher": ["p_cat", "p_dog", "p_cat"]}, "not name 'p_cat', which is a teacher column a"),
        ({"teacher": ["cat=p_cat", "dog=p_dog", "p_emu"]}, "or all LABEL=COLUMN, got 'p_emu' and"),
        ({"teacher": ["cat=p_cat", "dog=p_dog", "emu=x"]}, "`teacher` must be a column, got 'x'"),
        (
            FEW | {"teacher": ["cat=p_cat", "dog=p_dog"]},
            "column for class 'emu', got columns for 'cat'",
        ),
        ({"teacher": ["cat=p_cat", "Dog=p_dog", "emu=p_emu"]}, "name a column for class 'dog', g"),
        (
            FEW | {"teacher": ["cat=p_cat", "cat=p_dog"]},
            "one column for class 'cat', got 'p_cat' and 'p",
        ),
        ({"teacher": ["=p_cat", "dog=p_dog"]}, "`teacher` must be LABEL=COLUMN, got '=p_cat'"),
        ({"teacher": ["y", "p_dog", "p_emu"]}, "`teacher` must not name 'y', which is the target"),
        ({"teacher": None}, "`privileged` must be None without a teacher, got 'known'"),
        ({"privileged": "a"}, "column 'a' .*must hold true or false"),
        ({"weight": "a"}, r"column 'a' must hold weights in \[0, 1e.150\], got -"),
        ({"weight": "y"}, "`weight` must not name 'y', which is the target column"),
        ({"features": ["a", "p_cat"]}, "`features` must not name 'p_cat', which is the teacher c"),
        ({"features": ["y"]}, "`features` must not name 'y', which is the target column"),
    ],
)
def test_bad_columns_are_named(file, changes, words):
    with pytest.raises(ValueError, match=words) as error:
        classification_of_file(file, **(ROLES | changes))
    assert len(str(error.value).splitlines()) == 1


@both
@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("y", None, "column 'y' .*must hold a label, which is a word or .*, got nothing {}"),
        ("y", "  ", "column 'y' .*must hold a label, which is a word or .*, got nothing {}"),
        ("y", "inf", "column 'y' .*must hold a label, which is a word or .*, got 'inf' {}"),
        ("a", np.nan, "column 'a' .*must hold a finite number, got nothing {}"),
        ("a", 1e200, "column 'a' must hold numbers of at most 1e.150 in size, got 1e.200 {}"),
        ("p_dog", np.nan, "column 'p_dog' .*must hold a finite number, got nothing {}"),
        ("p_dog", np.inf, "column 'p_dog' .*must hold a finite number, got '?inf'? {}"),
        ("p_dog", -1.5, "column 'p_dog' must hold probabilities, not logits, got -1.5 {}"),
        ("p_dog", 1.5, r"`teacher` must hold probabilities in each row, .* \+ 1.5 \+ .* {}"),
        ("p_dog", 1e308, r"`teacher` must hold probabilities in each row, .* = 1e.308 {}"),
        ("w", -1.0, "column 'w' must hold weights in .*, got -1.0 {}"),
        ("w", np.nan, "column 'w' .*must hold a finite number, got nothing {}"),
    ],
)
@pytest.mark.parametrize("masked", [True, False])
def test_bad_cell_is_told_with_its_column_and_row(tmp_path, kind, column, value, words, masked):
    table = columns()
    at = int(np.flatnonzero(table["known"])[5])
    table[column] = list(table[column])
    table[column][at] = value
    where = f"in line {at + 2} of" if kind == "csv" else f"in row {at} .from 0."
    path = WRITERS[kind](tmp_path / f"data.{kind}", table)
    roles = ROLES if masked else ROLES | {"privileged": None, "features": ["a", "b"]}
    with pytest.raises(ValueError, match=words.format(where)) as error:
        classification_of_file(path, **roles)
    assert path.name in str(error.value)


@both
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"known": np.zeros(150, dtype=bool)}, "column 'known' must hold true at least once, got"),
        ({"w": np.zeros(150)}, "column 'w' must hold a positive weight, got only zeros"),
        ({"y": ["cat"] * 150}, "column 'y' must hold at least two classes, got only 'cat'"),
    ],
)
def test_columns_that_say_too_little_are_told(tmp_path, kind, change, words):
    path = WRITERS[kind](tmp_path / f"data.{kind}", columns() | change)
    with pytest.raises(ValueError, match=words):
        classification_of_file(path, **ROLES)


@pytest.mark.parametrize("factor", [0.5, 0.998, 1.002, 100.0])
def test_answers_that_miss_1_by_more_than_rounding_are_refused(tmp_path, factor):
    table = columns()
    for name in ANSWERS:
        table[name] = np.where(np.arange(150) > 100, factor, 1.0) * table[name]
    first = int(np.flatnonzero(table["known"][101:])[0]) + 101
    words = rf"which sum to 1, got .* = {factor:g} in line {first + 2} of"
    with pytest.raises(ValueError, match=words):
        classification_of_file(write_csv(tmp_path / "data.csv", table), **ROLES)


@both
def test_teacher_that_never_answers_is_told(tmp_path, kind):
    table = columns() | dict.fromkeys(ANSWERS, np.full(150, np.nan))
    path = WRITERS[kind](tmp_path / f"data.{kind}", table)
    words = "columns 'p_cat', 'p_dog', 'p_emu' must hold a teacher's answer at least once, got noth"
    with pytest.raises(ValueError, match=words):
        classification_of_file(path, **(ROLES | {"privileged": None}))


@pytest.mark.parametrize("values", [[[1], [2]], [b"a", b"b"], [None, None]])
def test_what_is_no_label_is_named_with_its_kind(tmp_path, values):
    path = write_parquet(tmp_path / "data.parquet", {"y": values, "a": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"column 'y' of .* must hold labels, got (list|bin|null)"):
        classification_of_file(path, target="y")


def test_label_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "foreign.csv"
    path.write_bytes(b"y,a\nno,1\nd\xe9j\xe0,2\n")
    with pytest.raises(ValueError, match=r"column 'y' must hold text in UTF-8, got 'd.* in line 3"):
        classification_of_file(path, target="y")


@both
def test_file_beyond_the_memory_is_refused_with_the_way_out(tmp_path, kind):
    path = WRITERS[kind](tmp_path / f"data.{kind}", columns())
    words = "`path` must hold at most .* GiB of numbers, .*: name fewer features, or take a sample"
    read = 8 * 150 * 4  # two features, the label and the weight
    with pytest.raises(ValueError, match=words):
        classification_of_file(path, **PLAIN, large=read - 1)
    held = 8 * 150 * (2 + 8 * 3)  # two features, and 8 numbers for each of the classes
    classification_of_file(path, **PLAIN, large=held)
    words = "`path` must be fitted within .* GiB, got 150 rows of 3 classes in .*: join classes, or"
    for large in (read, held - 1):
        with pytest.raises(ValueError, match=words):
            classification_of_file(path, **PLAIN, large=large)


def test_room_is_counted_before_a_fit_with_too_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(classify, "distil_classification", None)  # raises if it is called
    path = tmp_path / "data.csv"
    path.write_text("a,y\n" + "".join(f"{i},w{i}\n" for i in range(6000)), encoding="utf-8")
    with pytest.raises(ValueError, match="within 2 GiB, got 6000 rows of 6000 classes"):
        classification_of_file(path, target="y")


def test_labels_that_are_measurements_are_told(tmp_path):
    rng = np.random.default_rng(0)
    table = {"a": rng.standard_normal(30), "y": rng.standard_normal(30).round(1)}
    result = classification_of_file(write_csv(tmp_path / "data.csv", table), target="y", l2=1.0)
    assert "the labels in 'y' are numbers with fractions" in result.document["warnings"][0]


def test_feature_called_intercept_needs_that_there_is_no_other(tmp_path):
    table = columns()
    table["intercept"] = table.pop("a")
    path = write_csv(tmp_path / "data.csv", table)
    with pytest.raises(ValueError, match="`features` must leave out the column 'intercept' where"):
        classification_of_file(path, **ROLES)
    assert classification_of_file(path, **ROLES, fit_intercept=False).fit.coef.shape == (2, 3)


cells = st.sampled_from(
    [b"1", b"0.5", b"0", b"-2", b"x", b"", b'"', b",", b"\n", b"\r", b"nan", b"1e999", b"\xff"]
)
texts = st.one_of(
    st.binary(max_size=200),
    st.lists(cells, max_size=60).map(b",".join).map(lambda body: b"a,y,p,q\n" + body),
    st.lists(cells, max_size=60).map(b"".join).map(lambda body: b"a,y,p,q\n1,no,1,0\n" + body),
    st.lists(st.tuples(*[cells] * 4), max_size=20).map(
        lambda rows: b"\n".join([b"a,y,p,q", b"1,x,1,0", b"2,1,0.5,0.5", *map(b",".join, rows)])
    ),
)


@given(
    texts,
    st.sampled_from([".csv", ".parquet", ".csv.gz"]),
    st.sampled_from([None, ["p", "q"], ["q=p", "x=q"], ["1=p", "x=q"]]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_an_answer_or_one_line(tmp_path, content, ending, teacher):
    path = tmp_path / f"data{ending}"
    path.write_bytes(content)
    told = "an answer"
    try:
        result = classification_of_file(path, target="y", teacher=teacher, features=["a"])
        json.dumps(result.document, allow_nan=False)
        assert result.text
    except (ValueError, TypeError) as error:
        told = str(error)
    assert len(told.splitlines()) == 1


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_parquet_file_gives_an_answer_or_one_line(tmp_path, at, content, cut):
    path = write_parquet(tmp_path / "data.parquet", columns(60))
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] + content + (b"" if cut else whole[at + len(content) :]))
    told = "an answer"
    try:
        classification_of_file(path, **ROLES)
    except (ValueError, TypeError) as error:
        told = str(error)
    assert len(told.splitlines()) == 1


def test_warnings_of_others_are_not_swallowed_for_good(file):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classification_of_file(file, **ROLES)
        warnings.warn("later", UserWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == ["later"]


def test_package_that_is_missing_is_named_with_its_extra(file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"kdtheory\[tables\]"):
        classification_of_file(file, **ROLES)


def test_limits_are_stated_in_the_docstring():
    words = " ".join(classification_of_file.__doc__.split())
    assert f"sum to 1 up to {classify.ROUNDED}" in words
    assert classify.LARGE == 2**31
