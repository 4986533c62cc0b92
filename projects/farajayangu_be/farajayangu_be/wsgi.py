"""The HTTP API alone, for a server that speaks WSGI; `asgi.py` has the sockets too."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")

application = get_wsgi_application()
