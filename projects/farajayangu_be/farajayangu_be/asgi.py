"""What the web process serves: the HTTP API and the sockets, behind one port."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")
wsgi_application = get_wsgi_application()

# After Django is set up: it imports models.
from ntc_core.realtime.asgi import build_application  # noqa: E402

#: WEB_THREADS: requests that one process answers at the same time.
application = build_application(wsgi_application, threads=int(os.environ.get("WEB_THREADS") or 8))
