# Do the module's options do what they say? Hosts are evaluated, none is built: what a switch makes of their units is
# for vm-test.nix to show.
{
  lib,
  pkgs,
  module,
}:
let
  host =
    settings:
    (lib.nixosSystem {
      inherit (pkgs.stdenv.hostPlatform) system;
      modules = [
        module
        ./example-host.nix
        settings
      ];
    }).config;
  text = name: settings: (host settings).systemd.units.${name}.text or "";

  # The files that the host's units extend, by name.
  files =
    settings:
    (lib.findFirst (package: package.name == "scoresheet-units") null (host settings).systemd.packages)
    .texts;
  # Settings for what runs beside Scoresheet, and what its API is then given.
  follows = settings: line: lib.hasInfix "${line}\n" (files settings)."scoresheet-api.service";

  # switch-to-configuration restarts a service whose text has changed, and no socket.
  restarts = name: settings: text name settings != text name { };
  listen = "scoresheet-api-listen.service";

  # It stops what has no file any more, or one that is masked.
  units =
    settings:
    let
      inherit ((host settings).systemd) units;
    in
    lib.filter (name: units.${name}.enable or true) (
      lib.filter (name: lib.hasPrefix "scoresheet-" name && !lib.hasInfix "/" name) (
        lib.attrNames (files settings // units)
      )
    );
  stops =
    names: before: after:
    lib.subtractLists (units after) (units before) == names;
  accepts =
    option: value:
    let
      path = lib.splitString "." option;
      config = host { services.scoresheet = lib.setAttrByPath path value; };
    in
    (builtins.tryEval (builtins.deepSeq (lib.getAttrFromPath path config.services.scoresheet) true))
    .success;
  secrets = [
    "broker.urlFile"
    "database.migrationUrlFile"
    "database.urlFile"
    "lichessTokenFile"
    "link.keyFile"
    "workerTokenFile"
  ];
  withRoles = roles: { services.scoresheet = { inherit roles; }; };
  withWorkers = workers: { services.scoresheet.analysis = { inherit workers; }; };
  helper.services.scoresheet = {
    roles = [ "analysis-consumer" ];
    workerTokenFile = "/run/secrets/worker-token";
    api.url = "https://scoresheet.example";
    broker.url = "rediss://redis.example/0";
  };
  linked = lib.recursiveUpdate helper {
    services.scoresheet = {
      api.url = null;
      broker.url = null;
      link = {
        to = "scoresheet-link@main.example";
        keyFile = "/run/secrets/link-key";
        knownHostsFile = "/etc/scoresheet/known-hosts";
      };
    };
  };

  tests = {
    "a switch opens another address" = restarts listen {
      services.scoresheet.api.listen = [ "127.0.0.1:8001" ];
    };
    "a switch lets others in" = restarts listen {
      services.scoresheet.api.allowFrom = [ "192.168.1.0/24" ];
    };
    "a switch applies what the host adds to the sockets" = restarts listen {
      systemd.sockets.scoresheet-api.socketConfig.Backlog = 4096;
    };
    "a switch leaves the sockets open if they stay what they are" =
      !restarts listen { services.scoresheet.settings.nodes = 5; }
      && !lib.hasInfix builtins.storeDir (text listen { });
    "a switch closes no socket before it opens it again" = lib.hasInfix "X-StopIfChanged=false\n" (
      text listen { }
    );
    "a switch ends when the sockets are open" = lib.hasInfix "After=scoresheet-api.socket\n" (
      text listen { }
    );
    "the sockets are restarted with the service that stands for them" =
      (host { }).systemd.sockets.scoresheet-api.partOf == [ listen ];
    "a switch ends a role that is gone" = stops [ "scoresheet-beat.service" ] { } (withRoles [
      "api"
      "producer"
      "consumer"
      "analysis-producer"
      "analysis-consumer"
    ]);
    "a switch ends the API with all that is its own" =
      stops
        [
          "scoresheet-api-listen.service"
          "scoresheet-api.service"
          "scoresheet-api.socket"
          "scoresheet-backup.timer"
          "scoresheet-migrate.service"
        ]
        (withRoles [
          "api"
          "analysis-consumer"
        ])
        helper;
    "a switch ends the analysis workers that are too many" = stops [
      "scoresheet-analysis-consumer@2.service"
      "scoresheet-analysis-consumer@3.service"
    ] (withWorkers 3) { };
    "a switch ends all analysis workers" =
      stops
        [
          "scoresheet-analysis-consumer.service"
          "scoresheet-analysis-consumer@.service"
          "scoresheet-analysis-consumer@2.service"
        ]
        (withWorkers 2)
        (
          lib.recursiveUpdate (withWorkers 2) (withRoles [
            "api"
            "beat"
            "producer"
            "consumer"
            "analysis-producer"
          ])
        );
    "a switch ends the nightly backup, which can still be made by hand" = stops [
      "scoresheet-backup.timer"
    ] { } { services.scoresheet.backup.enable = false; };
    "a switch ends the link" = stops [ "scoresheet-link.service" ] linked helper;
    "the API finds PostgreSQL on another port" =
      follows
        {
          services.scoresheet.pooler.createLocally = false;
          services.postgresql.settings.port = 5433;
        }
        ''Environment="SCORESHEET_DATABASE_URL=postgresql+psycopg://scoresheet@/scoresheet?host=/run/postgresql&port=5433"'';
    "the API finds PgBouncer on another port" =
      follows { services.pgbouncer.settings.pgbouncer.listen_port = 6543; }
        ''Environment="SCORESHEET_DATABASE_URL=postgresql+psycopg://scoresheet@/scoresheet?host=/run/pgbouncer&port=6543"'';
    "the API finds Redis by another socket" = follows {
      services.redis.servers.scoresheet.unixSocket = "/run/other/redis.sock";
    } ''Environment="SCORESHEET_BROKER_URL=redis+socket:///run/other/redis.sock?virtual_host=0"'';
    "the API may open Redis's socket as another group" = follows {
      services.redis.servers.scoresheet.group = "others";
    } "SupplementaryGroups=others";
    "the API may open PgBouncer's socket as another group" =
      (host { services.pgbouncer.group = "poolers"; }).users.users.scoresheet.extraGroups
      == [ "poolers" ];
    "PostgreSQL knows PgBouncer as another user" =
      lib.hasInfix "scoresheet poolman  scoresheet\n"
        (host { services.pgbouncer.user = "poolman"; }).services.postgresql.identMap;
    "a time that systemd can't read is refused" =
      !accepts "backup.at" "every night" && !accepts "backup.at" [ ] && !accepts "backup.at" [ "3 am" ];
    "a backup may have several times" =
      let
        at = [
          "03:15"
          "Sun 05:00"
        ];
      in
      accepts "backup.at" at
      && lib.hasInfix "OnCalendar=\nOnCalendar=03:15\nOnCalendar=Sun 05:00\n" (
        text "scoresheet-backup.timer" { services.scoresheet.backup = { inherit at; }; }
      );
    "an amount that systemd can't read is refused" =
      !accepts "analysis.memoryMax" "half" && !accepts "analysis.cpuQuota" "0%";
    "an address that systemd can't read is refused" =
      !accepts "api.listen" [ "localhost:8000" ]
      && !accepts "api.allowFrom" [ "frontend.example" ]
      && !accepts "network.allow" [ "db.example" ];
    "a secret in the store is refused" = lib.all (
      option:
      !accepts option ./module-test.nix
      && !accepts option "${builtins.storeDir}/00000000000000000000000000000000-secret"
      && !accepts option (builtins.toFile "secret" "secret")
      && accepts option "/run/secrets/secret"
    ) secrets;
    "a password in the store is refused" =
      lib.all
        (
          option:
          !accepts option "postgresql://scoresheet:secret@db.example/scoresheet"
          && accepts option "redis://there:6379/0"
        )
        [
          "broker.url"
          "database.url"
          "database.migrationUrl"
        ];
    "a key that is public may be in the store" = accepts "link.knownHostsFile" (
      builtins.toFile "known-hosts" "key"
    );
    "each analysis worker is confined as the first one" =
      let
        unit = name: (files (withWorkers 2))."${name}.d/10-sandbox.conf" or null;
      in
      unit "scoresheet-analysis-consumer@2.service" == unit "scoresheet-analysis-consumer.service"
      && unit "scoresheet-analysis-consumer.service" != null;
    "each analysis worker is wanted" =
      (host (withWorkers 2)).systemd.units."scoresheet-analysis-consumer@2.service".wantedBy or [ ]
      == [ "scoresheet.target" ];
    "each analysis worker has what the first one has" =
      text "scoresheet-analysis-consumer@2.service" (withWorkers 2)
      == text "scoresheet-analysis-consumer.service" (withWorkers 2);
  };
  failures = lib.attrNames (lib.filterAttrs (_: passed: !passed) tests);
in
pkgs.runCommand "scoresheet-module-test" { passthru = { inherit failures; }; } (
  lib.throwIf (failures != [ ]) "scoresheet: the module fails: ${lib.concatStringsSep "; " failures}"
    ''
      touch $out
    ''
)
