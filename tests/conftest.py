"""What do all tests share?"""

import hypothesis

# No deadline: how long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("scoresheet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("scoresheet")
