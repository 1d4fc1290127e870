"""The commit of a folder: the one that git names, without running what the folder configures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ups_core.commit import commit_of
from ups_core.environment import environment


def git(*arguments: str) -> str:
    options = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *options, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commit(tmp_path: Path) -> str:
    """A repository with two commits; returns the newest."""
    git("init", "--initial-branch", "main")
    for content in ("one", "two"):
        (tmp_path / "a.txt").write_text(content)
        git("add", "a.txt")
        git("commit", "-m", content)
    return git("rev-parse", "HEAD")


def test_a_commit_of_a_branch(commit: str, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert commit_of(tmp_path) == commit_of(tmp_path / "deep" / "er") == commit
    assert environment()["git"] == {"commit": commit}
    git("pack-refs", "--all")
    assert not (tmp_path / ".git" / "refs" / "heads" / "main").exists()
    assert commit_of(tmp_path) == commit


def test_a_detached_head(commit: str, tmp_path: Path) -> None:
    git("checkout", "HEAD~1")
    assert commit_of(tmp_path) == git("rev-parse", "HEAD") != commit


def test_a_worktree(commit: str, tmp_path: Path) -> None:
    git("worktree", "add", "-b", "other", "beside", "HEAD~1")
    assert commit_of(tmp_path / "beside") == git("rev-parse", "other") != commit


def test_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None, "outside a repository"
    git("init")
    assert commit_of(tmp_path) is None, "without a commit"
    assert environment()["git"] is None


def test_nothing_that_the_folder_configures_is_run(commit: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    git("config", "core.fsmonitor", f"touch {trace}")
    git("config", "filter.evil.clean", f"touch {trace}")
    (tmp_path / ".gitattributes").write_text("* filter=evil\n")
    (tmp_path / "a.txt").write_text("three")
    assert environment()["git"] == {"commit": commit}
    assert not trace.exists()


@pytest.mark.parametrize(
    "head", ["ref: ../../precious", "ref: refs/../../precious", "ref: refs/heads", "0" * 39, "\x1b[31m", ""]
)
def test_an_odd_head_names_no_commit(head: str, commit: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("f" * 40)
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert commit_of(tmp_path) is None


def test_a_bare_repository_in_the_folder_does_not_count(commit: str, tmp_path: Path) -> None:
    inside = tmp_path / "data"
    inside.mkdir()
    for name in ("HEAD", "config"):
        (inside / name).write_text("ref: refs/heads/evil")
    assert commit_of(inside) == commit
