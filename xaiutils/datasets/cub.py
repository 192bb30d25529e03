"""Caltech-UCSD Birds-200-2011 with its segmentations, which are a download of their own.

CUB_200_2011/{images/<class>/*.jpg, images.txt, classes.txt, image_class_labels.txt,
              train_test_split.txt}
segmentations/<class>/*.png      (beside CUB_200_2011 or in it)
"""

from collections import Counter
from pathlib import Path

from xaiutils.datasets.base import (
    Dataset,
    Entry,
    Masks,
    Survey,
    assemble,
    choose_split,
    complete,
    find_root,
    is_plain,
    read_lines,
    skipping,
)
from xaiutils.errors import InputError
from xaiutils.images import read_mask

SPLITS = ("train", "test", "all")
TABLES = ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt")

# The species of classes.txt in their order, spelt as there ("Artic_Tern").
_SPECIES = """
Black_footed_Albatross Laysan_Albatross Sooty_Albatross Groove_billed_Ani Crested_Auklet
Least_Auklet Parakeet_Auklet Rhinoceros_Auklet Brewer_Blackbird Red_winged_Blackbird
Rusty_Blackbird Yellow_headed_Blackbird Bobolink Indigo_Bunting Lazuli_Bunting Painted_Bunting
Cardinal Spotted_Catbird Gray_Catbird Yellow_breasted_Chat Eastern_Towhee Chuck_will_Widow
Brandt_Cormorant Red_faced_Cormorant Pelagic_Cormorant Bronzed_Cowbird Shiny_Cowbird
Brown_Creeper American_Crow Fish_Crow Black_billed_Cuckoo Mangrove_Cuckoo Yellow_billed_Cuckoo
Gray_crowned_Rosy_Finch Purple_Finch Northern_Flicker Acadian_Flycatcher
Great_Crested_Flycatcher Least_Flycatcher Olive_sided_Flycatcher Scissor_tailed_Flycatcher
Vermilion_Flycatcher Yellow_bellied_Flycatcher Frigatebird Northern_Fulmar Gadwall
American_Goldfinch European_Goldfinch Boat_tailed_Grackle Eared_Grebe Horned_Grebe
Pied_billed_Grebe Western_Grebe Blue_Grosbeak Evening_Grosbeak Pine_Grosbeak
Rose_breasted_Grosbeak Pigeon_Guillemot California_Gull Glaucous_winged_Gull Heermann_Gull
Herring_Gull Ivory_Gull Ring_billed_Gull Slaty_backed_Gull Western_Gull Anna_Hummingbird
Ruby_throated_Hummingbird Rufous_Hummingbird Green_Violetear Long_tailed_Jaeger
Pomarine_Jaeger Blue_Jay Florida_Jay Green_Jay Dark_eyed_Junco Tropical_Kingbird Gray_Kingbird
Belted_Kingfisher Green_Kingfisher Pied_Kingfisher Ringed_Kingfisher White_breasted_Kingfisher
Red_legged_Kittiwake Horned_Lark Pacific_Loon Mallard Western_Meadowlark Hooded_Merganser
Red_breasted_Merganser Mockingbird Nighthawk Clark_Nutcracker White_breasted_Nuthatch
Baltimore_Oriole Hooded_Oriole Orchard_Oriole Scott_Oriole Ovenbird Brown_Pelican
White_Pelican Western_Wood_Pewee Sayornis American_Pipit Whip_poor_Will Horned_Puffin
Common_Raven White_necked_Raven American_Redstart Geococcyx Loggerhead_Shrike
Great_Grey_Shrike Baird_Sparrow Black_throated_Sparrow Brewer_Sparrow Chipping_Sparrow
Clay_colored_Sparrow House_Sparrow Field_Sparrow Fox_Sparrow Grasshopper_Sparrow
Harris_Sparrow Henslow_Sparrow Le_Conte_Sparrow Lincoln_Sparrow Nelson_Sharp_tailed_Sparrow
Savannah_Sparrow Seaside_Sparrow Song_Sparrow Tree_Sparrow Vesper_Sparrow
White_crowned_Sparrow White_throated_Sparrow Cape_Glossy_Starling Bank_Swallow Barn_Swallow
Cliff_Swallow Tree_Swallow Scarlet_Tanager Summer_Tanager Artic_Tern Black_Tern Caspian_Tern
Common_Tern Elegant_Tern Forsters_Tern Least_Tern Green_tailed_Towhee Brown_Thrasher
Sage_Thrasher Black_capped_Vireo Blue_headed_Vireo Philadelphia_Vireo Red_eyed_Vireo
Warbling_Vireo White_eyed_Vireo Yellow_throated_Vireo Bay_breasted_Warbler
Black_and_white_Warbler Black_throated_Blue_Warbler Blue_winged_Warbler Canada_Warbler
Cape_May_Warbler Cerulean_Warbler Chestnut_sided_Warbler Golden_winged_Warbler Hooded_Warbler
Kentucky_Warbler Magnolia_Warbler Mourning_Warbler Myrtle_Warbler Nashville_Warbler
Orange_crowned_Warbler Palm_Warbler Pine_Warbler Prairie_Warbler Prothonotary_Warbler
Swainson_Warbler Tennessee_Warbler Wilson_Warbler Worm_eating_Warbler Yellow_Warbler
Northern_Waterthrush Louisiana_Waterthrush Bohemian_Waxwing Cedar_Waxwing
American_Three_toed_Woodpecker Pileated_Woodpecker Red_bellied_Woodpecker
Red_cockaded_Woodpecker Red_headed_Woodpecker Downy_Woodpecker Bewick_Wren Cactus_Wren
Carolina_Wren House_Wren Marsh_Wren Rock_Wren Winter_Wren Common_Yellowthroat
"""
CLASSES = tuple(f"{number:03}.{name}" for number, name in enumerate(_SPECIES.split(), 1))


def load_cub200(root: str | Path | None, split: str | None, reading: str, logit: str) -> Dataset:
    """One sample per image; the id is the file's stem, the label the official class name
    ("001.Black_footed_Albatross").

    The masks' grey values are the share of the annotators that marked a pixel; above one half
    (grey > 127) is bird. That threshold is our reading: the data set states none. No void.
    """
    split = choose_split("cub200", split, SPLITS, default="test")
    base = _base(root)
    listed = [(name, label) for name, label, train in _read_tables(base) if _in(split, train)]
    labels = {Path(name).stem: label for name, label in listed}
    if len(labels) < len(listed):
        raise InputError(f"{base / 'images.txt'}: two images have the same name")
    skipped = skipping()
    pairs = ((Path(name).stem, *_paths(base, name)) for name, _ in listed)
    entries = (
        Entry(id, image, mask, (labels[id],), (labels[id],))
        for id, image, mask in complete(pairs, skipped)
    )
    return assemble("cub200", entries, _read_mask, CLASSES, logit, "cub200", skipped)


def survey_cub200(root: str | Path) -> Survey:
    """images.txt against images/ and segmentations/."""
    base, survey = _base(root), Survey()
    try:
        pairs = [_paths(base, name) for name, _, _ in _read_tables(base)]
    except InputError as error:
        survey.problems.append(str(error))
        return survey
    survey.images = sum(image.exists() for image, _ in pairs)
    if not segmentations(base).is_dir():
        survey.problems.append(f"{segmentations(base)}: no such folder (segmentations.tgz)")
        return survey
    survey.problems += [
        f"{path}: missing, but in images.txt"
        for pair in pairs
        for path in pair
        if not path.exists()
    ]
    known = {mask for _, mask in pairs}
    extra = sorted(p for p in segmentations(base).glob("*/*.png") if p not in known)
    survey.problems += [f"{path}: a mask without an image" for path in extra if is_plain(path.name)]
    return survey


def segmentations(base: Path) -> Path:
    inner = base / "segmentations"
    return inner if inner.is_dir() else base.parent / "segmentations"


def _base(root: str | Path | None) -> Path:
    return find_root("cub200", root, "images.txt", ("CUB_200_2011",))


def _in(split: str, train: bool) -> bool:
    return split == "all" or train == (split == "train")


def _paths(base: Path, name: str) -> tuple[Path, Path]:
    return base / "images" / name, segmentations(base) / Path(name).with_suffix(".png")


def _read_mask(entry: Entry) -> Masks:
    return read_mask(entry.mask)


def _read_tables(base: Path) -> list[tuple[str, str, bool]]:
    """(image name, class name, whether it is a training image) in the official order."""
    images, names, labels, train = (_read_table(base / table) for table in TABLES)
    if unknown := sorted(set(names.values()) - set(CLASSES)):
        raise InputError(f"{base / 'classes.txt'}: '{unknown[0]}' is no class of CUB-200-2011")
    rows = []
    for id, name in images.items():
        if len(parts := name.split("/")) != 2 or not all(is_plain(part) for part in parts):
            raise InputError(f"{base / 'images.txt'}: '{name}' is not <class>/<image>")
        if id not in labels or labels[id] not in names or train.get(id) not in ("0", "1"):
            raise InputError(f"{base}: image {id} ({name}) lacks a class or a split in its lists")
        rows.append((name, names[labels[id]], train[id] == "1"))
    return rows


def _read_table(path: Path) -> dict[str, str]:
    rows = [line.split(maxsplit=1) for line in read_lines(path)]
    if bad := [row for row in rows if len(row) != 2]:
        raise InputError(f"{path}: '{bad[0][0]}' is not '<id> <value>'")
    table = {id: value.strip() for id, value in rows}
    if len(table) < len(rows):
        twice = next(id for id, count in Counter(id for id, _ in rows).items() if count > 1)
        raise InputError(f"{path}: the id {twice} stands there more than once")
    return table
