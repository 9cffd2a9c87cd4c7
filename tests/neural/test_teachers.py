"""Teachers: they never learn, and their kept answers belong to their weights and their data."""

import copy
import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from kdtheory.neural import teachers
from kdtheory.neural.checkpoints import digest_of_tensors, save_checkpoint
from kdtheory.neural.teachers import FrozenTeacher, TeacherCache, digest_of_data, teacher_logits

M, D, K = 23, 6, 4
# a batch of another size sums in another order: a few units in the last place of float32
ROUNDING = 1e-5


def network(seed=0):
    """A network whose training moves statistics and drops units at random."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(D, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, K)
    )


@pytest.fixture
def model():
    trained = network()
    for _ in range(5):  # statistics of its own
        trained(torch.randn(16, D) * 2 + 1)
    return trained


@pytest.fixture
def X():
    return np.random.default_rng(1).normal(size=(M, D)).astype(np.float32)


class Counting(nn.Module):
    """How many objects a model has answered to."""

    def __init__(self, model):
        super().__init__()
        self.model, self.answered = model, 0

    def forward(self, X):
        self.answered += len(X)
        return self.model(X)


# --- oracle


def test_row_i_is_the_answer_to_object_i_alone(model, X):
    logits = teacher_logits(model, X, batch_size=5)
    answers = copy.deepcopy(model).eval()
    for i in range(M):
        alone = answers(torch.from_numpy(X[i : i + 1]))[0]
        torch.testing.assert_close(logits[i], alone.detach(), rtol=ROUNDING, atol=ROUNDING)


def test_digest_is_that_of_type_shape_and_bytes(X):
    header = f'["float32", [{M}, {D}]]'.encode()
    assert digest_of_data(X) == hashlib.sha256(header + X.tobytes()).hexdigest()


# --- laws: a teacher never learns


@pytest.mark.parametrize("wake", ["train", "parent", "children", "apply"])
def test_nothing_wakes_a_frozen_teacher(model, X, wake):
    teacher = FrozenTeacher(model)
    data = torch.from_numpy(X)
    before, answer = digest_of_tensors(teacher.state_dict()), teacher(data)
    parent = nn.ModuleDict({"teacher": teacher, "student": nn.Linear(D, K)})
    if wake == "train":
        assert teacher.train(True) is teacher
    elif wake == "parent":
        parent.train()
    elif wake == "children":
        for child in parent.children():
            child.train()
    else:
        parent.apply(lambda module: module.train() if module is teacher else None)
    assert not any(module.training for module in teacher.modules())
    assert torch.equal(teacher(data), answer)  # neither dropout nor statistics of the batch
    assert digest_of_tensors(teacher.state_dict()) == before


def test_training_a_student_beside_it_leaves_a_frozen_teacher_as_it_was(model, X):
    parent = nn.ModuleDict({"teacher": FrozenTeacher(model), "student": nn.Linear(D, K)}).train()
    before = digest_of_tensors(parent["teacher"].state_dict())
    started = digest_of_tensors(parent["student"].state_dict())
    optimizer = torch.optim.AdamW(parent.parameters(), lr=0.1, weight_decay=0.1)
    data = torch.from_numpy(X)
    for _ in range(3):
        optimizer.zero_grad()
        (parent["student"](data) - parent["teacher"](data)).square().mean().backward()
        optimizer.step()
    assert digest_of_tensors(parent["teacher"].state_dict()) == before
    assert digest_of_tensors(parent["student"].state_dict()) != started
    assert all(p.grad is None and not p.requires_grad for p in parent["teacher"].parameters())


def test_answer_of_a_frozen_teacher_takes_part_in_a_graph_without_one_of_its_own(model, X):
    answer = FrozenTeacher(model)(torch.from_numpy(X))
    assert not answer.requires_grad
    assert not answer.is_inference()
    student = torch.zeros(M, K, requires_grad=True)
    (student * answer).sum().backward()  # keeps the answer for the way back
    assert torch.equal(student.grad, answer)


def test_model_that_is_given_stays_the_users_own(model, X):
    teacher = FrozenTeacher(model)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    answer = teacher(torch.from_numpy(X))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1)
    assert torch.equal(teacher(torch.from_numpy(X)), answer)


def test_frozen_teacher_goes_from_device_to_type_to_copy_as_any_module(model, X):
    teacher = FrozenTeacher(model)
    double = copy.deepcopy(teacher).double().train()
    assert not double.training
    torch.testing.assert_close(
        double(torch.from_numpy(X).double()).float(), teacher(torch.from_numpy(X)),
        rtol=ROUNDING, atol=ROUNDING,
    )  # fmt: skip


# --- laws: logits of all objects


def test_modes_of_a_model_come_back_each_as_it_was(model, X):
    model[1].eval()  # as some freeze the statistics alone
    modes = [module.training for module in model.modules()]
    assert modes == [True, True, False, True, True, True]
    before, drawn = digest_of_tensors(model.state_dict()), torch.get_rng_state()
    teacher_logits(model, X)
    assert [module.training for module in model.modules()] == modes
    assert digest_of_tensors(model.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_modes_come_back_after_a_failure(model):
    with pytest.raises(RuntimeError):
        teacher_logits(model, np.ones((M, D + 1)))
    assert all(module.training for module in model.modules())


@given(size=st.integers(1, M + 3))
def test_size_of_a_batch_does_not_matter(size):
    torch.manual_seed(3)
    net, X = network(), torch.randn(M, D)
    whole = teacher_logits(net, X, batch_size=M)
    torch.testing.assert_close(
        teacher_logits(net, X, batch_size=size), whole, rtol=ROUNDING, atol=ROUNDING
    )


@pytest.mark.parametrize("kind", ["list", "float64", "tensor", "read only", "strided"])
def test_logits_hang_on_the_numbers_not_on_what_holds_them(model, X, kind):
    frozen = X.copy()
    frozen.setflags(write=False)
    wide = np.zeros((M, 2 * D), np.float32)
    wide[:, ::2] = X
    given = {
        "list": X.tolist(), "float64": X.astype(np.float64), "tensor": torch.from_numpy(X),
        "read only": frozen, "strided": wide[:, ::2],
    }[kind]  # fmt: skip
    assert torch.equal(teacher_logits(model, given), teacher_logits(model, X))


def test_whole_numbers_stay_whole_numbers():
    words = nn.Sequential(nn.Embedding(7, 5), nn.Flatten(), nn.Linear(15, K))
    X = np.random.default_rng(0).integers(0, 7, size=(M, 3))
    assert teacher_logits(words, X).shape == (M, K)


def test_shuffling_loader_cannot_give_answers_of_other_objects(model, X):
    # answers computed once by a shuffling loader, and used by index, are those of other objects
    loader = DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=5, shuffle=True)
    answers = copy.deepcopy(model).eval()
    torch.manual_seed(0)
    shuffled = torch.cat([answers(batch) for (batch,) in loader]).detach()
    logits = teacher_logits(model, X)
    assert (shuffled - logits).abs().max() > 0.1  # the mistake
    torch.testing.assert_close(
        shuffled.sort(dim=0).values, logits.sort(dim=0).values, rtol=ROUNDING, atol=ROUNDING
    )
    with pytest.raises(TypeError, match="its rows in their order, got DataLoader"):
        teacher_logits(model, loader)


def test_progress_counts_all_objects(model, X):
    told = []
    teacher_logits(model, X, batch_size=10, tell=lambda **words: told.append(words))
    assert told[0] == {"total": M, "completed": 0, "description": "teacher"}
    assert told[1:] == [{"advance": 10}, {"advance": 10}, {"advance": 3}]


# --- laws: a cache


@given(index=st.lists(st.integers(0, M - 1), max_size=30))
def test_logits_are_found_by_the_index_of_an_object(tmp_path_factory, index):
    net, X = network(), np.random.default_rng(1).normal(size=(M, D))
    cache = TeacherCache(tmp_path_factory.mktemp("run") / "teacher", net, X)
    logits = teacher_logits(net, X)
    assert torch.equal(cache.logits(), logits)
    for kind in (list, np.array, torch.tensor):
        rows = kind(index) if index else torch.zeros(0, dtype=torch.int64)
        assert torch.equal(cache.logits(rows), logits[index])


def test_logits_are_computed_once(tmp_path, model, X):
    counting = Counting(model)
    first = TeacherCache(tmp_path / "teacher", counting, X)
    assert counting.answered == 0
    assert not (tmp_path / "teacher").exists()
    first.logits([3])
    first.logits()
    assert counting.answered == M
    second = TeacherCache(tmp_path / "teacher", counting, X)
    assert torch.equal(second.logits(), first.logits())
    assert counting.answered == M
    third = TeacherCache(tmp_path / "teacher", counting, X, refresh=True)
    assert torch.equal(third.logits(), first.logits())
    assert counting.answered == 2 * M


def test_teacher_and_its_frozen_copy_share_their_logits(tmp_path, model, X):
    TeacherCache(tmp_path / "teacher", model, X).logits()
    model.eval()
    kept = TeacherCache(tmp_path / "teacher", FrozenTeacher(model), torch.from_numpy(X))
    assert torch.equal(kept.logits(), teacher_logits(model, X))


def test_logits_that_are_given_are_no_way_into_the_cache(tmp_path, model, X):
    cache = TeacherCache(tmp_path / "teacher", model, X)
    logits = cache.logits().clone()
    cache.logits().zero_()
    cache.logits([0, 1]).zero_()
    assert torch.equal(cache.logits(), logits)


def test_weights_are_those_of_the_moment_of_computing(tmp_path, model, X):
    cache = TeacherCache(tmp_path / "teacher", model, X)
    with torch.no_grad():
        model[0].bias.add_(1)
    logits = cache.logits()
    assert torch.equal(logits, teacher_logits(model, X))
    assert torch.equal(TeacherCache(tmp_path / "teacher", model, X).logits(), logits)


def changed_weight(model, X):
    with torch.no_grad():
        model[4].bias[0] = torch.nextafter(model[4].bias[0], torch.tensor(9.0))
    return model, X


def changed_statistics(model, X):
    model[1].running_mean[0] += 1
    return model, X


def changed_pixel(model, X):
    X = X.copy()
    X[-1, -1] = np.nextafter(X[-1, -1], np.float32(9))
    return model, X


OTHERS = {
    "weight": (changed_weight, "the weights"),
    "statistics": (changed_statistics, "the weights"),
    "structure": (
        lambda model, X: (nn.Sequential(*model[:2], nn.ELU(), *model[3:]), X), "the structure"
    ),
    "pixel": (changed_pixel, "the data"),
    "order": (lambda model, X: (model, X[::-1]), "the data"),
    "rows": (lambda model, X: (model, X[:-1]), "the data"),
    "type": (lambda model, X: (model, X.astype(np.float64)), "the data"),
    "shape": (lambda model, X: (model, X.reshape(M, 1, D)), "the data"),
}  # fmt: skip


@pytest.mark.parametrize("change", OTHERS)
def test_logits_of_another_teacher_or_other_data_are_refused(tmp_path, model, X, change):
    changed, words = OTHERS[change]
    logits = TeacherCache(tmp_path / "teacher", model, X).logits()
    files = {path.name: path.read_bytes() for path in (tmp_path / "teacher").iterdir()}
    other = changed(copy.deepcopy(model), X)
    with pytest.raises(
        ValueError, match=f"same teacher and data, got '.*differs in {words}: refresh=True"
    ):
        TeacherCache(tmp_path / "teacher", *other)
    assert {path.name: path.read_bytes() for path in (tmp_path / "teacher").iterdir()} == files
    assert torch.equal(TeacherCache(tmp_path / "teacher", model, X).logits(), logits)
    if change != "shape":
        anew = TeacherCache(tmp_path / "teacher", *other, refresh=True).logits()
        assert torch.equal(anew, TeacherCache(tmp_path / "teacher", *other).logits())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"the augmentation \('crop', not None\)"),
        ({"augmentation": "flip", "augmentation_seed": 1}, r"augmentation \('crop', not 'f"),
        (
            {"augmentation": "crop", "augmentation_seed": 2},
            r"augmentation seed \(1, not 2\)",
        ),
    ],
)
def test_logits_of_another_augmentation_are_refused(tmp_path, model, X, options, words):
    crop = {"augmentation": "crop", "augmentation_seed": 1}
    logits = TeacherCache(tmp_path / "teacher", model, X, **crop).logits()
    with pytest.raises(ValueError, match=words):
        TeacherCache(tmp_path / "teacher", model, X, **options)
    assert torch.equal(TeacherCache(tmp_path / "teacher", model, X, **crop).logits(), logits)


def test_digest_hangs_on_type_shape_and_every_bit(X):
    flipped = X.copy()
    flipped.view(np.uint8)[-1, -1] ^= 1
    group = [X, flipped, X[::-1], X.T, X.reshape(-1), X.view(np.int32), X.astype(np.float64), X[:1]]
    assert len({digest_of_data(data) for data in group}) == len(group)
    for data in (X[::-1], X.T, X.view(np.int32), (X > 0), (X * 9).astype(np.uint8)):
        assert digest_of_data(data) == digest_of_data(torch.from_numpy(data.copy()))
        assert digest_of_data(data) == digest_of_data(data.copy())


# --- limits


def test_one_object_in_batches_of_one(tmp_path, model, X):
    assert TeacherCache(tmp_path / "a", model, X[:1], batch_size=1).logits([0]).shape == (1, K)


def test_model_without_weights_answers(X):
    assert torch.equal(teacher_logits(nn.Identity(), X), torch.from_numpy(X))


def test_copy_computes_where_the_model_is_not(model, X, monkeypatch):
    # the device that is everywhere, and has no numbers, for which it is refused
    monkeypatch.setattr(teachers, "check_device", lambda _, device: torch.device(device))
    with pytest.raises(RuntimeError, match="meta"):
        teacher_logits(model, X, device="meta")
    assert all(p.device.type == "cpu" for p in model.parameters())
    assert torch.equal(teacher_logits(model, X, device="cpu"), teacher_logits(model, X))


@pytest.mark.parametrize(
    "kind", [bool, np.uint8, np.int16, np.uint16, np.int64, np.float16, ">f8", ">i4", np.longdouble]
)
def test_numbers_of_any_type_become_that_of_the_weights(model, X, kind):
    data = np.abs(9 * X).astype(kind)
    expected = teacher_logits(model, data.astype(np.float32))
    assert torch.equal(teacher_logits(model, data), expected)
    if data.dtype.isnative and kind is not np.longdouble:
        assert torch.equal(teacher_logits(model, torch.from_numpy(data)), expected)


def test_order_of_bytes_does_not_matter_to_the_digest(X):
    assert digest_of_data(X.astype(">f4")) == digest_of_data(X)


@pytest.mark.parametrize("kind", [np.int64, np.int32, ">i8", np.uint64])
def test_what_must_not_be_written_is_read_without_a_word(tmp_path, model, X, kind):
    index = np.array([4, 0, 4], dtype=kind)
    X.flags.writeable = index.flags.writeable = False
    cache = TeacherCache(tmp_path / "teacher", model, X)
    assert torch.equal(cache.logits(index), teacher_logits(model, X)[[4, 0, 4]])


# --- bad input


@pytest.mark.parametrize("function", [FrozenTeacher, lambda model: teacher_logits(model, [[1.0]])])
@pytest.mark.parametrize("model", [None, torch.relu, nn.Linear])
def test_what_is_no_module_is_refused(function, model):
    with pytest.raises(TypeError, match=r"`model` must be a torch.nn.Module, got "):
        function(model)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (np.empty((0, D)), ValueError, r"`X` must have at least one row, got shape \(0, 6\)"),
        (3.0, ValueError, r"`X` must have at least one row, got shape \(\)"),
        ([["a"]], TypeError, "`X` must be an array or a tensor of numbers.* got list"),
        (iter([1]), TypeError, "`X` must be an array or a tensor of numbers"),
        (np.ma.masked_array(np.ones((2, D))), TypeError, "`X` must not be a masked array"),
    ],
)
def test_bad_data_are_refused(tmp_path, model, data, error, words):
    for function in (
        lambda: teacher_logits(model, data),
        lambda: digest_of_data(data),
        lambda: TeacherCache(tmp_path / "teacher", model, data),
    ):
        with pytest.raises(error, match=words):
            function()


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (nn.Flatten(0), r"a row of logits for each of 23 objects, got shape \(138,\)"),
        (nn.Unflatten(1, (2, 3)), r"got shape \(23, 2, 3\)"),
        (nn.Unflatten(0, (1, 23)), r"got shape \(1, 23, 6\)"),
    ],
)
def test_answer_that_is_no_row_of_logits_is_refused(X, answers, words):
    with pytest.raises(ValueError, match=words):
        teacher_logits(answers, X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_name_their_object(X, value):
    class Shifted(nn.Module):
        def forward(self, X):
            return torch.where(X == 7, value, X)

    X[17, 2] = 7
    with pytest.raises(ValueError, match=r"`model` must give finite logits, .* for the object 17$"):
        teacher_logits(Shifted(), X, batch_size=5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_objects_that_are_not_finite_are_not_blamed_on_the_model(model, X, value):
    bad = X.astype(float)
    bad[17, 2] = value
    words = r"`X` must be finite numbers of torch.float32, got another in row 17$"
    with pytest.raises(ValueError, match=words):
        teacher_logits(model, bad, batch_size=5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (torch.ones(2, D).to_sparse(), "`X` must be a dense tensor .* got one of sparse_coo"),
        (torch.ones(2, D, device="meta"), "`X` must be a dense tensor .* got one of meta"),
        (torch.ones(2, D) * 1j, "`X` must be real numbers, got torch.complex64"),
    ],
)
def test_tensors_that_hold_no_real_numbers_are_refused(tmp_path, model, data, words):
    for function in (
        lambda: teacher_logits(model, data),
        lambda: digest_of_data(data),
        lambda: TeacherCache(tmp_path / "teacher", model, data),
    ):
        with pytest.raises(TypeError, match=words):
            function()


@pytest.mark.parametrize(
    ("answer", "words"), [((1, 2), "got tuple"), (None, "got NoneType"), ([[1.0]], "got list")]
)
def test_answer_that_is_no_tensor_is_refused(X, answer, words):
    class Other(nn.Module):
        def forward(self, X):  # noqa: ARG002
            return answer

    with pytest.raises(ValueError, match=f"`model` must give a row of logits .* {words}"):
        teacher_logits(Other(), X)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
        ({"batch_size": 1.5}, TypeError, "`batch_size` must be an integer, got 1.5"),
        ({"tell": 5}, TypeError, "`tell` must be callable, got 5"),
        ({"device": "meta"}, ValueError, "`device` must be a device that holds numbers"),
        (
            {"device": "cuda:99"},
            ValueError,
            "`device` must be a device .* got .cuda:99",
        ),
        (
            {"device": "nonsense"},
            ValueError,
            "`device` must be a device .* got .nonsense",
        ),
    ],
)
def test_bad_options_are_one_line(model, X, options, error, words):
    with pytest.raises(error, match=words) as caught:
        teacher_logits(model, X, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"augmentation": "crop"}, ValueError, "must be given together: .* got 'crop' and None"),
        ({"augmentation_seed": 1}, ValueError, "must be given together: .* got None and 1"),
        ({"augmentation": 3, "augmentation_seed": 1}, TypeError, "`augmentation` must be a text"),
        ({"augmentation": "a", "augmentation_seed": -1}, ValueError, "seed` must be at least 0"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"tell": 5}, TypeError, "`tell` must be callable, got 5"),
        ({"refresh": "no"}, TypeError, "`refresh` must be True or False"),
    ],
)
def test_bad_options_of_a_cache_are_refused(tmp_path, model, X, options, error, words):
    with pytest.raises(error, match=words):
        TeacherCache(tmp_path / "teacher", model, X, **options)


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ([0, M], ValueError, rf"`index` must be from 0 to {M - 1}, got {M} at index \(1\)"),
        ([-1], ValueError, r"got -1 at index \(0\)"),
        ([0.0], TypeError, "`index` must be integers"),
        ([True] * M, TypeError, "`index` must be integers"),
        ([[0]], TypeError, "`index` must be integers"),
        (0, TypeError, "`index` must be integers"),
        ("ab", TypeError, "`index` must be integers"),
        (iter([0]), TypeError, "`index` must be integers"),
        ([None], TypeError, "`index` must be integers"),
        ([[0], [0, 1]], TypeError, "`index` must be integers"),
        ([2**70], TypeError, "`index` must be integers"),
        ([1j], TypeError, "`index` must be integers"),
        (torch.tensor([1j]), TypeError, "`index` must be real numbers"),
        (np.array([2**64 - 1], dtype=np.uint64), ValueError, "got 18446744073709551615 at"),
    ],
)
def test_bad_index_is_refused(tmp_path, model, X, index, error, words):
    with pytest.raises(error, match=words):
        TeacherCache(tmp_path / "teacher", model, X).logits(index)


def test_damaged_logits_are_named(tmp_path, model, X):
    TeacherCache(tmp_path / "teacher", model, X).logits()
    path = tmp_path / "teacher" / "tensors.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"tensors.safetensors', which is damaged"):
        TeacherCache(tmp_path / "teacher", model, X)
    TeacherCache(tmp_path / "teacher", model, X, refresh=True).logits()
    assert torch.equal(
        TeacherCache(tmp_path / "teacher", model, X).logits(), teacher_logits(model, X)
    )


def test_checkpoint_of_a_training_is_no_cache(tmp_path, model, X):
    for tensors, state in (({}, {}), ({"logits": torch.ones(2)}, {}), ({}, {"teacher": {}})):
        save_checkpoint(tmp_path / "last", tensors, state)
        with pytest.raises(ValueError, match=r"must hold logits of a teacher, got .* a check"):
            TeacherCache(tmp_path / "last", model, X)


def test_failed_teacher_leaves_the_logits_before(tmp_path, model, X):
    logits = TeacherCache(tmp_path / "teacher", model, X).logits()
    bad = X.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="in row 3"):
        TeacherCache(tmp_path / "teacher", model, bad, refresh=True).logits()
    assert torch.equal(TeacherCache(tmp_path / "teacher", model, X).logits(), logits)
