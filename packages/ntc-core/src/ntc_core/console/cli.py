"""The commands. Django is loaded when one runs that needs it, so that `--help` is quick."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ntc_core.console.project import ProjectNotLoaded, load_project

__all__ = ["ntc"]

CANNOT_RUN = 2


@click.group()
@click.version_option(package_name="ntc-core")
def ntc() -> None:
    """Work on a project that stands on the NTC packages."""


@ntc.command()
@click.option("--settings", help="Settings module; else DJANGO_SETTINGS_MODULE, else manage.py's.")
@click.option("--services/--no-services", default=True, help="Whether to ask databases and such.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.option("--deadline", type=float, help="Seconds within which services have to answer.")
def doctor(*, settings: str | None, services: bool, as_json: bool, deadline: float | None) -> None:
    """Say what of the settings is dangerous or has no effect, and which service does not answer.

    Exits with 0 when all is well, 1 when not, 2 when the project cannot be loaded.
    """
    try:
        load_project(Path.cwd(), settings_module=settings)
    except ProjectNotLoaded as error:
        click.echo(str(error), err=True)
        sys.exit(CANNOT_RUN)
    from ntc_core.console.examination import examine  # noqa: PLC0415 - needs the settings

    sys.exit(examine(asks_services=services, as_json=as_json, deadline_seconds=deadline))
