"""The static site: numbers, pages, links, escaping; and how it behaves in a browser.

Its studies are three small images with hostile names, a toy network and a stand-in for SAM; one
holds its maps, the other its tables alone.
"""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import SmallNet, chromium, frozen
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from xaiutils import cli, run, site
from xaiutils.claims import COLUMNS, claims
from xaiutils.errors import InputError
from xaiutils.maps import threshold
from xaiutils.names import COLOURS
from xaiutils.pages import to_html
from xaiutils.segmenters import Prediction, Segmenter, load_segmenter
from xaiutils.site import gallery, notebooks, numbers, pictures, reference
from xaiutils.site.shell import Entry, Shell, decimals
from xaiutils.study import StudyConfig, run_study

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = "<b>x<b>&'\"}}"  # the name of an image
SCRIPT = "<script>alert(1)</script>"  # the label of another
SETTINGS = (("occlusion", (("window", 8), ("stride", 8))),)


class Disc(Segmenter):
    """A SAM that answers every prompt with a disc around its first point or box."""

    needs = (("points",), ("box",))

    def predict(self, prompts):
        x, y = prompts.points[0] if len(prompts.points) else prompts.box.reshape(2, 2).mean(0)
        ys, xs = np.indices(self.size)
        return Prediction(np.hypot(xs - x, ys - y) <= 12, 0.5)

    def _prepare(self, image):
        pass


def with_disc(name: str, **options) -> Segmenter:
    """A disc in place of a SAM, the other segmenters as they are."""
    return Disc() if "sam" in name else load_segmenter(name)


def write_images(root: Path) -> None:
    """Three images of 60 x 40 with a square object, one of them without any contrast."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    for name in (HOSTILE, "b plain", "c#100%"):
        image = rng.integers(0, 255, (40, 60, 3)).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        mask = np.zeros((40, 60), np.uint8)
        mask[8:30, 20:45] = 255
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")
    labels = f'file,label\n"b plain.png","dog, cat"\n"c#100%.png","{SCRIPT}"\n'
    (root / "labels.csv").write_text(labels)


def write_notebook(folder: Path) -> None:
    """An executed notebook as a page, with a link within it and a wide table."""
    wide = "<table><tr>" + "<td>a wide cell</td>" * 60 + "</tr></table>"
    shown = new_output("display_data", {"text/html": wide})
    cells = [
        new_markdown_cell("# A heading\n\n[down](#A-heading)"),
        new_code_cell("1", outputs=[shown]),
    ]
    notebook = nbformat.from_dict(new_notebook(cells=cells))
    folder.mkdir(parents=True)
    (folder / "01_failure_modes.html").write_text(to_html(notebook, "01", folder))
    Image.new("RGB", (9, 9)).save(folder / site.HEADLINE)


def untested() -> pd.DataFrame:
    """A ledger without a verdict; to judge takes longer than all else here."""
    empty = {"quantity": "", "estimate": np.nan, "low": np.nan, "high": np.nan, "n": 0}
    found = claims().assign(**empty, verdict="not tested here", reason="too few images")
    return found[COLUMNS]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The study "toy" and "stored", a copy of its tables; where they lie."""
    home = tmp_path_factory.mktemp("site")
    write_images(home / "data")
    model = SmallNet(classes=1000)
    toy = frozen(model, 32, model.features, classes=1000)
    config = StudyConfig(
        "toy",
        dataset="folder",
        root=str(home / "data"),
        explainers=("gradcam", "occlusion"),
        settings=SETTINGS,
        fusions=("weighted", "mean"),
        promptings=("dual",),
        segmenters=("embedded_sam", "threshold"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAIUTILS_STUDIES", str(home / "studies"))
        patch.setattr(run, "load_classifier", lambda name, precision: toy)
        patch.setattr("xaiutils.config.load_segmenter", with_disc)
        study = run_study(config, progress=False)
        untested().to_csv(study.folder / "claims.csv", index=False)
        stored = home / "studies" / "stored"
        shutil.copytree(study.folder, stored, ignore=shutil.ignore_patterns("units"))
        file = stored / "config.json"
        file.write_text(file.read_text().replace('"toy"', '"stored"'))
        write_notebook(home / "figures" / "toy")
        yield SimpleNamespace(home=home, toy=study)


@pytest.fixture(scope="module")
def built(studies):
    """The folder of the site of both studies, with two modules in its reference."""
    to = studies.home / "build" / "site"
    modules = ("xaiutils.fusion", "xaiutils.report")
    site.build(("toy", "stored"), to, studies.home / "figures", modules)
    return to


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def html_pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


# ---- numbers


def stub(**tables):
    tables = {"mask_agreement": pd.DataFrame(), **tables}
    return SimpleNamespace(table=tables.__getitem__, tables=list(tables))


def rows(columns: str, *values) -> pd.DataFrame:
    return pd.DataFrame(values, columns=columns.split())


def hand_made(**more):
    """One image, three explainers; pairs of maps 0.2, 0.4, undefined; pairs of masks 0.5, 1, 0."""
    pairs = [("i", "gradcam", "ig"), ("i", "gradcam", "lime"), ("i", "ig", "lime")]
    return stub(
        localisation=rows(
            "sample cue metric value",
            ("i", "gradcam", "iou", 0.5),
            ("i", "ig", "iou", 0.1),
            ("i", "lime", "iou", np.nan),
            ("i", "fused-weighted", "iou", 0.7),
            ("i", "ig", "dice", 0.9),
        ),
        agreement=pd.concat(
            [
                rows("sample a b metric value", *[(*p, "spearman", 9.0) for p in pairs]),
                rows(
                    "sample a b metric value",
                    *[(*p, "iou", v) for p, v in zip(pairs, (0.2, 0.4, np.nan))],
                ),
            ]
        ),
        mask_agreement=rows(
            "sample a b segmenter value",
            *[(*p, "sam2", v) for p, v in zip(pairs, (0.5, 1.0, 0.0))],
            *[(*p, "grabcut", 0.3) for p in pairs],
        ),
        segmentation=rows(
            "sample cue prompting segmenter iou",
            ("i", "gradcam", "peak", "sam2", 0.99),
            ("i", "gradcam", "dual", "sam2", 0.6),
            ("i", "ig", "dual", "sam2", 0.2),
            ("i", "gradcam", "dual", "grabcut", 0.99),
            ("i", "floor:centre point", "centre point", "sam2", 0.3),
        ),
        **more,
    )


def test_numbers_by_hand():
    table = numbers.by_cue(hand_made()).loc["i"]
    assert table.loc["gradcam"].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.75])
    assert table.loc["ig"].tolist() == pytest.approx([0.1, 0.2, 0.8, 0.25])
    assert table.loc["fused-weighted", "map_iou"] == 0.7
    assert table.loc["floor:centre point"].dropna().to_dict() == {"mask_iou": 0.3}
    mean = numbers.by_image(numbers.by_cue(hand_made())).loc["i"]
    assert mean.tolist() == pytest.approx([0.3, 0.4, 0.7, 0.5])  # NaN left out, no fusion, no floor


def test_the_analysis_trust_adds_the_fusions():
    trust = rows(
        "sample cue score value",
        ("i", "fused-weighted", "mask_agreement", 0.9),
        ("i", "fused-weighted", "entropy", 0.1),
    )
    table = numbers.by_cue(hand_made(trust=trust)).loc["i"]
    assert table.loc["fused-weighted", "trust"] == 0.9
    assert table.loc["gradcam", "trust"] == pytest.approx(0.75)


def test_values_are_json_without_nan():
    values = numbers.as_values(numbers.by_cue(hand_made()))
    assert values["i"]["lime"] == {
        "map_iou": None,
        "mask_iou": None,
        "disagreement": 0.6,
        "trust": 0.5,
    }
    json.dumps(values, allow_nan=False)


def test_a_study_without_a_sam_has_its_maps_alone():
    study = hand_made()
    table = study.table("segmentation")
    table = table[table["segmenter"] == "grabcut"]
    study = stub(**{n: study.table(n) for n in ("localisation", "agreement")}, segmentation=table)
    found = numbers.by_cue(study)
    assert found["mask_iou"].isna().all() and found["map_iou"].notna().any()
    offered = gallery.orders(found)
    assert "name" in offered and not any("trust" in name for name in offered)


@pytest.mark.parametrize(
    "value, text", [(None, "–"), (np.nan, "–"), (0.126, "0.13"), (-0.2, "−0.20")]
)
def test_decimals(value, text):
    assert decimals(value) == text


# ---- pictures


def test_pictures_are_small_and_complete(studies, tmp_path):
    way = pictures.route(studies.toy)
    assert (way.segmenter, way.prompting) == ("embedded_sam", "dual")
    drawn = pictures.draw(studies.toy, HOSTILE, tmp_path, 7, way)
    assert list(drawn.cues) == studies.toy.cues
    assert drawn.cues["gradcam"].keys() == {"map", "prompts", "mask"}
    assert "floor:centre point" in drawn.references and "ceiling:true box" in drawn.references
    names = [drawn.photo, drawn.votes, *drawn.references.values()]
    for name in names + [name for files in drawn.cues.values() for name in files.values()]:
        assert re.fullmatch(r"pictures/0007/[a-z0-9-]+\.jpg", name)
        assert Image.open(tmp_path / name).size == drawn.size == (60, 40)  # never enlarged
    assert sum(1 for _ in tmp_path.rglob("*.jpg")) == 2 + len(drawn.references) + 3 * 4


def test_a_canvas_reduces_and_marks_what_it_is_given():
    image = np.full((400, 800, 3), 100, np.uint8)
    truth = np.zeros((400, 800), bool)
    truth[100:300, 200:600] = True
    canvas = pictures.Canvas(SimpleNamespace(image=image, mask=truth))
    assert canvas.size == (pictures.SIDE, pictures.SIDE // 2)
    filled = np.asarray(canvas.filled(truth, "#ffff00"), int)
    assert filled[70, 140].tolist() == [185, 185, 45]  # 0.45 * 100 + 0.55 * colour
    assert filled[5, 5].tolist() == [100, 100, 100]
    assert abs(filled[35, 140] - [0, 229, 255]).max() == 0  # the outline
    flat = np.asarray(canvas.heat(np.full((400, 800), np.nan)), int)
    assert np.ptp(flat[5, 5]) == 0
    peak = np.zeros((400, 800))
    peak[200, 400] = 1
    red = np.asarray(canvas.heat(peak), int)[70, 140]
    assert red.tolist() == [255, 45, 45]


def test_reading_keeps_the_last_image(studies, monkeypatch):
    reading, asked = pictures.Reading(studies.toy), []
    real = pictures.Study._evaluation
    monkeypatch.setattr(
        pictures.Study, "_evaluation", lambda self, id: asked.append(id) or real(self, id)
    )
    reading = pictures.Reading(studies.toy)
    for cue in ("gradcam", "occlusion"):
        mask = reading.mask(HOSTILE, cue, "dual", "embedded_sam")
        np.testing.assert_array_equal(mask, studies.toy.mask(HOSTILE, cue, "dual", "embedded_sam"))
    assert asked.count(HOSTILE) == 1 + 2  # once kept, twice by the study itself
    assert threshold(reading.saliency(HOSTILE, "fused-mean"), 0.5).any()


# ---- pages


def test_the_first_page_leads_to_every_page(built):
    links = {a["href"] for a in soup(built / "index.html").select("main a[href]")}
    assert links == {
        "claims.html",
        "reference/xaiutils/fusion.html",
        "toy/gallery.html",
        "toy/01_failure_modes.html",
        "stored/gallery.html",
    }
    text = soup(built / "index.html").get_text()
    assert "make figures STUDY=stored" in text and "34 not tested here" in text


def test_every_page_has_the_navigation(built):
    for page in html_pages(built):
        if page.parent.name != "reference":  # its first page only leads on
            links = [a["href"] for a in soup(page).select("nav a[href]")]
            assert any(link.endswith("claims.html") for link in links), page
            assert any(link.endswith("stored/gallery.html") for link in links), page


def test_every_link_and_anchor_resolves(built):
    checked = 0
    for page in html_pages(built):
        for link in links_of(soup(page)):
            target = resolve(page, link)
            assert target is None or target.is_file(), f"{page}: {link}"
            anchor = urlsplit(link).fragment
            if target is not None and target.suffix == ".html" and anchor:
                assert {anchor, unquote(anchor)} & anchors(target), f"{page}: {link}"
            checked += 1
    assert checked > 100


def links_of(page: BeautifulSoup) -> list[str]:
    found = [tag["href"] for tag in page.select("[href]")]
    found += [tag["src"] for tag in page.select("[src]")]
    refresh = page.select("meta[http-equiv=refresh]")
    return found + [tag["content"].partition("url=")[2] for tag in refresh]


def resolve(page: Path, link: str) -> Path | None:
    """The file that a relative link means, None for links to elsewhere."""
    parts = urlsplit(link)
    if parts.scheme:
        return None
    return page if not parts.path else (page.parent / unquote(parts.path)).resolve()


def anchors(page: Path) -> set[str]:
    found = soup(page).select("[id], [name]")
    return {value for tag in found for value in (tag.get("id"), tag.get("name")) if value}


def test_nothing_is_loaded_from_elsewhere(built):
    loads = "[src], link[href], [srcset], [poster], object[data], form[action], base[href], use"
    for page in html_pages(built):
        for tag in soup(page).select(loads):
            for name in ("src", "href", "srcset", "poster", "data", "action"):
                assert not remote(tag.get(name) or ""), f"{page}: {tag}"
        styles = [tag.get_text() for tag in soup(page).select("style")]
        styles += [tag["style"] for tag in soup(page).select("[style]")]
        assert not [u for text in styles for u in urls_of(text) if remote(u)], page
    for sheet in built.rglob("*.css"):
        assert urls_of(sheet.read_text()) == []
    scripts = list(built.rglob("assets/*.js"))
    assert [path.name for path in scripts] == ["list.js"]
    asks = r"fetch\(|XMLHttpRequest|import\s*\(|WebSocket|sendBeacon|https?:|innerHTML"
    assert not re.search(asks, scripts[0].read_text())


def remote(url: str) -> bool:
    return url.startswith("//") or urlsplit(url).scheme not in ("", "data")


def urls_of(css: str) -> list[str]:
    return re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", css)


def test_names_and_labels_are_text(built):
    for study in ("toy", "stored"):
        page = soup(built / study / "gallery.html")
        assert [tag.get("src") for tag in page.select("script")] == ["../assets/list.js"]
        assert all("x" not in tag.get_text() for tag in page.select("main b"))
        names = [tag.get_text() for tag in page.select(".item h2, .item th")]
        assert names == [HOSTILE, "b plain", "c#100%"]
        assert SCRIPT in page.get_text()
        options = [tag.get_text() for tag in page.select("[data-tag=class] option")]
        assert options == ["all", SCRIPT, "cat", "dog", "object"]
    alts = [tag["alt"] for tag in soup(built / "toy" / "gallery.html").select("img")]
    assert f"Grad-CAM: map of {HOSTILE}" in alts and all(alts)


def test_a_study_named_like_markup_is_escaped_in_every_frame(tmp_path):
    shell = Shell([Entry("<i>a b#</i>", ["01_x"])])
    nav = BeautifulSoup(shell.navigation("claims.html"), "html.parser")
    assert nav.select("i") == []
    assert "%3Ci%3Ea%20b%23%3C/i%3E/01_x.html" in [a["href"] for a in nav.select("a")]
    assert nav.select_one("[aria-current]").get_text() == "Claims"


def test_gallery_pictures_are_lazy_sized_and_in_the_colours_of_the_figures(built):
    page = soup(built / "toy" / "gallery.html")
    assert len(page.select("img")) == len(list((built / "toy").rglob("*.jpg")))
    assert all(tag["loading"] == "lazy" and tag["width"] == "60" for tag in page.select("img"))
    block = page.select_one("[data-view=gradcam]")
    assert COLOURS["gradcam"] in block["style"]
    assert "Your own" not in page.get_text() and "your own images" in page.get_text()


def test_a_gallery_without_pictures_says_why(built, studies):
    page = soup(built / "stored" / "gallery.html")
    assert page.select("img") == []
    assert "This study holds tables only" in page.get_text()
    config = SimpleNamespace(dataset="voc2012")
    voc = SimpleNamespace(has_arrays=True, config=config)
    assert not gallery.has_pictures(voc)
    assert gallery.why_no_pictures(voc).startswith("The images of voc2012 are not ours to share")


def test_of_many_images_those_that_disagree_most_are_pictured(studies, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MOST", 1)
    (tmp_path / "toy").mkdir()
    table = numbers.by_cue(studies.toy)
    drawn = gallery.draw_all(studies.toy, tmp_path / "toy", table)
    assert list(drawn) == [numbers.by_image(table)["disagreement"].idxmax()]
    gallery.write_gallery(studies.toy, tmp_path / "once" / "toy", Shell([]))
    page = soup(tmp_path / "once" / "toy" / "gallery.html")
    assert len(page.select(".item")) == 3 and len(page.select(".blocks")) == 1
    assert "Pictured are the 1 images" in page.get_text()


def test_bundled_photographs_are_credited():
    study = SimpleNamespace(
        config=SimpleNamespace(dataset="sample", root=None), sample_ids=["spaniels", "cat"]
    )
    found = {row["id"]: row["licence"] for row in gallery.credits(study)}
    assert found == {"cat": "CC0 1.0", "spaniels": "CC BY 4.0"}


def test_the_ledger_has_every_claim_of_every_study(built):
    page = soup(built / "claims.html")
    items = page.select(".item")
    assert len(items) == 2 * 34
    assert [tag["id"] for tag in items[:3]] == ["C01-toy", "C01-stored", "C02-toy"]
    tags = json.loads(items[1]["data-tags"])
    assert tags == {"study": ["stored"], "verdict": ["not tested here"], "section": ["2"]}


def test_a_ledger_is_judged_only_where_none_is_stored(studies, tmp_path, monkeypatch):
    found = site.ledger.verdicts(studies.toy)
    assert set(found["verdict"]) == {"not tested here"} and found["quantity"].eq("").all()
    asked = []
    monkeypatch.setattr(site.ledger, "ledger", lambda study: asked.append(study) or untested())
    study = SimpleNamespace(folder=tmp_path)
    assert list(site.ledger.verdicts(study).columns) == COLUMNS
    assert asked == [study]


def test_no_page_tells_where_it_was_made(built, studies):
    for path in built.rglob("*"):
        if path.suffix in (".html", ".js", ".json"):
            text = path.read_text(encoding="utf-8")
            assert f"{ROOT}/" not in text and str(studies.home) not in text, path


def test_paths_of_constants_are_shortened(monkeypatch):
    text = f"PosixPath('{ROOT}/figures') {Path.home()}/cache '{ROOT}' {ROOT}2"
    assert reference.without_paths(text) == f"PosixPath('./figures') ~/cache '.' {ROOT}2"
    monkeypatch.setenv("HOME", "/")
    assert reference.without_paths("<a> // </a>") == "<a> // </a>"


# ---- folders, notebooks and the command line


def test_a_page_that_is_no_notebook_is_refused(tmp_path):
    shell, page = Shell([]), tmp_path / "01.html"
    page.write_text("no page")
    with pytest.raises(InputError, match=r"01\.html: no page of a notebook"):
        notebooks.copy_notebooks([page], tmp_path / "toy", shell)
    page.write_text("<head></head><body><img src='https://example.org/x.png'>")
    with pytest.raises(InputError, match=r"01\.html: loads https://example\.org"):
        notebooks.copy_notebooks([page], tmp_path / "toy", shell)


def test_an_older_site_is_replaced_and_nothing_else(studies, tmp_path):
    to = tmp_path / "out"
    first = site.build(("stored",), to, tmp_path, ())
    assert first == to / "index.html" and "Reference" not in soup(first).get_text()
    (to / "left.html").write_text("")
    site.build(("stored",), to, tmp_path, ())
    assert not (to / "left.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no half-built folder
    (to / site.MARKER).unlink()
    with pytest.raises(InputError, match="holds other files"):
        site.build(("stored",), to, tmp_path, ())
    assert first.exists()
    with pytest.raises(InputError, match="is a file"):
        site.build(("stored",), first, tmp_path, ())


def test_a_failed_build_keeps_the_older_site(studies, tmp_path, monkeypatch):
    index = site.build(("stored",), tmp_path / "out", tmp_path, ())
    monkeypatch.setattr(site, "write_ledger_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        site.build(("stored",), tmp_path / "out", tmp_path, ())
    assert index.exists() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("names", [(), ("toy", "toy")])
def test_studies_are_named_once(names, tmp_path):
    with pytest.raises(InputError, match="each once"):
        site.build(names, tmp_path / "out")


def test_the_command_passes_its_options_on(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(site, "build", lambda *a: asked.append(a) or Path("index.html"))
    assert cli.main(["site"]) == cli.main(["site", "--study", "a,b", "--to", "x"]) == 0
    assert asked == [(site.STUDIES, "build/site"), (("a", "b"), "x")]
    assert capsys.readouterr().out == "index.html\n" * 2


def test_an_unknown_study_is_one_line(studies, tmp_path, capsys):
    assert cli.main(["site", "--study", "nix", "--to", str(tmp_path / "x")]) == 2
    assert "unknown study 'nix'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    """Chromium: the system's own, or the one that playwright has downloaded."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as here:
        running = here.chromium.launch(executable_path=chromium(here), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser):
    """visit(path, width) -> a page; at the end the console may hold no error, and no host may have
    been asked for anything."""
    context, said = browser.new_context(), []

    def note_request(request):
        if urlsplit(request.url).scheme not in ("file", "data"):
            said.append(request.url)

    def note_message(message):
        if message.type in ("error", "warning"):
            said.append(message.text)

    def open_page(path: Path, width: int = 1400):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", note_message)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(request.url))
        page.on("request", note_request)
        page.goto(path.as_uri())
        return page

    yield open_page
    context.close()
    assert said == []


@pytest.mark.parametrize("width", [1400, 400])
def test_pages_fit_the_screen(built, visit, width):
    for path in html_pages(built):
        page = visit(path, width)
        page.wait_for_load_state()
        wide, screen = page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= screen, f"{path}: {wide} px"
        assert "<head>" not in page.inner_text("body")
        page.close()


def shown(page) -> list[str]:
    """The names of the images on a gallery, in their order."""
    return page.eval_on_selector_all(
        ".item:not([hidden])", "items => items.map(i => i.querySelector('h2, th').textContent)"
    )


@pytest.mark.parametrize("study", ["toy", "stored"])
def test_a_gallery_sorts_and_filters(built, studies, visit, study):
    table = numbers.by_cue(studies.toy)
    page = visit(built / study / "gallery.html")
    mean = numbers.by_image(table)
    assert shown(page) == order(mean["disagreement"], ascending=False)
    page.select_option("[name=sort]", "trust:up")
    assert shown(page) == order(mean["trust"])
    page.select_option("[name=sort]", "mask_iou:up")
    page.select_option("[name=view]", "occlusion")
    occlusion = table.xs("occlusion", level="cue")
    assert shown(page) == order(occlusion["mask_iou"])
    first = page.locator(".item").first
    number = occlusion["mask_iou"].min()
    assert first.locator("[data-show=mask_iou]").inner_text() == f"{number:.2f}"
    page.select_option("[data-tag=class]", "cat")
    assert shown(page) == ["b plain"]
    assert page.inner_text(".count") == "1 of 3"


def order(numbers: pd.Series, ascending: bool = True) -> list[str]:
    """Names by their number; equal ones in the order of the page, as rounding may make them."""
    rounded = numbers.round(4).reindex([HOSTILE, "b plain", "c#100%"])
    return rounded.sort_values(ascending=ascending, kind="stable").index.tolist()


def test_one_explainer_is_shown_alone(built, visit):
    page = visit(built / "toy" / "gallery.html", 400)
    page.select_option("[name=view]", "gradcam")
    seen = page.eval_on_selector_all(
        "[data-view]", "all => all.filter(b => b.offsetParent).map(b => b.dataset.view)"
    )
    assert seen == ["gradcam"] * 3
    page.select_option("[name=size]", "17.5rem")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_controls_work_by_keyboard(built, visit):
    page = visit(built / "stored" / "gallery.html")
    page.locator("[name=sort]").focus()
    page.keyboard.press("End")  # the last order: by name
    assert shown(page) == sorted(shown(page))
    button = page.locator("thead button", has_text="map IoU")
    button.focus()
    page.keyboard.press("Enter")
    up = shown(page)
    assert page.get_attribute("thead th:has-text('map IoU')", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert shown(page) == up[::-1]
    assert page.get_attribute("thead th:has-text('map IoU')", "aria-sort") == "descending"


def test_the_ledger_filters_by_study_verdict_and_words(built, visit):
    page = visit(built / "claims.html")
    page.select_option("[data-tag=study]", "stored")
    assert page.inner_text(".count") == "34 of 68"
    page.fill("[name=text]", "lime and kernelshap")
    assert page.inner_text(".count") == "1 of 68"
    page.select_option("[data-tag=verdict]", "supported")
    assert page.inner_text(".count") == "0 of 68"


def test_the_search_of_the_reference_works_from_a_file(built, visit):
    page = visit(built / "reference" / "xaiutils" / "fusion.html")
    page.fill("input[type=search]", "save_table")
    page.wait_for_selector(".search-result")
    assert "xaiutils.report.save_table" in page.inner_text("main")
