"""A web process of the tests: `python -m tests.idempotency.server <database>` prints its port."""

from __future__ import annotations

import sys
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection


def main(database: str) -> None:
    """Serve until a failpoint, or somebody, ends the process."""
    application = get_wsgi_application()
    settings.ROOT_URLCONF = "tests.idempotency.urls"
    connection.settings_dict["NAME"] = database
    with make_server("127.0.0.1", 0, application) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
