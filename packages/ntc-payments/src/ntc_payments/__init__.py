"""Payments that cannot double-charge or get lost, behind one interface.

Enter by `services`, `selectors`, `signals`, `types`, `errors`, `testing` and the two URL
modules. Plain Python, importable without Django: `types`, `errors`, `transitions`,
`providers` and the simulator's server.
"""
