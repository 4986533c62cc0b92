"""A pretend Beem over real HTTP: SMS, delivery reports, OTP, balance and sender names.

`python -m ntc_notify.simulator` runs it: standard library only, no Django, and checking and
counting code of its own, so that a mistake of the provider cannot agree with itself.
The HTTP interface is described in docs/providers/beem-sms.md.
"""
