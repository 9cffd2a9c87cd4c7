"""A fleet teaches each student what a loop of its own would."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from kdtheory.neural.batches import IGNORED, epoch_order
from kdtheory.neural.fleet import DivergedError, Fleet, Sample, Student
from kdtheory.neural.losses import DistillationLoss, DomainDistillationLoss
from kdtheory.neural.normaliser import normaliser_gradient

K, N_FEATURES, N_ROWS, BATCH = 4, 6, 90, 16
CURVE = 1e-5  # relative: sums of float32 in another order, along the steps of Adam
DOUBLE = 1e-9  # the same in float64
ALONE = 1e-6  # products of other shapes add in another order

LOSSES = {
    "labels": Student(),
    "trust": Student(trust=0.6),
    "only the teacher": Student(trust=1.0),
    "warm": Student(trust=0.4, temperature=3.0),
    "cool": Student(trust=0.4, temperature=0.5),
    "warm, T²": Student(trust=0.7, temperature=3.0, squared_temperature=True),
    "exact": Student(trust=0.5, regulariser="exact"),
    "exact, warm": Student(trust=0.5, temperature=2.0, regulariser="exact"),
    "exact, T²": Student(trust=0.3, temperature=2.0, regulariser="exact", squared_temperature=True),
    "printed": Student(trust=0.5, regulariser="printed"),
    "printed, warm": Student(trust=0.3, temperature=2.0, regulariser="printed"),
    "squares": Student(trust=0.4, loss="squares"),
    "squares of labels": Student(loss="squares"),
    "fast": Student(trust=0.5, learning_rate=0.05),
    "decay": Student(trust=0.5, weight_decay=0.1),
    "other seed": Student(trust=0.5, temperature=2.0, seed=3),
}


@pytest.fixture(scope="module")
def X():
    return torch.rand(N_ROWS, N_FEATURES, generator=torch.Generator().manual_seed(0))


def some_sample(m=N_ROWS, *, seed=0, partly=False, unknown=False, teacher=True):
    rng = np.random.default_rng(seed)
    rows = rng.permutation(N_ROWS)[:m]
    labels = rng.integers(K, size=m)
    if unknown:
        labels[rng.random(m) < 0.3] = IGNORED
    return Sample(
        rows,
        labels,
        2 * rng.normal(size=(m, K)) if teacher else None,
        rng.random(m) < 0.5 if partly and teacher else None,
    )


def own_module(student, hidden, dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(student.seed)
        if hidden is None:
            return nn.Linear(N_FEATURES, K, dtype=dtype)
        return nn.Sequential(
            nn.Linear(N_FEATURES, hidden, dtype=dtype),
            nn.ReLU(),
            nn.Linear(hidden, K, dtype=dtype),
        )


class OrderOfEpochs:
    """The sampler of one epoch after another."""

    def __init__(self, m, seed):
        self.m, self.seed, self.epoch = m, seed, -1

    def __len__(self):
        return self.m

    def __iter__(self):
        self.epoch += 1
        return iter(epoch_order(self.m, self.seed, self.epoch).tolist())


def own_loop(student, X, sample, n_steps, *, hidden=None, batch_size=BATCH):
    """The usual loop: its losses, and the module at the end."""
    module = own_module(student, hidden, X.dtype)
    optimiser = torch.optim.Adam(
        module.parameters(), lr=student.learning_rate, weight_decay=student.weight_decay
    )
    m = len(sample.rows)
    tensors = [X[torch.as_tensor(sample.rows)], torch.as_tensor(sample.labels)]
    if sample.teacher_logits is not None:
        mask = np.ones(m, dtype=bool) if sample.privileged is None else sample.privileged
        tensors += [torch.as_tensor(sample.teacher_logits).to(X.dtype), torch.as_tensor(mask)]
    if student.loss == "squares":
        loss = DomainDistillationLoss(student.trust)
    else:
        loss = DistillationLoss(
            student.trust,
            student.temperature,
            student.regulariser,
            squared_temperature=student.squared_temperature,
        )
    order = OrderOfEpochs(m, student.seed)
    loader = DataLoader(TensorDataset(*tensors), batch_size=batch_size, sampler=order)
    losses = []
    while True:
        for features, labels, *answers in loader:
            if len(losses) == n_steps:
                return np.array(losses), module
            names = ("teacher_logits", "privileged")[: len(answers)]
            value = loss(module(features), labels, **dict(zip(names, answers, strict=True)))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            losses.append(value.item())


def curves(fleet, n_steps):
    """Losses of all steps, shape (steps, S)."""
    losses = []
    for _ in range(n_steps):
        fleet.train(1)
        losses.append(fleet.loss)
    return np.array(losses)


def weights_of(fleet, student):
    return [tensor.detach() for tensor in fleet.student_module(student).parameters()]


# --- oracle: the usual loop


@pytest.mark.parametrize("hidden", [None, 5])
@pytest.mark.parametrize(
    "kind", [{}, {"partly": True}, {"unknown": True}, {"partly": True, "unknown": True}]
)
def test_curves_are_those_of_the_usual_loop(X, hidden, kind):
    sample = some_sample(**kind)
    students = list(LOSSES.values())
    fleet = Fleet(students, X, [sample], K, hidden=hidden, batch_size=BATCH)
    found = curves(fleet, 20)  # of 6 a epoch, the last smaller
    for i, (name, student) in enumerate(LOSSES.items()):
        wanted, module = own_loop(student, X, sample, 20, hidden=hidden)
        np.testing.assert_allclose(found[:, i], wanted, rtol=CURVE, err_msg=name)
        for own, other in zip(weights_of(fleet, i), module.parameters(), strict=True):
            torch.testing.assert_close(own, other.detach(), rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("hidden", [None, 5])
def test_curves_are_those_of_the_usual_loop_in_double(X, hidden):
    X, sample = X.double(), some_sample(partly=True, unknown=True)
    students = list(LOSSES.values())
    fleet = Fleet(students, X, [sample], K, hidden=hidden, batch_size=BATCH, dtype=torch.float64)
    found = curves(fleet, 12)
    for i, (name, student) in enumerate(LOSSES.items()):
        wanted, _ = own_loop(student, X, sample, 12, hidden=hidden)
        np.testing.assert_allclose(found[:, i], wanted, rtol=DOUBLE, err_msg=name)


def test_samples_of_any_size_go_together(X):
    samples = [
        some_sample(m, seed=m, partly=m % 2 == 0, teacher=m != 7) for m in (90, 7, 16, 33, 33, 1)
    ]
    students = [
        replace(one, sample=j, seed=seed)
        for j, sample in enumerate(samples)
        for seed in (0, 1)
        for name, one in LOSSES.items()
        if name in ("trust", "warm", "exact", "printed", "squares", "labels", "decay")
    ]
    fleet = Fleet(students, X, samples, K, batch_size=BATCH)
    found = curves(fleet, 9)
    for i, student in enumerate(students):
        sample = samples[student.sample]
        wanted, _ = own_loop(student, X, sample, 9)
        np.testing.assert_allclose(found[:, i], wanted, rtol=CURVE, err_msg=str(student))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [None, 5])
def test_first_weights_are_those_of_torch(X, hidden, dtype):
    before = torch.random.get_rng_state()
    students = [Student(seed=seed) for seed in (5, 0, 2**40)]
    fleet = Fleet(students, X, [some_sample()], K, hidden=hidden, dtype=dtype)
    assert torch.equal(torch.random.get_rng_state(), before)
    for i, student in enumerate(students):
        module = own_module(student, hidden, dtype)
        for own, other in zip(weights_of(fleet, i), module.parameters(), strict=True):
            assert torch.equal(own, other)


@pytest.mark.parametrize("hidden", [None, 5])
def test_scores_are_those_of_each_module(X, hidden):
    sample = some_sample()
    students = [Student(trust=0.5, seed=seed, learning_rate=0.05) for seed in (3, 1, 2)]
    fleet = Fleet(students, X, [sample], K, hidden=hidden, batch_size=BATCH)
    fleet.train(30)
    y = torch.as_tensor(sample.labels)
    for rule in ("softmax", "mean"):
        scores = fleet.scores(X, y, rule=rule)
        for i in range(3):
            z = fleet.student_module(i)(X).double().detach()
            p = torch.softmax(z, 1) if rule == "softmax" else normaliser_gradient(z)
            loss = nn.functional.nll_loss(p.log(), y).item()
            assert scores.cross_entropy[i] == pytest.approx(loss, rel=1e-6)
            assert scores.accuracy[i] == (z.argmax(1) == y).double().mean().item()
            torch.testing.assert_close(fleet.logits(X)[i].double(), z, rtol=1e-5, atol=1e-6)


# --- laws


@pytest.mark.parametrize("hidden", [None, 5])
def test_who_else_is_there_does_not_matter(X, hidden):
    samples = [some_sample(partly=True), some_sample(40, seed=1, unknown=True)]
    students = [replace(one, sample=j) for j in (0, 1) for one in LOSSES.values()]
    kept = {"hidden": hidden, "batch_size": BATCH}
    fleet = Fleet(students, X, samples, K, **kept)
    fleet.train(15)
    for i in (2, 6, 20, 25, 27):
        alone = Fleet([students[i]], X, samples, K, **kept)
        alone.train(15)
        assert alone.loss[0] == pytest.approx(fleet.loss[i], rel=ALONE)
        torch.testing.assert_close(
            alone.logits(X)[0], fleet.logits(X)[i], rtol=10 * ALONE, atol=10 * ALONE
        )


def test_the_order_of_students_is_theirs(X):
    samples = [some_sample(), some_sample(40, seed=1)]
    students = [replace(one, sample=j) for j in (0, 1) for one in LOSSES.values()]
    order = np.random.default_rng(0).permutation(len(students))
    one = Fleet(students, X, samples, K, batch_size=BATCH)
    other = Fleet([students[i] for i in order], X, samples, K, batch_size=BATCH)
    y = np.zeros(N_ROWS, dtype=int)
    for fleet in (one, other):
        fleet.train(7)
    np.testing.assert_allclose(other.loss, one.loss[order], rtol=ALONE)
    torch.testing.assert_close(other.logits(X), one.logits(X)[order], rtol=1e-5, atol=1e-5)
    for found, wanted in zip(other.scores(X, y), one.scores(X, y), strict=True):
        np.testing.assert_allclose(found, wanted[order], rtol=ALONE)
    for i, j in enumerate(order):
        for own, theirs in zip(weights_of(other, i), weights_of(one, j), strict=True):
            torch.testing.assert_close(own, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hidden", [None, 5])
@pytest.mark.parametrize("before", [0, 4, 6, 70])
def test_a_fleet_goes_on_from_its_state_to_the_same_bits(X, hidden, before):
    samples = [some_sample(partly=True), some_sample(10, seed=1)]
    students = [replace(one, sample=j) for j in (1, 0) for one in LOSSES.values()]
    kept = {"hidden": hidden, "batch_size": BATCH}
    first = Fleet(students, X, samples, K, **kept)
    first.train(before)
    state = first.state_dict()
    assert all(tensor.is_contiguous() for tensor in state.values())
    first.train(9)
    second = Fleet(students, X, samples, K, **kept)
    second.train(2)
    second.load_state_dict(state)
    assert second.step == before
    second.train(9)
    np.testing.assert_array_equal(second.loss, first.loss)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_training_in_pieces_is_training_at_once(X):
    students, samples = list(LOSSES.values()), [some_sample()]
    one, other = (Fleet(students, X, samples, K, batch_size=BATCH) for _ in range(2))
    told = []
    one.train(150, tell=lambda *, advance: told.append(advance))
    for n in (0, 1, 7, 142):
        other.train(n)
    assert one.step == other.step == sum(told) == 150
    np.testing.assert_array_equal(one.loss, other.loss)
    assert torch.equal(one.logits(X), other.logits(X))


def test_what_is_not_known_is_not_looked_at(X):
    sample = some_sample(partly=True, unknown=True)
    outside = ~np.asarray(sample.privileged)
    answers = sample.teacher_logits.copy()
    answers[outside] = np.nan
    students = list(LOSSES.values())
    one = Fleet(students, X, [sample], K, batch_size=BATCH)
    other = Fleet(students, X, [replace(sample, teacher_logits=answers)], K, batch_size=BATCH)
    for fleet in (one, other):
        fleet.train(5)
    np.testing.assert_array_equal(one.loss, other.loss)


def test_arrays_and_tensors_are_the_same(X):
    sample = some_sample(partly=True)
    as_tensors = Sample(
        *(torch.as_tensor(one) for one in (sample.rows, sample.labels)),
        torch.as_tensor(sample.teacher_logits),
        torch.as_tensor(sample.privileged),
    )
    read_only = X.numpy().copy()
    read_only.flags.writeable = False
    one = Fleet(list(LOSSES.values()), X, [as_tensors], K)
    other = Fleet(list(LOSSES.values()), read_only, [sample], K)
    for fleet in (one, other):
        fleet.train(3)
    np.testing.assert_array_equal(one.loss, other.loss)


# --- limits


def test_before_the_first_step_there_is_no_loss(X):
    fleet = Fleet([Student(), Student(seed=1)], X, [some_sample()], K)
    fleet.train(0)
    assert fleet.step == 0
    assert np.isnan(fleet.loss).all()
    assert fleet.loss.shape == (2,)


def test_equal_logits_are_decided_for_the_first_class(X):
    fleet = Fleet([Student()], X, [some_sample()], K)
    state = fleet.state_dict()
    state["weight"].zero_()
    state["bias"].zero_()
    fleet.load_state_dict(state)
    y = np.arange(N_ROWS) % K
    scores = fleet.scores(X, y)
    assert scores.accuracy[0] == (y == 0).mean()
    assert scores.cross_entropy[0] == pytest.approx(np.log(K), rel=1e-7)


@pytest.mark.parametrize("regulariser", [None, "exact", "printed"])
def test_large_margins_stay_finite(X, regulariser):
    students = [
        Student(trust=0.5, regulariser=regulariser, temperature=T, learning_rate=0.1)
        for T in (1e-18, 1e-3, 1.0, 1e3, 1e18)
    ]
    students.append(Student(trust=0.5, regulariser=regulariser, learning_rate=50.0))
    fleet = Fleet(students, X, [some_sample()], K, batch_size=BATCH)
    fleet.train(40)
    assert np.isfinite(fleet.loss).all()


def test_scores_do_not_depend_on_blocks(X, monkeypatch):
    fleet = Fleet(list(LOSSES.values()), X, [some_sample()], K)
    y = np.arange(N_ROWS) % K
    whole, logits = fleet.scores(X, y), fleet.logits(X)
    monkeypatch.setattr("kdtheory.neural.fleet.SCORED_AT_ONCE", 7 * len(LOSSES) * K)
    parts = fleet.scores(X, y)
    np.testing.assert_allclose(parts.cross_entropy, whole.cross_entropy, rtol=ALONE)
    np.testing.assert_array_equal(parts.accuracy, whole.accuracy)
    torch.testing.assert_close(fleet.logits(X), logits)


SAMPLE = some_sample()


def test_what_must_not_be_written_is_read_without_a_word(X):
    arrays = [X.numpy().copy(), *(np.array(a) for a in (SAMPLE.rows, SAMPLE.labels))]
    logits = np.array(SAMPLE.teacher_logits)
    for array in (*arrays, logits):
        array.flags.writeable = False
    features, rows, labels = arrays
    fleet = Fleet([Student(trust=0.5)], features, [Sample(rows, labels, logits)], K)
    fleet.train(1)
    scores = fleet.scores(features, labels)
    assert scores.accuracy == fleet.scores(X, torch.from_numpy(labels.copy())).accuracy


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_answers_of_half_precision_are_those_numbers(X, kind):
    answers = torch.as_tensor(SAMPLE.teacher_logits).to(kind)
    found = []
    for given in (answers, answers.float().numpy()):
        fleet = Fleet([Student(trust=0.5)], X, [replace(SAMPLE, teacher_logits=given)], K)
        fleet.train(3)
        found.append(fleet.state_dict()["weight"])
    assert torch.equal(*found)


# --- bad input


@pytest.mark.parametrize("n_steps", [1, 5, 64, 100])
def test_a_loss_that_is_not_finite_stops_all_and_is_named(X, n_steps):
    students = [Student(), Student(seed=1), Student(seed=1, trust=0.5)]
    sample = some_sample(40)
    fleet = Fleet(students, X.clone(), [sample], K, batch_size=BATCH)
    fleet.train(3)
    order = epoch_order(40, 1, 1).numpy()  # the second batch of the second epoch
    state = fleet.state_dict()
    state["weight"][1:] = np.inf
    fleet.load_state_dict(state)
    match = r"student 1 diverged: .* at step 3 \(rows \d+, .*, …\)"
    with pytest.raises(DivergedError, match=match) as caught:
        fleet.train(n_steps)
    assert (caught.value.student, caught.value.step) == (1, 3)
    np.testing.assert_array_equal(caught.value.rows, np.asarray(sample.rows)[order[:BATCH]])


def test_a_loss_too_large_for_a_float_is_named(X):
    fleet = Fleet([Student()], X, [some_sample(4)], K)
    state = fleet.state_dict()
    state["weight"].zero_()
    state["bias"][0] = torch.tensor([3e38, -3e38, 0.0, 0.0])
    fleet.load_state_dict(state)
    with pytest.raises(
        DivergedError, match=r"student 0 diverged.*step 0 \(rows \d+, \d+, \d+, \d+\)"
    ):
        fleet.train(1)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"trust": 1.5}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, ValueError, r"`temperature` must be in \[1e-18, 1e\+18\], got 0.0"),
        (
            {"regulariser": "l2"},
            ValueError,
            r"`regulariser` must be 'exact' or 'printed', got 'l2'",
        ),
        (
            {"loss": "hinge"},
            ValueError,
            r"`loss` must be 'cross-entropy' or 'squares', got 'hinge'",
        ),
        (
            {"loss": "squares", "temperature": 2.0},
            ValueError,
            r"`loss` must be 'cross-entropy' with",
        ),
        (
            {"loss": "squares", "regulariser": "exact"},
            ValueError,
            r"`loss` must be 'cross-entropy'",
        ),
        (
            {"learning_rate": 0.0},
            ValueError,
            r"`learning_rate` must be finite and positive, got 0.0",
        ),
        ({"weight_decay": -1.0}, ValueError, r"`weight_decay` must be .* at least 0, got -1.0"),
        ({"seed": 0.5}, TypeError, r"`seed` must be an integer, got 0.5"),
        ({"sample": -1}, ValueError, r"`sample` must be at least 0, got -1"),
        ({"squared_temperature": "no"}, TypeError, r"`squared_temperature` must be True or False"),
    ],
)
def test_bad_students_are_named(change, error, match):
    with pytest.raises(error, match=match):
        Student(**change)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"students": []}, ValueError, r"`students` must hold at least one student, got none"),
        (
            {"students": [Student(), Student(sample=1)]},
            ValueError,
            r"`students\[1\].sample` must be a number of the 1 sample\(s\), got 1",
        ),
        ({"n_classes": 1}, ValueError, r"`n_classes` must be at least 2, got 1"),
        (
            {"n_classes": K + 1},
            ValueError,
            r"`samples\[0\].teacher_logits` must have shape \(90, 5\), got shape \(90, 4\)",
        ),
        (
            {"n_classes": 3},
            ValueError,
            r"`samples\[0\].labels` must be class numbers 0 … 2, got 3 at index",
        ),
        ({"hidden": 0}, ValueError, r"`hidden` must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, r"`batch_size` must be at least 1, got 0"),
        ({"device": "cuda:99"}, ValueError, r"`device` must be a device that .* got 'cuda:99'"),
        ({"device": "abacus"}, ValueError, r"`device` must be a device that .* got 'abacus'"),
        ({"dtype": torch.float16}, ValueError, r"`dtype` must be torch.float32 or torch.float64"),
        ({"device": "meta"}, ValueError, r"`device` must be a device that holds numbers, got 'me"),
        ({"hidden": 10**20}, ValueError, r"`hidden` must be at most 16777216, got 1000000000000"),
        ({"students": Student()}, TypeError, r"`students` must be a sequence of Student, got Stud"),
        ({"students": [{}]}, TypeError, r"`students\[0\]` must be a Student, got dict"),
        ({"samples": SAMPLE}, TypeError, r"`samples` must be a sequence of Sample, got Sample"),
        (
            {"samples": [SAMPLE, (SAMPLE.rows, SAMPLE.labels)]},
            TypeError,
            r"`samples\[1\]` must be a Sample, got tuple",
        ),
        (
            {"samples": [replace(SAMPLE, labels=["a"] * N_ROWS)]},
            TypeError,
            r"`samples\[0\].labels` must be of an integer type, got dtype <U1",
        ),
        (
            {"samples": [replace(SAMPLE, labels=[[0], [0, 1]])]},
            ValueError,
            r"`samples\[0\].labels` must be a rectangular array",
        ),
        (
            {"samples": [replace(SAMPLE, teacher_logits=torch.ones(N_ROWS, K) * 1j)]},
            TypeError,
            r"`samples\[0\].teacher_logits` must be real numbers, got torch.complex64",
        ),
        (
            {"samples": [replace(SAMPLE, rows=torch.arange(N_ROWS).to_sparse())]},
            TypeError,
            r"`samples\[0\].rows` must be a dense tensor",
        ),
        ({"X": torch.ones(N_ROWS, 2) * 1j}, TypeError, "`X` must be real numbers, got torch.comp"),
        ({"X": torch.ones(N_ROWS, 2).to_sparse()}, TypeError, "`X` must be a dense tensor .*_coo"),
        ({"X": torch.ones(N_ROWS, 2, device="meta")}, TypeError, "`X` must be a dense .* of meta"),
        ({"X": np.full((N_ROWS, 2), 1e300)}, ValueError, "`X` must be finite, got a number that"),
        ({"X": np.ones(3)}, ValueError, r"`X` must have 2 dimension"),
        ({"X": torch.ones(3)}, ValueError, r"`X` must have shape \(N, n\) .*, got \(3,\)"),
        ({"X": np.full((N_ROWS, 2), np.nan)}, ValueError, r"`X` must be finite, got a number that"),
        ({"X": np.ones((80, 2))}, ValueError, r"`samples\[0\].rows` must be rows 0 … 79 of `X`"),
        (
            {"samples": [replace(SAMPLE, rows=SAMPLE.rows / 2)]},
            TypeError,
            r"`samples\[0\].rows` must be of an integer type, got dtype float64",
        ),
        (
            {"samples": [Sample([], [])]},
            ValueError,
            r"`samples\[0\].rows` must have shape \(m,\) with m at least 1, got shape \(0,\)",
        ),
        (
            {"samples": [replace(SAMPLE, labels=SAMPLE.labels[:-1])]},
            ValueError,
            r"lengths must agree, but `samples\[0\].rows` has 90, `samples\[0\].labels` has 89",
        ),
        (
            {"samples": [replace(SAMPLE, labels=np.full(N_ROWS, -1))]},
            ValueError,
            r"`samples\[0\].labels` must be class numbers 0 … 3, got -1",
        ),
        (
            {"samples": [replace(SAMPLE, privileged=np.ones(3, dtype=bool))]},
            ValueError,
            r"`samples\[0\].privileged` must have shape \(90,\), got shape \(3,\)",
        ),
        (
            {
                "samples": [
                    some_sample(teacher=False),
                    replace(SAMPLE, teacher_logits=None, privileged=np.ones(90, bool)),
                ]
            },
            ValueError,
            r"`samples\[1\].privileged` must be None without a teacher, got a mask",
        ),
        (
            {"samples": [replace(SAMPLE, teacher_logits=np.full((N_ROWS, K), np.inf))]},
            ValueError,
            r"`samples\[0\].teacher_logits` must be finite, got inf",
        ),
    ],
)
def test_bad_fleets_are_named(X, change, error, match):
    given = {"students": [Student()], "X": X, "samples": [SAMPLE], "n_classes": K, **change}
    with pytest.raises(error, match=match):
        Fleet(**given)


def test_bad_calls_are_named(X):
    fleet = Fleet([Student()], X, [SAMPLE], K)
    y = np.zeros(N_ROWS, dtype=int)
    for call, error, match in [
        (lambda: fleet.train(-1), ValueError, "`n_steps` must be at least 0, got -1"),
        (lambda: fleet.train(2.0), TypeError, "`n_steps` must be an integer, got 2.0"),
        (lambda: fleet.logits(X[:, :2]), ValueError, r"`X` must have 6 features, got shape"),
        (lambda: fleet.scores(X, y, rule="mode"), ValueError, "`rule` must be 'softmax' or 'mean'"),
        (lambda: fleet.scores(X, y[1:]), ValueError, "lengths must agree, but `X` has 90"),
        (lambda: fleet.scores(X, y + K), ValueError, "`y` must be class numbers 0 … 3, got 4"),
        (lambda: fleet.student_module(1), ValueError, "`student` must be at most 0, got 1"),
    ]:
        with pytest.raises(error, match=match):
            call()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"step": torch.tensor(-1)}, ValueError, r"`state\['step'\]` must be at least 0, got -1"),
        (
            {"bias": torch.full((1, K), torch.nan)},
            ValueError,
            r"`state\['bias'\]` must not hold nan",
        ),
        ({"bias": 1.5}, TypeError, "`state` must hold tensors, got float for 'bias'"),
        (
            {"bias": torch.ones(1, K, device="meta")},
            TypeError,
            r"`state\['bias'\]` must be a dense tensor",
        ),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(X, change, error, match):
    fleet = Fleet([Student()], X, [SAMPLE], K)
    fleet.train(2)
    before = fleet.state_dict()
    with pytest.raises(error, match=match):
        fleet.load_state_dict(before | change)
    assert all(torch.equal(before[name], value) for name, value in fleet.state_dict().items())
    with pytest.raises(TypeError, match="`state` must be a mapping of tensors, got list"):
        fleet.load_state_dict([change])


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ({"hidden": 3}, "`state` must have the tensors of this fleet, got too many or too few"),
        (
            {"students": [Student(), Student()]},
            r"`state` must have 'weight' with shape \(1, 4, 6\)",
        ),
        ({"students": [Student(seed=1)]}, "`state` must be of a fleet of the same students"),
        (
            {"samples": [some_sample(partly=True)]},
            "`state` must be of a fleet of the same students",
        ),
        ({"dtype": torch.float64}, r"`state` must have 'weight' .* torch.float32, got"),
    ],
)
def test_the_state_of_another_fleet_is_refused(X, other, match):
    given = {"students": [Student()], "X": X, "samples": [SAMPLE], "n_classes": K}
    fleet = Fleet(**given)
    with pytest.raises(ValueError, match=match):
        fleet.load_state_dict(Fleet(**{**given, **other}).state_dict())
