"""What holds for every test: no deadline on a noisy machine, and what hypothesis remembers stays out of the tree."""

from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.repo.tree import ROOT

set_hypothesis_home_dir(ROOT / ".cache" / "hypothesis")
settings.register_profile("house", deadline=None)
settings.load_profile("house")
