"""What `ntc doctor` asks the channel layer: does what one process says reach another?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

from channels.layers import get_channel_layer

from ntc_core.doctor import Service, services

__all__ = ["list_services"]


@services
def list_services() -> Iterator[Service]:
    """Return the default channel layer, where there is one."""
    if get_channel_layer() is not None:
        yield Service(
            name="channel layer",
            ask=lambda: asyncio.run(_send_and_receive()),
            advice="Check CHANNEL_LAYERS['default'], and whether that server runs.",
        )


async def _send_and_receive() -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    message = {"type": "ntc.doctor", "value": secrets.token_hex(8)}
    await layer.send(channel, message)
    if await layer.receive(channel) != message:
        raise ValueError("The channel layer did not give back what was sent.")
