"""Groups of grid points that have some factors in common: the weak supervision of a model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.errors import InputError


class Groups(NamedTuple):
    """Factors of groups.

    Attributes:
        factors: (n, G, k) int64.
        changed: (n, k) bool, True for the factors that were drawn again, a nuisance of several values among them.
    """

    factors: Tensor
    changed: Tensor


class GroupSampler(ABC):
    """Draws groups of grid points.

    A nuisance factor (see `FactorSpace`) is drawn anew for every image of a group and never counts as shared, nor as
    one of the factors that change, unless a group is asked to have it in common by name.

    Args:
        size: G, how many points form a group, at least 2.

    Raises:
        InputError: If size is below 2.
    """

    def __init__(self, size: int = 2) -> None:
        if size < 2:
            raise InputError(f"a group needs at least 2 images, got size={size}; for single images set data.pairs=null")
        self.size = size

    @abstractmethod
    def sample(self, space: FactorSpace, n: int, generator: torch.Generator) -> Groups:
        """Draw n groups on the CPU."""


class KnownGroups(GroupSampler):
    """Groups of any size that share the factors of their content; all other factors are drawn for every image.

    Source: the grouped data of Bouchacourt et al. 2018 (arXiv:1705.08841) and Hosoya 2019 (arXiv:1809.02383).

    Args:
        content: Names of the factors that a group has in common.
        size: How many images form a group, at least 2.

    Raises:
        InputError: If content is empty or size below 2.
    """

    def __init__(self, content: Sequence[str], size: int = 2) -> None:
        super().__init__(size)
        if not content:
            raise InputError("known groups need the names of the factors they share: give data.pairs.content")
        self.content = tuple(content)

    def sample(self, space: FactorSpace, n: int, generator: torch.Generator) -> Groups:
        """Draw n groups on the CPU.

        Raises:
            InputError: If the content names a factor that the grid does not have, or leaves nothing to vary.
        """
        unknown = sorted(set(self.content) - set(space.names))
        if unknown:
            raise InputError(f"data.pairs.content names {unknown}, but the factors are {list(space.names)}")
        own = torch.tensor([f not in self.content and s > 1 for f, s in zip(space.names, space.sizes, strict=True)])
        if not own.any():
            raise InputError(f"the content {list(self.content)} leaves no factor of {space} to vary within a group")
        values = space.sample(n * self.size, generator).view(n, self.size, -1)
        return Groups(torch.where(own, values, values[:, :1]), own.expand(n, -1))


class PairSampler(GroupSampler, ABC):
    """Draws a first grid point uniformly and draws some of its factors again for the second.

    Factors with a single value never count as changed. Source: Locatello et al. 2020 (arXiv:2002.02886, section 3); a
    nuisance as `sample_all_factors` of disentanglement_lib draws it.

    Args:
        k: How many scored factors change; 0 or None draws it anew for every pair.
    """

    def __init__(self, k: int | None = None) -> None:
        super().__init__()
        if k is not None and k < 0:
            raise InputError(f"k={k} factors cannot change in a pair: give k >= 1, or 0 to draw it for every pair")
        self.k = k or None

    @abstractmethod
    def count(self, n: int, varying: int, generator: torch.Generator) -> Tensor:
        """Draw how many of the varying factors change, (n,) int64."""

    @abstractmethod
    def redraw(self, first: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw new values (n, k) for all factors, of which only the changed ones are used."""

    def sample(self, space: FactorSpace, n: int, generator: torch.Generator) -> Groups:
        """Draw n pairs on the CPU.

        Raises:
            InputError: If the grid has too few varying factors for k of them to change while one is shared.
        """
        sizes = torch.tensor(space.sizes)
        scored = space.scored & (sizes > 1)
        varying = int(scored.sum())
        if varying < 2 or (self.k or 1) >= varying:
            raise InputError(
                f"pairs with k={self.k or 'random'} changed factors need more than that many varying factors, but "
                f"{space} has {varying}: lower k or widen the grid"
            )
        first = space.sample(n, generator)
        order = torch.rand(n, len(sizes), generator=generator).masked_fill(~scored, torch.inf)
        changed = order.argsort(1).argsort(1) < self.count(n, varying, generator).unsqueeze(1)
        second = torch.where(changed, self.redraw(first, sizes, generator), first)
        if space.nuisance:
            second = torch.where(space.scored, second, space.sample(n, generator))
        return Groups(torch.stack((first, second), 1), changed | (~space.scored & (sizes > 1)))


def _uniform_count(k: int | None, n: int, varying: int, generator: torch.Generator) -> Tensor:
    return torch.full((n,), k) if k else torch.randint(1, varying, (n,), generator=generator)


def _uniform_values(sizes: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(n, len(sizes), generator=generator) * sizes).long()


class UniformPairs(PairSampler):
    """The paper's sampler: k fixed or uniform on 1..K-1, new values uniform, so they may equal the old ones.

    Source: Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020, section 5.
    """

    def count(self, n: int, varying: int, generator: torch.Generator) -> Tensor:
        """Return k, or draw it uniformly from 1..varying-1."""
        return _uniform_count(self.k, n, varying, generator)

    def redraw(self, first: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw uniformly from all values."""
        return _uniform_values(sizes, len(first), generator)


class UniformDistinctPairs(PairSampler):
    """As `UniformPairs`, but a changed factor always takes another value.

    Source: Locatello et al. 2020 (arXiv:2002.02886, section 5), with new values forced to differ.
    """

    def count(self, n: int, varying: int, generator: torch.Generator) -> Tensor:
        """Return k, or draw it uniformly from 1..varying-1."""
        return _uniform_count(self.k, n, varying, generator)

    def redraw(self, first: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw uniformly from all values but the old one."""
        alternatives = (sizes - 1).clamp_min(1)
        return (first + 1 + _uniform_values(alternatives, len(first), generator)) % sizes


class DlibPairs(PairSampler):
    """The sampler of disentanglement_lib as its code stands: after k is chosen, half of the pairs change one factor.

    Its expected number of changes with k=None is therefore 1/2 + K/4, not K/2 as in the paper. New values are uniform.
    Source: google-research/disentanglement_lib, `simple_dynamics`, and its issue 31.
    """

    def count(self, n: int, varying: int, generator: torch.Generator) -> Tensor:
        """Draw 1 or k, each with probability one half."""
        k = _uniform_count(self.k, n, varying, generator)
        return torch.where(torch.rand(n, generator=generator) < 0.5, torch.ones_like(k), k)

    def redraw(self, first: Tensor, sizes: Tensor, generator: torch.Generator) -> Tensor:
        """Draw uniformly from all values."""
        return _uniform_values(sizes, len(first), generator)
