"""The ASGI door, for a server that speaks it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")

application = get_asgi_application()
