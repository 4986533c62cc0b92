"""What changes notifications. A project calls `send`; the jobs call the rest."""

from ntc_notify.services.delivering import announce, deliver, expire_overdue
from ntc_notify.services.sending import send

__all__ = ["announce", "deliver", "expire_overdue", "send"]
