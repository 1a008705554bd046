"""What all tests share: how hypothesis runs."""

import os

from hypothesis import settings

# No deadlines: how long a case takes says more of the machine than of the code. In CI the cases are
# always the same, so that a change is judged by what it does; elsewhere each run looks further.
settings.register_profile("umbrella", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("umbrella")
