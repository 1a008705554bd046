"""What all tests share: how hypothesis runs, and that Ctrl-C ends programs."""

import os
import signal

from hypothesis import settings

# No deadlines: how long a case takes says more of the machine than of the code. In CI the cases are
# always the same, so that a change is judged by what it does; elsewhere each run looks further.
settings.register_profile("umbrella", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("umbrella")

# What runs in the background of a script ignores Ctrl-C, and so would the programs that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)
