"""What users import from `iafsweep.evaluation` by its earlier names."""

import pytest

from iafsweep import estimators, evaluation


@pytest.mark.parametrize("name", estimators.__all__)
def test_estimators_are_found_by_their_earlier_names_with_a_warning(name):
    with pytest.warns(DeprecationWarning, match="import it from iafsweep.estimators"):
        assert getattr(evaluation, name) is getattr(estimators, name)


def test_other_names_are_not_invented():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = evaluation.nothing
