"""Training in anyone's Ray Tune script, and back from there: docs/ray_tune.md; imports Ray.

``trial`` an ordinary Tune trainable · ``param_space`` what Tune's words for a space mean · ``results`` a ``ResultGrid``
as a model or as a sweep.
"""

from iafsweep.tune.results import import_results, load_best
from iafsweep.tune.trial import TuneTrial, trainable

__all__ = ["TuneTrial", "import_results", "load_best", "trainable"]
