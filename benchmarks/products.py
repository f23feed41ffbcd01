"""The convolutions and matrix products of a training step alone: its time if everything else were free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from iafsweep.models.precision import full_precision

PRODUCTS = ("convolution", "convolution_backward", "mm", "addmm", "addmm_")


def products_alone(step: Callable[[], object]) -> Callable[[], object]:
    """Return a function that repeats the products of one call of ``step`` on arbitrary numbers.

    Shapes, strides and precisions are those of the step; operands that agree in these share memory.
    """
    with _Recorder() as recorder:
        step()
    calls = recorder.calls

    @torch.no_grad()
    def again() -> None:
        with full_precision():  # like a step in float32: no TF32 on a GPU
            for operation, args, kwargs in calls:
                operation(*args, **kwargs)

    return again


class _Recorder(TorchDispatchMode):
    """Records every product that is computed, with operands of the same shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Callable[..., object], Any, Any]] = []
        self._operands: dict[object, Tensor] = {}

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,  # noqa: SLF001 - what PyTorch hands over
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Compute an operation, and record it if it is a product."""
        kwargs = kwargs or {}
        if func._schema.name.removeprefix("aten::") in PRODUCTS:  # noqa: SLF001 - it has no other name
            self.calls.append((func, *tree_map_only(Tensor, self._like, (args, kwargs))))
        return func(*args, **kwargs)

    def _like(self, operand: Tensor) -> Tensor:
        key = (operand.shape, operand.stride(), operand.dtype)
        if key not in self._operands:
            made = torch.empty_strided(operand.shape, operand.stride(), dtype=operand.dtype, device=operand.device)
            self._operands[key] = made.normal_()
        return self._operands[key]
