"""What this package tells the project.

The first two are sent with `sender=Message, message=message` from an atomic job: what a receiver
writes commits together with the fact that it was told, so it happens once in effect.
A receiver that raises is asked again later.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["inbox_item_created", "message_delivered", "message_failed"]

#: The provider says that the message has arrived. Not every provider ever says so.
message_delivered = Signal()

#: The message will not arrive: `message.state` is "failed" or "expired".
message_failed = Signal()

#: An item is in somebody's inbox: `sender=InboxItem, item=item`, in the transaction that writes
#: it, for a socket that shows it at once. A receiver that raises undoes both, and is asked again.
inbox_item_created = Signal()
