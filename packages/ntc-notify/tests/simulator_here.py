"""The pretend Beem within this process, so that what it does is measured like everything else."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ntc_notify.simulator.beem import Account, Beem
from ntc_notify.simulator.callbacks import Reporter
from ntc_notify.simulator.faults import FaultDial
from ntc_notify.simulator.server import SimulatorServer
from ntc_notify.simulator.store import Store
from ntc_notify.testing import RunningSimulator


@contextmanager
def simulator_here(*, delivery_seconds: float = 0.0) -> Iterator[RunningSimulator]:
    """Serve on a free port until the block ends; as `running_simulator()` otherwise."""
    keys = {
        "BEEM_API_KEY": secrets.token_hex(8),
        "BEEM_SECRET_KEY": secrets.token_hex(24),
        "BEEM_SENDER_ID": "FARAJA",
    }
    account = Account(
        api_key=keys["BEEM_API_KEY"],
        secret_key=keys["BEEM_SECRET_KEY"],
        sender_name=keys["BEEM_SENDER_ID"],
        credits=1000,
    )
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "beem.sqlite3")
        beem = Beem(store, account=account, dial=FaultDial(), delivery_seconds=delivery_seconds)
        server = SimulatorServer(("127.0.0.1", 0), beem, allowed_hosts=["beem.internal"])
        reporter = Reporter(beem)
        reporter.start()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield RunningSimulator(f"http://127.0.0.1:{server.server_address[1]}/beem", keys, 0)
        finally:
            reporter.stop()
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
            store.close()
