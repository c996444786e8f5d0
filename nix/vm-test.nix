# Does the module make a machine that fetches, stores and analyses games, and a second one that helps?
{ pkgs, scoresheet }:
let
  inherit (import (pkgs.path + "/nixos/tests/ssh-keys.nix") pkgs)
    snakeOilPrivateKey
    snakeOilPublicKey
    ;
  fakeLichess = pkgs.lib.sourceByRegex ../. [
    "(app|plugins)(/.*)?"
    "tests"
    "tests/__init__.py"
    "tests/fakes(/.*)?"
  ];
in
pkgs.testers.runNixOSTest {
  name = "scoresheet";

  nodes.machine =
    { config, pkgs, ... }:
    let
      python = config.services.scoresheet.package.passthru.environment (_: [ ]);
    in
    {
      imports = [ scoresheet ];
      virtualisation.memorySize = 3072;
      virtualisation.cores = 2;

      services.scoresheet = {
        enable = true;
        settings = {
          lichess_url = "http://127.0.0.1:8090";
          nodes = 2000;
          orchestrator_seconds = 5;
          analysis_schedule_seconds = 1;
        };
        link.authorizedKeys = [ snakeOilPublicKey ];
      };
      services.openssh.enable = true;

      # Tests are built without what a switch needs.
      system.switch.enable = true;
      specialisation.less.configuration.services.scoresheet = {
        api.listen = [ "127.0.0.1:8001" ];
        backup.enable = false;
        roles = [
          "api"
          "producer"
          "consumer"
        ];
      };

      systemd.services.fake-lichess = {
        wantedBy = [ "multi-user.target" ];
        environment.PYTHONPATH = fakeLichess;
        serviceConfig.ExecStart = "${python}/bin/python -m tests.fakes.lichess --games ${fakeLichess}/tests/fakes/lichess/games/selfplay.ndjson --port 8090 --speed-limit 0";
      };
      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
      ];
    };

  nodes.helper = {
    imports = [ scoresheet ];
    virtualisation.memorySize = 2048;
    environment.etc."scoresheet/link-key".source = snakeOilPrivateKey;
    services.scoresheet = {
      enable = true;
      roles = [ "analysis-consumer" ];
      settings.nodes = 2000;
      workerTokenFile = "/etc/scoresheet/worker-token";
      link = {
        to = "scoresheet-link@machine";
        keyFile = "/etc/scoresheet/link-key";
        knownHostsFile = "/etc/scoresheet/link-known-hosts";
      };
    };
  };

  testScript = ''
    import json
    from collections import Counter
    from pathlib import Path

    games = Path("${fakeLichess}/tests/fakes/lichess/games/selfplay.ndjson").read_text().splitlines()
    players = Counter(
        side["user"]["id"] for game in map(json.loads, games) for side in game["players"].values() if "user" in side
    )
    player, expected = players.most_common(1)[0]

    start_all()
    machine.wait_for_unit("scoresheet.target")
    wanted = machine.succeed("systemctl show --property=Wants --value scoresheet.target").split()
    assert len(wanted) == 7, wanted
    for unit in wanted:
        machine.wait_for_unit(unit)

    token = machine.succeed("scoresheet-admin token create owner --scope read --scope write").strip()
    curl = f"curl --silent --fail --header 'Authorization: Bearer {token}' http://127.0.0.1:8000"
    machine.succeed(f"{curl}/v1/players/{player} --request PUT")


    def completeness():
        return json.loads(machine.succeed(f"{curl}/v1/players/{player}"))["completeness"]


    with subtest("every game is fetched and stored"):
        machine.wait_until_succeeds(
            f"{curl}/v1/players/{player} | jq --exit-status '.completeness.stored == {expected}'", timeout=300
        )

    with subtest("a second host helps, over a link that breaks and returns"):
        host_key = machine.succeed("cat /etc/ssh/ssh_host_ed25519_key.pub").strip()
        worker_token = machine.succeed("cat /var/lib/scoresheet/secrets/worker-token").strip()
        helper.succeed(f"echo 'machine {host_key}' > /etc/scoresheet/link-known-hosts")
        helper.succeed(f"umask 077; echo {worker_token} > /etc/scoresheet/worker-token")
        helper.succeed("systemctl restart scoresheet.target")
        helper.wait_for_unit("scoresheet-analysis-consumer.service")
        helper.block()
        machine.wait_until_fails("pgrep --euid scoresheet-link", timeout=300)
        helper.unblock()
        helper.wait_until_succeeds("journalctl --unit=scoresheet-analysis-consumer --grep=analys", timeout=300)

    with subtest("every game is analysed"):
        machine.wait_until_succeeds(
            f"{curl}/v1/players/{player}/summary | jq --exit-status "
            "'.analyses | .done > 0 and .pending + .running + .failed == 0'",
            timeout=900,
        )

    with subtest("a restart of the API refuses no request"):
        machine.succeed(
            f"{{ sleep 0.5; systemctl restart scoresheet-api; }} & "
            f"for i in $(seq 40); do {curl}/healthz || exit 1; sleep 0.1; done; wait"
        )

    with subtest("everything comes back after PostgreSQL and Redis"):
        machine.succeed("systemctl restart postgresql.service redis-scoresheet.service")
        machine.wait_until_succeeds(f"{curl}/readyz", timeout=120)

    with subtest("the worker's user can't reach the database"):
        machine.fail(
            "systemd-run --pipe --wait --uid=scoresheet-worker --property=SupplementaryGroups=pgbouncer "
            "psql --host=/run/pgbouncer --port=6432 --username=scoresheet --command='SELECT 1' scoresheet"
        )

    with subtest("a backup comes back into an empty database"):
        machine.succeed("systemctl start scoresheet-backup.service")
        machine.succeed("systemctl stop scoresheet.target")
        machine.succeed(
            "runuser -u postgres -- psql --command='DROP DATABASE scoresheet WITH (FORCE)' "
            "--file=${../systemd/database.sql}"
        )
        machine.succeed("runuser -u scoresheet -- sh -c 'scoresheet-restore /var/lib/scoresheet/backups/*.dump'")
        machine.succeed("systemctl start scoresheet.target")
        assert completeness()["stored"] == expected

    with subtest("a switch moves the API to another address, and ends what has gone"):
        gone = ["scoresheet-beat.service", "scoresheet-analysis-consumer.service", "scoresheet-backup.timer"]
        for unit in gone:
            machine.succeed(f"systemctl is-active {unit}")
        machine.succeed("/run/booted-system/specialisation/less/bin/switch-to-configuration test")
        for unit in gone:
            machine.fail(f"systemctl is-active {unit}")
        machine.succeed(f"{curl.replace('8000', '8001')}/readyz")
        machine.fail(f"{curl}/readyz")
  '';
}
