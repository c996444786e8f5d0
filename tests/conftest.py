"""What do all tests share?"""

import hypothesis

# No deadline: how long an example takes says nothing on a busy machine. A failure prints its own blob to repeat it.
hypothesis.settings.register_profile("scoresheet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("scoresheet")
