"""Dask collections: the fit of all rows in memory, with nothing but factors on the client."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array as da
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from kdtheory.distributed import (
    distilled_factors,
    distributed_sums,
    feature_names,
    is_distributed,
)
from kdtheory.inference import inference, inference_from_sums
from kdtheory.regression import distil_regression
from kdtheory.streaming import DistilledFactors

RTOL = 1e-12  # condition of order 1: sums of the same rows in another order
ROWS, FEATURES = 4000, 5
CHUNK = 500
PATIENCE = 60.0  # seconds for a worker to start, on a machine that is busy


@pytest.fixture(scope="module")
def client():
    """Two worker processes under nannies, which start a new one for each that dies."""
    with (
        dask.config.set(
            {"distributed.admin.log-format": "", "distributed.worker.profile.enabled": False}
        ),
        distributed.LocalCluster(
            n_workers=2,
            processes=True,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def rows(seed=0, m=ROWS, p=None):
    rng = np.random.default_rng(seed)
    shape = (m,) if p is None else (m, p)
    X = rng.standard_normal((m, FEATURES))
    y = X[:, :1].reshape(m) if p is None else X[:, :p]
    y = y + rng.standard_normal(shape)
    teacher = y + rng.standard_normal(shape)
    privileged = rng.random(m) < 0.5
    teacher[~privileged] = np.nan
    return X, y, teacher, privileged, rng.random(m)


def chunked(arrays, chunk=CHUNK):
    return [da.from_array(a, chunks=(chunk, *a.shape[1:])) for a in arrays]


def factors_of(X, y, teacher, privileged, weight):
    outputs = y.shape[1] if y.ndim == 2 else None
    return DistilledFactors.empty(FEATURES, outputs).update(
        X, y, teacher, privileged=privileged, sample_weight=weight
    )


def agree(found, arrays):
    expected = factors_of(*arrays)
    assert found.n_objects == expected.n_objects
    assert found.n_privileged == expected.n_privileged
    assert_allclose(found.total_weight, expected.total_weight, rtol=RTOL)
    for options in ({"trust": 0.3, "fit_intercept": True}, {"trust": 0.9, "ridge": 1.0}):
        one, other = found.solve(**options), expected.solve(**options)
        scale = np.abs(other.coef).max()
        assert_allclose(one.coef, other.coef, rtol=0, atol=RTOL * scale)
        assert_allclose(one.intercept, other.intercept, rtol=0, atol=RTOL * scale)
        assert_allclose(one.objective, other.objective, rtol=RTOL)


# --- on any scheduler


@pytest.fixture(params=["synchronous", "threads"])
def scheduler(request):
    with dask.config.set(scheduler=request.param):
        yield request.param


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("p", [None, 2])
def test_partitions_give_the_factors_of_all_rows(p):
    arrays = rows(p=p)
    X, y, teacher, privileged, weight = chunked(arrays)
    found = distilled_factors(X, y, teacher, privileged=privileged, sample_weight=weight)
    agree(found, arrays)


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("partitions", [1, 2, 8, 9, 40])
def test_the_tree_may_have_any_number_of_leaves(partitions):
    arrays = rows(m=400)
    X, y, teacher, privileged, weight = chunked(arrays, chunk=-(-400 // partitions))
    assert X.numblocks == (partitions, 1)
    found = distilled_factors(X, y, teacher, privileged=privileged, sample_weight=weight)
    agree(found, arrays)


@pytest.mark.usefixtures("scheduler")
def test_chunks_are_cut_alike():
    arrays = rows(m=300)
    X = da.from_array(arrays[0], chunks=(100, 2))  # cut between columns too
    others = [da.from_array(a, chunks=70) for a in arrays[1:]]
    agree(distilled_factors(X, *others[:2], privileged=others[2], sample_weight=others[3]), arrays)


@pytest.mark.usefixtures("scheduler")
def test_chunks_of_unknown_length_stay_as_they_are():
    arrays = rows(m=300)
    kept = arrays[0][:, 0] > 0
    mask = da.from_array(kept, chunks=100)
    X, y, teacher, privileged, weight = (a[mask] for a in chunked(arrays, chunk=100))
    assert np.isnan(X.shape[0])
    found = distilled_factors(X, y, teacher, privileged=privileged, sample_weight=weight)
    agree(found, [a[kept] for a in arrays])


@pytest.mark.usefixtures("scheduler")
def test_a_sandwich_is_summed_where_the_rows_are():
    arrays = rows(m=400)
    X, y, teacher, privileged, weight = chunked(arrays, chunk=100)
    rest = {"privileged": privileged, "sample_weight": weight}
    solution = distilled_factors(X, y, teacher, **rest).solve(trust=0.4, fit_intercept=True)
    sums = distributed_sums(solution, X, y, teacher, **rest)
    found = inference_from_sums(solution.solution, sums, covariance="sandwich", trust=0.4)
    expected = inference(
        distil_regression(
            *arrays[:3],
            privileged=arrays[3],
            sample_weight=arrays[4],
            trust=0.4,
            fit_intercept=True,
        )
    )
    assert expected.kind == "sandwich"
    assert_allclose(found.standard_errors, expected.standard_errors, rtol=RTOL)
    assert found.df == expected.df


# --- dataframes


def frame(arrays, **change):
    X, y, teacher, privileged, weight = arrays
    columns = {f"x{j}": X[:, j] for j in range(FEATURES)}
    columns |= {"y": y, "s": teacher, "told": privileged, "c": weight}
    return pd.DataFrame(columns | change)


def framed(table, partitions=4):
    cells = dd.from_pandas(table, npartitions=partitions)
    X = cells[[f"x{j}" for j in range(FEATURES)]]
    return (X, cells["y"], cells["s"]), {"privileged": cells["told"], "sample_weight": cells["c"]}


@pytest.mark.usefixtures("scheduler")
def test_dataframes_are_accepted_as_they_are():
    arrays = rows(m=300)
    parts, rest = framed(frame(arrays))
    assert all(is_distributed(part) for part in (*parts, *rest.values()))
    assert feature_names(parts[0]) == ("x0", "x1", "x2", "x3", "x4")
    agree(distilled_factors(*parts, **rest), arrays)


@pytest.mark.usefixtures("scheduler")
def test_a_dataframe_and_the_arrays_of_it_go_together():
    arrays = rows(m=300)
    (X, y, teacher), rest = framed(frame(arrays))
    found = distilled_factors(
        X, y.values, teacher, privileged=rest["privileged"].values,
        sample_weight=rest["sample_weight"],
    )  # fmt: skip
    agree(found, arrays)


@pytest.mark.usefixtures("scheduler")
def test_nullable_columns_are_numbers_or_nothing():
    arrays = rows(m=100)
    missing = pd.array(np.where(arrays[3], arrays[2], 0.0), dtype="Float64")
    missing[~arrays[3]] = pd.NA
    parts, rest = framed(frame(arrays, s=missing, told=pd.array(arrays[3], dtype="boolean")))
    agree(distilled_factors(*parts, **rest), arrays)


@pytest.mark.usefixtures("scheduler")
def test_a_dataframe_of_several_outputs():
    X, y = (a for a in rows(m=100, p=2)[:2])
    frames = [dd.from_pandas(pd.DataFrame(a), npartitions=3) for a in (X, y)]
    found = distilled_factors(*frames).solve()
    assert_allclose(found.coef, distil_regression(X, y, None).coef, rtol=RTOL, atol=RTOL)


# --- on a cluster of two processes


def make_rows(seed):
    """Rows of one partition, made on the worker; the client never has them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((CHUNK, FEATURES))
    return np.column_stack([X, X.sum(axis=1) + rng.standard_normal(CHUNK)])


def partition(block_info, made=make_rows):
    return made(block_info[None]["chunk-location"][0])


def made_on_workers(partitions, made=make_rows):
    sizes = ((CHUNK,) * partitions, (FEATURES + 1,))
    whole = da.map_blocks(partition, made=made, chunks=sizes, dtype=float, meta=np.empty((0, 0)))
    return whole[:, :FEATURES], whole[:, FEATURES]


def same_in_memory(partitions):
    whole = np.vstack([make_rows(seed) for seed in range(partitions)])
    return distil_regression(whole[:, :FEATURES], whole[:, FEATURES], None, fit_intercept=True)


def test_a_cluster_gives_what_memory_gives(client):
    assert len(client.scheduler_info()["workers"]) == 2
    arrays = rows()
    X, y, teacher, privileged, weight = chunked(arrays)
    rest = {"privileged": privileged, "sample_weight": weight}
    found = distilled_factors(X, y, teacher, **rest)
    agree(found, arrays)
    solution = found.solve(trust=0.4)
    sums = distributed_sums(solution, X, y, teacher, **rest)
    sandwich = inference_from_sums(solution.solution, sums, covariance="sandwich", trust=0.4)
    expected = inference(
        distil_regression(*arrays[:3], privileged=arrays[3], sample_weight=arrays[4], trust=0.4)
    )
    assert_allclose(sandwich.standard_errors, expected.standard_errors, rtol=RTOL)


def sent(dask_worker):
    """What a worker has sent: to whom, the names of tasks, and bytes."""
    return [(log["who"], log["keys"], log["total"]) for log in dask_worker.transfer_outgoing_log]


def test_only_factors_reach_the_client(client):
    before = {worker: len(log) for worker, log in client.run(sent).items()}
    partitions = 20
    solution = distilled_factors(*made_on_workers(partitions)).solve(fit_intercept=True)
    assert_allclose(solution.coef, same_in_memory(partitions).coef, rtol=RTOL)

    logs = client.run(sent)
    entries = [entry for worker, log in logs.items() for entry in log[before[worker] :]]
    # workers may balance their load between them; to all others goes one result
    ((_, keys, total),) = [entry for entry in entries if entry[0] not in logs]
    assert [str(key).startswith("_merged") for key in keys] == [True]
    # triangles of 8 and 7 columns and what frames them, not 24 000 bytes for each partition
    assert total <= 8 * (8 * 8 + 7 * 7) + 2000


def wait_for(happened):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_a_worker_killed_in_the_middle_changes_nothing(client, tmp_path):
    partitions = 12
    late = partitions // 2
    gate = tmp_path / "open"

    def slow_rows(seed):
        (tmp_path / f"{seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
        while seed >= late and not gate.exists():
            time.sleep(0.01)
        return make_rows(seed)

    def begun():
        return [tuple(map(int, path.name.split("-")[:2])) for path in tmp_path.glob("*-*")]

    processes = set(client.run(os.getpid).values())
    X, y = made_on_workers(partitions, slow_rows)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(distilled_factors, X, y)
        # both workers stand at the gate, with the first partitions behind them
        wait_for(lambda: {pid for seed, pid in begun() if seed >= late} == processes)
        assert not running.done()
        victim = min(processes)
        lost = {seed for seed, pid in begun() if pid == victim}
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in set(client.run(os.getpid, on_error="ignore").values()))
        gate.touch()
        solution = running.result(timeout=PATIENCE).solve(fit_intercept=True)

    again = [seed for seed, _ in begun()]
    assert lost
    assert any(again.count(seed) > 1 for seed in lost)  # what was lost was made anew
    expected = same_in_memory(partitions)
    assert_allclose(solution.coef, expected.coef, rtol=RTOL)
    assert_allclose(solution.intercept, expected.intercept, rtol=RTOL, atol=RTOL)
    client.wait_for_workers(2, timeout=PATIENCE)


@pytest.mark.usefixtures("client")
def test_a_bad_number_on_a_worker_is_one_line_on_the_client():
    arrays = rows(m=300)
    arrays[0][250, 3] = np.nan
    X, y = chunked(arrays[:2], chunk=100)
    line = r"^`X` must be finite, got nan at index \(50, 3\) \(partition 2\)$"
    with pytest.raises(ValueError, match=line):
        distilled_factors(X, y)


# --- bad input


X, Y = da.ones((6, 2), chunks=(3, 2)), da.ones(6, chunks=3)


@pytest.mark.parametrize(
    ("parts", "rest", "error", "match"),
    [
        ((np.ones((6, 2)), Y), {}, TypeError, "`X` must be a Dask array .* got ndarray"),
        ((X, np.ones(6)), {}, TypeError, "`y` must be a Dask array or dataframe .* got ndarray"),
        ((X, Y), {"privileged": Y > 0}, ValueError, "`privileged` must be None without a teacher"),
        ((Y, Y), {}, ValueError, r"`X` must have 2 dimension\(s\), got 1"),
        ((X, Y[:5]), {}, ValueError, "lengths must agree, but `X` has 6, `y` has 5"),
        ((X, Y, Y), {"privileged": Y}, TypeError, r"boolean mask, got dtype float64 \(partition"),
        ((X, Y), {"sample_weight": -Y}, ValueError, r"at least 0, got -1.0 .*\(partition [01]\)"),
        ((X, Y.reshape(6, 1)[Y > 0]), {}, None, ""),
    ],
)
# old versions of Dask find it odd that a test has its own scheduler beside a cluster
@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler:UserWarning")
def test_bad_collections_are_named(parts, rest, error, match):
    with dask.config.set(scheduler="synchronous"):
        if error is None:
            assert distilled_factors(*parts, **rest).n_outputs == 1
            return
        with pytest.raises(error, match=match):
            distilled_factors(*parts, **rest)


def test_numbers_of_partitions_must_agree():
    arrays = rows(m=100)
    (X, _, _), _ = framed(frame(arrays), partitions=4)
    (_, y, _), _ = framed(frame(arrays), partitions=2)
    with pytest.raises(ValueError, match="partitions must agree, but `X` has 4, `y` has 2"):
        distilled_factors(X, y)


@pytest.mark.parametrize("value", [np.ones(3), [1.0], None, 3.0])
def test_what_is_in_memory_is_not_distributed(value):
    assert not is_distributed(value)
    assert feature_names(value) is None


def test_dask_is_not_needed_to_ask(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    assert not is_distributed(np.ones(3))
    with pytest.raises(ImportError):
        distilled_factors(X, Y)
