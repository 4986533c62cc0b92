"""Read the checkout's `.env` into the environment. Imported first, before anything reads a value.

What is already in the environment wins, so `PORT=9000 make run` does what it says.
"""

from __future__ import annotations

from pathlib import Path

import environ

__all__: list[str] = []

DOTENV = Path(__file__).resolve().parents[4] / ".env"

if DOTENV.is_file():
    environ.Env.read_env(DOTENV)
