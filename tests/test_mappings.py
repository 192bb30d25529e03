import pytest
from torchvision.models._meta import _IMAGENET_CATEGORIES as IMAGENET

from xaiutils.datasets import cub, kvasir, mappings, usis10k, voc
from xaiutils.datasets.mappings import load_mapping, read_mapping
from xaiutils.errors import InputError

TABLES = {
    "voc2012": voc.CLASSES,
    "cub200": cub.CLASSES,
    "usis10k": usis10k.CLASSES,
    "kvasir": kvasir.CLASSES,
}


@pytest.fixture(scope="module")
def voc_table():
    return load_mapping("voc2012", voc.CLASSES)


def names(match) -> list[str]:
    return [IMAGENET[i] for i in match.indices]


@pytest.mark.parametrize("name", TABLES)
def test_every_class_has_a_row_with_a_reason_and_a_version(name):
    table = load_mapping(name, TABLES[name])
    assert tuple(table) == TABLES[name]
    assert all(match.reason for match in table.values())
    lines = (mappings.MAPPINGS_ROOT / f"{name}_imagenet.csv").read_text().splitlines()
    version = "2" if name == "cub200" else "1"
    assert {line.rsplit(",", 1)[1] for line in lines} == {"version", version}


def test_voc_has_no_counterpart_for_three_classes(voc_table):
    assert [label for label, match in voc_table.items() if not match.taken] == [
        "cow",
        "person",
        "pottedplant",
    ]


def test_voc_matches_by_name(voc_table):
    assert names(voc_table["aeroplane"]) == ["airliner", "warplane"]
    assert names(voc_table["bus"]) == ["minibus", "school bus", "trolleybus"]
    assert names(voc_table["diningtable"]) == ["dining table"]
    assert names(voc_table["sheep"]) == ["ram", "bighorn"]
    assert names(voc_table["cow"]) == ["ox", "water buffalo", "bison"]
    dogs, birds, cats = (voc_table[label].taken for label in ("dog", "bird", "cat"))
    assert (len(dogs), IMAGENET[dogs[0]], IMAGENET[dogs[-1]]) == (
        118,
        "Chihuahua",
        "Mexican hairless",
    )
    assert (len(birds), IMAGENET[birds[0]], IMAGENET[birds[-1]]) == (59, "cock", "albatross")
    assert len(cats) == 5 and names(voc_table["cat"])[-1] == "Egyptian cat"


def test_no_imagenet_class_stands_for_two_voc_classes(voc_table):
    taken = [i for match in voc_table.values() for i in match.taken]
    assert len(taken) == len(set(taken))


def test_cub_class_names_are_the_official_ones():
    assert len(cub.CLASSES) == len(set(cub.CLASSES)) == 200
    for known in (
        "001.Black_footed_Albatross",
        "014.Indigo_Bunting",
        "048.European_Goldfinch",
        "090.Red_breasted_Merganser",
        "103.Sayornis",
        "141.Artic_Tern",
        "149.Brown_Thrasher",
        "200.Common_Yellowthroat",
    ):
        assert known in cub.CLASSES


def test_sixteen_cub_species_have_an_imagenet_class():
    table = load_mapping("cub200", cub.CLASSES)
    exact = {label: names(match) for label, match in table.items() if match.match == "exact"}
    assert exact == {
        "014.Indigo_Bunting": ["indigo bunting"],
        "048.European_Goldfinch": ["goldfinch"],
        "090.Red_breasted_Merganser": ["red-breasted merganser"],
    }
    wider = [names(match)[0] for match in table.values() if match.match == "superclass"]
    assert {name: wider.count(name) for name in wider} == {
        "albatross": 3,
        "hummingbird": 4,
        "jay": 3,
        "junco": 1,
        "pelican": 2,
    }
    assert sum(bool(match.taken) for match in table.values()) == 16
    assert not table["149.Brown_Thrasher"].taken


def test_under_water_and_polyps():
    table = load_mapping("usis10k", usis10k.CLASSES)
    assert names(table["reefs"]) == ["coral reef"]
    assert names(table["human divers"]) == ["scuba diver"]
    assert len(table["fish"].taken) == 16
    assert [c for c in table if not table[c].taken] == ["aquatic plants", "robots", "sea-floor"]
    assert not load_mapping("kvasir", kvasir.CLASSES)["polyp"].indices


@pytest.mark.parametrize(
    "row, message",
    [
        ("wolf,exact,269,a reason,1", "line 3: 'wolf' is not a class"),
        ("cat,exact,281,a reason,1", "line 3: class 'cat' has a row already"),
        ("dog,subclasses,151;1000,a reason,1", "line 3: index '1000' is not a whole number"),
        ("dog,subclasses,-1,a reason,1", "line 3: index '-1' is not"),
        ("dog,subclasses,breeds,a reason,1", "line 3: index 'breeds' is not"),
        ("dog,some,151,a reason,1", "line 3: match 'some' is none of exact, subclasses"),
        ("dog,exact,151;152,a reason,1", "line 3: match 'exact' does not fit 2 indices"),
        ("dog,none,151,a reason,1", "line 3: match 'none' does not fit 1 indices"),
        ("dog,subclasses,,a reason,1", "line 3: match 'subclasses' does not fit 0 indices"),
        ("dog,subclasses,151,,1", "line 3: lacks a reason"),
        ("", "has no row for dog"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, row, message):
    path = tmp_path / "table.csv"
    path.write_text(f"class,match,indices,reason,version\ncat,exact,281,tabby,1\n{row}\n")
    with pytest.raises(InputError, match=rf"table\.csv(,|:).*{message}|{message}"):
        read_mapping(path, ("cat", "dog"))


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv: cannot be read"):
        read_mapping(tmp_path / "absent.csv", ("cat",))
    (tmp_path / "t.csv").write_text("class,index\ncat,1\n")
    with pytest.raises(InputError, match=r"lacks the column\(s\) match, indices, reason, version"):
        read_mapping(tmp_path / "t.csv", ("cat",))
