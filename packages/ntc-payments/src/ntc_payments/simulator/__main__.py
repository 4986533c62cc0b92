"""Run the pretend company: `python -m ntc_payments.simulator --port 8001 --state FILE`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from ntc_payments.simulator.callbacks import CallbackSender
from ntc_payments.simulator.companies.pretend import PretendMoney
from ntc_payments.simulator.faults import Faults
from ntc_payments.simulator.server import SimulatorServer
from ntc_payments.simulator.store import Store
from ntc_payments.simulator.world import World

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C. Prints the address once it listens."""
    options = _parse(arguments)
    missing = [name for name in PretendMoney.keys if not os.environ.get(name)]
    if missing and not options.print_settings:
        sys.stderr.write(
            "Set SIMULATOR_API_KEY and SIMULATOR_WEBHOOK_SECRET: "
            "the same values that NTC_PAYMENT_PROVIDERS['simulator'] has.\n"
        )
        return 2
    store = Store(options.state, prompt_seconds=options.prompt_seconds)
    world = World(store, environment=os.environ)
    faults = Faults.parse(json.loads(os.environ.get("SIMULATOR_FAULTS", "{}")))
    world.companies[0].dial.turn(faults)
    server = SimulatorServer((options.host, options.port), world, allowed_hosts=options.allow_host)
    callbacks = CallbackSender(world)
    callbacks.start()
    # shutdown() waits for serve_forever(), so it may not be called from its own thread.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if options.exit_with_parent:
        threading.Thread(target=_follow_parent, args=(server,), daemon=True).start()
    host, port = server.server_address[:2]
    if options.print_settings:
        for name, value in world.settings().items():
            sys.stdout.write(f"{name}={value}\n")
    sys.stdout.write(f"The pretend company listens on http://{host!s}:{port}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    callbacks.stop()
    server.server_close()
    store.close()
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ntc_payments.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001, help="0: any free port")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file; kept over restarts")
    parser.add_argument("--prompt-seconds", type=float, default=120, help="life of a prompt")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which its phone may be reached, besides --host and localhost",
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
