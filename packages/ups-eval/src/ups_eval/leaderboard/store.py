"""The file of a leaderboard: SQLite with a write-ahead log, for several processes at once.

An entry is written in one transaction, so a process that is killed leaves either all of it or nothing. A file
of a newer version is refused, and so is a database that is not a leaderboard: neither is ever written to."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ups_core import UPSError
from ups_core.files import finite
from ups_core.reading import UnsoundFile
from ups_eval.leaderboard.entry import Entry, packed, unpacked
from ups_eval.results import Results

FILE = "leaderboard.sqlite"
"""In the directory of runs, where a spec names no other."""
APPLICATION = 0x55505362
"""Marks the file as ours."""
VERSION = 1
"""Of the tables and of the results in them."""
PATIENCE = 60.0
"""Seconds to wait for another process that writes."""

TABLES = """
CREATE TABLE entries (
  number INTEGER PRIMARY KEY,
  identity TEXT NOT NULL UNIQUE,
  board TEXT NOT NULL,
  task TEXT NOT NULL,
  data TEXT NOT NULL,
  split TEXT NOT NULL,
  scored_limit INTEGER NOT NULL,
  metric_version INTEGER NOT NULL,
  model TEXT NOT NULL,
  baseline INTEGER NOT NULL,
  run TEXT NOT NULL,
  spec TEXT NOT NULL,
  experiment TEXT NOT NULL,
  seed INTEGER NOT NULL,
  packages TEXT NOT NULL,
  gates INTEGER,
  created TEXT NOT NULL,
  results TEXT NOT NULL,
  arrays BLOB NOT NULL
);
CREATE INDEX entries_of_board ON entries (board);
CREATE TABLE champions (
  number INTEGER PRIMARY KEY,
  board TEXT NOT NULL,
  entry INTEGER NOT NULL REFERENCES entries (number),
  promoted TEXT NOT NULL,
  reason TEXT NOT NULL
);
"""
CHAMPION = """
SELECT entries.* FROM champions JOIN entries ON entries.number = champions.entry
WHERE champions.board = ? AND entries.spec != ? ORDER BY champions.number DESC LIMIT 1
"""
PROMOTE = "INSERT INTO champions (board, entry, promoted, reason) VALUES (?, ?, ?, ?)"


class Leaderboard:
    """The entries of one file.

    Args:
        path: of the file; made by the first entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, entries: Sequence[Entry]) -> list[Entry]:
        """Store entries, in place of those of the same code, spec and model; returns them with their
        numbers."""
        stored = []
        with self._writing() as connection:
            for entry in entries:
                row = _row(entry)
                names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
                updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != "identity")
                connection.execute(
                    f"INSERT INTO entries ({names}) VALUES ({marks}) "
                    f"ON CONFLICT (identity) DO UPDATE SET {updates}",
                    row,
                )
                found = connection.execute(
                    "SELECT * FROM entries WHERE identity = ?", (row["identity"],)
                ).fetchone()
                stored.append(self._entry(found))
        return stored

    def entries(self, board: str | None = None) -> list[Entry]:
        """All entries, or those of a board, the oldest first; none without a file."""
        if not self.path.exists():
            return []
        with self._reading() as connection:
            where, values = ("WHERE board = ?", (board,)) if board is not None else ("", ())
            rows = connection.execute(f"SELECT * FROM entries {where} ORDER BY number", values).fetchall()
            champions = {
                row["entry"]
                for row in connection.execute(
                    "SELECT entry FROM champions WHERE number IN "
                    "(SELECT max(number) FROM champions GROUP BY board)"
                )
            }
        return [self._entry(row, row["number"] in champions) for row in rows]

    def champion(self, board: str, *, without: str = "") -> Entry | None:
        """The newest champion of a board.

        Args:
            board: see :class:`Entry`.
            without: fingerprint of a spec whose entries do not count, because nothing is its own reference.
        """
        if not self.path.exists():
            return None
        with self._reading() as connection:
            row = connection.execute(CHAMPION, (board, without)).fetchone()
        return None if row is None else self._entry(row, champion=True)

    def promote(self, entry: Entry, reason: str) -> None:
        """Make a stored entry the champion of its board, whoever is."""
        with self._writing() as connection:
            connection.execute(PROMOTE, (entry.board, entry.number, _now(), reason))

    def succeed(self, champion: Entry | None, entry: Entry, reason: str) -> bool:
        """Make a stored entry the champion in place of the one that it was compared with.

        Returns:
            False if another process has promoted something else since; then nothing is changed.
        """
        with self._writing() as connection:
            row = connection.execute(CHAMPION, (entry.board, entry.spec)).fetchone()
            if (row and row["number"]) != (champion and champion.number):
                return False
            connection.execute(PROMOTE, (entry.board, entry.number, _now(), reason))
        return True

    def history(self, board: str) -> list[tuple[str, str, str]]:
        """Time, run and reason of every promotion, the oldest first."""
        if not self.path.exists():
            return []
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT champions.promoted, entries.run, champions.reason FROM champions "
                "JOIN entries ON entries.number = champions.entry WHERE champions.board = ? "
                "ORDER BY champions.number",
                (board,),
            ).fetchall()
        return [tuple(row) for row in rows]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                self._prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise UPSError(f"leaderboard {self.path}: {error}") from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check that the file is ours, or make its tables if it is new."""
        if self._check(connection):
            return
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        if not self._check(connection):  # another process may have been faster
            for statement in TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has our tables; false for an empty one."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == APPLICATION and version == VERSION:
            return True
        if application == APPLICATION:
            raise UPSError(
                f"leaderboard {self.path} has version {version}; this version of ups-eval reads {VERSION}: "
                "install a matching ups-eval, or name another file"
            )
        if tables or application:
            raise UPSError(f"{self.path} is a database, but not a leaderboard; name another file")
        return False

    def _entry(self, row: sqlite3.Row, champion: bool = False) -> Entry:
        where = f"entry {row['number']} of the leaderboard"
        try:
            arrays = unpacked(row["arrays"])
            results = Results.from_dict(json.loads(row["results"]), self.path)
            packages: dict[str, str] = json.loads(row["packages"])
        except (ValueError, OSError, zipfile.BadZipFile, UnsoundFile) as error:
            raise UPSError(
                f"{where} {self.path} is damaged ({error}); restore the file from a copy"
            ) from None
        return Entry(
            task=row["task"],
            data=row["data"],
            split=row["split"],
            limit=row["scored_limit"],
            model=row["model"],
            baseline=bool(row["baseline"]),
            run=row["run"],
            spec=row["spec"],
            experiment=row["experiment"],
            seed=row["seed"],
            packages=packages,
            results=results,
            arrays=arrays,
            gates=None if row["gates"] is None else bool(row["gates"]),
            created=row["created"],
            champion=champion,
            number=row["number"],
            metric_version=row["metric_version"],
        )


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "identity": entry.identity,
        "board": entry.board,
        "task": entry.task,
        "data": entry.data,
        "split": entry.split,
        "scored_limit": entry.limit,
        "metric_version": entry.metric_version,
        "model": entry.model,
        "baseline": int(entry.baseline),
        "run": entry.run,
        "spec": entry.spec,
        "experiment": entry.experiment,
        "seed": entry.seed,
        "packages": json.dumps(dict(sorted(entry.packages.items()))),
        "gates": None if entry.gates is None else int(entry.gates),
        "created": entry.created or _now(),
        "results": json.dumps(finite(entry.results.to_dict())),
        "arrays": packed(entry.arrays),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
