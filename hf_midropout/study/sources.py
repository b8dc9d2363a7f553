"""What the runs of a dataset are made from, by regime: features of a frozen encoder, or an encoder and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .features import Features, load_features
from .fine_tuning import FineTunings, fine_tunings
from .methods import Method, Setting
from .outcome import Outcome
from .schedule import Schedule
from .training import train_heads


class Trainings(Protocol):
    """Trains by any method."""

    @property
    def rows(self) -> dict[str, int]:
        """Number of rows of each split."""
        ...

    def train(
        self, method: Method, setting: Setting, schedule: Schedule, seeds: Sequence[int], compared: bool
    ) -> list[Outcome]:
        """
        One training for each seed. Only those that are `compared` look at validation rows all along and at test rows
        at the end, and measure bits.
        """
        ...


class Source(Protocol):
    """Goes to the process that makes a run, and is opened there."""

    @property
    def key(self) -> str:
        """What results depend on."""
        ...

    def open(self) -> Trainings:
        """Reads what trainings need."""
        ...


@dataclass(frozen=True)
class FrozenEncoder:
    """
    Args:
        file (`Path`): Features, as [`features.encode`] leaves them.
    """

    file: Path

    @property
    def key(self) -> str:
        return self.file.stem

    def open(self) -> Trainings:
        return HeadTrainings(load_features(self.file))


@dataclass(frozen=True)
class HeadTrainings:
    """
    Args:
        features ([`Features`]): What a frozen encoder gave.
    """

    features: Features

    @property
    def rows(self) -> dict[str, int]:
        splits = {"train": self.features.train, "validation": self.features.validation, "test": self.features.test}
        return {name: len(rows.labels) for name, rows in splits.items()}

    def train(
        self, method: Method, setting: Setting, schedule: Schedule, seeds: Sequence[int], compared: bool
    ) -> list[Outcome]:
        test = self.features.test if compared else None
        return train_heads(
            method, setting, schedule, seeds, self.features.train, self.features.validation, test, compared
        )


@dataclass(frozen=True)
class FineTunedEncoder:
    """
    Args:
        encoder (`str`): A folder, or an id on the Hub.
        dataset (`str`): Likewise.
        max_length (`int`): Tokens that texts are cut to.
        max_eval_samples (`int`): The most rows of validation and test splits.
        digest (`str`): Of the encoder's weights and all texts.
        done (`Path`): The folder of trainings that are done.
    """

    encoder: str
    dataset: str
    max_length: int
    max_eval_samples: int
    digest: str
    done: Path

    @property
    def key(self) -> str:
        return f"fine-tuned {self.digest}"

    def open(self) -> FineTunings:
        return fine_tunings(self.encoder, self.dataset, self.max_length, self.max_eval_samples, self.digest, self.done)
