"""The named data sets: what is known of each before it is read."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from iafsweep.config.family import Family, Member

Binarisation = Literal["dynamic", "fixed", "threshold", "none"]


class ImageFormat(NamedTuple):
    """The format of an image as a model sees it, after any binarisation.

    Attributes:
        shape: channels, height, width.
        levels: L, the number of values that each pixel and channel can have, 0 to L - 1; 2 for bits.
    """

    shape: tuple[int, int, int]
    levels: int = 2

    @property
    def dimensions(self) -> int | None:
        """Number of values in an image, the divisor of bits per dimension; None for bits."""
        return None if self.levels == 2 else math.prod(self.shape)  # noqa: PLR2004 - a bit has two values


class About(NamedTuple):
    """Where a set comes from.

    Attributes:
        title: what it is, in one line.
        citation: who made it, and the publication.
        licence: the terms of use.
    """

    title: str = ""
    citation: str = ""
    licence: str = ""


class SourceFacts(NamedTuple):
    """What is known of a data source before it is read.

    Attributes:
        image_shape: channels, height, width.
        training_images: images in the training file, validation images included.
        test_images: images in the test file.
        validation_images: how many training images are held out unless the configuration says otherwise.
        levels: how many values a pixel can have, 0 to levels - 1: 256 for grey values, 2 for bits.
        validation_is_last: whether the source has validation images of its own, after its training images; otherwise
            those held out are drawn at random.
        about: where it comes from.
        binarisation: how its values become bits unless the configuration says otherwise.
    """

    image_shape: tuple[int, int, int]
    training_images: int
    test_images: int
    validation_images: int
    levels: int = 256
    validation_is_last: bool = False
    about: About = About()
    binarisation: Binarisation = "dynamic"


_MNIST = About(
    "Handwritten digits, 28x28 grey",
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. 1998",
    "CC BY-SA 3.0",
)
_FASHION = About(
    "Articles of clothing, 28x28 grey",
    "H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms. 2017. arXiv:1708.07747",
    "MIT",
)
_KMNIST = About(
    "Handwritten Japanese characters, 28x28 grey",
    "T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto, D. Ha. Deep learning for classical Japanese "
    "literature. 2018. arXiv:1812.01718",
    "CC BY-SA 4.0",
)
_STATIC = About(
    "MNIST with the fixed bits of Larochelle, 28x28",
    "H. Larochelle, I. Murray. The neural autoregressive distribution estimator. 2011",
    "CC BY-SA 3.0, as MNIST",
)
_OMNIGLOT = About(
    "Characters of 50 alphabets, 28x28 grey, in the split of the IWAE paper",
    "B. Lake, R. Salakhutdinov, J. Tenenbaum. Human-level concept learning through probabilistic program induction. "
    "2015; Y. Burda, R. Grosse, R. Salakhutdinov. Importance weighted autoencoders. 2016. arXiv:1509.00519",
    "MIT",
)
_SILHOUETTES = About(
    "Silhouettes of objects, 28x28 bits, split 1",
    "B. Marlin, K. Swersky, B. Chen, N. de Freitas. Inductive principles for restricted Boltzmann machine learning. "
    "2010",
    "none stated",
)
_CIFAR = About(
    "Photographs of ten kinds of things, 32x32 in colour",
    "A. Krizhevsky. Learning multiple layers of features from tiny images. 2009",
    "none stated",
)
_SMALL = (1, 28, 28)


def _emnist(split: str, what: str, training_images: int, test_images: int) -> Member:
    about = About(
        f"Handwritten {what}, 28x28 grey",
        "G. Cohen, S. Afshar, J. Tapson, A. van Schaik. EMNIST: an extension of MNIST to handwritten letters. 2017. "
        "arXiv:1702.05373",
        "none stated (NIST)",
    )
    facts = SourceFacts(_SMALL, training_images, test_images, 10_000, about=about)
    return Member(f"iafsweep.data.idx_sets:EMNIST_{split}", facts)


def _member(place: str, facts: SourceFacts, about: About) -> Member:
    return Member(f"iafsweep.data.{place}", facts._replace(about=about))


_FIRST = _MNIST._replace(title="The first images of MNIST, inside the package")

SOURCES = Family(
    "data.source",
    {
        "mnist": _member("idx_sets:MNIST", SourceFacts(_SMALL, 60_000, 10_000, 5_000), _MNIST),
        "mnist_mini": _member("mnist_mini", SourceFacts(_SMALL, 10_000, 1_000, 1_000), _FIRST),
        "fashion_mnist": _member("idx_sets:FASHION_MNIST", SourceFacts(_SMALL, 60_000, 10_000, 10_000), _FASHION),
        "kmnist": _member("idx_sets:KMNIST", SourceFacts(_SMALL, 60_000, 10_000, 5_000), _KMNIST),
        "emnist_byclass": _emnist("BYCLASS", "digits and letters", 697_932, 116_323),
        "emnist_bymerge": _emnist("BYMERGE", "digits and letters, like capitals merged", 697_932, 116_323),
        "emnist_balanced": _emnist("BALANCED", "digits and letters, as many of each", 112_800, 18_800),
        "emnist_letters": _emnist("LETTERS", "letters", 124_800, 20_800),
        "emnist_digits": _emnist("DIGITS", "digits", 240_000, 40_000),
        "emnist_mnist": _emnist("MNIST", "digits, as many as of MNIST", 60_000, 10_000),
        "static_mnist": _member(
            "static_mnist:STATIC_MNIST",
            SourceFacts(_SMALL, 60_000, 10_000, 10_000, levels=2, validation_is_last=True, binarisation="none"),
            _STATIC,
        ),
        "omniglot": _member("matlab_sets:OMNIGLOT", SourceFacts(_SMALL, 24_345, 8_070, 1_345), _OMNIGLOT),
        "caltech101_silhouettes": _member(
            "matlab_sets:CALTECH101_SILHOUETTES",
            SourceFacts(_SMALL, 6_364, 2_307, 2_264, levels=2, validation_is_last=True, binarisation="none"),
            _SILHOUETTES,
        ),
        "cifar10": _member(
            "cifar10:CIFAR10", SourceFacts((3, 32, 32), 50_000, 10_000, 5_000, binarisation="none"), _CIFAR
        ),
        "file": Member("iafsweep.data.reading"),
    },
)
"""Every data source, by the name configurations use; `file` stands for your own images."""


def source_facts(source: str) -> SourceFacts:
    """Return what is known of a named data source before it is read.

    Raises:
        TypeError: the source has no facts, as `file` has none.
    """
    facts = SOURCES.members[source].knows
    if not isinstance(facts, SourceFacts):
        raise TypeError(f"the data source {source!r} has no facts")
    return facts
