"""What is searched: fixed values, distributions, and the conditions under which a field matters.

``distributions`` of one field · ``conditions`` reads a `when` and decides it · ``space`` the whole ·
``files`` spaces as TOML · ``validation`` what is refused before anything starts · ``sampling`` how a sampler asks ·
``candidate`` values as a configuration to train, and whether two train alike · ``preview`` sample configurations as a
table.

It knows configurations, not trials, and no PyTorch.
"""
