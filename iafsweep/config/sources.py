"""The sets that have a name: what is known of each before it is read."""

from __future__ import annotations

from typing import NamedTuple


class About(NamedTuple):
    """Where a set comes from.

    Attributes:
        title: what it is, in a line.
        citation: who made it, and where that is told.
        licence: on which terms.
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
        levels: how many values a pixel can have, 0 to levels - 1: 256 of grey values, 2 of bits.
        validation_is_last: whether the source has validation images of its own, behind its training images; else those
            held out are drawn.
        about: where it comes from.
    """

    image_shape: tuple[int, int, int]
    training_images: int
    test_images: int
    validation_images: int
    levels: int = 256
    validation_is_last: bool = False
    about: About = About()


_MNIST = About(
    "Handwritten digits, 28x28 grey",
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. 1998",
    "CC BY-SA 3.0",
)
_EMNIST = "G. Cohen, S. Afshar, J. Tapson, A. van Schaik. EMNIST: an extension of MNIST to handwritten letters. 2017. arXiv:1702.05373"  # noqa: E501
_SMALL = (1, 28, 28)


def _emnist(what: str, training_images: int, test_images: int) -> SourceFacts:
    about = About(f"Handwritten {what}, 28x28 grey", _EMNIST, "none stated (NIST)")
    return SourceFacts(_SMALL, training_images, test_images, validation_images=10_000, about=about)


SOURCES: dict[str, SourceFacts] = {
    "mnist": SourceFacts(_SMALL, training_images=60_000, test_images=10_000, validation_images=5_000, about=_MNIST),
    "mnist_mini": SourceFacts(
        _SMALL,
        training_images=10_000,
        test_images=1_000,
        validation_images=1_000,
        about=_MNIST._replace(title="The first images of MNIST, inside the package"),
    ),
    "fashion_mnist": SourceFacts(
        _SMALL,
        training_images=60_000,
        test_images=10_000,
        validation_images=10_000,
        about=About(
            "Articles of clothing, 28x28 grey",
            "H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a novel image dataset for benchmarking machine learning "
            "algorithms. 2017. arXiv:1708.07747",
            "MIT",
        ),
    ),
    "kmnist": SourceFacts(
        _SMALL,
        training_images=60_000,
        test_images=10_000,
        validation_images=5_000,
        about=About(
            "Handwritten Japanese characters, 28x28 grey",
            "T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto, D. Ha. Deep learning for classical "
            "Japanese literature. 2018. arXiv:1812.01718",
            "CC BY-SA 4.0",
        ),
    ),
    "emnist_byclass": _emnist("digits and letters", 697_932, 116_323),
    "emnist_bymerge": _emnist("digits and letters, like capitals merged", 697_932, 116_323),
    "emnist_balanced": _emnist("digits and letters, as many of each", 112_800, 18_800),
    "emnist_letters": _emnist("letters", 124_800, 20_800),
    "emnist_digits": _emnist("digits", 240_000, 40_000),
    "emnist_mnist": _emnist("digits, as many as of MNIST", 60_000, 10_000),
    "static_mnist": SourceFacts(
        _SMALL,
        training_images=60_000,
        test_images=10_000,
        validation_images=10_000,
        levels=2,
        validation_is_last=True,
        about=About(
            "MNIST with the fixed bits of Larochelle, 28x28",
            "H. Larochelle, I. Murray. The neural autoregressive distribution estimator. 2011",
            "CC BY-SA 3.0, as MNIST",
        ),
    ),
    "omniglot": SourceFacts(
        _SMALL,
        training_images=24_345,
        test_images=8_070,
        validation_images=1_345,
        about=About(
            "Characters of 50 alphabets, 28x28 grey, in the split of the IWAE paper",
            "B. Lake, R. Salakhutdinov, J. Tenenbaum. Human-level concept learning through probabilistic program "
            "induction. 2015; Y. Burda, R. Grosse, R. Salakhutdinov. Importance weighted autoencoders. 2016. "
            "arXiv:1509.00519",
            "MIT",
        ),
    ),
    "caltech101_silhouettes": SourceFacts(
        _SMALL,
        training_images=6_364,
        test_images=2_307,
        validation_images=2_264,
        levels=2,
        validation_is_last=True,
        about=About(
            "Silhouettes of objects, 28x28 bits, split 1",
            "B. Marlin, K. Swersky, B. Chen, N. de Freitas. Inductive principles for restricted Boltzmann machine "
            "learning. 2010",
            "none stated",
        ),
    ),
    "cifar10": SourceFacts(
        (3, 32, 32),
        training_images=50_000,
        test_images=10_000,
        validation_images=5_000,
        about=About(
            "Photographs of ten kinds of things, 32x32 in colour",
            "A. Krizhevsky. Learning multiple layers of features from tiny images. 2009",
            "none stated",
        ),
    ),
}
