"""The sockets of the project that the tests play, found by their module's name."""

from __future__ import annotations

import threading
from typing import Any

from ntc_core.errors import NotFound, Unprocessable
from ntc_core.realtime import SocketHandler, socket

from tests.models import Shop

#: What "wait" waits for.
release = threading.Event()


@socket("shops/<int:pk>/")
class ShopSocket(SocketHandler):
    """Carries what happens in one shop; says its name; breaks when asked to."""

    def authorize(self) -> None:
        if not Shop.objects.filter(pk=self.kwargs["pk"]).exists():
            raise NotFound("There is no such shop.")

    def stream(self) -> str:
        return f"shop.{self.kwargs['pk']}"

    def receive(self, data: Any) -> Any:
        match data:
            case "name":
                return {"name": Shop.objects.get(pk=self.kwargs["pk"]).name, "for": self.user.pk}
            case "break":
                raise RuntimeError("broken on purpose")
            case "wait":
                return release.wait(30)
            case "odd":
                return object()
        raise Unprocessable("I only know 'name'.")


@socket("broken/")
class BrokenSocket(SocketHandler):
    """A mistake of an app's author."""

    def authorize(self) -> None:
        raise RuntimeError("broken on purpose")
