"""Checkpoints: the bits come back, and no kill at any moment leaves less than one whole."""

import errno
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from kdtheory.neural import checkpoints
from kdtheory.neural.checkpoints import (
    digest_of_tensors,
    load_checkpoint,
    random_state,
    restore_model,
    restore_optimizer,
    restore_random_state,
    save_checkpoint,
    tensors_of_model,
    tensors_of_optimizer,
)

KILLS = 200 if settings.get_current_profile_name() == "nightly" else 40
LONGEST = 0.02  # seconds until a kill: a few saves of as many milliseconds
SECONDS = 90.0  # for the process with the kills
TYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
    torch.complex64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip
CALLS = ("rename", "replace", "mkdir", "rmdir", "unlink", "fsync", "open")
STEPS = 3


class Killed(BaseException):
    """What no code of the package may catch."""


def same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        ours, theirs = one[name], other[name]
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        flat = (
            tensor.detach().resolve_conj().resolve_neg().contiguous() for tensor in (ours, theirs)
        )
        assert torch.equal(*(tensor.reshape(-1).view(torch.uint8) for tensor in flat))


def numbered(number):
    """A checkpoint that shows if it is a mixture of two."""
    return {f"w{i}": torch.full((50,), number) for i in range(3)}, {"number": number}


def number_of(folder):
    """Number of the checkpoint that is there, None without one."""
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        return None
    number = checkpoint.state["number"]
    same_bits(checkpoint.tensors, numbered(number)[0])
    return number


def network(seed=0, *, width=5):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width), torch.nn.Dropout(0.5)
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 3))


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1),
    "adamw amsgrad": lambda p: torch.optim.AdamW(p, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam of a tensor rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01), foreach=False),
}


def trained(model, optimizer, n_steps):
    """Steps that draw on all generators."""
    for _ in range(n_steps):
        optimizer.zero_grad()
        X = torch.randn(8, 4) * random.gauss(1, 0.1) * np.random.normal(1, 0.1)  # noqa: NPY002
        model(X).square().mean().backward()
        optimizer.step()


@pytest.fixture(autouse=True)
def generators():
    """The global generators as they were."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    torch.set_rng_state(kept[0])
    np.random.set_state(kept[1])  # noqa: NPY002
    random.setstate(kept[2])


# --- oracle


def test_tensors_are_a_file_that_safetensors_reads(tmp_path):
    tensors = {"w": torch.randn(3, 4), "b": torch.randn(3)}
    save_checkpoint(tmp_path / "last", tensors, {"epoch": 1})
    same_bits(load_file(tmp_path / "last" / "tensors.safetensors"), tensors)
    state = json.loads((tmp_path / "last" / "state.json").read_text(encoding="utf-8"))
    assert state["state"] == {"epoch": 1}
    assert {path.name for path in (tmp_path / "last").iterdir()} == {
        "tensors.safetensors", "state.json"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


# --- laws: the bits come back


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (3, 5)], ids=str)
def test_tensor_of_any_type_and_shape_comes_back(tmp_path, dtype, shape):
    size = int(np.prod(shape)) * dtype.itemsize
    data = torch.randint(0, 2 if dtype == torch.bool else 256, (size,), dtype=torch.uint8)
    tensor = data.view(dtype).reshape(shape)
    save_checkpoint(tmp_path / "last", {"x": tensor}, {})
    same_bits(load_checkpoint(tmp_path / "last").tensors, {"x": tensor})


def test_nan_payloads_and_signed_zeros_come_back(tmp_path):
    bits = torch.tensor([0x7FC00001, 0x7F800001, -1, -(2**31), 0], dtype=torch.int32)
    tensors = {"x": bits.view(torch.float32), "z": torch.tensor(-0.0)}
    save_checkpoint(tmp_path / "last", tensors, {})
    same_bits(load_checkpoint(tmp_path / "last").tensors, tensors)


def test_views_and_shared_memory_come_back_as_own_memory(tmp_path):
    base, z = torch.randn(6, 4), torch.randn(3, dtype=torch.complex64)
    tensors = {
        "base": base, "same": base, "transposed": base.T, "part": base[::2, 1:], "row": base[1],
        "expanded": base[:1].expand(5, 4), "conj": z.conj(), "negative": z.conj().imag,
        "weight": torch.nn.Parameter(base),
    }  # fmt: skip
    save_checkpoint(tmp_path / "last", tensors, {})
    back = load_checkpoint(tmp_path / "last").tensors
    same_bits(back, tensors)
    back["base"].zero_()  # can be written, and is nobody else's
    assert torch.equal(back["same"], base)


STATES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip


@given(state=st.dictionaries(st.text(max_size=5), STATES, max_size=4))
def test_state_comes_back(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("run") / "last"
    save_checkpoint(folder, {}, state)
    assert load_checkpoint(folder).state == state


def test_digest_hangs_on_names_types_shapes_and_bits():
    x = torch.arange(6.0)
    group = [
        {"x": x}, {"y": x}, {"x": x.double()}, {"x": x.view(torch.int32)}, {"x": x.reshape(2, 3)},
        {"x": -x}, {"x": x, "y": x}, {"x": x[:3], "y": x[3:]}, {}, {"x": x[:0]}, {"x": x[0]},
        {"x": -x[0]},
    ]  # fmt: skip
    digests = [digest_of_tensors(tensors) for tensors in group]
    assert len(set(digests)) == len(group)
    assert all(len(digest) == 64 for digest in digests)
    assert digest_of_tensors({"y": x, "x": x}) == digests[6]
    assert digest_of_tensors({"x": torch.stack([x, x], dim=1)[:, 0]}) == digests[0]
    assert digest_of_tensors({"x": torch.nn.Parameter(x)}) == digests[0]
    z = torch.complex(x, x + 1)
    assert digest_of_tensors({"x": z.conj()}) == digest_of_tensors({"x": torch.complex(x, -1 - x)})
    assert digest_of_tensors({"x": z.conj().imag}) == digest_of_tensors({"x": -1 - x})


# --- laws: a training goes on where it was


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_continued_training_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, kind):
    random.seed(0)
    model = network()
    optimizer = OPTIMIZERS[kind](model.parameters())
    trained(model, optimizer, STEPS)  # an odd number: Python draws two normals, and keeps one
    (moments, of_optimizer), (words, of_random) = tensors_of_optimizer(optimizer), random_state()
    save_checkpoint(
        tmp_path / "last",
        tensors_of_model(model) | moments | words,
        {"optimizer": of_optimizer, "random": of_random},
    )
    trained(model, optimizer, STEPS)

    other = network(seed=1)
    after = OPTIMIZERS[kind](other.parameters())
    for group in after.param_groups:
        group["lr"] = group["lr"] * 2  # what a schedule had made of it comes from the checkpoint
    checkpoint = load_checkpoint(tmp_path / "last")
    restore_model(other, checkpoint.tensors)
    restore_optimizer(after, checkpoint.tensors, checkpoint.state["optimizer"])
    restore_random_state(checkpoint.tensors, checkpoint.state["random"])
    before = digest_of_tensors(checkpoint.tensors)
    trained(other, after, STEPS)
    same_bits(other.state_dict(), model.state_dict())
    same_bits(tensors_of_optimizer(after)[0], tensors_of_optimizer(optimizer)[0])
    assert after.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    assert digest_of_tensors(checkpoint.tensors) == before  # training goes on in its own memory


def test_optimizer_without_a_step_has_a_state(tmp_path):
    model = network()
    tensors, state = tensors_of_optimizer(OPTIMIZERS["adam"](model.parameters()))
    assert tensors == {}
    save_checkpoint(tmp_path / "last", tensors, state)
    restore_optimizer(
        OPTIMIZERS["adam"](model.parameters()), {}, load_checkpoint(tmp_path / "last").state
    )


def test_groups_of_parameters_come_back_each_with_its_rate():
    model = network()
    groups = [
        {"params": [*model[0].parameters()], "lr": 0.1},
        {"params": [*model[3].parameters()], "lr": 0.2},
    ]
    optimizer = torch.optim.Adam(groups)
    trained(model, optimizer, 1)
    tensors, state = tensors_of_optimizer(optimizer)
    for group in groups:
        group["lr"] = 0.5
    after = torch.optim.Adam(groups)
    restore_optimizer(after, tensors, json.loads(json.dumps(state)))
    assert [group["lr"] for group in after.param_groups] == [0.1, 0.2]
    same_bits(tensors_of_optimizer(after)[0], tensors)


def test_generators_of_cuda_are_kept_one_for_each_device(monkeypatch):
    given, taken = (
        [torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([3], dtype=torch.uint8)],
        {},
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(given))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: given)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, at: taken.update({at: new}))
    tensors, state = random_state()
    restore_random_state(tensors, state)
    assert taken == {0: given[0], 1: given[1]}
    given.pop()
    with pytest.raises(ValueError, match="as many devices of CUDA, got 2, where 1 are here"):
        restore_random_state(tensors, state)


# --- laws: kills


class Dying:
    """Functions of `os`, which all fail from a given call on, as those of a dead process do."""

    def __init__(self, monkeypatch, after, error):
        self.calls, self.after, self.error = 0, after, error
        for name in CALLS:
            monkeypatch.setattr(os, name, self.around(getattr(os, name)))
        monkeypatch.setattr(checkpoints, "_write", self.write)

    def around(self, function):
        def called(*args, **kwargs):
            self.live()
            return function(*args, **kwargs)

        return called

    def live(self):
        self.calls += 1
        if self.calls > self.after:
            raise self.error

    def write(self, path, data):
        path.touch()
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.live()
            with path.open("ab") as file:
                file.write(part)
        self.live()  # the flush


def saved_until(folder, number, after):
    """Whether a save ended before the process was killed at a call of the operating system."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Dying(monkeypatch, after, Killed())
        try:
            save_checkpoint(folder, *numbered(number))
        except Killed:
            return False
        return True


@pytest.mark.parametrize("before", [None, 1])
def test_kill_between_any_two_calls_leaves_one_whole(tmp_path, before):
    for after in itertools.count():
        folder = tmp_path / str(after) / "last"
        if before is not None:
            save_checkpoint(folder, *numbered(before))
        ended = saved_until(folder, 2, after)
        assert number_of(folder) in ((2,) if ended else (before, 2))
        save_checkpoint(folder, *numbered(3))  # cleans up
        assert number_of(folder) == 3
        assert [path.name for path in folder.parent.iterdir()] == ["last"]
        if ended:
            break
    assert after >= 10  # there were moments to die at


def test_kill_after_kill_never_goes_back(tmp_path, monkeypatch):
    # the second save finds whatever the first left
    monkeypatch.setattr(os, "fsync", lambda _: None)  # slow, and nothing to a process that ends
    for first in itertools.count():
        for second in itertools.count():
            folder = tmp_path / "last"
            save_checkpoint(folder, *numbered(1))
            one = saved_until(folder, 2, first)
            between = number_of(folder)
            two = saved_until(folder, 3, second)
            assert number_of(folder) in ((3,) if two else (between, 3))
            shutil.rmtree(tmp_path)
            if two:
                break
        if one:
            break


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no names of open files here")
def test_what_a_name_leads_to_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    # what a power failure would show: a flush may not be left out, nor come after its rename
    save_checkpoint(tmp_path / "last", *numbered(1))
    done, rename = [], os.rename

    def flush(descriptor):
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def renamed(source, target):
        done.append((Path(source).name, Path(target).name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", renamed)
    save_checkpoint(tmp_path / "last", *numbered(2))
    assert done == [
        "tensors.safetensors", "state.json", ".last.new",
        ("last", ".last.old"), (".last.new", "last"), tmp_path.name,
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_process_leaves_the_last_checkpoint_or_the_one_before(tmp_path):
    # torch is loaded once; each child saves numbers in a loop, tells each when save has returned,
    # and is killed at a random moment
    script = tmp_path / "kills.py"
    script.write_text(
        "import os, random, signal, sys, time\n"
        "import torch\n"
        "torch.set_num_threads(1)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_checkpoints import number_of, numbered, save_checkpoint\n"
        "seed, kills, longest = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])\n"
        "rng, told, mixed = random.Random(seed), 0, 0\n"
        "for kill in range(kills):\n"
        "    reading, writing = os.pipe()\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        number = number_of(sys.argv[1]) or 0\n"
        "        while True:\n"
        "            number += 1\n"
        "            save_checkpoint(sys.argv[1], *numbered(number))\n"
        "            os.write(writing, b'%d\\n' % number)\n"
        "    os.close(writing)\n"
        "    os.read(reading, 1) if kill % 2 else None\n"  # half of them once they are at work
        "    time.sleep(rng.uniform(0, longest))\n"
        "    os.kill(child, signal.SIGKILL)\n"
        "    os.waitpid(child, 0)\n"
        "    with os.fdopen(reading) as pipe:\n"
        "        lines = pipe.read().splitlines()[kill % 2:]\n"
        "    told = max([told, *map(int, lines)])\n"
        "    kept = number_of(sys.argv[1])\n"
        "    assert (kept or 0) >= told, (seed, kill, kept, told)\n"
        "    assert (kept or 0) <= told + 2, (seed, kill, kept, told)\n"
        "    told = kept or 0\n"
        "    folder = os.path.dirname(sys.argv[1])\n"
        "    mixed += sorted(os.listdir(folder)) != ['last']\n"
        "print(told, mixed)\n",
        encoding="utf-8",
    )
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # shown if it fails  # noqa: T201
    run = tmp_path / "run"
    run.mkdir()
    done = subprocess.run(
        [sys.executable, script, run / "last", str(seed), str(KILLS), str(LONGEST)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    last, in_between = map(int, done.stdout.split())
    assert last > KILLS / 2  # most children had time to save
    assert in_between > 0  # some were killed at work


# --- limits


def test_nothing_is_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path / "last") is None
    assert list(tmp_path.iterdir()) == []


def test_empty_folder_is_no_checkpoint_and_can_take_one(tmp_path):
    (tmp_path / "last").mkdir()
    assert load_checkpoint(tmp_path / "last") is None
    save_checkpoint(tmp_path / "last", *numbered(1))
    assert number_of(tmp_path / "last") == 1


def test_no_tensors_are_a_checkpoint(tmp_path):
    save_checkpoint(str(tmp_path / "a" / "last"), {}, {})
    checkpoint = load_checkpoint(str(tmp_path / "a" / "last"))
    assert (checkpoint.tensors, checkpoint.state) == ({}, {})


def test_tuple_comes_back_as_a_list(tmp_path):
    save_checkpoint(tmp_path / "last", {}, {"betas": (0.9, 0.999)})
    assert load_checkpoint(tmp_path / "last").state == {"betas": [0.9, 0.999]}


def test_system_whose_folders_cannot_be_flushed_saves_all_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY")
    save_checkpoint(tmp_path / "last", *numbered(1))
    assert number_of(tmp_path / "last") == 1


def test_loading_changes_nothing(tmp_path):
    save_checkpoint(tmp_path / "last", *numbered(1))
    (tmp_path / "last").rename(tmp_path / ".last.old")
    assert number_of(tmp_path / "last") == 1
    assert [path.name for path in tmp_path.iterdir()] == [".last.old"]


# --- bad input: files


@pytest.fixture
def last(tmp_path):
    save_checkpoint(tmp_path / "last", *numbered(1))
    return tmp_path / "last"


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_every_changed_byte_and_every_cut_is_found(last, file):
    path = last / file
    data = path.read_bytes()
    for at in range(0, len(data) - 1, 7):
        for damaged in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at]):
            path.write_bytes(damaged)
            with pytest.raises(
                ValueError, match=r"`folder` must hold a .*checkpoint.*, got .*last/"
            ):
                load_checkpoint(last)
    path.write_bytes(data + b" " * (file == "tensors.safetensors"))
    if file == "tensors.safetensors":
        with pytest.raises(ValueError, match=r"tensors.safetensors', which is damaged"):
            load_checkpoint(last)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "[" * 10**5, '{"format": 1}', '{"a": NaN}', "\x00"]
)
def test_foreign_state_is_named(last, text):
    (last / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"last/state.json', which is damaged: delete its folder"):
        load_checkpoint(last)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04."])
def test_file_that_is_no_safetensors_is_named_though_its_digest_is_right(last, data):
    document = json.loads((last / "state.json").read_text(encoding="utf-8"))
    document["digests"]["tensors.safetensors"] = checkpoints._digest(data)
    (last / "state.json").write_text(json.dumps(document), encoding="utf-8")
    (last / "tensors.safetensors").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"tensors.safetensors', which is damaged: delete its folder"
    ):
        load_checkpoint(last)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("file", ["state.json", "tensors.safetensors"])
def test_pipe_is_refused_and_not_waited_for(last, file):
    (last / file).unlink()
    os.mkfifo(last / file)
    with pytest.raises(ValueError, match=rf"last/{file}' \(not a regular file\): delete its"):
        load_checkpoint(last)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", ""])
def test_device_that_is_not_there_is_named(last, device):
    with pytest.raises(ValueError, match=rf"`device` must be a device .*, got '{device}'"):
        load_checkpoint(last, device=device)


def test_checkpoint_of_a_later_format_is_named(last):
    text = (last / "state.json").read_text(encoding="utf-8")
    (last / "state.json").write_text(text.replace("checkpoint 1", "checkpoint 2"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"format 'kdtheory checkpoint 1', got .* 'kdtheory check"):
        load_checkpoint(last)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_missing_file_is_named(last, file):
    (last / file).unlink()
    with pytest.raises(
        ValueError, match=rf"got '.*last/{file}' \(No such file or directory\): delete"
    ):
        load_checkpoint(last)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_file_or_link_in_the_way_is_left(tmp_path, kind):
    path, other = tmp_path / "last", tmp_path / "other"
    other.mkdir()
    path.write_text("mine", encoding="utf-8") if kind == "file" else path.symlink_to(other)
    with pytest.raises(ValueError, match="must be a folder, not a file or a link"):
        save_checkpoint(path, *numbered(1))
    assert path.is_symlink() or path.read_text(encoding="utf-8") == "mine"


def test_folder_with_other_files_is_left(last):
    (last / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"nothing else, got '.*last', which holds 'notes.txt'$"):
        save_checkpoint(last, *numbered(2))
    assert (last / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert number_of(last) == 1


@pytest.mark.parametrize("folder", [".", "..", "/", "", "run/.."])
def test_folder_without_a_name_is_refused(folder):
    for function in (load_checkpoint, lambda path: save_checkpoint(path, *numbered(1))):
        with pytest.raises(ValueError, match="`folder` must have a name of its own, got"):
            function(folder)


def test_file_in_place_of_a_parent_is_one_line(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(ValueError, match=r"must be a folder that can be written, got .*run/last'"):
        save_checkpoint(tmp_path / "run" / "last", *numbered(1))


def test_full_disk_at_any_call_loses_no_checkpoint(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for after in itertools.count():
        folder = tmp_path / str(after) / "last"
        save_checkpoint(folder, *numbered(1))
        told = None
        with pytest.MonkeyPatch.context() as monkeypatch:
            dying = Dying(monkeypatch, after, full)
            try:
                save_checkpoint(folder, *numbered(2))
            except ValueError as error:
                told = str(error)
        if told is None:  # what could not be removed at the end is left to the next call
            assert number_of(folder) == 2
        else:
            assert told.endswith("last' (No space left on device): no checkpoint in it is lost")
            assert number_of(folder) in (1, 2)
        save_checkpoint(folder, *numbered(3))
        assert number_of(folder) == 3
        assert [path.name for path in folder.parent.iterdir()] == ["last"]
        if dying.calls <= after:
            break
    assert after >= 10


def test_file_that_may_not_grow_is_one_line(last):
    resource = pytest.importorskip("resource", reason="no limits here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(ValueError, match=r"got '.*last' \(File too large\): no checkpoint in"):
            save_checkpoint(last, {"w": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert number_of(last) == 1
    assert [path.name for path in last.parent.iterdir()] == ["last"]


# --- bad input: what is saved


@pytest.mark.parametrize(
    ("tensor", "error", "words"),
    [
        ([1.0], TypeError, "`tensors` must hold tensors, got list for 'x'"),
        (torch.zeros(2, dtype=torch.complex128), ValueError, "knows, got complex128 for 'x'"),
        (torch.eye(2).to_sparse(), ValueError, "must be dense, and hold numbers"),
        (torch.zeros(2, device="meta"), ValueError, "must be dense, and hold numbers"),
    ],
)
def test_tensor_that_cannot_be_kept_is_named(last, tensor, error, words):
    with pytest.raises(error, match=words):
        save_checkpoint(last, {"x": tensor}, {})
    assert number_of(last) == 1


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ({"loss": float("nan")}, ValueError, "`state` must be what JSON knows, with finite"),
        ({"x": [{"y": float("inf")}]}, ValueError, "`state` must be what JSON knows, with finite"),
        ({"x": torch.ones(1)}, ValueError, "`state` must be what JSON knows"),
        ({"x": {1: 2}}, ValueError, "`state` must have texts as keys, got 1"),
        ({"x": [{"y": {None: 2}}]}, ValueError, "`state` must have texts as keys, got None"),
        ([1], TypeError, "`state` must be a mapping, got list"),
    ],
)
def test_state_that_would_not_come_back_is_refused(last, state, error, words):
    with pytest.raises(error, match=words):
        save_checkpoint(last, {}, state)
    assert number_of(last) == 1


# --- bad input: what is restored


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model.0.bias": None}, r"`0.bias` is absent, not \(5,\) of torch.float32$"),
        ({"model.9.bias": torch.ones(2)}, r"`9.bias` is \(2,\) of torch.float32, not absent$"),
        ({"model.3.weight": torch.ones(3, 4)}, r"`3.weight` is \(3, 4\) of .*, not \(3, 5\) of"),
        ({"model.0.bias": torch.ones(5).double()}, r"`0.bias` is \(5,\) of torch.float64, not"),
    ],
)
def test_checkpoint_of_another_model_is_refused(change, words):
    model = network()
    tensors = {name: tensor.clone() for name, tensor in tensors_of_model(network(1)).items()}
    tensors = {name: t for name, t in (tensors | change).items() if t is not None}
    before = digest_of_tensors(model.state_dict())
    with pytest.raises(ValueError, match=words):
        restore_model(model, tensors)
    assert digest_of_tensors(model.state_dict()) == before


def test_checkpoint_of_another_optimiser_is_refused():
    model, wide = network(), network(width=6)
    adam = OPTIMIZERS["adam"](model.parameters())
    trained(model, adam, 1)
    tensors, state = tensors_of_optimizer(adam)
    cases = [
        (OPTIMIZERS["sgd"](model.parameters()), "the class is Adam, not SGD"),
        (OPTIMIZERS["adam"](wide.parameters()), r"parameter 0 is \[5, 4\], not \[6, 4\]"),
        (OPTIMIZERS["adam"](model[:2].parameters()), r"parameter 4 is \[3, 5\], not None"),
    ]
    for optimizer, words in cases:
        with pytest.raises(ValueError, match=words):
            restore_optimizer(optimizer, tensors, state)
    with pytest.raises(ValueError, match=r"got none named 'optimizer.entry.0.exp_avg'"):
        restore_optimizer(adam, {}, state)
    with pytest.raises(ValueError, match="the class is None, not Adam"):
        restore_optimizer(adam, tensors, {})


def test_optimiser_with_more_than_tensors_and_numbers_is_refused():
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters())
    optimizer.step(lambda: model(torch.ones(2, 4)).sum())
    optimizer.state[next(model.parameters())]["more"] = [torch.ones(2)]
    with pytest.raises(ValueError, match="JSON knows, got something else in LBFGS"):
        tensors_of_optimizer(optimizer)


@pytest.mark.parametrize("name", ["random.torch", "random.numpy", "random.python"])
def test_missing_generator_is_named(name):
    tensors, state = random_state()
    del tensors[name]
    with pytest.raises(ValueError, match=f"must be of random_state, got none of .'{name}'"):
        restore_random_state(tensors, state)
