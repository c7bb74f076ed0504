"""What is delivered: the product, typed, and nothing else."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import relay
from tests.repo.tree import ROOT, name, sources


def test_the_wheel_holds_the_product_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    about = f"postgate-{relay.__version__}.dist-info"
    with ZipFile(wheel) as archive:
        held = set(archive.namelist())
        assert {entry.partition("/")[0] for entry in held} == {"relay", about}
        assert {name(path) for path in sources("relay")} | {"relay/py.typed", f"{about}/licenses/LICENSE"} <= held
        assert "relay = relay.cli:main" in archive.read(f"{about}/entry_points.txt").decode()
