"""What does a unit tell systemd of itself?"""

import sdnotify


class ServiceManager:
    """Speaks sd_notify; without a NOTIFY_SOCKET every call does nothing."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self) -> None:
        """Say that this unit serves."""
        self._notifier.notify("READY=1")

    def stopping(self) -> None:
        """Say that this unit shuts down."""
        self._notifier.notify("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; line breaks would end the message, so they go."""
        self._notifier.notify("STATUS=" + " ".join(text.split()))

    def alive(self) -> None:
        """Feed the watchdog; call it from the loop that does the work."""
        self._notifier.notify("WATCHDOG=1")
