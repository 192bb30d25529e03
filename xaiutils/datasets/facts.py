"""Where the data sets come from, on which terms, and what to cite: one table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """title and domain as in the paper's Table 1; classes and images of the official release."""

    title: str
    domain: str
    classes: int
    images: int
    page: str
    licence: str
    citation: str


FACTS = {
    "voc2012": Facts(
        title="Pascal VOC2012",
        domain="General objects (natural)",
        classes=20,
        images=2913,  # of the segmentation task: 1464 train, 1449 val
        page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        licence="Flickr photographs under Flickr's terms of use and their owners' rights; research",
        citation="M. Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, "
        "IJCV 88, 2010, 303-338",
    ),
    "cub200": Facts(
        title="CUB-200-2011",
        domain="Bird species (fine-grained)",
        classes=200,
        images=11788,
        page="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        licence="no licence in the archive; the photographs are their photographers' own; "
        "for non-commercial research and education",
        citation="C. Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, "
        "California Institute of Technology, CNS-TR-2011-001, 2011",
    ),
    "usis10k": Facts(
        title="USIS10K",
        domain="Underwater scene (natural)",
        classes=7,
        images=10632,
        page="https://github.com/LiamLian0727/USIS10K",
        licence="as stated on its page; research, with citation",
        citation="S. Lian et al., Diving into Underwater: Segment Anything Model Guided Underwater "
        "Salient Instance Segmentation and A Large-scale Dataset, ICML 2024",
    ),
    "kvasir-seg": Facts(
        title="Kvasir-SEG",
        domain="Gastroenterology (medical)",
        classes=1,
        images=1000,
        page="https://datasets.simula.no/kvasir-seg/",
        licence="research and education only, with citation; commercial use needs written consent",
        citation="D. Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MMM 2020, 451-462",
    ),
    "kvasir-sessile": Facts(
        title="Sessile-Kvasir-SEG",
        domain="Gastroenterology (medical)",
        classes=1,
        images=196,
        page="https://datasets.simula.no/kvasir-seg/",
        licence="research and education only, with citation; commercial use needs written consent",
        citation="D. Jha et al., A Comprehensive Study on Colorectal Polyp Segmentation With "
        "ResUNet++, Conditional Random Field and Test-Time Augmentation, IEEE JBHI 25, 2021",
    ),
}
