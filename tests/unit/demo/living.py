"""Which processes there are, read from /proc."""

from collections.abc import Iterator
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not one that has ended and only waits to be noticed."""
    return _parent(pid) is not None


def descendants(pid: int) -> set[int]:
    """Every process that comes from this one, through parents that still live."""
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}

    def below(ancestor: int) -> Iterator[int]:
        for child, parent in parents.items():
            if parent == ancestor:
                yield child
                yield from below(child)

    return set(below(pid))


def _parent(pid: int) -> int | None:
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else int(parent)
