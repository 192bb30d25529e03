import argparse

import pytest
from toy_study import write_tree

from xaiutils.datasets.facts import FACTS
from xaiutils.describe import add_parser, beside_published
from xaiutils.errors import InputError
from xaiutils.sections.published import published


def test_disk_official_and_printed(tmp_path):
    write_tree(tmp_path)
    table = beside_published("voc2012", tmp_path).set_index("")
    assert table["images"].tolist() == [3, 2913, 1450]
    assert table["classes"].tolist() == [3, 20, 20]
    assert table.loc["on disk", "remark"] == "split: val"
    assert "1,449" in table.loc["printed", "remark"]


def test_every_data_set_of_ours_has_a_printed_row():
    from xaiutils.sections.published import ALSO_PRINTED_AS, PRINTED_AS

    names = PRINTED_AS | ALSO_PRINTED_AS
    assert set(names) == set(FACTS)
    assert set(names.values()) == set(published("table1")["dataset"])


def test_the_step(tmp_path, capsys):
    write_tree(tmp_path)
    top = argparse.ArgumentParser()
    add_parser(top.add_subparsers())
    args = top.parse_args(["describe", "voc2012", "--root", str(tmp_path)])
    assert args.command(args) == 0
    said = capsys.readouterr().out
    assert "| on disk | Pascal VOC2012 | General objects (natural) | 3 | 3 | split: val |" in said


def test_a_data_set_that_table_1_has_not(tmp_path):
    with pytest.raises(InputError, match="Table 1 has no data set 'folder'"):
        beside_published("folder", tmp_path)
