"""A process of the tests that does one thing with an upload, and perhaps dies of it.

`python -m tests.storage.doer <database> <options as JSON> complete|store <user id> <uid>`
"""

from __future__ import annotations

import io
import json
import sys

import django
from django.conf import settings
from django.db import connection

from tests.storage.samples import PNG


def main(database: str, options: str, action: str, user_id: str, uid: str = "") -> None:
    """Do it; a failpoint may end the process."""
    django.setup()
    from django.contrib.auth.models import User  # noqa: PLC0415 - apps are ready now
    from ntc_core.errors import NtcError  # noqa: PLC0415
    from ntc_core.storage import services  # noqa: PLC0415

    connection.settings_dict["NAME"] = database
    settings.NTC_STORAGE_PROVIDERS = {"local": json.loads(options)}
    owner = User.objects.get(pk=user_id)
    try:
        if action == "complete":
            services.complete_upload(owner=owner, uid=uid)
        else:
            services.store_file(
                file=io.BytesIO(PNG), filename="me.png", content_type="image/png", owner=owner
            )
    except NtcError:
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
