"""Blocks from arrays and files are the rows as they were written, or an error with one line."""

import gzip
import pickle
import threading
import time
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from pyarrow import parquet

from kdtheory.readers import ArrayBlocks, Block, Table, read_ahead
from kdtheory.streaming import distil_blocks

COLUMNS = {
    "y": [1.0, 2.5, -3.0, 0.25, 7.0],
    "s": [1.5, None, -2.0, None, 6.0],
    "a": [1, 2, 3, 4, 5],
    "b": [0.1, -0.2, 1e-300, 1e300, 0.5],
    "who": ["Ann", "Bob", "Cyd", "Dan", "Eve"],
    "told": [True, False, True, False, False],
    "c": [1.0, 0.0, 2.0, 1.0, 1.0],
}
ROLES = {"target": "y", "teacher": "s", "weight": "c"}
ENDINGS = ["parquet", "csv", "csv.gz"]


def written(folder, ending, columns=COLUMNS, **options):
    path = folder / f"table.{ending}"
    if ending == "parquet":
        parquet.write_table(pa.table(columns), path, **options)
        return path
    cells = [columns, *zip(*columns.values(), strict=True)]
    text = "".join(",".join("" if v is None else str(v) for v in row) + "\n" for row in cells)
    opened = gzip.open if ending == "csv.gz" else open
    with opened(path, "wt") as file:
        file.write(text)
    return path


def npy(folder, matrix, name="matrix.npy"):
    np.save(folder / name, matrix)
    return folder / name


def joined(blocks):
    """All rows of the blocks, as one."""
    return Block(
        *(
            None if parts[0] is None else np.concatenate(parts)
            for parts in zip(*blocks, strict=True)
        )
    )


def assert_same(found, expected):
    for name, one, other in zip(Block._fields, found, expected, strict=True):
        assert_array_equal(one, other, err_msg=name)


# --- what is read against what was written


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_become_the_parts_of_a_problem(tmp_path, ending):
    table = Table(written(tmp_path, ending), **ROLES)
    numbers = lambda name: np.array(COLUMNS[name], dtype=float)  # noqa: E731
    assert table.names == ("a", "b")
    assert table.n_rows == (5 if ending == "parquet" else None)
    assert table.n_bytes == table.path.stat().st_size
    X = np.column_stack([numbers("a"), numbers("b")])
    told = np.array([True, False, True, False, True])
    for _ in range(2):  # a table can be read again
        found = joined(table)
        assert_same(found, (X, numbers("y"), numbers("s"), told, numbers("c")))
    assert found.X.dtype == np.float64


@pytest.mark.parametrize("ending", ENDINGS)
def test_features_come_in_the_order_in_which_they_are_named(tmp_path, ending):
    table = Table(written(tmp_path, ending), target="y", features=["b", "s", "a"][::2])
    found = joined(table)
    assert table.names == ("b", "a")
    assert_array_equal(found.X[:, 1], COLUMNS["a"])
    assert found.teacher is found.privileged is found.sample_weight is None


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_rows_of_parquet_come_in_blocks_of_any_size(tmp_path, rows):
    path = written(tmp_path, "parquet", row_group_size=2)
    blocks = list(Table(path, **ROLES).blocks(rows=rows))
    assert max(len(block.y) for block in blocks) <= rows
    assert_same(joined(blocks), joined(Table(path, **ROLES)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
@pytest.mark.parametrize("features", [None, [0, 3, 1], ["1", "2"]])
def test_a_matrix_file_has_numbers_for_names(tmp_path, order, dtype, features):
    matrix = np.arange(28).reshape(7, 4).astype(dtype, order=order)
    table = Table(
        npy(tmp_path, matrix), target=2 if features != ["1", "2"] else 0, features=features
    )
    assert table.n_rows == 7
    found = joined(table.blocks(rows=3))
    assert_array_equal(found.X, matrix[:, [int(name) for name in table.names]])
    assert found.X.dtype == (np.float32 if dtype == np.float32 else np.float64)


MASKS = [
    [True, False, True, False, False],
    [1, 0, 1, 0, 0],
    [1.0, 0.0, 1.0, 0.0, 0.0],  # what pandas makes of a mask that once had a gap
    ["true", "False", " TRUE", "0", "0.0"],
]


@pytest.mark.parametrize(
    ("ending", "privileged"), [(ending, mask) for ending in ENDINGS for mask in MASKS]
)
def test_a_mask_column_says_who_has_an_answer(tmp_path, ending, privileged):
    path = written(tmp_path, ending, COLUMNS | {"told": privileged})
    found = joined(Table(path, privileged="told", **ROLES))
    assert_array_equal(found.privileged, [True, False, True, False, False])
    # the answer that the mask leaves out is not read as one
    coef = distil_blocks(Table(path, privileged="told", **ROLES, features=["a"]), trust=0.5).coef
    within = [1, 2, 3, 4, 5]
    expected = distil_blocks([
        (np.array([within]).T, COLUMNS["y"], [1.5, 0, -2, 0, 99],
         np.array([1, 0, 1, 0, 0], dtype=bool), COLUMNS["c"])
    ]).coef  # fmt: skip
    assert_array_equal(coef, expected)


@pytest.mark.parametrize("source", ["array", "map", "file"])
@pytest.mark.parametrize("rows", [None, 1, 4, 30])
def test_arrays_come_in_blocks(tmp_path, source, rows):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((10, 3)), rng.standard_normal(10), rng.standard_normal(10),
              rng.random(10) < 0.5, rng.random(10)]  # fmt: skip
    if source == "array":
        parts = arrays
    else:
        paths = [npy(tmp_path, array, f"{k}.npy") for k, array in enumerate(arrays)]
        parts = [np.load(path, mmap_mode="r") for path in paths] if source == "map" else paths
    blocks = ArrayBlocks(*parts, rows=rows)
    assert blocks.n_rows == 10
    for _ in range(2):
        assert_same(joined(blocks), arrays)
    assert all(len(block.X) <= (rows or 10) for block in blocks)


def test_raw_numbers_are_read_through_a_map(tmp_path):
    numbers = np.arange(12.0).reshape(4, 3)
    numbers.tofile(tmp_path / "raw.bin")
    X = np.memmap(tmp_path / "raw.bin", np.float64, "r", shape=(4, 3))
    found = joined(ArrayBlocks(X, numbers[:, 0], rows=2))
    assert_array_equal(found.X, numbers)
    assert found.teacher is None


# --- reading ahead


def test_the_next_block_is_read_while_this_one_is_worked_on():
    read, may_go_on = [], threading.Event()

    def blocks():
        for k in range(3):
            read.append((k, threading.current_thread()))
            if k == 1:
                may_go_on.set()
            yield k

    ahead = read_ahead(blocks())
    assert next(ahead) == 0
    assert may_go_on.wait(timeout=10)  # block 1 comes although nobody asked for it
    assert list(ahead) == [1, 2]
    assert all(thread is not threading.main_thread() for _, thread in read)


def test_no_more_than_one_block_is_read_ahead():
    read = []
    ahead = read_ahead(read.append(k) or k for k in range(10))
    next(ahead)
    deadline = time.monotonic() + 10
    while len(read) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert read == [0, 1]
    ahead.close()


def test_whoever_stops_early_closes_what_was_read():
    closed = []

    def blocks():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    ahead = read_ahead(blocks())
    next(ahead)
    ahead.close()
    assert closed == [True]


def test_an_error_of_the_source_comes_through():
    def blocks():
        yield 1
        msg = "no more"
        raise OSError(msg)

    ahead = read_ahead(blocks())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="no more"):
        next(ahead)


@pytest.mark.parametrize("ending", ["parquet", "csv", "npy"])
def test_progress_goes_up_to_the_whole(tmp_path, ending):
    if ending == "npy":
        table = Table(npy(tmp_path, np.ones((5, 3))), target=0)
    else:
        table = Table(written(tmp_path, ending), target="y", features=["a"])
    shares = []
    list(table.blocks(rows=2, progress=shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) == (1 if ending == "csv" else 3)


# --- limits


def test_a_csv_longer_than_one_block_is_read_on(tmp_path, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 100)
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((50, 3))
    path = written(tmp_path, "csv", dict(zip("yab", matrix.T.tolist(), strict=True)))
    blocks = list(Table(path, target="y"))
    assert len(blocks) > 10
    assert_array_equal(joined(blocks).X, matrix[:, 1:])


def test_a_late_bad_cell_of_a_long_csv_is_named_by_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr("kdtheory.readers.CSV_BYTES", 100)
    path = tmp_path / "long.csv"
    path.write_text("y,a\n" + "1,2\n" * 1000 + "1,two\n" + "1,2\n" * 10)
    blocks = iter(Table(path, target="y"))
    with pytest.raises(
        ValueError, match="column 'a' must hold a finite number, got 'two' in line 1002"
    ):
        list(blocks)


def test_quotes_blank_lines_and_marks_of_a_spreadsheet_are_read(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(b'\xef\xbb\xbf"y","a b",note\r\n1,"2","x,\ny"\r\n\r\n3,4,z\r\n')
    table = Table(path, target="y")
    assert table.names == ("a b",)
    found = joined(table)
    assert_array_equal(found.X[:, 0], [2.0, 4.0])
    assert_array_equal(found.y, [1.0, 3.0])


def test_decimals_and_small_types_are_numbers(tmp_path):
    from decimal import Decimal

    path = tmp_path / "table.parquet"
    columns = {
        "y": pa.array([Decimal("1.5"), Decimal("2.5")]),
        "a": pa.array([1, 255], pa.uint8()),
        "b": pa.array([0.5, 2.0], pa.float32()),
        "when": pa.array([0, 1], pa.timestamp("s")),
    }
    parquet.write_table(pa.table(columns), path)
    table = Table(path, target="y")
    assert table.names == ("a", "b")
    assert_array_equal(joined(table).X, [[1, 0.5], [255, 2.0]])
    assert_array_equal(joined(table).y, [1.5, 2.5])


# --- labels, and teachers of several columns


LABELLED = COLUMNS | {"t": [0.5, None, 0.25, None, 1.0]}


@pytest.mark.parametrize("ending", ENDINGS)
def test_labels_are_texts_and_several_answers_a_matrix(tmp_path, ending):
    table = Table(
        written(tmp_path, ending, LABELLED), target="who", teacher=["t", "s"], labels=True
    )
    assert table.names == ("y", "a", "b", "c")
    assert table.answers == ("t", "s")
    assert table.roles == {"target": "who"}
    found = joined(table)
    assert found.y.tolist() == COLUMNS["who"]
    numbers = lambda name: np.array(LABELLED[name], dtype=float)  # noqa: E731
    assert_array_equal(found.teacher, np.column_stack([numbers("t"), numbers("s")]))
    assert_array_equal(found.privileged, [True, False, True, False, True])


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_answer_in_a_list_is_a_matrix_of_one_column(tmp_path, ending):
    path = written(tmp_path, ending)
    one = joined(Table(path, target="y", teacher="s"))
    listed = Table(path, target="y", teacher=["s"])
    assert_array_equal(joined(listed).teacher[:, 0], one.teacher)
    assert listed.answers == ("s",)
    assert "teacher" not in listed.roles


@pytest.mark.parametrize("ending", ENDINGS)
def test_labels_that_are_numbers_are_texts_too(tmp_path, ending):
    for name, values in (("a", COLUMNS["a"]), ("y", COLUMNS["y"])):
        table = Table(written(tmp_path, ending), target=name, features=["c"], labels=True)
        assert [float(label) for label in joined(table).y] == values


def test_labels_of_a_matrix_file_are_texts(tmp_path):
    matrix = np.array([[1.0, 2.0, 0.5], [0.0, 2.0, np.nan], [1.5, 2.0, 1.0]])
    table = Table(npy(tmp_path, matrix), target=0, teacher=[2], labels=True)
    found = joined(table.blocks(rows=2))
    assert [float(label) for label in found.y] == [1.0, 0.0, 1.5]
    assert_array_equal(found.teacher, matrix[:, 2:])
    assert_array_equal(found.privileged, [True, False, True])


def test_categories_of_several_row_groups_are_their_words(tmp_path):
    groups = [pa.array(words).dictionary_encode() for words in (["b", "a"], ["c", None, "a"])]
    path = tmp_path / "table.parquet"
    types = pa.schema([("y", groups[0].type), ("a", pa.float64())])
    with parquet.ParquetWriter(path, types) as writer:
        for group in groups:
            writer.write_table(pa.table({"y": group, "a": np.ones(len(group))}, schema=types))
    blocks = Table(path, target="y", labels=True).blocks()
    assert next(blocks).y.tolist() == ["b", "a"]
    with pytest.raises(
        ValueError, match=r"column 'y' .* a label, .* got nothing in row 3 \(from 0\)"
    ):
        next(blocks)


@pytest.mark.parametrize("ending", ENDINGS)
def test_place_of_a_row_is_its_line_in_a_csv(tmp_path, ending):
    table = Table(written(tmp_path, ending), target="y")
    where = "in row 3 (from 0) of" if ending == "parquet" else "in line 5 of"
    assert table.place(3) == f"{where} '{table.path}'"


def test_place_of_a_row_counts_lines_and_not_rows(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('y,a,note\n\n1,2,"b\nc"\n\n3,4,d\n')
    assert Table(path, target="y").place(1) == f"in line 6 of '{path}'"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"who": ["a", "b", None, "a", "b"]}, "'who' .* a label, .* got nothing in (row 2|line 4)"),
        ({"who": ["a", "b", "NA", "a", "b"]}, "'who' .* a label, .* got .* in (row 2|line 4)"),
        ({"who": ["a", "inf", "b", "a", "b"]}, "'who' .*, got 'inf' in (row 1|line 3)"),
        ({"t": [0.5, None, None, None, 1.0]}, "'t' .* number, got nothing in (row 2|line 4)"),
        ({"t": [0.5, 0.5, 0.5, None, 1.0]}, "'s' .* number, got nothing in (row 1|line 3)"),
        ({"t": [0.5, None, np.inf, None, 1.0]}, "'t' .* number, got '?inf'? in (row 2|line 4)"),
    ],
)
def test_labels_and_answers_that_are_none_are_named(tmp_path, ending, change, match):
    path = written(tmp_path, ending, LABELLED | change)
    with pytest.raises(ValueError, match=match):
        list(Table(path, target="who", teacher=["t", "s"], labels=True))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("roles", "match"),
    [
        ({"teacher": ["t", "z"]}, "`teacher` must be a column, got 'z'"),
        ({"teacher": ["t", "t"]}, "`teacher` must not name 't', which is a teacher column already"),
        ({"teacher": ["t", "who"]}, "`teacher` must not name 'who', which is the target column"),
        ({"teacher": ["t", "told"]}, "column 'told' .*must (hold|be)"),
        ({"teacher": [], "privileged": "told"}, "`privileged` must be None without a teacher"),
        ({"teacher": ["t"], "weight": "t"}, "`weight` must not name 't', which is the teacher col"),
        ({"teacher": ["t"], "features": ["t"]}, "`features` must not name 't', which is the teach"),
    ],
)
def test_bad_columns_of_several_answers_are_named(tmp_path, ending, roles, match):
    with pytest.raises(ValueError, match=match):
        Table(written(tmp_path, ending, LABELLED), target="who", labels=True, **roles)


# --- bad input


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("roles", "match"),
    [
        ({"target": "z"}, "`target` must be a column, got 'z'; there are 'y', 's', 'a', 'b',"),
        ({"target": "y", "teacher": "z"}, "`teacher` must be a column, got 'z'"),
        ({"target": "y", "features": ["a", "z"]}, "`features` must be a column, got 'z'"),
        ({"target": "y", "features": ["a", "y"]}, "`features` must not name 'y', which is the ta"),
        ({"target": "y", "features": ["a", "a"]}, "`features` must be unique, got 'a' more than"),
        ({"target": "y", "features": []}, "`features` must name at least one column, got none"),
        ({"target": "y", "privileged": "told"}, "`privileged` must be None without a teacher, got"),
        ({"target": "y", "teacher": "y"}, "`teacher` must not name 'y', which is the target col"),
        ({"target": "y", "weight": "y"}, "`weight` must not name 'y', which is the target col"),
        (
            {"target": "y", "teacher": "s", "privileged": "s"},
            "`privileged` must not name 's', which is the teacher column",
        ),
        ({"target": "y", "features": ["a", "who"]}, "column 'who' .*must (hold|be)"),
        ({"target": "who", "features": ["a"]}, "column 'who' .*must (hold|be)"),
        ({"target": "y", "weight": "told"}, "column 'told' .*must (hold|be)"),
    ],
)
def test_bad_columns_are_named(tmp_path, ending, roles, match):
    with pytest.raises(ValueError, match=match):
        Table(written(tmp_path, ending), **roles)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"a": [1, 2, None, 4, 5]}, "column 'a' .*a finite number, got nothing in (row 2|line 4)"),
        ({"y": [1.0, 2, 3, 4, None]}, "'y' .*a finite number, got nothing in (row 4|line 6)"),
        ({"b": [1.0, np.inf, 3, 4, 5]}, "'b' .*a finite number, got '?inf'? in (row 1|line 3)"),
        ({"c": [1.0, 1, None, 1, 1]}, "column 'c' .*, got nothing in (row 2|line 4)"),
        ({"s": [1.0, 1, -np.inf, 1, 1]}, "column 's' .*, got '?-inf'? in (row 2|line 4)"),
    ],
)
def test_cells_that_are_no_numbers_are_named_with_their_row(tmp_path, ending, change, match):
    path = written(tmp_path, ending, COLUMNS | change)
    with pytest.raises(ValueError, match=match):
        list(Table(path, **ROLES).blocks(rows=2))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("told", "match"),
    [
        ([1, 0, 2, 0, 0], "column 'told' .*true or false, got '?2(.0)?'? in (row 2|line 4)"),
        ([1, 0, None, 0, 0], "column 'told' .*true or false, got nothing in (row 2|line 4)"),
        ([1.0, 0.5, 1, 0, 0], "column 'told' .*true or false, got '?0.5'? in (row 1|line 3)"),
        (["1", "0", "yes", "0", "0"], "'told' .*true or false, got 'yes' in (row 2|line 4)"),
        (["1", "0", None, "0", "0"], "'told' .*true or false, got nothing in (row 2|line 4)"),
        ([1, 0, 0, 1, 0], "column 's' .*a finite number, got nothing in (row 3|line 5)"),
    ],
)
def test_a_mask_is_true_or_false_and_true_only_with_an_answer(tmp_path, ending, told, match):
    path = written(tmp_path, ending, COLUMNS | {"told": told})
    with pytest.raises(ValueError, match=match):
        list(Table(path, privileged="told", **ROLES))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("y,a\n1,2\n3,x\n", "column 'a' must hold a finite number, got 'x' in line 3 of"),
        ("y,a\n1,2\n3,1_0\n", "got '1_0' in line 3"),
        ("y,a\n1,2\n3,１\n", "got '１' in line 3"),
        ("y,a\n1,2\n3,\v1\n", "must be a whole CSV file, got .*column #1"),
        ("y,a\n1,2\n\n3,x\n", "got 'x' in line 4"),
        ("y,a\n\n\n", "must be a file with at least one row"),
        ("y,a\n1,2\n3\n", r"every row must have 2 cells, got 1 in line 3"),
        ("y,a\n1,2\n3,4,5\n", r"every row must have 2 cells, got 3 in line 3"),
        ("y,a\n", "must be a file with at least one row"),
        ("", "must be a file with at least one row"),
        ("y,y\n1,2\n", "column names must be unique, got 'y' more than once"),
    ],
)
def test_a_bad_csv_is_named_with_its_line(tmp_path, text, match):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=match):
        list(Table(path, target="y"))


MASKED = {"target": "y", "teacher": "s", "privileged": "told"}


def masked_csv(folder, *cells):
    """Rows of nobody's answers, and then some of these answers and features outside I."""
    path = folder / "masked.csv"
    rows = [f"{a},1,{s},False" for s, a in cells]
    path.write_text("\n".join(["a,y,s,told", *rows, "3,1,2,True"]) + "\n")
    return path


def test_infinite_answer_outside_the_mask_is_legal_in_every_line(tmp_path):
    path = masked_csv(tmp_path, ("inf", 1), ("", 2), ("-Infinity", 3))
    assert_array_equal(joined(Table(path, **MASKED)).privileged, [False, False, False, True])


def test_cell_that_is_legal_outside_the_mask_does_not_take_the_blame(tmp_path):
    path = masked_csv(tmp_path, ("inf", 1), ("nan", 2), ("", 3), (7, "abc"))
    with pytest.raises(
        ValueError, match=r"column 'a' must hold a finite number, got 'abc' in li.* 5"
    ):
        list(Table(path, **MASKED))


@pytest.mark.parametrize("cell", [" ", "abc", " NA", "nA"])
@pytest.mark.parametrize("before", [0, 2])
def test_cell_outside_the_mask_that_no_reader_takes_is_named(tmp_path, cell, before):
    path = masked_csv(tmp_path, *[(1, 1)] * before, (cell, 2))
    words = f"column 's' must hold a number or nothing, got '{cell}' in line {before + 2} of"
    with pytest.raises(ValueError, match=words):
        list(Table(path, **MASKED))


def test_blank_answer_without_a_mask_is_named(tmp_path):
    path = masked_csv(tmp_path, (1, 1), ("  ", 2))
    with pytest.raises(ValueError, match="'s' must hold a number or nothing, got '  ' in line 3"):
        list(Table(path, target="y", teacher="s", features=["a"]))


def test_infinite_first_cell_is_refused_and_not_taken_for_a_column_of_words(tmp_path):
    path = written(tmp_path, "csv", {"y": [1, 2], "a": [1, 2], "b": ["inf", 2]})
    with pytest.raises(
        ValueError, match="column 'b' must hold a finite number, got 'inf' in line 2"
    ):
        list(Table(path, target="y"))


def test_words_that_no_search_finds_are_still_a_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(Table, "find_bad_cell", lambda *_: None)
    with pytest.raises(ValueError, match=r"column 'who' of '.*csv' must be numeric, got words in"):
        Table(written(tmp_path, "csv"), target="y", features=["who"])


@pytest.mark.parametrize("line", [2, 3])
def test_cell_beyond_all_measure_is_one_line(tmp_path, line):
    path = tmp_path / "wide.csv"
    rows = ["1,2"] * (line - 2) + ["1," + "x" * 140_000]
    path.write_text("\n".join(["y,a", *rows]))
    with pytest.raises(
        ValueError, match=f"`path` must be a CSV file, got line {line} .*field"
    ) as e:
        list(Table(path, target="y", features=["a"]))
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_csv_that_is_not_utf_8_is_told(tmp_path, encoding):
    path = tmp_path / "foreign.csv"
    path.write_text("y,größe\n1,2\n3,4\n", encoding=encoding)
    with pytest.raises(ValueError, match="`path` must be a CSV file in UTF-8, got column names"):
        Table(path, target="y")


def test_foreign_letter_in_a_number_is_named(tmp_path):
    path = tmp_path / "foreign.csv"
    path.write_bytes(b"y,a\n1,2\n3,4\xb0\n")
    with pytest.raises(
        ValueError, match=r"column 'a' must hold a finite number, got '4.*' in line 3"
    ):
        list(Table(path, target="y"))


@pytest.mark.parametrize("blank", ["\n", "\r\n\n"])
def test_blank_lines_before_the_header_are_none_of_it(tmp_path, blank):
    path = tmp_path / "late.csv"
    path.write_text(blank + "y,a\n1,2\n\n3,4\n", newline="")
    assert_array_equal(joined(Table(path, target="y")).X, [[2.0], [4.0]])
    path.write_text(blank + "y,a\n1,2\n3,x\n", newline="")
    with pytest.raises(ValueError, match=f"got 'x' in line {blank.count(chr(10)) + 3} of"):
        list(Table(path, target="y"))


def test_search_knows_what_the_numbers_must_be_besides(tmp_path):
    path = written(tmp_path, "csv")
    even = {"a": ("even numbers", lambda number: number % 2 == 0)}
    with pytest.raises(ValueError, match="column 'a' must hold even numbers, got '1' in line 2 of"):
        Table(path, **ROLES).find_bad_cell(rules=even)
    Table(path, **ROLES).find_bad_cell(["b"], even)
    Table(written(tmp_path, "parquet"), **ROLES).find_bad_cell(rules=even)  # has no lines


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_is_named(tmp_path, kept):
    rng = np.random.default_rng(0)
    whole = written(tmp_path, "parquet", {"y": rng.random(500), "a": rng.random(500)})
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
    with pytest.raises(
        ValueError, match=r"`path` must be a whole Parquet file, got '.*cut.parquet'"
    ):
        list(Table(cut, target="y"))


def test_a_parquet_file_that_is_spoilt_in_the_middle_is_named(tmp_path):
    rng = np.random.default_rng(0)
    path = written(tmp_path, "parquet", {"y": rng.random(5000), "a": rng.random(5000)})
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="`path` must be a whole Parquet file"):
        list(Table(path, target="y"))


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.ones(3), r"must hold a matrix of real numbers, got float64 of shape \(3,\)"),
        (np.ones((3, 2), complex), "must hold a matrix of real numbers, got complex128"),
        (np.array([[None]]), "must hold a matrix of real numbers, got object"),
        (np.ones((0, 2)), "must be a file with at least one row"),
    ],
)
def test_a_bad_matrix_file_is_named(tmp_path, matrix, match):
    np.save(tmp_path / "bad.npy", matrix, allow_pickle=True)
    with pytest.raises(ValueError, match=match):
        Table(tmp_path / "bad.npy", target=0)


def test_a_cell_of_a_matrix_file_is_named(tmp_path):
    matrix = np.ones((10, 3))
    matrix[7, 1] = np.nan
    table = Table(npy(tmp_path, matrix), target=0)
    with pytest.raises(
        ValueError, match=r"column '1' of .* must hold a finite .* nothing in row 7 \(from 0\)"
    ):
        list(table.blocks(rows=3))


def test_a_truncated_matrix_file_is_named(tmp_path):
    path = npy(tmp_path, np.ones((10, 3)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"must be a whole .npy file of 368 bytes, got 367"):
        Table(path, target=0)
    path.write_bytes(b"not numpy")
    with pytest.raises(ValueError, match=r"`path` must be a .npy file, got"):
        Table(path, target=0)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("table.xlsx", r"`path` must end in one of .parquet, .pq, .csv, .csv.gz, .npy, got"),
        ("absent.csv", r"`path` must be a file that can be read, got '.*' \(No such file"),
        ("folder.csv", r"`path` must be a file that can be read, got '.*' \(Is a directory"),
    ],
)
def test_a_file_that_is_not_there_is_named(tmp_path, name, match):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=match):
        Table(tmp_path / name, target="y")


def test_bad_arrays_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"lengths must agree, but `X` has 3, `y` has 2"):
        ArrayBlocks(np.ones((3, 1)), np.ones(2))
    with pytest.raises(ValueError, match=r"`y` must have rows, got shape \(\)"):
        ArrayBlocks(np.ones((3, 1)), 1.0)
    with pytest.raises(ValueError, match=r"`rows` must be at least 1, got 0"):
        ArrayBlocks(np.ones((3, 1)), np.ones(3), rows=0)
    with pytest.raises(ValueError, match=r"`X` must be a .npy file, got .*absent"):
        ArrayBlocks(tmp_path / "absent.npy", np.ones(1))


class Trap:
    """What a pickle may do when it is loaded."""

    sprung = False

    def __setstate__(self, state):
        Trap.sprung = True


def test_nothing_is_unpickled(tmp_path):
    trap = Trap()
    trap.filled = True
    np.save(tmp_path / "object.npy", np.array([trap]), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(trap))
    for name in ("object.npy", "pickle.npy"):
        with pytest.raises(ValueError, match=r"`y` must be a .npy file, got"):
            ArrayBlocks(np.ones((1, 1)), tmp_path / name)
        with pytest.raises(ValueError, match=r"`path` must (be|hold) a"):
            Table(tmp_path / name, target=0)
    assert not Trap.sprung


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = written(tmp_path, "parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'kdtheory\[tables\]'"):
        Table(path, target="y")


def test_no_reader_outlives_its_table(tmp_path):
    path = npy(tmp_path, np.ones((100, 2)))
    before = threading.active_count()
    for _ in chain.from_iterable(Table(path, target=0).blocks(rows=10) for _ in range(3)):
        pass
    blocks = Table(path, target=0).blocks(rows=10)
    next(blocks)
    blocks.close()
    assert threading.active_count() == before
