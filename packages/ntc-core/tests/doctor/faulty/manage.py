#!/usr/bin/env python
"""The manage.py that `django-admin startproject` writes."""

import os
import sys


def main():
    """Run administrative tasks."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "faulty_be.settings.base")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 - Django's own template

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
