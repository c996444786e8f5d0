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
  ours = settings: host { services.scoresheet = settings; };

  plain = host { };
  moreWorkers = ours { analysis.workers = 3; };
  helper = {
    roles = [ "analysis-consumer" ];
    workerTokenFile = "/run/secrets/worker-token";
  };
  far = ours (
    helper
    // {
      api.url = "https://scoresheet.example";
      broker.url = "rediss://redis.example/0";
    }
  );
  linked = ours (
    helper
    // {
      link = {
        to = "scoresheet-link@main.example";
        keyFile = "/run/secrets/link-key";
        knownHostsFile = "/etc/scoresheet/known-hosts";
      };
    }
  );

  text = config: name: config.systemd.units.${name}.text or "";
  says =
    config: name: line:
    lib.hasInfix "${line}\n" (text config name);
  # The files that a host's units extend, by name.
  files =
    config:
    (lib.findFirst (package: package.name == "scoresheet-units") null config.systemd.packages).texts;
  # Does the API get this line on a host where others set what runs beside it?
  gives = settings: line: lib.hasInfix "${line}\n" (files (host settings))."scoresheet-api.service";

  # switch-to-configuration restarts a service whose text has changed, and no socket.
  listen = "scoresheet-api-listen.service";
  restartsSockets = settings: text (host settings) listen != text plain listen;

  # It stops what has no file any more, or one that is masked.
  units =
    config:
    lib.filter (
      name:
      lib.hasPrefix "scoresheet-" name
      && !lib.hasInfix "/" name
      && config.systemd.units.${name}.enable or true
    ) (lib.attrNames (files config // config.systemd.units));
  stops =
    names: before: after:
    lib.subtractLists (units after) (units before) == names;

  accepts =
    option: value:
    let
      path = [
        "services"
        "scoresheet"
      ]
      ++ lib.splitString "." option;
      inherit
        (lib.evalModules {
          modules = [
            ./module/options.nix
            (lib.setAttrByPath path value)
          ];
        })
        config
        ;
    in
    (builtins.tryEval (builtins.deepSeq (lib.getAttrFromPath path config) true)).success;

  tests = {
    "a switch opens another address" = restartsSockets {
      services.scoresheet.api.listen = [ "127.0.0.1:8001" ];
    };
    "a switch lets others in" = restartsSockets {
      services.scoresheet.api.allowFrom = [ "192.168.1.0/24" ];
    };
    "a switch applies what the host adds to the sockets" = restartsSockets {
      systemd.sockets.scoresheet-api.socketConfig.Backlog = 4096;
    };
    "a switch leaves the sockets open if they stay what they are" =
      !restartsSockets { services.scoresheet.settings.nodes = 5; };
    "no other nixpkgs closes the sockets" =
      text plain listen != "" && !lib.hasInfix builtins.storeDir (text plain listen);
    "a switch closes the sockets only to open them again" = says plain listen "X-StopIfChanged=false";
    "a switch ends when the sockets are open" = says plain listen "After=scoresheet-api.socket";
    "the sockets are restarted with the service that stands for them" =
      plain.systemd.sockets.scoresheet-api.partOf == [ listen ];

    "a switch ends a role that is gone" = stops [ "scoresheet-beat.service" ] plain (ours {
      roles = lib.remove "beat" plain.services.scoresheet.roles;
    });
    "a switch ends the API with all that is its own" =
      stops
        [
          listen
          "scoresheet-api.service"
          "scoresheet-api.socket"
          "scoresheet-backup.timer"
          "scoresheet-migrate.service"
        ]
        (ours {
          roles = [
            "api"
            "analysis-consumer"
          ];
        })
        far;
    "a switch ends the analysis workers that are too many" = stops [
      "scoresheet-analysis-consumer@2.service"
      "scoresheet-analysis-consumer@3.service"
    ] moreWorkers plain;
    "a switch ends all analysis workers" =
      stops
        [
          "scoresheet-analysis-consumer.service"
          "scoresheet-analysis-consumer@.service"
          "scoresheet-analysis-consumer@2.service"
          "scoresheet-analysis-consumer@3.service"
        ]
        moreWorkers
        (ours {
          analysis.workers = 3;
          roles = lib.remove "analysis-consumer" plain.services.scoresheet.roles;
        });
    "a switch ends the nightly backup, which can still be made by hand" =
      stops
        [
          "scoresheet-backup.timer"
        ]
        plain
        (ours {
          backup.enable = false;
        });
    "a switch ends the link" = stops [ "scoresheet-link.service" ] linked far;

    "each analysis worker is wanted" =
      moreWorkers.systemd.units."scoresheet-analysis-consumer@2.service".wantedBy or [ ]
      == [ "scoresheet.target" ];
    "each analysis worker has what the first one has" =
      text moreWorkers "scoresheet-analysis-consumer@2.service"
      == text moreWorkers "scoresheet-analysis-consumer.service";
    "each analysis worker is confined as the first one" =
      let
        sandbox = name: (files moreWorkers)."${name}.d/10-sandbox.conf" or null;
      in
      sandbox "scoresheet-analysis-consumer.service" != null
      &&
        sandbox "scoresheet-analysis-consumer@2.service" == sandbox "scoresheet-analysis-consumer.service";

    "the API finds PostgreSQL on another port" =
      gives
        {
          services.scoresheet.pooler.createLocally = false;
          services.postgresql.settings.port = 5433;
        }
        ''Environment="SCORESHEET_DATABASE_URL=postgresql+psycopg://scoresheet@/scoresheet?host=/run/postgresql&port=5433"'';
    "the API finds PgBouncer on another port" =
      gives { services.pgbouncer.settings.pgbouncer.listen_port = 6543; }
        ''Environment="SCORESHEET_DATABASE_URL=postgresql+psycopg://scoresheet@/scoresheet?host=/run/pgbouncer&port=6543"'';
    "the API finds Redis by another socket" = gives {
      services.redis.servers.scoresheet.unixSocket = "/run/other/redis.sock";
    } ''Environment="SCORESHEET_BROKER_URL=redis+socket:///run/other/redis.sock?virtual_host=0"'';
    "the API may open Redis's socket as another group" = gives {
      services.redis.servers.scoresheet.group = "others";
    } "SupplementaryGroups=others";
    "the API may open PgBouncer's socket as another group" =
      (host { services.pgbouncer.group = "poolers"; }).users.users.scoresheet.extraGroups
      == [ "poolers" ];
    "PostgreSQL knows PgBouncer as another user" =
      lib.hasInfix "scoresheet poolman  scoresheet\n"
        (host { services.pgbouncer.user = "poolman"; }).services.postgresql.identMap;

    "what `systemctl set-property` says goes before the module's limits" =
      !plain.systemd.units ? "scoresheet-analysis.slice"
      && lib.hasInfix "\nCPUQuota=300%\n" (files plain)."scoresheet-analysis.slice.d/10-limits.conf";
    "a switch restarts the analysis workers when their limits change" =
      let
        worker = "scoresheet-analysis-consumer.service";
      in
      text (ours { analysis.cpuQuota = lib.mkForce "200%"; }) worker != text plain worker
      && text (ours { analysis.memoryMax = "3G"; }) worker != text plain worker;

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
      && says (ours {
        backup = { inherit at; };
      }) "scoresheet-backup.timer" "OnCalendar=\nOnCalendar=03:15\nOnCalendar=Sun 05:00";
    "an amount that systemd can't read is refused" =
      !accepts "analysis.memoryMax" "half" && !accepts "analysis.cpuQuota" "0%";
    "an address that systemd can't read is refused" =
      !accepts "api.listen" [ "localhost:8000" ]
      && !accepts "api.allowFrom" [ "frontend.example" ]
      && !accepts "network.allow" [ "db.example" ];

    "a secret in the store is refused" =
      lib.all
        (
          option:
          !accepts option ./module-test.nix
          && !accepts option "${builtins.storeDir}/00000000000000000000000000000000-secret"
          && !accepts option (builtins.toFile "secret" "secret")
          && accepts option "/run/secrets/secret"
        )
        [
          "broker.urlFile"
          "database.migrationUrlFile"
          "database.urlFile"
          "lichessTokenFile"
          "link.keyFile"
          "workerTokenFile"
        ];
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
  };
  failures = lib.attrNames (lib.filterAttrs (_: passed: !passed) tests);
in
pkgs.runCommand "scoresheet-module-test" { passthru = { inherit failures; }; } (
  lib.throwIf (failures != [ ]) "scoresheet: the module fails: ${lib.concatStringsSep "; " failures}"
    ''
      touch $out
    ''
)
