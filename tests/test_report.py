"""The page and its numbers: complete, self-contained, repeatable, whole or not there."""

import json
import re
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import made_up_results
import numpy as np
import pytest
from experiment_results import DRAWS, diabetes, digits, privileged, synthetic
from pages import Page

import kdtheory.report
from kdtheory import ledger
from kdtheory.experiments.diabetes import theorem_2_on_diabetes
from kdtheory.experiments.digits import theorem_1_on_digits
from kdtheory.experiments.intervals import Interval
from kdtheory.experiments.synthetic import PUBLISHED, experiment_of_gs_6_2
from kdtheory.neural_page import recorded, section
from kdtheory.report import FILES, build_report, write_report
from kdtheory.typesetting import typeset

QUICK_SECONDS = 0.3  # of a claim; CI compares the files of two whole runs


@cache
def backings():
    """The real ledger, derived once for this module."""
    return tuple(ledger.verify())


@cache
def neural():
    """Sections of experiments that nobody ran: the recorded runs may be there or not."""
    return {
        "fashion_mnist": section("fashion-mnist", made_up_results.fashion_mnist(), recorded=True),
        "domains": section("domains", made_up_results.domains()),
    }


@cache
def report():
    return build_report(backings(), digits(), diabetes(), synthetic(), privileged(), **neural())


def planted(**changes):
    """The first row of the ledger with other words, as if nothing had backed it."""
    first = backings()[0]
    return replace(first, claim=replace(first.claim, **changes), backed=False)


@pytest.fixture
def undrawn(monkeypatch):
    """No figures, for tests of the words around them."""
    monkeypatch.setattr(kdtheory.report, "_figures", lambda *_: defaultdict(str))


def bare(words):
    """Without what typesetting changes: spaces and the signs of indices and exponents."""
    return re.sub(r"[\s_^{}]", "", words)


@cache
def page():
    return Page(report()[0])


# --- the page against the results


def test_every_verdict_of_the_ledger_is_backed_on_the_page():
    results = report()[1]
    assert results["ledger"]["not_backed"] == []
    assert [claim["id"] for claim in results["ledger"]["claims"]] == [c.id for c in ledger.CLAIMS]
    assert "NOT backed" not in page().text


def test_every_claim_has_its_row_with_statement_and_verdict():
    rows = {attrs.get("id") for attrs in page().all("tr")}
    for claim in ledger.CLAIMS:
        assert claim.id in rows
        for words in (claim.statement, claim.correction):
            assert bare(words) in bare(page().text)


def test_answer_counts_the_claims_of_the_paper():
    counts = report()[1]["ledger"]["counts"]
    paper = [claim for claim in ledger.CLAIMS if claim.author == "paper"]
    assert sum(counts.values()) == len(paper)
    assert f"Of {len(paper)} claims of the papers, {counts['true']} are true ," in page().text
    assert f"{counts['false as printed']} are false as printed ;" in page().text


def test_headline_is_the_median_mass_on_real_digits():
    quantiles = report()[1]["digits"]["log10_mass_quantiles"]
    decades = digits().log_mass / np.log(10)
    assert quantiles["median"] == np.median(decades)
    assert f"has median 10 −{-np.median(decades):.0f} and" in page().text
    assert (quantiles["least"], quantiles["greatest"]) == (decades.min(), decades.max())


def test_tables_tell_the_numbers_of_the_results():
    for score in digits().scores:
        assert f"{score.model} {score.accuracy:.3f} {score.cross_entropy:.4f}" in page().text
    for row in diabetes().comparisons:
        change = f"{row.change:+.0f}".replace("-", "−")
        assert f"{row.teacher_columns} columns {row.trust:.2f} {change}" in page().text


def signed(value, form):
    return format(value, form).replace("-", "−")


def test_choice_of_trust_is_told_with_its_verdicts():
    text = page().text
    for choice in diabetes().choices:
        for against, row in (
            ("no teacher", choice.against_none), ("λ = ½", choice.against_half)
        ):  # fmt: skip
            ends = f"{signed(row.low, '+.0f')} to {signed(row.high, '+.0f')} {row.verdict}"
            assert f"{against} {signed(row.change, '+.1f')} {ends}" in text
    loo = diabetes().choices[0]
    assert f"Leave-one-out chose λ = {loo.trusts[0]:.2f}" in text
    assert f"by leave-one-out is {loo.against_none.verdict} on these patients" in text


def test_coefficients_are_told_with_their_intervals():
    text = page().text
    for k, column in enumerate((*diabetes().columns, "constant")):
        cells = " ".join(
            f"{signed(row.estimates[k], '.1f')} ({signed(row.low[k], '.1f')} to "
            f"{signed(row.high[k], '.1f')})"
            for row in diabetes().intervals
        )
        assert f"{column} {cells}" in text
    assert "with the teacher, naive (wrong)" in text
    alone, taught, naive = diabetes().intervals
    for k, column in enumerate(diabetes().columns):
        row = (
            alone.mean_standard_errors[k], alone.spread[k], taught.mean_standard_errors[k],
            naive.mean_standard_errors[k], taught.spread[k],
        )  # fmt: skip
        assert f"{column} {' '.join(format(value, '.2f') for value in row)}" in text


def test_solver_and_detector_are_told():
    assert "finds it in 100 of 100 splits, and calls the clinic’s teacher one in 0" in page().text
    assert f"the path “{diabetes().solvers[0]}” of distil_regression" in page().text


def test_students_are_told_with_their_verdicts():
    text = page().text
    words = kdtheory.report.MEASURES
    sizes = {"test": "100", "large": "5 000"}
    for change in synthetic().changes:
        if (change.first[0], change.second[0]) == ("with", "without"):
            ends = f"{signed(change.low, '+.4f')} to {signed(change.high, '+.4f')}"
            row = f"{words[change.measure]} {sizes[change.sample]} {signed(change.change, '+.4f')}"
            assert f"{row} {ends} {change.verdict}" in text
    for quality in synthetic().qualities:
        if quality.sample == "large":
            name = kdtheory.report.MODELS[quality.student]
            found = [quality.interval(m).mean for m in ("cross_entropy", "accuracy", "kl")]
            found[2] = max(found[2], 0)  # that of the true probabilities is 0 up to rounding
            cells = " ".join(map(signed, found, (".3f", ".3f", ".4f")))
            assert f"{name} {quality.rule} {cells}" in text
    kl = [synthetic().quality(student).kl.mean() for student in ("without", "with")]
    assert "falls from {:.4f} to {:.4f} nats".format(*kl) in text


def test_published_row_stands_beside_ours_and_the_bayes_values():
    text = page().text
    bayes = synthetic().cross_entropy.mean
    for row in PUBLISHED:
        ratio = row.cross_entropy / bayes
        assert f"{row.model} {row.cross_entropy:.3f} {row.accuracy:.3f} {ratio:.2f}" in text
    for student, words in (("without", "here, without"), ("with", "here, with")):
        loss = synthetic().quality(student, sample="test").interval("cross_entropy")
        assert f"{words} teacher {loss.mean:.3f} ± {(loss.high - loss.low) / 2:.3f}" in text


def test_every_reading_is_told_with_its_verdict():
    text = page().text
    out = sum(reading.verdict == "ruled out" for reading in synthetic().readings)
    assert 0 < out < len(synthetic().readings)
    assert f"read in {len(synthetic().readings)} ways" in text
    assert f"{out} are ruled out" in text
    for reading in synthetic().readings:
        assert f"{reading.name} {reading.words} {reading.cross_entropy_without.mean:.3f}" in text
        assert f"{reading.p_value:.3f} {reading.verdict}" in text
        listed = f"{reading.name}: {reading.words} (p = {reading.p_value:.2f})" in text
        assert listed == (reading.verdict == "possible")


def test_generalised_distillation_is_told_beside_the_published():
    text = page().text
    for row in privileged().comparisons:
        cells = " ".join(
            f"{100 * ours.mean:.1f} ± {100 * ours.sd:.1f} {100 * mean:.0f} ± {100 * sd:.0f}"
            for ours, (mean, sd) in (
                (row.teacher, row.published.teacher),
                (row.plain, row.published.plain),
                (row.distilled, row.published.distilled),
            )
        )
        assert f"{row.experiment}: {row.name} {cells}" in text
    for row in privileged().comparisons + privileged().sensitivity:
        gain = f"{row.penalty:g} {signed(100 * row.gain.mean, '+.2f')}"
        assert f"{row.experiment}: {row.name} {gain}" in text
        bound = "unknown" if np.isnan(row.bayes_plain) else f"{100 * row.bayes_plain:.1f}"
        assert f"{bound} " in text.split(f"{row.name} {gain}")[1][:80]


def gained(rows, *gains):
    """Comparisons with these gains, each known to half a point."""
    return tuple(
        replace(row, gain=Interval(g, g - 0.005, g + 0.005))
        for row, g in zip(rows, gains, strict=True)
    )


@pytest.mark.usefixtures("undrawn")
def test_conclusion_about_distillation_is_computed():
    small, large = (0.07, 0.004, 0.06, -0.03, 0.0, 0.001), (0.08, 0.006, 0.05, -0.04, 0.0, 0.0)
    result = privileged()
    told = replace(
        result,
        comparisons=gained(result.comparisons, *small),
        sensitivity=gained(result.sensitivity, *large),
    )
    text = Page(build_report([], digits(), diabetes(), synthetic(), told)[0]).text
    assert "gains 5.0 to 8.0 points in 1 (clean labels), 3 (relevant features)." in text
    assert "loses 3.0 to 4.0 points in 4 (sample-dependent features, text)." in text
    assert "changes the accuracy by at most 0.6 points: little," in text
    assert "The table holds 12 intervals; about one in twenty such misses by chance." in text
    for row in told.comparisons:
        published = row.published.distilled
        ours = f"{100 * row.distilled.mean:.0f} ± {100 * row.distilled.sd:.0f}"
        theirs = f"{100 * published[0]:.0f} ± {100 * published[1]:.0f}"
        other = abs(row.distilled.mean - published[0]) > published[1]
        assert (f"{ours} for {theirs} in {row.experiment} ({row.name})" in text) == other
    teacher = f"{100 * told.comparisons[3].teacher.mean:.0f}"
    strange = (
        f"the teacher itself is right for {teacher} % of the objects, where 96 % are published"
    )
    assert text.count("the teacher itself is right for") == 1
    assert strange in text
    none = replace(
        told,
        comparisons=gained(told.comparisons, *6 * [0.0]),
        sensitivity=gained(told.sensitivity, *5 * [0.0], 0.04),
    )
    text = Page(build_report([], digits(), diabetes(), synthetic(), none)[0]).text
    assert "gains a point under both penalties in no problem." in text
    assert "by at most 4.0 points ." in text or "by at most 4.0 points." in text
    assert "It loses" not in text


@pytest.mark.usefixtures("undrawn")
def test_draws_like_the_published_row_are_counted():
    some = replace(synthetic(), share_below_published=2 / DRAWS, share_like_published=0.0)
    text = Page(build_report([], digits(), diabetes(), some, privileged())[0]).text
    assert f"0.225 or less in 2 of the {DRAWS} draws." in text
    assert f"close to the published one in none of the {DRAWS} draws." in text
    assert "the list was not" in text


def test_results_hold_every_measure_of_every_draw_and_no_unknown_number():
    found = report()[1]["synthetic"]
    assert [len(row["kl"]) for row in found["qualities"]] == [DRAWS] * len(found["qualities"])
    assert {row["verdict"] for row in found["readings"]} == {"possible", "ruled out"}
    assert np.shape(found["figure_7"]["probs"]) == synthetic().first.figure_7.probs.shape
    table = report()[1]["privileged"]["comparisons"]
    for row, result in zip(table, privileged().comparisons, strict=True):
        assert row["gain"]["mean"] == result.gain.mean
        assert (row["bayes_plain"] is None) == np.isnan(result.bayes_plain)


@pytest.mark.usefixtures("undrawn")
def test_fit_that_did_not_converge_is_told():
    assert "Every fit converged." in page().text
    failed = replace(synthetic(), uncertified=("exact of draw 3", "<b>"))
    html, _ = build_report([], digits(), diabetes(), failed, privileged())
    assert "Not solved to the end: exact of draw 3, <b>." in Page(html).text
    assert "Every fit converged." not in Page(html).text


@pytest.mark.usefixtures("undrawn")
def test_no_reading_need_remain_possible():
    none = tuple(replace(reading, p_value=0.0) for reading in synthetic().readings)
    html, _ = build_report(
        [], digits(), diabetes(), replace(synthetic(), readings=none), privileged()
    )
    assert "None remains possible." in Page(html).text
    assert f"{len(none)} are ruled out" in Page(html).text


@pytest.mark.usefixtures("undrawn")
def test_unbacked_verdict_is_shouted():
    html, results = build_report(
        [planted(id="GS-WRONG")], digits(), diabetes(), synthetic(), privileged()
    )  # fmt: skip
    text = Page(html).text
    assert results["ledger"]["not_backed"] == ["GS-WRONG"]
    assert "the evidence does not back 1 of the verdicts" in text
    assert "Not backed: GS-WRONG ." in text
    assert "backs every verdict" not in text


@pytest.mark.usefixtures("undrawn")
def test_words_follow_the_verdicts():
    worse = replace(digits(), change_low=0.1, change_high=0.2)
    better = replace(digits(), change_low=-0.2, change_high=-0.1)
    undecided = replace(digits(), change_low=-0.1, change_high=0.1)
    helpful = replace(diabetes().columns_effect, low=-2.0, high=-1.0)
    for result, word in ((worse, "worse"), (better, "better"), (undecided, "undecided")):
        patients = replace(diabetes(), columns_effect=helpful)
        html, _ = build_report(backings()[:1], result, patients, synthetic(), privileged())
        text = Page(html).text
        assert f": {word} on this split" in text
        assert "they have a part in the change" in text


def test_neural_experiments_are_told_with_where_they_were_run():
    text, run = page().text, made_up_results.RUN
    assert "These numbers were recorded on a made-up processor" in text
    assert "These numbers are of a run on a made-up processor" in text
    assert text.count(f"on {run['date']}, by {run['command']}") == 2
    assert text.count("They are not computed for this page") == 2
    for kind in ("fashion-mnist", "domains"):
        assert f"kdtheory experiment {kind} --out DIR" in text
        assert report()[1][kind.replace("-", "_")] == neural()[kind.replace("-", "_")].document


@pytest.mark.usefixtures("undrawn")
def test_neural_experiment_that_is_not_recorded_says_how_to_make_it():
    empty = {kind.replace("-", "_"): section(kind, None) for kind in ("fashion-mnist", "domains")}
    html, results = build_report([], digits(), diabetes(), synthetic(), privileged(), **empty)
    assert Page(html).text.count("No run of this experiment is recorded here.") == 2
    assert "kdtheory experiment domains --out DIR" in Page(html).text
    assert results["fashion_mnist"] is results["domains"] is None


@pytest.mark.usefixtures("undrawn")
def test_recorded_runs_are_shown_unless_others_are_given():
    results = build_report([], digits(), diabetes(), synthetic(), privileged())[1]
    assert results["fashion_mnist"] == recorded("fashion-mnist")
    assert results["domains"] == recorded("domains")


@pytest.mark.usefixtures("undrawn")
def test_text_of_a_claim_is_escaped():
    html, _ = build_report(
        [planted(statement="if <script>alert(1)</script> & g < 1", tex="<script>2", id="<b>")],
        digits(), diabetes(), synthetic(), privileged(),
    )  # fmt: skip
    assert Page(html).all("script") == []
    for words in ("if <script>alert(1)</script> & g < 1", "<script>2", "<b>"):
        assert words in Page(html).text


@pytest.mark.parametrize(
    ("words", "html"),
    [
        ("∏ g_k^{s_k} ds", "∏ g<sub>k</sub><sup>s<sub>k</sub></sup> ds"),
        ("exp_{K−1}(x) < x^j/j!", "exp<sub>K−1</sub>(x) &lt; x<sup>j</sup>/j!"),
        ("Σ_{j<K} 1/T_0²", "Σ<sub>j&lt;K</sub> 1/T<sub>0</sub>²"),
        ("no sign, {a} set", "no sign, {a} set"),
    ],
)
def test_indices_and_exponents_are_typeset(words, html):
    assert typeset(words) == html


# --- laws of the page


def test_page_loads_nothing():
    html = report()[0]
    assert page().all("script") == page().all("link") == page().all("img") == []
    for tag, attrs, _ in page().elements:
        for name, value in attrs.items():
            if name in {"src", "srcset", "href", "xlink:href", "data", "action", "poster"}:
                inside = value.startswith(("#", "data:")) or (tag, value) == ("a", FILES[1])
                assert inside, (tag, name, value)
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    addresses = set(re.findall(r"https?://[^\"'\s<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_page_fits_a_phone_and_the_dark_and_paper():
    html = report()[0]
    assert html.startswith("<!doctype html>")
    assert page().all("html") == [{"lang": "en"}]
    viewports = [attrs for attrs in page().all("meta") if attrs.get("name") == "viewport"]
    assert viewports[0]["content"].startswith("width=device-width")
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_every_figure_has_alternative_text_and_a_caption():
    pictures = [attrs for attrs in page().all("svg") if "viewbox" in attrs]
    assert len(pictures) == len(page().all("figure")) == len(page().all("figcaption"))
    assert len(pictures) == 26 + sum(len(part.figures) for part in neural().values())
    html = report()[0]
    for attrs in pictures:
        assert attrs["role"] == "img"
        for identifier in attrs["aria-labelledby"].split():
            words = re.search(rf'<(title|desc) id="{identifier}">([^<]+)</\1>', html)
            assert words.group(2).strip()


def test_identifiers_are_unique_and_all_links_lead_somewhere():
    identifiers = [attrs["id"] for _, attrs, _ in page().elements if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    targets = [a["href"][1:] for a in page().all("a") if a["href"].startswith("#")]
    assert set(targets) <= set(identifiers)
    for _, attrs, _ in page().elements:
        assert set(attrs.get("aria-labelledby", "").split()) <= set(identifiers)


def test_wide_tables_scroll_in_their_own_box():
    boxed = 0
    for position, (tag, attrs, depth) in enumerate(page().elements):
        if tag == "table" and attrs["class"] == "figures":
            parent = [e for e in page().elements[:position] if e[2] == depth - 1][-1]
            assert parent[1]["class"] == "scroll"
            boxed += 1
    assert boxed == 12 + 5 + 10


# --- laws of the files


def test_same_seed_gives_the_same_bytes(tmp_path):
    # claims whose evidence draws at random too, those of them that are quick to derive once more
    quick = [b for b in backings() if b.seconds < QUICK_SECONDS]
    drawn = [b.claim for b in quick if any(e.kind == "property" for e in b.claim.evidence)]
    assert drawn
    fresh = {b.claim.id: b for b in ledger.verify(drawn)}
    again = [fresh.get(b.claim.id, b) for b in backings()]
    # two draws are enough to differ; the long experiments have laws of their own
    two, other = (experiment_of_gs_6_2(n_draws=2) for _ in range(2))
    pages = (
        build_report(backings(), digits(), diabetes(), two, privileged()),
        build_report(again, theorem_1_on_digits(), theorem_2_on_diabetes(), other, privileged()),
    )
    first, second = (write_report(tmp_path / str(i), *page) for i, page in enumerate(pages))
    for one, again_ in zip(first, second, strict=True):
        assert one.read_bytes() == again_.read_bytes()


def test_files_are_what_was_built(tmp_path):
    html, results = report()
    written, data = write_report(tmp_path / "a" / "b", html, results)
    assert (written.name, data.name) == FILES == ("index.html", "results.json")
    assert written.read_text(encoding="utf-8") == html
    text = data.read_text(encoding="utf-8")
    assert json.loads(text) == results
    assert text.endswith("}\n")
    assert sorted(results) == list(json.loads(text))
    assert {path.name for path in data.parent.iterdir()} == set(FILES)


def test_results_hold_no_time_and_no_place():
    results = report()[1]
    assert str(Path.cwd()) not in json.dumps(results)
    # but for those of runs that were done before
    text = json.dumps({key: results[key] for key in results.keys() - neural().keys()})
    assert "seconds" not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


def test_report_replaces_an_earlier_one_and_leaves_strangers(tmp_path):
    for name in (*FILES, "notes.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    write_report(tmp_path, "<p>new</p>", {"new": 1})
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "<p>new</p>"
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("method", ["write_text", "replace"])
@pytest.mark.parametrize(
    ("error", "told"), [(OSError(28, "No space left"), ValueError), (KeyboardInterrupt(),) * 2]
)
def test_nothing_half_written_is_left(tmp_path, monkeypatch, method, error, told):
    (tmp_path / "old").mkdir()
    for name in FILES:
        (tmp_path / "old" / name).write_text("old", encoding="utf-8")
    real, calls = getattr(Path, method), []

    def fails_after_first(self, *args, **kwargs):
        calls.append(self)
        if len(calls) % 2 == 0 or method == "replace":
            raise error
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, method, fails_after_first)
    expected = told if isinstance(told, type) else KeyboardInterrupt
    for folder in (tmp_path / "old", tmp_path / "new" / "deeper"):
        with pytest.raises(expected):
            write_report(folder, "<p>new</p>", {"new": 1})
    assert {path.name for path in tmp_path.iterdir()} == {"old"}
    assert {path.name for path in (tmp_path / "old").iterdir()} == set(FILES)
    for name in FILES:
        assert (tmp_path / "old" / name).read_text(encoding="utf-8") == "old"


# --- limits


@pytest.mark.usefixtures("undrawn")
def test_ledger_without_rows_makes_a_page():
    html, results = build_report([], digits(), diabetes(), synthetic(), privileged())
    assert results["ledger"]["claims"] == []
    assert "Of 0 claims" in Page(html).text


# --- bad input


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=rf"`--out` must be a folder .* got '{out}' \(Not a"):
            write_report(out, "", {})
    (tmp_path / "index.html").mkdir()
    with pytest.raises(ValueError, match=r"\(index.html in it is a folder\)"):
        write_report(tmp_path, "", {})
    with pytest.raises(ValueError, match=r"got '' \(no name\)"):
        write_report("", "", {})


def test_number_that_json_cannot_hold_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "out", "", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
