"""The experiment of MD on small made-up pictures; its numbers against slow computations."""

import json
from types import SimpleNamespace

import made_up_results
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import log_softmax, softmax

import kdtheory.experiments.domains as domains_module
from kdtheory.datasets import ImageData
from kdtheory.experiments.degradations import block_means, partly_hidden
from kdtheory.experiments.domains import (
    KINDS,
    LOSSES,
    MD_LAMBDAS,
    PAIRS,
    UNLABELLED,
    Scored,
    _area,
    _base_result,
    _difference,
    _draw,
    _link,
    _losses,
    _moments_along_axes,
    _pair_result,
    _paired,
    _parts,
    _regression_draw,
    _rng,
    _rows,
    _Sizes,
    _target_parts,
    _World,
    experiment_of_md,
    settings,
)
from kdtheory.files import json_text, plain_data
from kdtheory.neural import IGNORED, epoch_order
from kdtheory.neural_page import experiment_page, read_result
from kdtheory.neural_runs import run_in_folder

EPS = 1e-12  # a few dozen roundings of float64
SINGLE = 1e-5  # of float32, for sums of some hundred terms
ADAM = 2e-3  # float32 against float64 after ten steps: where m/√v is near 0/0 it magnifies
SEEDS = 2
TINY = _Sizes(
    source=300,
    pool=160,
    labelled=50,
    validation=40,
    pairs=60,
    moments=300,
    axes=12,
    test=120,
    teacher_epochs=3,
    student_epochs=2,
    network_epochs=2,
    checkpoints=(4, 10),
    most_seeds=SEEDS,
)
SECONDS = ("seconds",)


def made_up(n_train=460, n_test=120, seed=0):
    """Ten classes, each a bright patch at a place of its own, with noise over it."""
    rng = np.random.default_rng(seed)

    def sample(n):
        labels = rng.integers(10, size=n)
        images = rng.integers(0, 90, size=(n, 28, 28))
        for image, label in zip(images, labels, strict=True):
            row, column = 4 + 4 * (label // 4), 3 + 6 * (label % 4)
            image[row : row + 6, column : column + 6] += rng.integers(0, 160)
        return images.astype(np.uint8), labels

    train, test = sample(n_train), sample(n_test)
    return ImageData(*train, *test, tuple("abcdefghij"), {"made-up": "0" * 64})


@pytest.fixture(autouse=True)
def _one_thread_and_few_objects(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(domains_module, "QUICK", TINY)


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domains_module, "QUICK", TINY)
        return experiment_of_md(made_up(), seeds=SEEDS, quick=True)


def world(data=None):
    """Data and a teacher that is one product, and not sure."""
    parts = _parts(made_up() if data is None else data, TINY)
    matrix = np.random.default_rng(3).standard_normal((784, 10)) / 20

    def answers(X):
        return np.asarray(X, dtype=float) @ matrix

    return _World(*parts, TINY, SEEDS, "cpu", answers)


def without_times(document):
    return {key: value for key, value in document.items() if key not in SECONDS}


# --- oracle


def test_losses_follow_their_definition():
    rng = np.random.default_rng(1)
    logits, labels = 30 * rng.standard_normal((3, 20, 10)), rng.integers(10, size=20)
    found = _losses(logits, labels)
    wanted = -log_softmax(logits, axis=-1)[:, np.arange(20), labels]
    assert_allclose(found["cross_entropy"], wanted, rtol=EPS, atol=EPS)
    assert_array_equal(found["accuracy"], logits.argmax(axis=-1) == labels)


def test_interval_of_a_difference_is_that_of_t_after_bonferroni():
    values = np.random.default_rng(2).standard_normal(12) + 1
    found = _difference(values, 0.0, 20, more_is_better=False)
    judge = stats.ttest_1samp(values, 0).confidence_interval(1 - 0.05 / 20)
    assert_allclose((found.change, found.low, found.high), (values.mean(), *judge), rtol=EPS)
    wider = _difference(values, values.var(ddof=1) / 12, 20, more_is_better=False)
    ratio = (wider.high - wider.low) / (found.high - found.low)
    assert_allclose(ratio, np.sqrt(2), rtol=EPS)


def test_variance_over_images_is_that_of_the_mean_over_seeds():
    rng = np.random.default_rng(4)
    first, second = rng.random((3, 200)), rng.random((3, 200))
    found = _paired(first, second)
    assert_allclose(found["differences"], (first - second).mean(axis=1), rtol=EPS)
    error = stats.sem((first - second).mean(axis=0))
    assert_allclose(found["image_variance"], error**2, rtol=EPS)


def test_variance_over_images_is_of_the_difference_from_the_student_alone(monkeypatch):
    at = world()
    at = at._replace(sizes=TINY._replace(checkpoints=(10,)))  # one reading: that is the best
    links = {"identity": _link("identity", "few", at)}
    seen = []

    def spied(logits, labels):
        seen.append(_losses(logits, labels))
        return seen[-1]

    monkeypatch.setattr(domains_module, "_losses", spied)
    found = _draw("few", 0, links, at)
    rows = list(_rows(tuple(links)))
    losses = seen[0]  # of all students on the test set; the teacher is scored after them
    for i, row in enumerate(rows):
        alone = 1 if row.loss == "squares" else 0
        for measure in ("accuracy", "cross_entropy"):
            gap = losses[measure][i].astype(float) - losses[measure][alone]
            judge = gap.var(ddof=1) / len(gap)
            got = found[measure]["image_variance"][i]
            assert_allclose(got, judge, rtol=SINGLE, atol=SINGLE**2)
    assert found["cross_entropy"]["image_variance"][:2] == [0, 0]


@pytest.mark.parametrize(
    ("link", "loss", "md_lambda"),
    [
        (None, "cross-entropy", 1.0),
        ("identity", "cross-entropy", 0.25),
        ("identity", "squares", 0.75),
        ("moments", "squares", 0.0),
        ("ridge", UNLABELLED, 0.5),
    ],
)
def test_students_of_a_draw_are_those_of_a_plain_loop(link, loss, md_lambda):
    at, name, seed = world(), "hidden", 1
    pair = PAIRS[name]
    links = {kind: _link(kind, name, at) for kind in pair.links if kind != "network"}
    found = _draw(name, seed, links, at)
    row = [tuple(r) for r in _rows(tuple(links))].index((link, loss, md_lambda))

    X = partly_hidden(at.pool.pictures, 14, _rng(name, seed)).reshape(-1, 784).astype(float)
    X_test = partly_hidden(at.test.pictures, 14, _rng(name, 10**6)).reshape(-1, 784)
    labelled, validation, unlabelled = _target_parts(at, seed)
    both = np.concatenate([labelled, unlabelled]) if loss == UNLABELLED else labelled
    teacher = torch.zeros(len(both), 10, dtype=torch.float64)
    if link is not None:
        teacher = torch.from_numpy(softmax(at.answers(links[link](X[both])), axis=1))
    known = torch.arange(len(both)) < len(labelled)
    y = torch.nn.functional.one_hot(torch.from_numpy(at.pool.labels[both]), 10) * known[:, None]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = torch.nn.Linear(784, 10).double()
        # as drawn in float32
        torch.manual_seed(seed)
        student.load_state_dict(torch.nn.Linear(784, 10).state_dict())
    adam = torch.optim.Adam(student.parameters(), lr=domains_module.WEAK_RATES[784])
    batch, scores, step, epoch = len(labelled), [], 0, 0
    while step < TINY.checkpoints[-1]:
        whole = batch >= len(both)
        order = torch.arange(len(both)) if whole else epoch_order(len(both), seed, epoch)
        epoch += 1
        for rows in order.split(batch):
            z = student(torch.from_numpy(X[both[rows.numpy()]]))
            p, log_p = z.softmax(1), z.log_softmax(1)
            if loss == "squares":
                of_labels = ((p - y[rows]) ** 2).sum(1) * known[rows]
                of_teacher = ((p - teacher[rows]) ** 2).sum(1)
            else:
                of_labels = -(y[rows] * log_p).sum(1)
                of_teacher = -(teacher[rows] * log_p).sum(1)
            adam.zero_grad()
            (md_lambda * of_labels + (1 - md_lambda) * of_teacher).mean().backward()
            adam.step()
            step += 1
            if step in TINY.checkpoints:
                with torch.no_grad():
                    judged, tested = (
                        _losses(student(torch.from_numpy(x.astype(float))).numpy(), labels)
                        for x, labels in (
                            (X[validation], at.pool.labels[validation]),
                            (X_test, at.test.labels),
                        )
                    )
                scores.append((judged["cross_entropy"].mean(), tested["cross_entropy"].mean()))
            if step == TINY.checkpoints[-1]:
                break
    best = int(np.argmin([score[0] for score in scores]))
    assert found["steps"][row] == TINY.checkpoints[best]
    assert_allclose(found["validation"][row], scores[best][0], rtol=ADAM)
    assert_allclose(found["cross_entropy"]["mean"][row], scores[best][1], rtol=ADAM)
    assert IGNORED == -100


def test_moments_agree_along_the_axes_of_the_source():
    rng = np.random.default_rng(5)
    source = rng.random((300, 30)) @ rng.random((30, 30))
    target = rng.random((200, 30)) ** 2
    mapped = _moments_along_axes(target, source, 8)(target)
    assert_allclose(mapped.mean(axis=0), source.mean(axis=0), rtol=SINGLE)
    values, vectors = np.linalg.eigh(np.cov(source.T))
    axes = vectors[:, -8:]
    assert_allclose(np.cov((mapped @ axes).T), np.diag(values[-8:]), atol=SINGLE * values[-1])
    rest = vectors[:, :-8]
    assert_allclose((mapped @ rest).std(axis=0), 0, atol=SINGLE)


@pytest.mark.parametrize("ridges", [(0.1, 1.0, 10.0), (0.3, 3.0)])
def test_students_of_regression_are_ridge_on_blended_answers(ridges, monkeypatch):
    monkeypatch.setattr(domains_module, "RIDGES", ridges)
    at = world()
    link = _link("repetition", "coarse", at)
    rng = np.random.default_rng(6)
    parts = [
        SimpleNamespace(X=block_means(o.pictures[:60], 7).reshape(60, 49), y=_area(o.pictures[:60]))
        for o in (at.source, at.pool, at.test)
    ]
    coef = rng.standard_normal(784) / 784

    def teacher(U):
        return U @ coef

    numbers = [domains_module._Numbers(part.X, part.y) for part in parts]
    found = _regression_draw(*numbers, teacher, link)

    def errors(md_lambda, ridge):
        X, y = parts[0].X.astype(float), parts[0].y
        blend = md_lambda * y + (1 - md_lambda) * teacher(link(parts[0].X))
        center = X.mean(axis=0)
        centred = X - center
        w = np.linalg.solve(
            centred.T @ centred + ridge * np.eye(49), centred.T @ (blend - blend.mean())
        )
        return [np.sqrt(np.mean(((p.X - center) @ w + blend.mean() - p.y) ** 2)) for p in parts[1:]]

    ridge = min(ridges, key=lambda r: errors(1.0, r)[0])
    for md_lambda in (1.0, *MD_LAMBDAS):
        rmse, trust, _ = found[md_lambda]
        assert_allclose(rmse, errors(md_lambda, ridge)[1], rtol=SINGLE)
        assert_allclose(trust, 1 - md_lambda)
    assert_allclose(found["loo"][0], errors(1 - found["loo"][1], ridge)[1], rtol=SINGLE)
    assert found[1.0][2] == 0
    assert found[0.0][2] > 0


# --- laws


def test_nobody_is_in_two_parts():
    data = made_up()
    at = world(data)
    places = {image.tobytes(): i for i, image in enumerate(data.train_images)}

    def rows(objects):
        return {places[np.rint(255 * p).astype(np.uint8).tobytes()] for p in objects.pictures}

    source, pool = rows(at.source), rows(at.pool)
    assert (len(source), len(pool)) == (TINY.source, TINY.pool)
    assert not source & pool
    for seed in range(2):
        parts = _target_parts(at, seed)
        assert_array_equal(np.sort(np.concatenate(parts)), np.arange(TINY.pool))
        assert [len(part) for part in parts] == [50, 40, 70]
    assert (_target_parts(at, 0)[0] != _target_parts(at, 1)[0]).any()


def test_test_set_chooses_nothing():
    data = made_up()
    other = ImageData(
        data.train_images, data.train_labels, data.test_images[::-1],
        (data.test_labels + 1) % 10, data.classes, data.digests,
    )  # fmt: skip
    found = []
    for given in (data, other):
        at = world(given)
        links = {"identity": _link("identity", "few", at)}
        found.append(_draw("few", 0, links, at))
    assert found[0]["steps"] == found[1]["steps"]
    assert found[0]["validation"] == found[1]["validation"]
    assert found[0]["accuracy"] != found[1]["accuracy"]


def test_tables_hold_every_student_by_link_loss_and_lambda(result):
    assert [pair.pair for pair in result.pairs] == list(PAIRS)
    for pair in result.pairs:
        assert [table.link for table in pair.links] == list(PAIRS[pair.pair].links)
        assert pair.n_unlabelled == TINY.pool - TINY.labelled - TINY.validation
        n_changes = 0
        for table in pair.links:
            rows = [(row.loss, row.md_lambda) for row in table.rows]
            each = [(loss, md) for loss in LOSSES for md in (1.0, *MD_LAMBDAS, "chosen")]
            assert rows == [*each, (UNLABELLED, 0.5)]
            for row in table.rows:
                alone = row.md_lambda == 1.0
                assert (row.accuracy_change is None) == alone
                assert (row.cross_entropy_change is None) == alone
                n_changes += 0 if alone else 2
        assert n_changes == pair.n_comparisons
        assert len({table.rows[0] for table in pair.links}) == 1  # alone, whatever the link


def test_changes_are_differences_of_the_means(result):
    for pair in result.pairs:
        for table in pair.links:
            alone = {row.loss: row for row in table.rows if row.md_lambda == 1.0}
            alone[UNLABELLED] = alone["cross-entropy"]
            for row in table.rows:
                for measure in ("accuracy", "cross_entropy"):
                    change = getattr(row, f"{measure}_change")
                    if change is None:
                        continue
                    gap = getattr(row, measure).mean - getattr(alone[row.loss], measure).mean
                    assert_allclose(change.change, gap, atol=SINGLE)
                    assert change.low <= change.change <= change.high


def test_chosen_students_are_those_of_least_validation_loss():
    at, rng, n = world(), np.random.default_rng(7), 3
    links = PAIRS["hidden"].links
    rows = [tuple(row) for row in _rows(links)]
    draws = [
        {
            "through": {link: {"accuracy": 0.5, "cross_entropy": 1.0} for link in links},
            "steps": rng.choice(TINY.checkpoints, len(rows)).tolist(),
            "validation": rng.random(len(rows)).tolist(),
        }
        | {
            measure: {key: rng.random(len(rows)).tolist() for key in ("mean", "image_variance")}
            for measure in ("accuracy", "cross_entropy")
        }
        for _ in range(n)
    ]
    found = _pair_result("hidden", draws, Scored(0.9, 0.3), at)
    for table in found.links:
        for loss in LOSSES:
            own = [rows.index((None, loss, 1.0))]
            own += [rows.index((table.link, loss, md)) for md in MD_LAMBDAS]
            best = [own[int(np.argmin([draw["validation"][i] for i in own]))] for draw in draws]
            row = next(r for r in table.rows if (r.loss, r.md_lambda) == (loss, "chosen"))
            pairs = list(zip(draws, best, strict=True))
            accuracy = np.array([draw["accuracy"]["mean"][i] for draw, i in pairs])
            alone = np.array([draw["accuracy"]["mean"][own[0]] for draw in draws])
            images = np.mean([draw["accuracy"]["image_variance"][i] for draw, i in pairs])
            assert_allclose(row.accuracy.mean, accuracy.mean(), rtol=EPS)
            judge = _difference(accuracy - alone, images, found.n_comparisons, more_is_better=True)
            assert row.accuracy_change == judge
            steps = np.array([draw["steps"][i] for draw, i in pairs])
            assert_allclose(row.steps, steps.mean())
            assert_allclose(row.at_last_step, (steps == TINY.checkpoints[-1]).mean())


def test_more_accuracy_and_less_loss_are_better():
    values = np.array([0.1, 0.11, 0.12])
    assert _difference(values, 0.0, 1, more_is_better=True).verdict == "better"
    assert _difference(values, 0.0, 1, more_is_better=False).verdict == "worse"
    assert _difference(-values, 0.0, 1, more_is_better=True).verdict == "worse"
    assert _difference(values, 1.0, 1, more_is_better=True).verdict == "undecided"


def test_base_compares_each_teacher_with_its_own_loss_alone(result):
    base = result.base
    assert [curve.student for curve in base.curves] == list(KINDS)
    assert base.epochs == (1, 2)
    readings = {(row["student"], row["reading"]): row for row in base.readings}
    assert base.n_comparisons == len(base.changes) == 12
    for change in base.changes:
        assert change.against == ("squares without" if change.student == "squares" else "without")
        one, other = (readings[s, change.reading] for s in (change.student, change.against))
        gap = one[change.measure].mean - other[change.measure].mean
        assert_allclose(change.change, gap, atol=SINGLE)
    for curve in base.curves:
        last = readings[curve.student, "last epoch"]
        assert_allclose(curve.test_accuracy["mean"][-1], last["accuracy"].mean, atol=SINGLE)
        assert_allclose(
            curve.test_cross_entropy["mean"][-1], last["cross_entropy"].mean, rtol=SINGLE
        )


def test_verdicts_of_the_base_follow_its_numbers():
    change = {"student": "squares", "against": "squares without", "reading": "last epoch"}
    found = {
        "curves": {m: np.full((1, len(KINDS), 3), 0.5) for m in ("accuracy", "cross_entropy")},
        "readings": [],
        "changes": [
            change | {"measure": m, "differences": [0.1, 0.11, 0.12], "image_variance": 0.0}
            for m in ("accuracy", "cross_entropy")
        ],
    }
    teacher = Scored(0.9, 0.3)
    changes = _base_result(teacher, found).changes
    assert [c.verdict for c in changes] == ["better", "worse"]


def test_result_is_plain_json_with_pictures(result):
    document = plain_data(result)
    assert json.loads(json_text(document)) == document
    assert document["quick"] is True
    assert document["data"]["name"] == "FashionMNIST"
    sizes = {e["domain"]: np.shape(e["pictures"]) for e in document["examples"]}
    assert sizes["coarse"] == (3, 7, 7)
    assert {shape for name, shape in sizes.items() if name != "coarse"} == {(3, 28, 28)}
    values = np.concatenate([np.ravel(e["pictures"]) for e in document["examples"]])
    assert 0 <= values.min() <= values.max() <= 255
    assert values.dtype.kind == "i"
    for name in ("teacher", "base", *PAIRS, "regression", "total"):
        assert document["seconds"][name] > 0


def test_regression_has_a_row_for_each_lambda(result):
    regression = result.regression
    assert [table.link for table in regression.links] == ["repetition", "bilinear", "ridge"]
    for table in regression.links:
        assert [row.md_lambda for row in table.rows] == [1.0, *MD_LAMBDAS, "loo"]
        assert [row.rmse_change is None for row in table.rows] == [True] + 5 * [False]
        alone = table.rows[0]
        for row in table.rows[1:]:
            assert_allclose(row.rmse_change.change, row.rmse.mean - alone.rmse.mean, atol=EPS)
        assert 0 <= table.rows[-1].trust <= 1


def test_killed_run_is_continued_to_the_same_numbers(result, tmp_path, monkeypatch):
    calls = []

    def killed(name, seed, links, at):
        calls.append((name, seed))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return _draw(name, seed, links, at)

    monkeypatch.setattr(domains_module, "_draw", killed)
    with pytest.raises(KeyboardInterrupt):
        experiment_of_md(made_up(), seeds=SEEDS, quick=True, folder=tmp_path)
    told = []
    found = experiment_of_md(
        made_up(), seeds=SEEDS, quick=True, folder=tmp_path, tell=lambda **k: told.append(k)
    )
    total = 3 + SEEDS * len(PAIRS)
    assert calls[4:] == [(n, s) for n in PAIRS for s in range(SEEDS)][3:]
    assert {"total": total, "completed": 5} == {k: told[1][k] for k in ("total", "completed")}
    assert sum(k.get("advance", 0) for k in told) == total - 5
    assert without_times(plain_data(found)) == without_times(plain_data(result))
    # and once more, when nothing is left to do
    again = experiment_of_md(made_up(), seeds=SEEDS, quick=True, folder=tmp_path)
    assert plain_data(again) == plain_data(found)


# what is left out names things, bounds an argument that is told, or judges finished numbers
JUDGEMENT = {"LEVEL", "MEASURES", "READINGS", "LINKS", "PACKAGES", "MOST_SEEDS"}
SHAPE = {"SIDE", "N_CLASSES", "FULL", "QUICK", "UNLABELLED"}  # of the data; told as sizes, losses
CONSTANTS = [
    name for name in vars(domains_module) if name.isupper() and name not in JUDGEMENT | SHAPE
]


@pytest.mark.parametrize("name", CONSTANTS)
def test_settings_tell_every_constant(name, monkeypatch):
    before = settings(made_up())
    value = getattr(domains_module, name)
    if isinstance(value, tuple):
        other = value[:-1]
    elif isinstance(value, dict):
        other = dict(list(value.items())[:-1])
    else:
        other = value + 1
    monkeypatch.setattr(domains_module, name, other)
    assert settings(made_up()) != before


@pytest.mark.parametrize("field", _Sizes._fields)
def test_settings_tell_every_size(field, monkeypatch):
    before = settings(made_up(), quick=True)
    value = getattr(TINY, field)
    other = (*value, 11) if isinstance(value, tuple) else value + 1
    monkeypatch.setattr(domains_module, "QUICK", TINY._replace(**{field: other}))
    assert settings(made_up(), quick=True) != before


def test_settings_are_plain_and_tell_data_and_versions():
    found = settings(made_up(), seeds=7)
    assert json.loads(json_text(found)) == found
    assert found["seeds"] == 7
    assert found["data"]["digests"] == {"made-up": "0" * 64}
    assert {"kdtheory", "torch", "numpy"} <= set(found["versions"])
    assert settings(made_up(), seeds=7, quick=True)["seeds"] == SEEDS


def test_the_result_has_a_page(result, tmp_path, monkeypatch):
    monkeypatch.setattr(domains_module, "experiment_of_md", lambda *_, **__: result)
    out = tmp_path / "run"
    document, _ = run_in_folder("domains", made_up(), out, seeds=SEEDS, quick=True)
    assert document == read_result("out", out, "domains")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page == experiment_page("domains", document)
    assert page.endswith("</html>\n")
    assert all(f">{change.verdict}</span>" in page for change in result.base.changes)
    assert document["result"].keys() == made_up_results.domains()["result"].keys()


# --- limits


def test_area_is_the_share_of_pixels_that_are_not_black():
    picture = np.zeros((2, 28, 28), dtype=np.float32)
    picture[1, :14] = 1 / 255
    assert_array_equal(_area(picture), [0, 0.5])


def test_teacher_through_the_identity_is_the_teacher(result):
    few = result.pairs[-1]
    through = few.links[0].teacher_through_link
    assert_allclose(through.accuracy.mean, few.source_teacher.accuracy, rtol=EPS)
    assert_allclose(through.cross_entropy.mean, few.source_teacher.cross_entropy, rtol=EPS)


def test_same_loss_alone_changes_nothing():
    zeros = _difference(np.zeros(3), 0.0, 5, more_is_better=True)
    assert (zeros.change, zeros.low, zeros.high, zeros.verdict) == (0, 0, 0, "undecided")


# --- bad input


def test_bad_numbers_are_named():
    with pytest.raises(ValueError, match=r"`seeds` must be at least 2, got 1"):
        experiment_of_md(made_up(), seeds=1)
    with pytest.raises(ValueError, match=r"`seeds` must be at most 1000, got 1001"):
        settings(made_up(), seeds=1001)
    with pytest.raises(TypeError, match=r"`seeds` must be an integer, got 2.5"):
        settings(made_up(), seeds=2.5)
    with pytest.raises(TypeError, match=r"`quick` must be True or False, got 'yes'"):
        settings(made_up(), quick="yes")


def test_too_few_pictures_are_named():
    with pytest.raises(ValueError, match=r"`data.train_images` must hold at least 460 pictures"):
        experiment_of_md(made_up(n_train=459), quick=True)
    with pytest.raises(ValueError, match=r"`data.test_images` must hold at least 120 .* \(119, 28"):
        experiment_of_md(made_up(n_test=119), quick=True)
    with pytest.raises(ValueError, match=r"`data.train_images` must hold at least 60000 pictures"):
        experiment_of_md(made_up())


def test_folder_of_other_settings_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json_text(settings(made_up(), seeds=3)))
    with pytest.raises(ValueError, match=r"`folder` must hold a run of the same configuration"):
        experiment_of_md(made_up(), seeds=2, quick=True, folder=tmp_path)
