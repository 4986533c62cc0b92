"""Companies that the simulator plays in development. Imported before anything reads a value.

`PAYMENT_PROVIDERS=selcom,clickpesa make run` needs no contract: a company whose keys nobody has
set is played by the simulator that development starts anyway, under keys of its own, which
this machine keeps. Somebody who sets one of a company's variables plays it themselves.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import MutableMapping
from pathlib import Path

from ntc_payments.simulator.companies import COMPANIES, Company

__all__ = ["PLAYED", "play"]

_ROOT_DIR = Path(__file__).resolve().parents[4]
#: Which were played, for a process that starts itself again with another port.
_MARK = "PLAYED_COMPANIES"
#: Switches something on that is off until the company has confirmed the address.
_LEFT_ALONE = frozenset({"disbursement_base_url"})


def play(environ: MutableMapping[str, str], *, folder: Path) -> list[str]:
    """Set the variables of the companies that nobody else plays; return their names."""
    names = [name.strip() for name in environ.get("PAYMENT_PROVIDERS", "").split(",")]
    marked = environ.get(_MARK, "").split(",")
    played = [
        company
        for company in COMPANIES
        if company.name in names
        and company.name != "simulator"
        and (company.name in marked or not _is_somebodys(company, environ))
    ]
    if not played:
        return []
    port = int(environ.get("PORT") or 8000)
    base_url = environ.get("SIMULATOR_BASE_URL") or f"http://127.0.0.1:{port + 1}"
    kept = _read_or_make_keys(folder / "played_companies.json", played)
    for company in played:
        environ.update({name: kept[name] for name in company.keys})
        for option in set(company.url_options) - _LEFT_ALONE:
            variable = f"{company.name}_{option}".upper()
            environ[variable] = f"{base_url.rstrip('/')}{company.prefix}"
    # Companies that do not sign are known by the path they are told.
    environ["WEBHOOK_PATH_SECRET"] = environ.get("WEBHOOK_PATH_SECRET") or kept["path"]
    environ[_MARK] = ",".join(company.name for company in played)
    if "simulator" not in names:
        environ["PAYMENT_PROVIDERS"] = ",".join([*names, "simulator"])  # its phone is everybody's
    return [company.name for company in played]


def _is_somebodys(company: type[Company], environ: MutableMapping[str, str]) -> bool:
    urls = [f"{company.name}_{option}".upper() for option in company.url_options]
    return any(environ.get(name) for name in [*company.keys, *urls])


def _read_or_make_keys(path: Path, companies: list[type[Company]]) -> dict[str, str]:
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = {name: option for company in companies for name, option in company.keys.items()} | {
        "path": ""
    }
    if wanted.keys() <= kept.keys():
        return kept
    for company in companies:
        for name, option in company.keys.items():
            kept.setdefault(name, company.invent(option))
    kept.setdefault("path", secrets.token_hex(16))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1))
    path.chmod(0o600)
    return kept


#: Those of this process.
PLAYED = play(os.environ, folder=Path(os.environ.get("LOCAL_DIR") or _ROOT_DIR / ".local"))
