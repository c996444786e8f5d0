"""Which plugins are installed, is one fit to run, and how is a new one begun, from the command line?"""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.kit.environment import EX_CONFIG
from plugins.api import Plugin
from plugins.testkit import check_plugin
from plugins.testkit.template import write_package
from workers.analysis.plugin_registry import PluginError, find_plugins, load_plugins


def main(argv: Sequence[str]) -> int:
    """Run a command; return its exit status: 0, 1 if a plugin is not fit, 78 if it can't be had."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except PluginError as error:
        print(f"scoresheet plugin {arguments.action}: {error}", file=sys.stderr)
        return EX_CONFIG
    except (OSError, ValueError) as error:
        print(f"scoresheet plugin {arguments.action}: {error}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scoresheet plugin", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show what is installed, and whether it can run")
    listing.set_defaults(run=_list)
    check = actions.add_parser("check", help="run plugins on sample games and say whether they are fit")
    check.add_argument(
        "plugins",
        nargs="*",
        metavar="PLUGIN",
        help="name of an installed one, file.py or module:Class; all installed ones, if left out",
    )
    check.set_defaults(run=_check)
    new = actions.add_parser("new", help="write a package with a plugin that works, to begin with")
    new.add_argument("name", help="of the plugin: lower-case letters, digits and underscores")
    new.add_argument("--into", type=Path, default=Path(), metavar="FOLDER", help="the current one by default")
    new.set_defaults(run=_new)
    return parser


def _list(_: argparse.Namespace) -> int:
    broken = False
    for name, entries in find_plugins().items():
        try:
            (plugin,) = load_plugins([name], installed=entries)
        except PluginError as error:
            broken = True
            print(f"{name}\t-\tBROKEN: {error}")
        else:
            print(f"{name}\t{plugin.version}\t{plugin.title}\t{entries[0].value}")
    return 1 if broken else os.EX_OK


def _check(arguments: argparse.Namespace) -> int:
    kinds = [kind for wanted in arguments.plugins for kind in _kinds(wanted)]
    if not arguments.plugins:
        kinds = [type(plugin) for plugin in load_plugins()]
    fit = True
    for kind in kinds:
        report = check_plugin(kind)
        fit = fit and report.fit
        print(report)
    return os.EX_OK if fit else 1


def _kinds(wanted: str) -> list[Any]:
    """Return the plugin classes that a user names; raises PluginError."""
    place, _, name = wanted.partition(":")
    try:
        if place.endswith(".py"):
            module = _module_of(Path(place))
        elif name:
            module = importlib.import_module(place)
        else:
            return [type(plugin) for plugin in load_plugins([wanted])]
    except PluginError:
        raise
    except BaseException as error:  # code of others runs here for the first time, and may do anything
        raise PluginError(f"{wanted} cannot be imported: {type(error).__name__}: {error}") from error
    if name:
        return [getattr(module, name, None)]
    found = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Plugin) and kind.__module__ == module.__name__
    ]
    if not found:
        raise PluginError(f"{wanted} defines no plugin: no subclass of plugins.api.Plugin")
    return found


def _module_of(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise PluginError(f"there is no file {file}")
    module = importlib.util.module_from_spec(spec)
    # Registered as an import would: dataclasses and pydantic look their module up.
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.parent.absolute()))
    spec.loader.exec_module(module)
    return module


def _new(arguments: argparse.Namespace) -> int:
    try:
        folder = write_package(arguments.name, arguments.into)
    except FileExistsError as error:
        raise FileExistsError(f"{error.filename} exists already") from error
    print(f"{folder} holds a plugin, its entry point and its tests. Next:")
    print(f"  scoresheet plugin check {folder / f'scoresheet_{arguments.name}.py'}")
    print(f"  pip install {folder}    # or services.scoresheet.plugins on NixOS")
    print("  scoresheet plugin list")
    return os.EX_OK
