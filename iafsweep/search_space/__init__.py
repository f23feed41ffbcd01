"""Search spaces: fixed values, distributions, and the conditions under which a field matters.

``distributions`` ranges of one field · ``conditions`` parses and evaluates a `when` · ``space`` the whole space ·
``files`` spaces as TOML · ``validation`` checks before anything starts · ``sampling`` the interface of samplers ·
``candidate`` values as a configuration to train, and whether two train alike · ``preview`` a table of sample
configurations.

The package knows configurations, but neither trials nor PyTorch.
"""
