"""What leaves the service for those who watch it, each in a process of its own.

The libraries reach into Django, logging and threads; the other tests stay without them.
"""
