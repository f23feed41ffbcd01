"""Sylvester flow (van den Berg et al. 2018, arXiv:1803.05649), with all parameters from the context.

One step: ``z' = z + Q R tanh(S Q^T z + b)`` with M orthonormal columns Q [D, M] and upper triangular R and S [M, M]. By
Sylvester's identity ``log|det| = sum_i log(1 + r_ii s_ii (1 - tanh_i^2))``; with ``|r_ii s_ii| < 1`` it is invertible.

The variant determines Q: *orthogonal*, M of D columns; *householder*, all D columns of a product of some reflections;
*triangular*, the identity, with its columns reversed in every second step. The first two take columns of products of
reflections, which are orthonormal to rounding whatever the numbers. M reflections reach every set of M orthonormal
columns (up to signs, which R and S can take on), so the paper's iterative orthogonalisation is not needed.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iafsweep.config import FlowConfig
from iafsweep.config.model import SylvesterConfig
from iafsweep.models.flows.steps import FlowStep
from iafsweep.models.layers import SmallLinear
from iafsweep.models.precision import without_autocast
from iafsweep.models.roots import increasing_root

_LARGEST_DIAGONAL = 0.999


class Sylvester(NamedTuple):
    """What a step does for each image.

    Attributes:
        columns: Q, [B, D, M].
        out: R, [B, M, M].
        into: S, [B, M, M].
        offset: b, [B, M].
    """

    columns: Tensor
    out: Tensor
    into: Tensor
    offset: Tensor


@final
class SylvesterStep(FlowStep):
    """One step. It starts close to R = 0, where it is the identity.

    Args:
        latent_size: D.
        context_size: C.
        columns: M.
        reflections: number of reflections in Q.
        reverse: whether Q, without its reflections, has its columns reversed.
    """

    pushes_scores = True
    triangle: Tensor

    def __init__(
        self, latent_size: int, context_size: int, columns: int, reflections: int, *, reverse: bool = False
    ) -> None:
        super().__init__()
        self.latent_size, self.size, self.reflections = latent_size, columns, reflections
        self.reverse = reverse
        triangle = columns * (columns + 1) // 2
        self.frame = nn.Linear(context_size, reflections * latent_size + triangle + columns)
        self.out = SmallLinear(context_size, triangle)
        self.register_buffer("triangle", _places(columns), persistent=False)

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> SylvesterStep:
        """Make a step with the sizes in ``config.sylvester``."""
        sizes = config.section(SylvesterConfig)
        columns = sizes.columns if sizes.variant == "orthogonal" else latent_size
        reflections = {"orthogonal": columns, "householder": sizes.reflections, "triangular": 0}[sizes.variant]
        return cls(latent_size, config.resolved_context_size, columns, reflections, reverse=reverse)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        step = self.of_context(context, z.dtype)
        with without_autocast():  # columns rounded to 8 bits are not orthonormal
            bent = torch.tanh(_mapped(step.into @ step.columns.mT, z) + step.offset)
            slopes = 1 + (_diagonal(step.out) * _diagonal(step.into)) * (1 - bent.square())
            return z + _mapped(step.columns @ step.out, bent), slopes.log().sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: M roots of one variable each, from the last column to the first."""
        step = self.of_context(context, z.dtype)
        moved = _mapped(step.columns.mT, z)
        place, bent = torch.zeros_like(moved), torch.zeros_like(moved)
        for i in reversed(range(self.size)):
            # In these sums, the entries up to and including i are still 0.
            inside = (step.into[:, i] * place).sum(-1) + step.offset[:, i]
            target = moved[..., i] - (step.out[:, i] * bent).sum(-1)
            found = _root(step.out[:, i, i], step.into[:, i, i], inside, target)
            place[..., i], bent[..., i] = found, torch.tanh(step.into[:, i, i] * found + inside)
        return z - _mapped(step.columns @ step.out, bent)

    def push_score(self, z: Tensor, context: Tensor, score: Tensor) -> Tensor:
        """Return the score after the step: Woodbury's formula inverts ``J^T`` by a triangular system of M unknowns."""
        step = self.of_context(context, z.dtype)
        with without_autocast():
            into, out = step.into @ step.columns.mT, step.columns @ step.out
            bent = torch.tanh(_mapped(into, z) + step.offset)
            rise, both = 1 - bent.square(), _diagonal(step.out) * _diagonal(step.into)
            curvature = both * -2 * bent * rise / (1 + both * rise)
            rest = score - _mapped(into.mT, curvature)
            small = (step.into @ step.out).mT * rise.unsqueeze(-2)
            small = small + torch.eye(self.size, dtype=z.dtype, device=z.device)
            found = torch.linalg.solve_triangular(small, _mapped(out.mT, rest).unsqueeze(-1), upper=False).squeeze(-1)
            return rest - _mapped(into.mT, rise * found)

    def of_context(self, context: Tensor, dtype: torch.dtype) -> Sylvester:
        """Return what the step does for each image, from the context [B, C]."""
        frame, out = self.frame(context).to(dtype), self.out(context).to(dtype)
        sizes = [self.reflections * self.latent_size, out.shape[-1], self.size]
        vectors, into, offset = frame.split(sizes, dim=-1)
        # Rows of S have up to M numbers; the scaling keeps the tanh from starting saturated.
        return Sylvester(
            self._columns(vectors.unflatten(-1, (self.reflections, self.latent_size))),
            self._triangular(out),
            self._triangular(into / self.size**0.5),
            offset,
        )

    def _columns(self, vectors: Tensor) -> Tensor:
        """Return Q from the vectors of its reflections, [B, K, D].

        Their product is ``I - V^T T^-1 V``, where V has rows of length 1 and T is the upper triangle of ``V V^T`` with
        its diagonal halved (Joffrain et al. 2006): one triangular system instead of a sequence of reflections.
        """
        eye = torch.eye(self.latent_size, self.size, dtype=vectors.dtype, device=vectors.device)
        start = (eye.flip(-1) if self.reverse else eye).expand(len(vectors), -1, -1)
        if not self.reflections:
            return start
        unit = F.normalize(vectors, dim=-1)
        half = 0.5 * torch.eye(self.reflections, dtype=vectors.dtype, device=vectors.device)
        with without_autocast():
            upper = (unit @ unit.mT).triu(1) + half
            columns: Tensor = start - unit.mT @ torch.linalg.solve_triangular(upper, unit @ start, upper=True)
            return columns

    def _triangular(self, numbers: Tensor) -> Tensor:
        """Put numbers [B, M (M + 1) / 2] into the upper triangle of a matrix whose diagonal is bounded."""
        diagonal = _LARGEST_DIAGONAL * torch.tanh(numbers[:, : self.size])
        padded = F.pad(torch.cat((diagonal, numbers[:, self.size :]), dim=-1), (0, 1))
        matrix: Tensor = padded.index_select(-1, self.triangle).unflatten(-1, (self.size, self.size))
        return matrix


def _places(size: int) -> Tensor:
    """Return which number each entry of a matrix holds, [M * M]: diagonal, upper triangle, and last the 0 below it.

    If the default device is `meta` (to count parameters), it takes no memory.
    """
    device = torch.get_default_device()
    if device.type == "meta":
        return torch.empty(size * size, dtype=torch.long)
    places = torch.full((size, size), size * (size + 1) // 2, device="cpu")
    places.diagonal().copy_(torch.arange(size, device="cpu"))
    rows, columns = torch.triu_indices(size, size, 1, device="cpu")
    places[rows, columns] = torch.arange(size, size * (size + 1) // 2, device="cpu")
    return places.flatten().to(device)


def _mapped(matrix: Tensor, z: Tensor) -> Tensor:
    """Return each image's matrix [B, N, M] times all of its vectors, [..., B, M] to [..., B, N]."""
    mapped: Tensor = torch.einsum("bnm,...bm->...bn", matrix, z)
    return mapped


def _diagonal(matrix: Tensor) -> Tensor:
    # Not a view: the compiler of steps cannot take the diagonal of a batch of matrices.
    return (matrix * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)).sum(-1)


def _root(out: Tensor, into: Tensor, inside: Tensor, target: Tensor) -> Tensor:
    """Return the s with ``s + out tanh(into s + inside) = target``."""

    def miss(place: Tensor) -> tuple[Tensor, Tensor]:
        bent = torch.tanh(into * place + inside)
        return place + out * bent - target, 1 + out * into * (1 - bent.square())

    return increasing_root(miss, target - out.abs(), target + out.abs())
