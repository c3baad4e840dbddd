"""A table on disk that may take several runs to write: what one has brought the next one keeps."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from ccrs_core.errors import RecordingFailed, UsageError
from ccrs_core.extensions.extras import library
from ccrs_core.frames.columns import CHUNK, Decimals, kind_named
from ccrs_core.frames.writer import PART, FrameWriter

STAGE = ".parts"
"""What the folder beside a file is called that holds the parts of it."""
_STATE = "state.json"
_COPIED = 2**20


class StagedWriter:
    """Writes events of one kind to a file, as :class:`~ccrs_core.FrameWriter` does, that is whole
    only after :meth:`finish`. Until then a folder beside it, ``….parts``, holds what there is, also
    after a crash: rows up to the last :meth:`commit`, each once.

    :param kind: the class of event, or its type.
    :param question: what the rows answer: who goes on must ask the same.
    :raises UsageError: where the folder holds the answer to another question, another process
        writes to it, or the file can't be written.
    """

    def __init__(
        self,
        path: str | Path,
        kind: type[Any] | str,
        *,
        question: Mapping[str, Any],
        decimals: Decimals = "exact",
    ) -> None:
        self.path = Path(path)
        self.rows = 0
        """Rows written, those of earlier runs included."""
        self.state: Any = None
        """What the last :meth:`commit` was told, in this run or an earlier one; None before."""
        self._kind = kind_named(kind)
        self._decimals: Decimals = decimals
        self._question = orjson.loads(orjson.dumps({**question, "decimals": decimals}))
        self._folder = self.path.with_name(self.path.name + STAGE)
        self._parts = 0
        self._kept = 0
        """Rows of the last commit."""
        self._writer: FrameWriter | None = None
        self._lock: IO[bytes] | None = None
        self._begun = False
        new = False
        try:
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir()
                new = True  # and nobody else's
            self._lock = _claimed(self._folder)
            self._begin()
            self._begun = True
        except OSError as error:
            self.close()
            raise UsageError(f"can't write {path}: {error.strerror or error}") from None
        except BaseException:
            self.close()
            if new:
                shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _begin(self) -> None:
        file = self._folder / _STATE
        if file.exists():
            try:
                told = orjson.loads(file.read_bytes())
                asked, state = told["question"], told["state"]
                self._parts, self.rows = told["parts"], told["rows"]
                self._kept = int(self.rows)
            except (ValueError, KeyError, TypeError):
                raise UsageError(f"{file} can't be read: remove {self._folder}") from None
            if asked != self._question and not self.rows:
                # Nothing has come of it: there is nothing to lose.
                self._parts, state = 0, None
                self._note()
            elif asked != self._question:
                names = ", ".join(
                    f"{name} {asked.get(name)} there, {value} here"
                    for name, value in self._question.items()
                    if asked.get(name) != value
                )
                raise UsageError(
                    f"{self._folder} holds the beginning of something else ({names}): ask for the "
                    "same again, choose another file, or remove it"
                )
            self.state = state
        else:
            self._note()
        # Tells at once where the format or its library is missing.
        FrameWriter(self._folder / f"check{self.path.suffix}", self._kind).abandon()

    def write(self, events: Iterable[Any]) -> None:
        """Add rows, in their order.

        :raises UsageError: where they are of another kind, or a number fits in no column.
        :raises RecordingFailed: where they can't be written.
        """
        if self._lock is None:
            raise UsageError(f"{self.path} is closed: nothing can be added")
        if self._writer is None:
            self._writer = FrameWriter(self._part(self._parts), self._kind, decimals=self._decimals)
        before = self._writer.rows
        self._writer.write(events)
        self._writer.flush()  # as columns they take a tenth of the memory
        self.rows += self._writer.rows - before

    def commit(self, state: Any) -> None:
        """Keep what was written, whatever happens from now on. ``state`` is a value of JSON.

        :raises RecordingFailed: (or what a write raised) where it can't be written; ``rows`` are
            those of the last commit again.
        """
        writer, self._writer = self._writer, None
        rows, self.rows = self.rows, self._kept
        if writer is not None:
            writer.close()
            self._parts += 1
        self.rows, self.state = rows, state
        try:
            self._note()
        except OSError as error:
            self.rows = self._kept
            raise self._failed(error) from error
        self._kept = rows

    def finish(self) -> None:
        """Make the file of its parts, and give it its name.

        :raises RecordingFailed: where it can't be written.
        """
        if self._writer is not None:
            self.commit(self.state)
        parts = [self._part(number) for number in range(self._parts)]
        if not parts:
            # Columns without rows.
            with FrameWriter(self.path, self._kind, decimals=self._decimals):
                pass
        else:
            whole = self.path.with_name(self.path.name + PART)
            try:
                with whole.open("wb") as file:
                    _JOIN[self.path.suffix.lower()](parts, file)
                    file.flush()
                    os.fsync(file.fileno())
                whole.replace(self.path)
            except OSError as error:
                raise self._failed(error) from error
            finally:
                with contextlib.suppress(OSError):
                    whole.unlink(missing_ok=True)
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Leave it as it is, for another run: without what wasn't committed. Idempotent."""
        nothing = self._begun and self.state is None and not self._parts
        self._begun = False
        writer, self._writer = self._writer, None
        if writer is not None:
            self.rows = self._kept
            writer.abandon()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
        if nothing:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}{self.path.suffix}"

    def _note(self) -> None:
        said = {
            "question": self._question,
            "parts": self._parts,
            "rows": self.rows,
            "state": self.state,
        }
        new = self._folder / f"{_STATE}.new"
        with new.open("wb") as file:
            file.write(orjson.dumps(said))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / _STATE)

    def _failed(self, error: OSError) -> RecordingFailed:
        return RecordingFailed(f"can't write {self.path}: {error.strerror or error}")


def _claimed(folder: Path) -> IO[bytes]:
    """A lock on what is in a folder, until it is closed.

    :raises UsageError: where another process writes there.
    """
    lock = open(folder / "lock", "ab")  # noqa: SIM115 - close() does
    try:
        import fcntl
    except ImportError:
        return lock  # not on this system
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UsageError(f"another process is writing to {folder}") from None
    return lock


def _join_parquet(parts: list[Path], file: IO[bytes]) -> None:
    parquet = library("pyarrow.parquet", "arrow", "a Parquet file")
    writer = None
    for part in parts:
        with parquet.ParquetFile(part) as read:
            if writer is None:
                writer = parquet.ParquetWriter(file, read.schema_arrow, compression="zstd")
            # Fewer and larger groups of rows than came.
            for batch in read.iter_batches(CHUNK):
                writer.write_batch(batch)
    assert writer is not None
    writer.close()


def _join_lines(parts: list[Path], file: IO[bytes]) -> None:
    for part in parts:
        with part.open("rb") as read:
            shutil.copyfileobj(read, file, _COPIED)


def _join_csv(parts: list[Path], file: IO[bytes]) -> None:
    for number, part in enumerate(parts):
        with part.open("rb") as read:
            if number:
                read.readline()  # the names of the columns
            shutil.copyfileobj(read, file, _COPIED)


_JOIN = {".parquet": _join_parquet, ".csv": _join_csv, ".jsonl": _join_lines}
