"""Run the pretend Beem: `python -m ntc_notify.simulator --port 8011 --state FILE`."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from ntc_notify.simulator.beem import Account, Beem
from ntc_notify.simulator.callbacks import Reporter
from ntc_notify.simulator.faults import FaultDial, Faults
from ntc_notify.simulator.server import SimulatorServer
from ntc_notify.simulator.store import Store

__all__ = ["main"]

SAMPLE_SENDER = "INFO"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Prints the address once it listens."""
    options = _parse(arguments)
    settings = {
        "BEEM_API_KEY": os.environ.get("BEEM_API_KEY") or secrets.token_hex(8),
        "BEEM_SECRET_KEY": os.environ.get("BEEM_SECRET_KEY") or secrets.token_hex(24),
        "BEEM_SENDER_ID": os.environ.get("BEEM_SENDER_ID") or SAMPLE_SENDER,
    }
    store = Store(options.state)
    dial = FaultDial(Faults.parse(json.loads(os.environ.get("SIMULATOR_FAULTS", "{}"))))
    account = Account(
        api_key=settings["BEEM_API_KEY"],
        secret_key=settings["BEEM_SECRET_KEY"],
        sender_name=settings["BEEM_SENDER_ID"],
        credits=options.credits,
    )
    beem = Beem(store, account=account, dial=dial, delivery_seconds=options.delivery_seconds)
    server = SimulatorServer((options.host, options.port), beem, allowed_hosts=options.allow_host)
    reporter = Reporter(beem)
    reporter.start()
    # shutdown() waits for serve_forever(), so it may not be called from its own thread.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if options.exit_with_parent:
        threading.Thread(target=_follow_parent, args=(server,), daemon=True).start()
    host, port = server.server_address[:2]
    if options.print_settings:
        for name, value in settings.items():
            sys.stdout.write(f"{name}={value}\n")
    sys.stdout.write(f"The pretend Beem listens on http://{host!s}:{port}/beem\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.05)
    reporter.stop()
    server.server_close()
    store.close()
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ntc_notify.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8011, help="0: any free port")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file; kept over restarts")
    parser.add_argument("--credits", type=int, default=1000, help="SMS credits at the beginning")
    parser.add_argument(
        "--delivery-seconds", type=float, default=1.0, help="from taking an SMS to its report"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which its desk may be reached, besides --host and localhost",
    )
    parser.add_argument(
        "--print-settings",
        action="store_true",
        help="print the keys as a .env block, those that were not set invented",
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when standard input is closed"
    )
    return parser.parse_args(arguments)


def _follow_parent(server: SimulatorServer) -> None:
    """End when the pipe's other end is gone, however the process that held it ended.

    Not through `sys.stdin`: its lock, held here, would stop the interpreter from ending.
    """
    while os.read(0, 1024):
        pass
    server.shutdown()


if __name__ == "__main__":
    raise SystemExit(main())
