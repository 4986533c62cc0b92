"""The companies that carry messages: one company, one file, named channel first.

Plain Python: no Django, no settings, no rows. `mailbox.py` is the exception to the
naming: it plays the provider of every channel on a developer's machine.
"""
