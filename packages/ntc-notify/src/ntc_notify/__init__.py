"""Email and SMS that arrive once and are accounted for.

Plain Python, importable without Django: `types`, `errors`, `segments`, `providers`.
The door is `ntc_notify.services.send`; see README.md.
"""
