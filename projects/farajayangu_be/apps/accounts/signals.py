"""What the rest of the project may listen to.

`registration_refused(sender=PendingRegistration, registration=…, challenge=…)`: somebody
signs up with an address that has an account. Its owner is told so instead of getting a
code. Sent inside the transaction, exactly where `ntc_core.auth.signals.code_issued` would be;
`challenge` says where the message goes and makes a good key against sending it twice. Its
digits must not be revealed: nobody may finish this registration.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["registration_refused"]

registration_refused = Signal()
