# First of all: it tells gRPC to leave forks alone, and gRPC asks when it is imported.
from hypothesis import settings

import shared  # noqa: F401 - see above

# A property is about what the code does, not how fast a busy machine does it: `timeout` in pyproject.toml bounds that.
settings.register_profile("upstream", settings.get_profile("default"), deadline=None, print_blob=True)
settings.load_profile("upstream")
