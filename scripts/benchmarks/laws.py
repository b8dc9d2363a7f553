"""Joint distributions of an activation and a label whose mutual information is known, by numerical integration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from scipy.integrate import simpson


POINTS = 40_001
"""Points of Simpson's rule between two break points; half of them give the error estimate."""


class Mixture:
    """Equal parts of some scipy distributions."""

    def __init__(self, *parts):
        self.parts = parts

    def pdf(self, x):
        return sum(part.pdf(x) for part in self.parts) / len(self.parts)

    def cdf(self, x):
        return sum(part.cdf(x) for part in self.parts) / len(self.parts)

    def sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.integers(len(self.parts), size=size)
        values = np.empty(size)
        for index, part in enumerate(self.parts):
            values[chosen == index] = part.rvs(int((chosen == index).sum()), random_state=rng)
        return values


@dataclass
class Law:
    """
    A latent x, drawn given the class, and an activation that is a function of it.

    Args:
        name (`str`): What it is called in results.
        classes (`list[Mixture]`): Of x, given each class.
        breaks (`tuple[float, ...]`): Integrate from the first to the last, smooth in between.
        prior (`list[float]`, *optional*): Of the classes; uniform by default.
        activation (`Callable`, *optional*): Of x; the identity by default.
        folded (`Callable`, *optional*): For an activation that is not monotone: densities `[C, n]` of the activation
            at x, up to a factor that all classes share. The densities of x by default.
        heavy (`bool`, *optional*): Whether to integrate over arctan(x).
    """

    name: str
    classes: list[Mixture]
    breaks: tuple[float, ...]
    prior: list[float] | None = None
    activation: Callable[[np.ndarray], np.ndarray] = field(default=lambda x: x)
    folded: Callable[[Law, np.ndarray], np.ndarray] | None = None
    heavy: bool = False

    def __post_init__(self):
        count = len(self.classes)
        self.weights = np.full(count, 1 / count) if self.prior is None else np.array(self.prior)
        self.bits, self.error, self.spread = self.integrate()

    @property
    def is_noise(self) -> bool:
        return self.bits == 0

    def densities(self, x: np.ndarray) -> np.ndarray:
        """`[C, n]` densities of x given each class."""
        return np.array([density.pdf(x) for density in self.classes])

    def integrate(self) -> tuple[float, float, float]:
        """Mutual information in bits, its numerical error, and the standard deviation of log2 p(a | y) / p(a)."""
        if all(density is self.classes[0] for density in self.classes):
            return 0.0, 0.0, 0.0
        first, second, error = 0.0, 0.0, 0.0
        ends = np.arctan(self.breaks) if self.heavy else np.array(self.breaks, dtype=float)
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            inset = 1e-9 * (end - start)
            grid = np.linspace(start + inset, end - inset, POINTS)
            x, stretch = (np.tan(grid), 1 / np.cos(grid) ** 2) if self.heavy else (grid, 1.0)
            given = self.densities(x)
            seen = given if self.folded is None else self.folded(self, x)
            mixed = self.weights @ seen
            with np.errstate(all="ignore"):
                ratio = np.where((seen > 0) & (mixed > 0), np.log2(seen / mixed), 0.0)
            weighted = self.weights[:, None] * given * stretch
            terms = (weighted * ratio).sum(0)
            first += simpson(terms, x=grid)
            error += abs(simpson(terms, x=grid) - simpson(terms[::2], x=grid[::2]))
            second += simpson((weighted * ratio**2).sum(0), x=grid)
        return float(first), float(error), float(np.sqrt(max(second - first**2, 0)))

    def sample(self, samples: int, repetitions: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """float32 activations `[samples, repetitions]` and labels `[samples]`, which the repetitions share."""
        labels = rng.choice(len(self.weights), size=samples, p=self.weights)
        x = np.empty((samples, repetitions))
        for label, density in enumerate(self.classes):
            rows = labels == label
            x[rows] = density.sample(int(rows.sum()) * repetitions, rng).reshape(-1, repetitions)
        return self.activation(x).astype(np.float32), labels


def normal(mean: float = 0.0, scale: float = 1.0) -> Mixture:
    return Mixture(stats.norm(mean, scale))


def gaussians(count: int, step: float, scale: float = 1.0) -> list[Mixture]:
    return [normal(step * (index - (count - 1) / 2), scale) for index in range(count)]


def relu(x):
    return np.maximum(x, 0)


def relu_folded(law: Law, x: np.ndarray) -> np.ndarray:
    """All of x <= 0 falls on one value."""
    below = np.array([density.cdf(0.0) for density in law.classes])[:, None]
    return np.where(x > 0, law.densities(x), below)


def gelu(x):
    return x * stats.norm.cdf(x)


def gelu_slope(x):
    return stats.norm.cdf(x) + x * stats.norm.pdf(x)


GELU_MINIMUM = -0.7517915246935645


def gelu_folded(law: Law, x: np.ndarray) -> np.ndarray:
    """Below 0 every value is taken twice, on either side of the minimum."""
    value = gelu(x)
    left = x < GELU_MINIMUM
    low = np.where(left, GELU_MINIMUM, -40.0)
    high = np.where(left, 0.0, GELU_MINIMUM)
    for _ in range(80):  # bisection: gelu falls left of its minimum and rises right of it
        middle = (low + high) / 2
        too_low = (gelu(middle) < value) == left
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    other = (low + high) / 2
    with np.errstate(all="ignore"):
        weight = np.abs(gelu_slope(x) / gelu_slope(other))
    weight = np.where((x < 0) & np.isfinite(weight), weight, 0.0)
    return law.densities(x) + weight * law.densities(other)


def laws() -> list[Law]:
    """25 laws with signal and 6 of noise."""
    wide = (-12.0, 0.0, 12.0)
    teeth = [stats.uniform(index, 1) for index in range(32)]
    noise, same = normal(), normal(-1)
    uniform = [Mixture(stats.uniform(0, 1)), Mixture(stats.uniform(0.5, 1))]
    discrete = ([5, 2, 1, 1, 1], [2, 2, 2, 2, 2], [1, 1, 1, 2, 5], [1, 6, 0, 3, 0])
    spread = [stats.uniform(index, 1) for index in range(5)]
    signal = [
        Law("2 Gaussians, weak", gaussians(2, 0.1), wide),
        Law("2 Gaussians", gaussians(2, 0.5), wide),
        Law("2 Gaussians, strong", gaussians(2, 2.0), wide),
        Law("4 Gaussians, weak", gaussians(4, 0.1), wide),
        Law("4 Gaussians", gaussians(4, 0.5), wide),
        Law("4 Gaussians, strong", gaussians(4, 2.0), wide),
        Law("20 Gaussians, weak", gaussians(20, 0.05), wide),
        Law("20 Gaussians", gaussians(20, 0.5), (-16.0, 0.0, 16.0)),
        Law("20 Gaussians, strong", gaussians(20, 2.0), (-32.0, 0.0, 32.0)),
        Law("2 scales", [normal(0, 1), normal(0, 2)], (-20.0, 0.0, 20.0)),
        Law("4 scales", [normal(0, scale) for scale in (0.5, 1, 2, 4)], (-40.0, -4.0, 0.0, 4.0, 40.0)),
        Law("2 ReLU", [normal(-1), normal(0)], wide, activation=relu, folded=relu_folded),
        Law("4 ReLU", [normal(-1.5 + 0.5 * c) for c in range(4)], wide, activation=relu, folded=relu_folded),
        Law("4 ReLU, sparse", [normal(m) for m in (-3, -2.5, -2, -1)], wide, activation=relu, folded=relu_folded),
        Law("4 tanh, saturated", gaussians(4, 1.0), wide, activation=lambda x: np.tanh(1.5 * x)),
        Law("2 GELU", [normal(-1), normal(0.5)], (-12.0, GELU_MINIMUM, 0.0, 12.0), activation=gelu,
            folded=gelu_folded),
        Law("4 GELU", [normal(m) for m in (-2, -1, 0, 1)], (-12.0, GELU_MINIMUM, 0.0, 12.0), activation=gelu,
            folded=gelu_folded),
        Law("2 Cauchy", [Mixture(stats.cauchy(m)) for m in (0, 1)], (-1e12, 0.0, 1e12), heavy=True),
        Law("4 log-normal", gaussians(4, 0.4), wide, activation=np.exp),
        Law("4 Gaussians at 1,000", gaussians(4, 0.5), wide, activation=lambda x: 1000 + x),
        Law("comb of 16 teeth", [Mixture(*teeth[::2]), Mixture(*teeth[1::2])], tuple(range(33))),
        Law("2 bimodal, XOR", [Mixture(stats.norm(-2, 0.7), stats.norm(2, 0.7)), normal(0, 0.7)], wide),
        Law("2 uniform, half overlapping", uniform, (0, 0.5, 1, 1.5)),
        Law("1% against 99%", [normal(0), normal(1.5)], wide, prior=[0.99, 0.01]),
        Law("4 discrete", [Mixture(*np.repeat(spread, counts)) for counts in discrete], tuple(range(6)),
            activation=np.floor),
    ]  # fmt: skip
    return signal + [
        Law("noise, 2 classes", [noise] * 2, wide),
        Law("noise, 4 classes", [noise] * 4, wide),
        Law("noise, 20 classes", [noise] * 20, wide),
        Law("noise, ReLU, 3%", [same] * 2, wide, prior=[0.97, 0.03], activation=relu),
        Law("constant", [noise] * 4, wide, activation=np.zeros_like),
        Law("constant, a class of one in 500", [noise] * 2, wide, prior=[0.998, 0.002], activation=np.zeros_like),
    ]
