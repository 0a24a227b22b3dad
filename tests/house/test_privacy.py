"""The tree speaks of itself and of public things: no path of somebody's computer, no page that is not in it, no private host."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.house.tree import said, texts

# Where people keep their files, at the start of a path; a folder of ours that happens to have such a name stands after another.
PRIVATE_PATH = re.compile(r"(?<![\w.{}$)\]>*-])/(?:home/\w|Users/\w|root/|workspace|work/|mnt/|tmp/\w)")
PRIVATE_HOST = re.compile(r"\b[\w-]+\.(?:corp|intra|lan|localdomain|internal)\b")
# EC2's own names of instances.
PUBLIC_HOST = re.compile(r"(?:ec2|compute)\.internal")
PAGE = re.compile(r"(?<![\w:/.*>-])[\w./-]*[\w-]+\.md\b")
LEAVING = re.compile(r"(?<![\w./])(?:\.\./)+[\w./-]+")
ADDRESS = re.compile(r"(?:https?|file|git\+\w+)://[^\s\"'`)>\]]+")
# Attribution to a tool says nothing about the code; who answers for a change is in its author line.
TOOL = re.compile(r"co-authored-by:|generated (?:by|with) (?:an? )?(?:ai|assistant|language model|llm|agent)\b", re.IGNORECASE)
# Written by programs from public models; too large to read line by line, and held by tests of their own.
GENERATED = ("uv.lock", "LICENSE", "src/isthmus/clouds/aws/wire/plans/", "tests/golden/")
HERE = "tests/house/test_privacy.py"


def _lines() -> list[tuple[str, int, str]]:
    return [
        (path, number, line)
        for path, text in texts()
        if not path.startswith(GENERATED) and path != HERE
        for number, line in enumerate(text.splitlines(), 1)
    ]


def test_no_paths_of_somebodys_computer() -> None:
    """Home folders, work folders and fixed temporary files."""
    found = [f"{path}:{number} {line.strip()[:120]}" for path, number, line in _lines() if PRIVATE_PATH.search(line)]
    assert not found, said(found)


@pytest.mark.parametrize(
    ("line", "is_private"),
    [
        ("see /home/ann/notes", True),
        ("open('/Users/ann/key.pem')", True),
        ("cd /mnt/disk", True),
        ("src/isthmus/work/jobs.py", False),
        ("{root}/home/agent", False),
        ("/subscriptions/1/resourceGroups/work/providers", False),
    ],
)
def test_private_paths_are_told_from_ours(line: str, is_private: bool) -> None:
    """The pattern finds what it is for, and nothing else."""
    assert bool(PRIVATE_PATH.search(line)) is is_private


def test_no_private_hosts() -> None:
    """Names that only one network knows."""
    found = [f"{path}:{number} {line.strip()[:120]}" for path, number, line in _lines() if PRIVATE_HOST.search(PUBLIC_HOST.sub("", line))]
    assert not found, said(found)


def test_pages_that_are_named_exist() -> None:
    """A page is named by its path from the root, from its reader's folder, or by its bare name; all of them lie in this tree."""
    present = {path for path, _ in texts()}
    names = {PurePosixPath(path).name for path in present}
    found = []
    for path, number, line in _lines():
        for page in PAGE.findall(ADDRESS.sub("", line)):
            near = (PurePosixPath(path).parent / page).as_posix()
            if page not in present and near not in present and not ("/" not in page and page in names) and ".." not in page:
                found.append(f"{path}:{number} {page}")
    assert not found, said(found)


def test_no_path_leaves_the_tree() -> None:
    """`..` from a page stays inside."""
    found = []
    for path, number, line in _lines():
        for way in LEAVING.findall(line):
            depth = len(PurePosixPath(path).parent.parts)
            if path.endswith(".md") and way.count("../") > depth:
                found.append(f"{path}:{number} {way}")
    assert not found, said(found)


def test_no_tool_signs_its_work() -> None:
    """Nothing in the tree says which program somebody wrote it with."""
    found = [f"{path}:{number} {line.strip()[:120]}" for path, number, line in _lines() if TOOL.search(line)]
    assert not found, said(found)
