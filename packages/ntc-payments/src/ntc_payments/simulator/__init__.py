"""A pretend mobile-money company over real HTTP, and its pretend phone.

`python -m ntc_payments.simulator` runs the company: standard library only, no Django, and
signing code of its own, so that a mistake of the provider cannot agree with itself.
`ntc_payments.simulator.urls` is the phone's page, for development only.
The HTTP interface is described in docs/providers/simulator.md.
"""
