"""Training in your own Ray Tune script, and importing its results (docs/ray_tune.md); imports Ray.

``trial`` an ordinary Tune trainable · ``param_space`` Tune's search space as configurations · ``results`` a
``ResultGrid`` as a model or as a sweep.
"""

from iafsweep.tune.results import import_results, load_best
from iafsweep.tune.trial import TuneTrial, trainable

__all__ = ["TuneTrial", "import_results", "load_best", "trainable"]
