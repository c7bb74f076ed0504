"""What holds for every test: no deadline on a noisy machine, as many open files as there may be, hypothesis's memory out of the tree."""

import resource

from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.repo.tree import ROOT

set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
settings.register_profile("house", deadline=None)
settings.load_profile("house")

_, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # a login shell's 1024 are too few for hundreds of callers
