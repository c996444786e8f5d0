"""Parts that know nothing of chess: logging, systemd, credentials."""
