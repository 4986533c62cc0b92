"""The WSGI door: `gunicorn farajayangu_be.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")

application = get_wsgi_application()
