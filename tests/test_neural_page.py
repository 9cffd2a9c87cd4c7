"""Documents of neural runs become pages: complete, self-contained, and safe whatever they hold."""

import json
import re
from copy import deepcopy
from functools import cache

import made_up_results
import pytest
from pages import Page

from kdtheory import neural_page
from kdtheory.datasets import FASHION_MNIST
from kdtheory.neural_page import KINDS, experiment_page, figures, read_result, recorded, section

DOCUMENTS = {
    "fashion-mnist": made_up_results.fashion_mnist(),
    "domains": made_up_results.domains(),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def html(kind):
    return experiment_page(kind, DOCUMENTS[kind])


@cache
def text(kind):
    return Page(html(kind)).text


@pytest.fixture
def undrawn(monkeypatch):
    """No figures, for tests of the words around them."""
    monkeypatch.setattr(neural_page, "figures", lambda *_: dict.fromkeys(figure_names(), ""))


@cache
def figure_names():
    return tuple(name for kind in KINDS for name in figures(kind, DOCUMENTS[kind]["result"]))


def signed(value, form):
    return format(value, form).replace("-", "−")


def changed(kind, place, value):
    """A document with another value at a place such as "result.rows.0.rule"."""
    document = deepcopy(DOCUMENTS[kind])
    *path, last = place.split(".")
    inner = document
    for key in path:
        inner = inner[int(key) if isinstance(inner, list) else key]
    if value is KeyError:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return document


def saved(folder, document):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


# --- the page against the document


def test_every_student_is_told_with_its_reading():
    for row in DOCUMENTS["fashion-mnist"]["result"]["rows"]:
        name = neural_page.STUDENTS[row["student"]]
        loss = row["cross_entropy"]
        half = (loss["high"] - loss["low"]) / 2
        words = f"{name} {row['rule']} {row['reading']} {loss['mean']:.4f} ± {half:.4f}"
        assert words in text("fashion-mnist")


def test_published_row_stands_beside_ours():
    for row in DOCUMENTS["fashion-mnist"]["result"]["published"]:
        found = f"{row['cross_entropy']:.3f} ± {row['cross_entropy_error']:.3f}"
        name = neural_page.STUDENTS[row["student"]]
        assert f"published, {name} – not told {found}" in text("fashion-mnist")


def test_every_change_is_told_with_its_verdict():
    names = neural_page.STUDENTS
    for row in DOCUMENTS["fashion-mnist"]["result"]["changes"]:
        ends = f"{signed(row['low'], '+.4f')} to {signed(row['high'], '+.4f')} {row['verdict']}"
        (one, first), (other, second) = row["first"], row["second"]
        rules = (f", {first}", f", {second}") if "mean" in (first, second) else ("", "")
        words = f"{names[one]}{rules[0]} − {names[other]}{rules[1]} {row['reading']}"
        assert f"{words} {signed(row['change'], '+.4f')} {ends}" in text("fashion-mnist")


def test_answer_is_that_of_the_last_epoch():
    change = DOCUMENTS["fashion-mnist"]["result"]["changes"][0]
    assert (change["first"], change["reading"]) == (["with", "softmax"], "last epoch")
    found = f"{signed(change['change'], '+.4f')} ( {signed(change['low'], '+.4f')}"
    assert "Read at the last epoch, the teacher changes the cross-entropy" in text("fashion-mnist")
    assert found.replace("( ", "(") in text("fashion-mnist").replace("( ", "(")


def test_cells_of_the_phase_diagram_are_counted():
    cells = DOCUMENTS["fashion-mnist"]["result"]["phase"]["cells"]
    verdicts = [cell["cross_entropy_change"]["verdict"] for cell in cells]
    found = {verdict: verdicts.count(verdict) for verdict in ("better", "worse", "undecided")}
    assert min(found.values()) > 0
    assert f"over {len(cells)} settings" in text("fashion-mnist")
    told = (
        f"the cross-entropy with the teacher is better in {found['better']} , worse in "
        f"{found['worse']} , undecided in {found['undecided']} ."
    )
    assert told in text("fashion-mnist")
    some = [
        cell["cross_entropy_change"]["verdict"]
        for cell in cells
        if (cell["n_labels"], cell["answered"]) == (1000, "labelled")
    ]
    row = " / ".join(str(some.count(verdict)) for verdict in ("better", "undecided", "worse"))
    assert f"1 000 on the labelled {row}" in text("fashion-mnist").replace("\u00a0", " ")


def test_settings_that_were_still_improving_are_counted():
    cells = DOCUMENTS["fashion-mnist"]["result"]["phase"]["cells"]
    n = sum(cell["at_last_step"] > 0.5 for cell in cells)
    assert 0 < n < len(cells)
    told = f"In {n} of the {len(cells)} cells most students were best on the validation objects at"
    assert told in text("fashion-mnist")
    settled = deepcopy(DOCUMENTS["fashion-mnist"])
    for cell in settled["result"]["phase"]["cells"]:
        cell["at_last_step"] = 0.5
    assert section("fashion-mnist", settled).words["not_settled"] == 0
    assert "most students were best" not in Page(experiment_page("fashion-mnist", settled)).text


def test_intervals_of_changes_are_joint_and_those_of_cells_are_not():
    n = len(DOCUMENTS["fashion-mnist"]["result"]["changes"])
    assert f"the {n} intervals hold together with 95" in text("fashion-mnist")
    assert "each holds by itself" in text("fashion-mnist")
    assert text("fashion-mnist").count("one in twenty") == 0
    assert text("fashion-mnist").count("one cell in twenty") == 1


@every_kind
def test_names_of_figures_are_known_before_they_are_drawn(kind):
    assert set(figures(kind, DOCUMENTS[kind]["result"])) <= set(neural_page.FIGURES[kind])


def test_claim_of_overfitting_is_told_in_numbers():
    over = DOCUMENTS["fashion-mnist"]["result"]["overfitting"]
    assert f"from epoch {over['since']} to {over['until']}" in text("fashion-mnist")
    mean = signed(over["test_difference"]["mean"], "+.4f")
    assert f"the difference of the two is {mean}" in text("fashion-mnist")


def test_every_student_of_a_target_domain_is_told():
    page = text("domains")
    for pair in DOCUMENTS["domains"]["result"]["pairs"]:
        for link in pair["links"]:
            for row in link["rows"]:
                value = row["md_lambda"]
                name = "by validation" if value == "chosen" else f"{value:g}"
                words = f"{link['link']} {row['loss']} {name} {row['accuracy']['mean']:.3f}"
                change = row["accuracy_change"]
                told = "– – –" if change is None else signed(change["change"], "+.3f")
                assert re.search(rf"{re.escape(words)} ± \d\.\d+ {re.escape(told)}", page)


def test_verdicts_between_domains_are_counted():
    rows = [
        row["accuracy_change"]["verdict"]
        for pair in DOCUMENTS["domains"]["result"]["pairs"]
        for link in pair["links"]
        for row in link["rows"]
        if (row["loss"], row["md_lambda"]) == ("cross-entropy", "chosen")
    ]
    assert 0 < rows.count("better") < len(rows)
    told = f"over {len(rows)} links, .* alone is better in {rows.count('better')} , "
    assert re.search(told, text("domains"))


@pytest.mark.usefixtures("undrawn")
def test_verdicts_that_no_link_has_are_not_counted():
    document = deepcopy(DOCUMENTS["domains"])
    for pair in document["result"]["pairs"]:
        for row in (row for link in pair["links"] for row in link["rows"]):
            if row["accuracy_change"] is not None:
                row["accuracy_change"]["verdict"] = "worse"
    page = Page(experiment_page("domains", document)).text
    n = sum(len(pair["links"]) for pair in document["result"]["pairs"])
    assert f"student alone is worse in {n} ." in page


def test_step_of_the_largest_number_of_labels_is_told_apart():
    assert "With all 60 000 labels" in text("fashion-mnist").replace("\u00a0", " ")
    assert "best on the 5 000 validation objects" in text("fashion-mnist").replace("\u00a0", " ")


def test_regression_is_told_with_the_lambda_that_was_chosen():
    for link in DOCUMENTS["domains"]["result"]["regression"]["links"]:
        row = link["rows"][-1]
        assert f"{link['link']} 0.0200 by leave-one-out ({1 - row['trust']:.2f}) 0.0150" in (
            text("domains")
        )


@every_kind
def test_page_tells_where_when_and_how_it_was_made(kind):
    run, machine = made_up_results.RUN, made_up_results.MACHINE
    for words in (run["command"], run["date"], machine["processor"], "torch 2.13.0"):
        assert words in text(kind)
    assert "recorded" not in text(kind)
    assert "Quick run" not in text(kind)


# --- laws of pages


@every_kind
def test_page_loads_nothing_and_is_the_same_each_time(kind):
    page = Page(html(kind))
    assert html(kind) == experiment_page(kind, deepcopy(DOCUMENTS[kind]))
    assert page.all("script") == page.all("link") == page.all("img") == []
    assert {a["href"] for a in page.all("a")} == {"result.json"}
    addresses = set(re.findall(r"https?://[^\"'\s<]+", html(kind)))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


@every_kind
def test_every_figure_is_shown_with_words(kind):
    page = Page(html(kind))
    names = figures(kind, DOCUMENTS[kind]["result"])
    pictures = [attrs for attrs in page.all("svg") if "viewbox" in attrs]
    assert len(pictures) == len(names) == len(page.all("figcaption"))
    for attrs in pictures:
        for identifier in attrs["aria-labelledby"].split():
            assert re.search(rf'id="{identifier}">[^<]+<', html(kind))


def test_identifiers_of_both_sections_are_apart():
    found = [attrs["id"] for kind in KINDS for attrs in Page(html(kind)).everything("id")]
    assert len(found) - len(set(found)) == 1  # each page has its own heading "reproduce"


@every_kind
def test_wide_tables_scroll_in_their_own_box(kind):
    page = Page(html(kind))
    for position, (tag, _, depth) in enumerate(page.elements):
        if tag == "table":
            parent = [e for e in page.elements[:position] if e[2] == depth - 1][-1]
            assert parent[1]["class"] == "scroll"


@every_kind
def test_text_of_a_document_is_escaped(kind):
    wild = "<script>alert(1)</script>&"
    document = changed(kind, "result.machine.processor", wild)
    document["config"]["versions"] = {wild: wild}
    for rows in (document["result"].get("rows", []), document["result"].get("pairs", [])):
        for row in rows:
            row["words"] = wild
    for row in document["result"].get("examples", []):
        row["domain"] = wild
    for row in document["result"].get("base", {}).get("curves", []):
        row["student"] = row["words"] = wild
    page = Page(experiment_page(kind, document))
    assert page.all("script") == []
    assert wild in page.text


@pytest.mark.parametrize("name", ["$\\frac$", "$", "漢字 🙂"])
def test_name_in_a_figure_is_no_formula_and_may_be_of_any_script(name):
    result = deepcopy(DOCUMENTS["domains"]["result"])
    for curve in result["base"]["curves"]:
        curve["student"] = name
    for row in result["examples"]:
        row["domain"] = name
    for pair in result["pairs"]:
        for link in pair["links"]:
            link["link"] = name
    drawn = figures("domains", result)
    assert all(name in drawn[key] for key in ("curves", "examples", "pair_1"))


@every_kind
@pytest.mark.usefixtures("undrawn")
def test_quick_run_is_marked(kind):
    document = changed(kind, "result.quick", True)
    page = Page(experiment_page(kind, document)).text
    assert "Quick run on a small part: numbers are not results." in page
    assert "quick run" in page.split("FashionMNIST")[0] or "quick run" in page


# --- limits


@pytest.mark.usefixtures("undrawn")
def test_run_without_a_phase_diagram_or_a_command_has_a_page():
    document = changed("fashion-mnist", "result.phase", None)
    del document["run"]
    page = Page(experiment_page("fashion-mnist", document)).text
    assert "phase diagram" not in page
    assert "kdtheory experiment fashion-mnist --out DIR" in page


def test_figures_without_a_phase_diagram():
    result = changed("fashion-mnist", "result.phase", None)["result"]
    assert set(figures("fashion-mnist", result)) == {"figure_2", "regularisers", "reliability"}


@pytest.mark.usefixtures("undrawn")
def test_numbers_that_are_none_are_dashes(tmp_path):
    document = changed(
        "fashion-mnist",
        "result.rows.0.cross_entropy",
        {"mean": None, "low": None, "high": None},
    )
    for key in ("change", "low", "high"):
        document["result"]["changes"][0][key] = None
    found = read_result("--out", saved(tmp_path, document), "fashion-mnist")
    page = Page(experiment_page("fashion-mnist", found)).text
    assert "without teacher softmax last epoch –" in page
    assert "None" not in page
    assert "nan" not in page


@every_kind
def test_section_without_a_run_says_how_to_make_one(kind):
    part = section(kind, None, recorded=True)
    assert (part.document, part.result, part.figures) == (None, {}, {})


@every_kind
def test_recorded_run_is_read_or_absent(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(neural_page, "files", lambda _: tmp_path)
    assert recorded(kind) is None
    (tmp_path / "recorded").mkdir()
    path = tmp_path / "recorded" / f"{kind.replace('-', '_')}.json"
    path.write_text(json.dumps(DOCUMENTS[kind]), encoding="utf-8")
    assert recorded(kind) == DOCUMENTS[kind]
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"`recorded` must hold the result.json of a run.*damaged"):
        recorded(kind)


@every_kind
def test_run_that_comes_with_the_package_can_be_shown(kind):
    document = recorded(kind)
    assert document is not None
    assert document["result"]["quick"] is False
    assert set(document["run"]) == {"command", "date"}
    assert document["result"]["data"]["digests"] == {
        file.name: file.sha256 for file in FASHION_MNIST.files
    }
    section(kind, document, recorded=True)


# --- bad input


@every_kind
def test_document_comes_back_as_it_was(kind, tmp_path):
    assert read_result("--x", saved(tmp_path, DOCUMENTS[kind]), kind) == DOCUMENTS[kind]


@pytest.mark.parametrize(
    ("kind", "place", "value", "words"),
    [
        ("fashion-mnist", "result", 1, "`result` is no object"),
        ("fashion-mnist", "config", KeyError, "`config` is missing"),
        ("fashion-mnist", "run", {"command": "x"}, "`run.date` is missing"),
        ("fashion-mnist", "result.rows", [], "`result.rows` is no list, or empty"),
        ("fashion-mnist", "result.quick", 1, "`result.quick` is no true or false"),
        ("fashion-mnist", "result.trust", True, "`result.trust` is no number"),
        ("fashion-mnist", "result.trust", "<b>", "`result.trust` is no number"),
        ("fashion-mnist", "result.n_seeds", 1.5, "`result.n_seeds` is no whole number"),
        ("fashion-mnist", "result.rows.2.rule", "x", "`result.rows[2].rule` is none of softmax"),
        ("fashion-mnist", "result.curves.1.student", [], "`result.curves[1].student` is none of"),
        ("fashion-mnist", "result.changes.0.first", ["with"], "has 1 items, not 2"),
        ("fashion-mnist", "result.phase", {}, "`result.phase.sizes` is missing"),
        ("fashion-mnist", "result.seconds", 3, "`result.seconds` is no object"),
        ("fashion-mnist", "result.curves.0.epoch", [1, 2], "`result.curves[0]` differ in length"),
        ("fashion-mnist", "result.calibration.0.share", [1], "`result.calibration[0]` differ"),
        ("fashion-mnist", "result.phase.sizes.0", 0, "`result.phase.sizes[0]` is not above 0"),
        ("fashion-mnist", "result.trust", 10**400, "`result.trust` is beyond 1e+12"),
        ("fashion-mnist", "config.versions", ["a"], "`config.versions` is no object"),
        ("domains", "result.pairs.0.links.0.rows.0.md_lambda", "x", "md_lambda` is no number"),
        ("domains", "result.base.epochs", [1], "the lists of `result.base` differ in length"),
        ("domains", "result.examples.0.pictures.0", [[1, 2], [3]], "`result.examples[0]` differ"),
        ("domains", "result.data.digests", {"a": 1}, "`result.data.digests` is no text"),
        (
            "fashion-mnist",
            "result.phase.cells.3.at_last_step",
            KeyError,
            "at_last_step` is missing",
        ),
        ("fashion-mnist", "result.phase.sizes.0", 10**30, "`result.phase.sizes[0]` is beyond"),
        ("domains", "result.base.epochs.0", 10**30, "`result.base.epochs[0]` is beyond 1e+12"),
        (
            "domains",
            "result.pairs.0.links.0.rows.0.loss",
            "other",
            "loss` is none of cross-entropy",
        ),
        ("domains", "result.base.curves.0.student", "a\nb", "is no text of at most 60 printable"),
        ("domains", "result.examples.0.domain", 61 * "a", "is no text of at most 60 printable"),
        ("domains", "result.examples.0.pictures", 31 * [[[1]]], "pictures` has more than 30 items"),
    ],
)
def test_first_place_that_is_amiss_is_named(tmp_path, kind, place, value, words):
    folder = saved(tmp_path, changed(kind, place, value))
    with pytest.raises(ValueError, match=rf"`--run` must hold a result.json of {kind}") as told:
        read_result("--run", folder, kind)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_pair_without_a_student_to_draw_is_named(tmp_path):
    document = deepcopy(DOCUMENTS["domains"])
    for link in document["result"]["pairs"][1]["links"]:
        for row in link["rows"][:-1]:
            row["md_lambda"] = "chosen"
    with pytest.raises(ValueError, match=r"`result.pairs\[1\]` has no row to draw"):
        read_result("--run", saved(tmp_path, document), "domains")


@pytest.mark.parametrize(
    "more",
    [
        {"pictures": 5}, {"epochs": [1]}, {"epochs": [1], "curves": [3]},
        {"epoch": [1, 2], "confidence": [1]},
    ],
)  # fmt: skip
@every_kind
def test_what_a_document_holds_beside_is_left_alone(tmp_path, kind, more):
    document = changed(kind, "result.more", more)
    assert read_result("--run", saved(tmp_path, document), kind) == document


@every_kind
def test_free_names_are_no_lists_to_draw(tmp_path, kind):
    document = changed(kind, "result.seconds", {"pictures": 5, "epochs": 1, "epoch": 2})
    assert read_result("--run", saved(tmp_path, document), kind) == document


@every_kind
def test_document_nested_without_end_is_refused(tmp_path, kind):
    deep = json.loads("[" * 200 + "]" * 200)
    with pytest.raises(ValueError, match="which is damaged"):
        read_result("--run", saved(tmp_path, changed(kind, "result.more", deep)), kind)


def test_folder_without_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(saved(tmp_path, DOCUMENTS["domains"]))
    with pytest.raises(ValueError, match=r"`--domains` must be a folder .*, got '' \(no name\)"):
        read_result("--domains", "", "domains")


@every_kind
def test_result_of_the_other_experiment_is_refused(kind, tmp_path):
    (other,) = set(KINDS) - {kind}
    with pytest.raises(ValueError, match="is missing"):
        read_result("--run", saved(tmp_path, DOCUMENTS[other]), kind)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\ud800"}', b"[" * 100_000],
)
def test_damaged_file_is_named(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"`--run` must hold the result.json .* which is damaged"):
        read_result("--run", tmp_path, "domains")


def test_json_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "result.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="`the whole` is no object"):
        read_result("--run", tmp_path, "domains")


def test_file_that_is_absent_or_no_file_or_too_large_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`--run` must hold the result.json .*No such file"):
        read_result("--run", tmp_path, "domains")
    monkeypatch.setattr(neural_page, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes"):
        read_result("--run", saved(tmp_path / "large", DOCUMENTS["domains"]), "domains")
    (tmp_path / "folder" / "result.json").mkdir(parents=True)
    with pytest.raises(ValueError, match="not a regular file"):
        read_result("--run", tmp_path / "folder", "domains")


def test_other_kinds_are_refused():
    for ask in (
        lambda: section("x", None),
        lambda: recorded("x"),
        lambda: figures("x", {}),
        lambda: read_result("--run", ".", "x"),
    ):
        with pytest.raises(ValueError, match=r"`kind` must be .*, got 'x'"):
            ask()
