"""Do the unit files fit the programs that they start?"""

import re

import pytest

import app.settings
import workers.settings
from app.kit.environment import PREFIX
from tests.unit.nix.unit_files import CHECKOUT, SANDBOX, SYSTEMD, UnitFile, read_unit, services
from workers.celery_app import SHORT_TASK_SECONDS
from workers.settings import Role

_SETTINGS = {
    name.upper()
    for settings in (app.settings.Settings, workers.settings.Settings)
    for name in settings.model_fields
}
_LONG_RUNNING = [unit for unit in services() if unit.one("Type") == "notify"]
# Lists that grow by every line; anything else that a unit repeats, the sandbox would silently overrule.
_ADDITIVE = {"RestrictAddressFamilies"}


def _names(units: list[UnitFile]) -> list[str]:
    return [unit.name for unit in units]


def _known(name: str) -> bool:
    return name.upper().removeprefix(PREFIX) in _SETTINGS


@pytest.mark.parametrize("role", list(Role))
def test_each_role_has_its_unit(role: Role) -> None:
    unit = read_unit(SYSTEMD / f"scoresheet-{role}.service")
    assert unit.one("ExecStart") == f"@bin@/scoresheet-worker {role}"


def test_the_api_and_the_migration_have_theirs() -> None:
    assert read_unit(SYSTEMD / "scoresheet-api.service").one("ExecStart") == "@bin@/scoresheet serve"
    migration = read_unit(SYSTEMD / "scoresheet-migrate.service")
    assert migration.one("ExecStart") == "@bin@/scoresheet migrate --worker-token %d/worker-token"


@pytest.mark.parametrize("unit", _LONG_RUNNING, ids=_names(_LONG_RUNNING))
def test_the_target_starts_and_stops_every_role(unit: UnitFile) -> None:
    assert unit.one("WantedBy") == unit.one("PartOf") == "scoresheet.target"


@pytest.mark.parametrize("unit", _LONG_RUNNING, ids=_names(_LONG_RUNNING))
def test_a_role_comes_back_by_itself_but_for_a_wrong_setting(unit: UnitFile) -> None:
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec") == "0"
    assert unit.one("RestartPreventExitStatus") == "78"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.BEAT])
def test_who_reports_to_the_api_is_stopped_before_it(role: Role) -> None:
    after = read_unit(SYSTEMD / f"scoresheet-{role}.service").one("After").split()
    assert "scoresheet-api.service" in after


@pytest.mark.parametrize("unit", _LONG_RUNNING, ids=_names(_LONG_RUNNING))
def test_systemd_hears_from_the_process_that_works(unit: UnitFile) -> None:
    assert unit.one("NotifyAccess") == "main"
    assert unit.one("KillMode") == "mixed"
    assert int(unit.one("WatchdogSec")) >= 60


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.BEAT])
def test_a_stop_leaves_short_tasks_their_time(role: Role) -> None:
    unit = read_unit(SYSTEMD / f"scoresheet-{role}.service")
    assert int(unit.one("TimeoutStopSec")) >= SHORT_TASK_SECONDS + 60


def test_the_second_analysis_worker_is_the_first_under_another_name() -> None:
    template = SYSTEMD / "scoresheet-analysis-consumer@.service"
    assert template.resolve() == SYSTEMD / "scoresheet-analysis-consumer.service"


def test_analysis_is_limited_as_a_whole() -> None:
    unit = read_unit(SYSTEMD / "scoresheet-analysis-consumer.service")
    assert unit.one("Slice") == "scoresheet-analysis.slice"
    limits = read_unit(SYSTEMD / "scoresheet-analysis.slice")
    assert all(limits.one(key) for key in ("CPUQuota", "CPUWeight", "IOWeight", "MemoryMax"))


def test_the_memory_of_analysis_is_an_option_of_the_nix_module_as_a_whole() -> None:
    """A limit that stayed behind in the file would hold where the option allows more."""
    limits = read_unit(SYSTEMD / "scoresheet-analysis.slice")
    (block,) = re.findall(
        r"analysisLimits = ''(.*?)'';\n",
        (CHECKOUT / "nix/module/services.nix").read_text(),
        re.DOTALL,
    )
    of_file = {key for _, key, _ in limits.settings if key.startswith("Memory")}
    assert of_file == set(re.findall(r"^ *(Memory\w+)=", block, re.MULTILINE))


@pytest.mark.parametrize("unit", services(), ids=_names(services()))
def test_no_unit_says_what_the_sandbox_would_overrule(unit: UnitFile) -> None:
    shared = {key for _, key, _ in read_unit(SANDBOX).settings} - _ADDITIVE
    assert shared.isdisjoint(key for _, key, _ in unit.settings)


def test_only_what_needs_the_internet_has_a_network() -> None:
    with_network = {unit.name for unit in services() if unit.all("PrivateNetwork") != ["yes"]}
    assert with_network == {"scoresheet-producer.service", "scoresheet-link.service"}


def test_the_folder_of_the_links_sockets_outlives_the_link() -> None:
    """A worker that finds no folder there has a wrong setting, and is not started again."""
    link = read_unit(SYSTEMD / "scoresheet-link.service")
    assert (link.one("RuntimeDirectory"), link.one("RuntimeDirectoryPreserve")) == ("scoresheet", "yes")


def test_workers_are_not_the_user_who_owns_the_database() -> None:
    owners = {unit.name for unit in services() if unit.one("User") == "scoresheet"}
    assert owners == {f"scoresheet-{name}.service" for name in ("api", "migrate", "backup", "worker-token")}


def _mentions() -> dict[str, str]:
    """Return every setting or credential that units, scripts and Nix files name, with one of the files."""
    files = [*SYSTEMD.rglob("*"), *(CHECKOUT / "nix").rglob("*.nix")]
    texts = {path: path.read_text() for path in files if path.is_file()}
    return {
        name: path.name
        for path, text in texts.items()
        for name in re.findall(r"\bSCORESHEET_[A-Z][A-Z_]*[A-Z]|\bscoresheet_[a-z_]+_(?:url|socket)\b", text)
    }


def test_every_setting_that_is_named_exists() -> None:
    mentions = _mentions()
    assert "SCORESHEET_WORKER_TOKEN_FILE" in mentions
    assert [f"{name} in {file}" for name, file in mentions.items() if not _known(name)] == []


@pytest.mark.parametrize("path", ["nix/example-host.nix", "nix/vm-test.nix"])
def test_the_settings_of_nix_hosts_exist(path: str) -> None:
    text = (CHECKOUT / path).read_text()
    blocks = re.findall(r"\bsettings = \{(.*?)\}", text, flags=re.DOTALL)
    names = [name for block in blocks for name in re.findall(r"^\s*(\w+) =", block, flags=re.MULTILINE)]
    names += re.findall(r"\bsettings\.(\w+) =", text)
    assert names
    assert [name for name in names if not _known(name)] == []


def test_the_module_offers_every_role() -> None:
    text = (CHECKOUT / "nix/module/options.nix").read_text()
    (offered,) = re.findall(r"types\.enum \[(.*?)\]", text, flags=re.DOTALL)
    assert set(re.findall(r'"(.+?)"', offered)) == {"api", *Role}


def test_the_nix_module_carries_no_service_of_its_own() -> None:
    """What a service is and how it is confined stands in systemd/ alone: overrides add paths and options.

    Only the service by which a switch restarts the sockets is NixOS's own, for no other host needs it.
    """
    owned = re.compile(r"^\s*(ExecStart|Restart|Type|User|KillMode|WatchdogSec|Protect\w+) ?=", re.MULTILINE)
    found = {
        name: owned.findall((CHECKOUT / "nix/module" / name).read_text())
        for name in ("services.nix", "backup.nix", "link.nix")
    }
    assert found == {"services.nix": ["Type", "ExecStart"], "backup.nix": [], "link.nix": []}


def test_the_nix_module_leaves_to_the_host_which_postgresql_runs_and_where_it_listens() -> None:
    """It may serve others, whose data another version would not see, and who may come by TCP."""
    text = (CHECKOUT / "nix/module/postgresql.nix").read_text()
    assert (
        re.findall(r"\b(package|listen_addresses|dataDir|enableTCPIP) =(?! pkgs\.postgresql_17;)", text) == []
    )
    assert 'assertion = lib.versionAtLeast postgresql.package.version "17";' in text


def test_the_nix_module_closes_what_it_opens_in_sshd_config() -> None:
    """What another module adds after a Match holds for that user alone: PasswordAuthentication no, say."""
    text = (CHECKOUT / "nix/module/link.nix").read_text()
    (added,) = re.findall(r"services\.openssh\.extraConfig = lib\.mkAfter ''\n(.*?)'';", text, re.DOTALL)
    matches = re.findall(r"^\s*(Match .*)$", added, re.MULTILINE)
    assert matches == ["Match User scoresheet-link", "Match all"]
    assert added.split("\n")[-2].strip() == "Match all"


_WITH_A_SHELL = [unit for unit in services() if any("@shell@" in value for _, _, value in unit.settings)]


@pytest.mark.parametrize("unit", _WITH_A_SHELL, ids=_names(_WITH_A_SHELL))
def test_what_a_shell_calls_is_on_its_path_on_nixos(unit: UnitFile) -> None:
    """A unit from a package has systemd's own PATH there, without a program, unless the module sets one."""
    text = (CHECKOUT / "nix/module/services.nix").read_text()
    name = unit.name.removesuffix(".service")
    assert re.search(rf"^ {{8}}{name}(\.path = \[| = (.*\n {{9,}})*? *path = \[)", text, re.MULTILINE)


def test_addresses_come_from_the_files_that_scoresheet_admin_knows() -> None:
    drop_ins = map(read_unit, (SYSTEMD / "optional").glob("remote*.conf"))
    credentials = [value for drop_in in drop_ins for value in drop_in.all("LoadCredential")]
    names = [value.partition(":")[0].removeprefix("scoresheet_") for value in credentials]
    assert credentials == [f"scoresheet_{name}:/etc/scoresheet/{name.replace('_', '-')}" for name in names]
    asked = re.findall(r"^(\w+_url) @\1@$", (SYSTEMD / "scoresheet-admin").read_text(), re.MULTILINE)
    assert set(asked) == set(names) - {"api_url"}


def test_placeholders_are_the_same_everywhere() -> None:
    files = [
        path for path in SYSTEMD.rglob("*") if path.is_file() and path.name not in {"install", "README.md"}
    ]
    used = {name for path in files for name in re.findall(r"@([a-z_]+)@", path.read_text())}
    (installed,) = re.findall(r"^placeholders='(.*)'$", (SYSTEMD / "install").read_text(), re.MULTILINE)
    (values,) = re.findall(r"values = \{(.*?)\n  \}\n", (CHECKOUT / "nix/units.nix").read_text(), re.DOTALL)
    nix = set(re.findall(r"^    (\w+) =", values, re.MULTILINE))
    table = (SYSTEMD / "README.md").read_text().partition("## Placeholders")[2].partition("\nSettings")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert used == set(installed.split()) == nix == documented
