"""Figures and tables on disk."""

import os
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xaiutils import report
from xaiutils.errors import InputError
from xaiutils.report import output_folder, save_figure, save_table


@pytest.fixture
def fig():
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.imshow(np.arange(12).reshape(3, 4))
    ax.set_title("a title")
    yield fig
    plt.close(fig)


def test_the_default_folder_is_figures_by_study(tmp_path, monkeypatch):
    assert report.FIGURES.name == "figures"
    assert (report.FIGURES.parent / "pyproject.toml").exists()
    monkeypatch.setattr(report, "FIGURES", tmp_path / "figures")
    assert output_folder("demo") == tmp_path / "figures" / "demo"
    assert (tmp_path / "figures" / "demo").is_dir()


def test_a_given_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    assert output_folder("demo", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    monkeypatch.chdir(tmp_path)
    assert output_folder("demo", "c") == tmp_path / "c"


def test_a_figure_becomes_png_and_pdf(fig, tmp_path):
    assert save_figure(fig, tmp_path, "f") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.pdf", "f.png"]
    with Image.open(tmp_path / "f.png") as image:
        image.load()
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        # 4 x 3 inches trimmed to what is drawn
        assert 400 < image.width < 600 and 300 < image.height < 450
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    assert plt.fignum_exists(fig.number)


def test_a_notebook_shows_the_file_itself_and_closes_the_figure(fig, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(report.plt, "get_backend", lambda: "inline")
    monkeypatch.setattr(report, "display", shown.append)
    save_figure(fig, tmp_path, "drawing")
    assert plt.fignum_exists(fig.number) and not shown  # a script, started by a notebook
    monkeypatch.setattr(report, "get_ipython", lambda: "a shell")
    save_figure(fig, tmp_path, "drawing")
    assert not plt.fignum_exists(fig.number)
    (image,) = shown
    assert image.format == "png" and image.data == (tmp_path / "drawing.png").read_bytes()
    with Image.open(tmp_path / "drawing.png") as picture:
        assert image.width == int(picture.width * 120 / 150)

    noise = np.random.default_rng(0).random((600, 800, 3))
    photo, ax = plt.subplots(figsize=(6, 4))
    ax.imshow(noise)
    save_figure(photo, tmp_path, "photo")
    assert shown[1].format == "jpeg"
    size = (tmp_path / "photo.png").stat().st_size
    assert size > report.LARGE and len(shown[1].data) < size


def test_png_and_pdf_have_one_layout(tmp_path):
    fig, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    ax.set(title="a title", xlabel="x")
    engine, dpi, drawn = fig.get_layout_engine(), fig.dpi, []
    savefig = fig.savefig

    def spy(*args, **options):
        drawn.append(ax.get_position().bounds)
        savefig(*args, **options)
        drawn.append(ax.get_position().bounds)

    fig.savefig = spy
    save_figure(fig, tmp_path, "f")
    assert len(drawn) == 4 and len(set(drawn)) == 1
    assert fig.get_layout_engine() is engine and fig.dpi == dpi
    with Image.open(tmp_path / "f.png") as image:
        inches = np.array(image.size) / 150
    found = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", (tmp_path / "f.pdf").read_bytes())
    assert np.array(found.groups(), float) / 72 == pytest.approx(inches, abs=0.02)
    plt.close(fig)


def test_equal_figures_give_equal_bytes(fig, tmp_path):
    save_figure(fig, tmp_path, "a")
    save_figure(fig, tmp_path, "b")
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"CreationDate" not in (tmp_path / "a.pdf").read_bytes()


def test_a_table_is_returned_and_has_its_index_where_it_says_something(tmp_path):
    plain = pd.DataFrame({"cue": ["lime"], "iou": [1 / 3]})
    assert save_table(plain, tmp_path, "plain") is plain
    assert (tmp_path / "plain.csv").read_bytes() == b"cue,iou\nlime,0.333333\n"
    save_table(plain.set_index("cue"), tmp_path, "indexed")
    assert (tmp_path / "indexed.csv").read_bytes() == b"cue,iou\nlime,0.333333\n"


def test_undefined_numbers_stay_undefined(tmp_path):
    save_table(pd.DataFrame({"a": [np.nan, 0.0], "b": [1, 2]}), tmp_path, "t")
    assert np.isnan(pd.read_csv(tmp_path / "t.csv")["a"][0])


def test_a_name_with_a_folder_is_refused(fig, tmp_path):
    with pytest.raises(InputError, match=r"'../f.png' cannot name"):
        save_figure(fig, tmp_path, "../f")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/demo: figures and tables cannot be written"):
        output_folder("demo", tmp_path / "file" / "demo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(fig, tmp_path):
    tmp_path.chmod(0o555)
    for write in (
        lambda: output_folder("demo", tmp_path),
        lambda: save_figure(fig, tmp_path, "f"),
        lambda: save_table(pd.DataFrame({"a": [1]}), tmp_path, "t"),
    ):
        with pytest.raises(InputError, match=str(tmp_path)):
            write()


def test_a_missing_folder_is_named(fig, tmp_path):
    with pytest.raises(InputError, match="nowhere: figures and tables cannot be written"):
        save_figure(fig, tmp_path / "nowhere", "f")


def test_a_failed_write_leaves_the_old_file_and_no_other(fig, tmp_path, monkeypatch):
    (tmp_path / "f.png").write_bytes(b"old")

    def write_bytes(path, data):
        with path.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.Path, "write_bytes", write_bytes)
    with pytest.raises(InputError, match="No space left on device"):
        save_figure(fig, tmp_path, "f")
    assert [path.name for path in tmp_path.iterdir()] == ["f.png"]
    assert (tmp_path / "f.png").read_bytes() == b"old"
