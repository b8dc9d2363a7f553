"""The folder that a run writes into: one run at a time, and an earlier run is only replaced by a finished one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..utils.files import clean_up
from ..utils.interruption import uninterrupted
from ..utils.report_names import RECORD_FILES
from .resuming import find_last_whole
from .run_record import COMPACT, LOCK, LOGS, RECORD, RunRecord, is_result, remove_written


EARLIER = "_earlier_run"


class OutputFolder:
    """
    Context manager: makes the folder if there is none and locks it. `begin` moves an earlier run aside, `finish`
    removes that one. If the body raises and no whole checkpoint was written, all is as it was before.

    Args:
        path (`Path`): The folder.
        overwrite (`bool`, *optional*, defaults to `False`): Whether an earlier run may be replaced.
        resume (`bool`, *optional*, defaults to `False`): Whether the earlier run is to go on.

    Attributes:
        checkpoint (`str`, *optional*): With `resume`, the newest checkpoint that is whole.
        skipped (`dict[str, str]`): Why newer ones were skipped, by name.
        left (`str`): After the body raised, what is there to go on from; empty if nothing is.
        finished (`bool`): Whether the result of this run is saved.
        kept (`list[str]`): After `finish`, paths of what was found among files of the earlier run that no run wrote.

    Raises:
        `ValueError`: if another run is using the folder, or it holds what may not be replaced.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, resume: bool = False):
        self.path, self.overwrite, self.resume = path, overwrite, resume
        self.checkpoint: str | None = None
        self.skipped: dict[str, str] = {}
        self.left = ""
        self.finished = False
        self.kept: list[str] = []
        self.record: RunRecord | None = None
        self._begun = False
        self._made: list[Path] = []
        # Shared by threads: it is released by whichever leaves the context.
        self._lock = FileLock(path / LOCK, thread_local=False)

    def __enter__(self) -> OutputFolder:
        try:
            # Between making something and noting it, a signal would leave it there.
            with uninterrupted():
                self._make()
                self._acquire()
                self._recover()
                self._check()
                return self
        except BaseException as error:
            with uninterrupted():
                self._leave()
            if isinstance(error, OSError) and error.strerror:
                raise OSError(f"--output_dir {self.path} cannot be used: {error.strerror}.") from error
            raise

    @uninterrupted()
    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is not None and self._begun and not self.finished:
                self._settle()
        finally:
            self._leave()

    @uninterrupted()
    def begin(self) -> None:
        """Everything else was checked and loaded: an earlier run is moved aside, and this one is recorded."""
        if self.resume and self.record:
            self.record = RunRecord(id=self.record.id, wrote=self.record.wrote)
        else:
            earlier = self.record.there(self.path) if self.record else []
            if earlier:
                self._move_aside(earlier)
            self.record = RunRecord(wrote=[*RECORD_FILES])
        if LOGS not in self.record.wrote and not os.path.lexists(self.path / LOGS):
            self.record.wrote.append(LOGS)
        self.record.save(self.path)
        self._begun = True

    def writes(self, name: str) -> None:
        """Notes that `name` is about to be written, before it is: a kill may come at any moment."""
        assert self.record is not None
        if name not in self.record.wrote:
            wrote = [*self.record.there(self.path), *{*RECORD_FILES, LOGS}.intersection(self.record.wrote), name]
            self.record.wrote = list(dict.fromkeys(wrote))
            self.record.save(self.path)

    def place_for_former(self) -> Path | None:
        """Where a `compact` folder that is there is to go when it is replaced; it is removed by `finish`."""
        if not os.path.lexists(self.path / COMPACT):
            return None
        aside = self._new_aside()
        RunRecord(wrote=[COMPACT]).save(aside)
        return aside / COMPACT

    @uninterrupted()
    def finish(self) -> None:
        """The result of this run is saved: what it replaces is removed."""
        assert self.record is not None
        self.record.finished = self.finished = True
        self.record.save(self.path)
        self._remove_aside()

    def _make(self) -> None:
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.append(path)

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            other = RunRecord.load(self.path)
            by = f" (process {other.pid} on {other.host}, started {other.started})" if other else ""
            raise ValueError(
                f"--output_dir {self.path} is in use by another run{by}: wait for it, stop it, or name another folder."
            ) from None
        # Whoever comes later is told of this process, also before `begin`.
        self.record = RunRecord.load(self.path)
        if self.record is not None:
            RunRecord(id=self.record.id, wrote=self.record.wrote, finished=self.record.finished).save(self.path)
        elif not os.path.lexists(self.path / RECORD) and set(os.listdir(self.path)) <= {LOCK}:
            self.record = RunRecord()  # before it is written, or `_leave` would not know of it
            self.record.save(self.path)

    def _recover(self) -> None:
        """Tidies up after a run that was killed."""
        clean_up(self.path, (COMPACT, *RECORD_FILES, RECORD), lambda path: self._discard(path))
        self.record = RunRecord.load(self.path)
        if self.record is None:
            return
        for aside in reversed(self._asides()):
            earlier = RunRecord.load(aside)
            moving = earlier is not None and earlier.id == self.record.id  # killed in the middle of it
            if moving or not (self.record.finished or self._has_results()):
                self._put_back(aside)
        if self.record.finished:
            self._remove_aside()

    def _check(self) -> None:
        ours = self.record.there(self.path) if self.record else []
        beside = {LOCK, RECORD, *(path.name for path in self._asides())} if self.record else {LOCK}
        others = sorted(set(os.listdir(self.path)) - {*ours, *beside})
        clashing = [name for name in others if is_result(name) and name != LOGS]
        results = [name for name in ours if name != LOGS]
        if clashing and (self.record or self.resume or self.overwrite):
            raise ValueError(
                f"--output_dir {self.path} holds {', '.join(clashing[:5])}, which hf-midropout train did not write "
                "and a run would replace: move them away, or name another folder."
            )
        if self.resume:
            self.checkpoint, self.skipped = find_last_whole(self.path)
            if self.checkpoint is None:
                reasons = "".join(f" {name} is skipped: {reason}" for name, reason in self.skipped.items())
                raise ValueError(f"--resume: there is no checkpoint in {self.path}.{reasons}")
        elif others and self.record is None:
            reason = "no run of hf-midropout train is recorded in it, so nothing of it may be removed"
            advice = f"{reason}. Name another folder" if self.overwrite else "name another folder"
            raise ValueError(f"--output_dir {self.path} is not empty ({_listed(others)}): {advice}.")
        elif results and not self.overwrite:
            raise ValueError(
                f"--output_dir {self.path} is not empty, it holds an earlier run: name another folder, or give "
                "--resume or --overwrite_output_dir."
            )

    def _move_aside(self, names: list[str]) -> None:
        assert self.record is not None
        aside = self._new_aside()
        self.record.save(aside)
        for name in names:
            os.rename(self.path / name, aside / name)

    def _put_back(self, aside: Path) -> None:
        earlier = RunRecord.load(aside)
        assert earlier is not None
        own = self.record.there(self.path) if self.record else []
        for name in earlier.there(aside):
            if name in own and earlier.id != (self.record.id if self.record else None):
                self._discard(self.path / name)
            if not os.path.lexists(self.path / name):
                os.rename(aside / name, self.path / name)
        for name in own:
            if name not in earlier.wrote and name != LOGS:
                self._discard(self.path / name)
        earlier.save(self.path)
        self.record = earlier
        if not earlier.there(aside):
            (aside / RECORD).unlink()
            with suppress(OSError):
                aside.rmdir()

    def _settle(self) -> None:
        """The body raised: what it leaves, or, if that is nothing to go on from, what was there before."""
        assert self.record is not None
        asides = self._asides()
        if self._has_results():
            last, _ = find_last_whole(self.path)
            self.left = f"Go on from {Path(last).name} with --resume." if last else ""
            if asides:
                self.left += f" The earlier run is in {asides[-1]} until this one is finished."
            return
        if asides and not self.resume:
            self._put_back(asides[-1])
            return
        for name in self.record.there(self.path):
            if name != LOGS:
                self._discard(self.path / name)

    def _has_results(self) -> bool:
        there = self.record.there(self.path) if self.record else []
        return COMPACT in there or find_last_whole(self.path)[0] is not None

    def _asides(self) -> list[Path]:
        found = [path for path in self.path.glob(f"{EARLIER}*") if not path.is_symlink() and RunRecord.load(path)]
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def _new_aside(self) -> Path:
        for number in range(1, 1000):
            path = self.path / (EARLIER if number == 1 else f"{EARLIER}_{number}")
            with suppress(FileExistsError):
                path.mkdir()
                return path
        raise ValueError(f"{self.path} holds a thousand earlier runs: remove some.")

    def _remove_aside(self) -> None:
        for aside in self._asides():
            earlier = RunRecord.load(aside)
            assert earlier is not None
            for name in earlier.there(aside):
                self._discard(aside / name)
            (aside / RECORD).unlink()
            with suppress(OSError):  # what no run wrote stays
                aside.rmdir()

    def _discard(self, path: Path) -> None:
        self.kept += [str(path.parent / name) for name in remove_written(path)]

    def _leave(self) -> None:
        """Releases the lock; folders that were made for nothing go."""
        if self._lock.is_locked:
            if self.record is None:  # the folder is someone else's: no trace is left in it
                (self.path / LOCK).unlink(missing_ok=True)
            elif set(os.listdir(self.path)) <= {LOCK, RECORD}:
                (self.path / RECORD).unlink(missing_ok=True)
                (self.path / LOCK).unlink(missing_ok=True)
        self._lock.release()
        while self._made:
            with suppress(OSError):
                self._made.pop().rmdir()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
