"""Email backends such as a project may have: each has a story."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend


class CompanyError(Exception):
    """As django-anymail raises it: with the HTTP status, and all that was sent in its text."""

    def __init__(self, status_code: int, text: str) -> None:
        super().__init__(text)
        self.status_code = status_code


class StoryBackend(BaseEmailBackend):
    """Does what its option says."""

    #: Set at the end of a test, so that no call hangs on.
    over = threading.Event()
    received: list[Any] = []

    def __init__(self, *, story: str = "", fail_silently: bool = False, **options: Any) -> None:
        super().__init__(fail_silently=fail_silently)
        assert not fail_silently
        self.story = story

    def send_messages(self, email_messages: Any) -> int | None:
        self.received.extend(email_messages)
        (email,) = email_messages
        if self.story == "hangs":
            self.over.wait(20)
        if self.story.isdigit():
            raise CompanyError(int(self.story), f"{email.to} {email.body}")
        if self.story == "breaks":
            raise RuntimeError(f"{email.to} {email.body}")
        if self.story == "anymail":
            email.anymail_status = SimpleNamespace(message_id="company-1")
        return {"none": None, "nothing": 0}.get(self.story, 1)
