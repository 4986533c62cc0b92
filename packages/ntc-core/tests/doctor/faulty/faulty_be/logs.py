"""27: `message` is there only after `format()` has made it."""

import logging


class SimpleFormatter(logging.Formatter):
    """Prints level and message."""

    def format(self, record):
        """Break: nobody has set `message`."""
        return f"{record.levelname} {record.message}"
