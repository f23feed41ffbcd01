"""Configurations and search spaces in Python: `load_config`, `SearchSpace`, `integers`, `floats`, `choice`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig
from iafsweep.config.files import find_config, parse_overrides, read_toml
from iafsweep.config.files import load_config as load_single
from iafsweep.errors import ConfigError, UserError
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange, Range, Scalar
from iafsweep.search_space.files import base_of_space, dump_space, made_space
from iafsweep.texts import one_line


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration from a TOML file, or one that is shipped with the package, such as ``reference``.

    For a search space, such as ``quick``, return its base: the fixed values, and the searched fields as in its base
    file. To change values, use :meth:`RunConfig.with_values`.

    Args:
        name: the file, or the name of one shipped with the package.
        overrides: ``KEY=VALUE`` strings that override the file, as after ``--set``.

    Raises:
        ConfigError: there is no such file, or it or an override breaks a rule.

    Example:
        >>> import iafsweep
        >>> iafsweep.load_config("reference").model.latent_size, iafsweep.load_config("quick").training.epochs
        (64, 12)
    """
    path = find_config(name)
    if "search" not in read_toml(path):
        return load_single(name, overrides)
    return base_of_space(path).with_values(parse_overrides(overrides))


def checked_config(config: object) -> RunConfig:
    """Return the argument if it is a configuration.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(config, RunConfig):
        return config
    raise ConfigError(
        f"a configuration is needed, got {config!r:.60}; pass one, such as iafsweep.load_config('reference')"
    )


@dataclass(frozen=True)
class Domain:
    """The values over which one field is searched, made by :func:`integers`, :func:`floats` or :func:`choice`.

    Attributes:
        range: the values.
        when: the condition under which the field matters, such as ``model.flow.depth > 0``; None: always.
    """

    range: Range
    when: str | None = None

    def __repr__(self) -> str:
        return f"<{self.range}{'' if self.when is None else f', when {self.when}'}>"


def integers(low: int, high: int, *, step: int = 1, log: bool = False, when: str | None = None) -> Domain:
    """Search the integers low, low + step, ..., high, both ends included.

    Args:
        low: the smallest value.
        high: the largest value.
        step: the distance between neighbouring values.
        log: sample uniformly in the logarithm.
        when: the condition under which the field matters, such as ``"model.flow.depth > 0"``; None: always.

    Raises:
        ConfigError: the ends, the step and ``log`` do not fit together.

    Example:
        >>> import iafsweep
        >>> iafsweep.integers(0, 8, step=2)
        <0 to 8 in steps of 2>
    """
    return _domain(lambda: IntRange(low, high, step, log), when)


def floats(low: float, high: float, *, step: float | None = None, log: bool = False, when: str | None = None) -> Domain:
    """Search the real numbers from low to high or, with a step, the finite set low, low + step, ..., high.

    The arguments are those of :func:`integers`.

    Raises:
        ConfigError: the ends, the step and ``log`` do not fit together.

    Example:
        >>> import iafsweep
        >>> iafsweep.floats(1e-4, 1e-2, log=True)
        <0.0001 to 0.01 (log)>
    """
    return _domain(lambda: FloatRange(low, high, step, log), when)


def choice(values: Sequence[Any], *, when: str | None = None) -> Domain:
    """Search a finite set of values without an order.

    Args:
        values: strings, numbers, booleans, or lists of them, such as the hidden sizes of an ``mlp``.
        when: as in :func:`integers`.

    Raises:
        ConfigError: there are no values, or a value occurs twice or is of another type.

    Example:
        >>> import iafsweep
        >>> iafsweep.choice(["mlp", "resnet"])
        <one of mlp, resnet>
    """
    if isinstance(values, str):
        raise ConfigError(f"choice takes a list of values, got the string {values!r}; write choice([{values!r}, ...])")
    taken = tuple(tuple(each) if isinstance(each, list) else each for each in values)
    return _domain(lambda: Choice(taken), when)


def _domain(make: Callable[[], Range], when: str | None) -> Domain:
    try:
        return Domain(make(), when)
    except ValueError as error:
        raise ConfigError(str(error)) from None


class SearchSpace:
    """The search space of a sweep, defined in Python; docs/search_spaces.md describes the same as a file.

    The constructor checks every field, every value and every combination, as a launch does.

    Args:
        base: the configuration of all fields that are not searched, or its name or file, as in :func:`load_config`.
        search: the values of each searched field; a condition may refer to fields before it.
        trials: number of configurations to train.
        sweep: other fields of ``[sweep]`` by name, such as ``{"scheduler": "none", "top": 5}``.
        first: values of the searched fields to try before the sampler proposes any.

    Attributes:
        checked: the checked space, in the form that the package works with.

    Raises:
        ConfigError: a rule is broken; the message names the field, what was found and what to do.

    Example:
        >>> import iafsweep
        >>> space = iafsweep.SearchSpace(
        ...     base=iafsweep.load_config("quick"),
        ...     search={
        ...         "model.flow.depth": iafsweep.integers(0, 3),
        ...         "training.learning_rate": iafsweep.floats(1e-4, 1e-2, log=True),
        ...     },
        ...     trials=8,
        ...     sweep={"grace_epochs": 4},
        ... )
        >>> space
        <SearchSpace of 8 trials: How deep should a flow be on small networks?
          model.flow.depth: 0 to 3
          training.learning_rate: 0.0001 to 0.01 (log)>
    """

    def __init__(
        self,
        base: RunConfig | str | Path,
        search: Mapping[str, Domain],
        *,
        trials: int = 16,
        sweep: Mapping[str, object] | None = None,
        first: Sequence[Mapping[str, Scalar]] = (),
    ) -> None:
        for path, domain in search.items():
            if not isinstance(domain, Domain):
                raise ConfigError(
                    f"`{path}` must be searched over iafsweep.integers(...), floats(...) or choice(...), found "
                    f"{domain!r}; a single value belongs in the base: base.with_values({{{path!r}: ...}})"
                )
        whole = load_config(base) if isinstance(base, str | Path) else checked_config(base)
        domains = {path: (domain.range, domain.when) for path, domain in search.items()}
        self.checked = made_space(whole, domains, {"trials": trials, **(sweep or {})}, first)

    def save(self, path: str | Path) -> None:
        """Write the space as a file for :func:`launch` or the command line: ``iafsweep-sweep launch mine.toml``.

        Raises:
            UserError: the file cannot be written.
        """
        try:
            write_text(Path(path).expanduser(), dump_space(self.checked))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error}; name another place") from error

    def __repr__(self) -> str:
        space = self.checked
        lines = [f"<SearchSpace of {space.sweep.trials} trials{f': {one_line(space.title)}' if space.title else ''}"]
        for each in space.parameters:
            lines.append(f"  {each.path}: {each.range}{'' if each.when is None else f', when {each.when.text}'}")
        return "\n".join(lines) + ">"
