"""The core of NTC: what every back end needs before its first own line.

Plain Python, importable without Django: `errors`, `money`, `phone`, `http`.
Everything else needs configured Django settings. See ARCHITECTURE.md.
"""
