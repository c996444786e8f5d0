"""What runs in the test's machine: checks of a Scoresheet that systemd runs. Standard library alone."""
