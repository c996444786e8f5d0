# Which units of systemd/ run here, and with which values? Everything else about them stands in their files.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkMerge
    optional
    optionals
    ;
  cfg = config.services.scoresheet;

  inherit (config.services) postgresql;
  pgbouncer = config.services.pgbouncer.settings.pgbouncer;
  redis = config.services.redis.servers.scoresheet;

  linked = cfg.link.to != null;
  first = lib.findFirst (value: value != null) "";
  when = condition: value: if condition then value else null;
  database =
    user: host: port:
    "postgresql+psycopg://${user}@/scoresheet?host=${host}&port=${toString port}";
  localDatabase =
    user: when cfg.database.createLocally (database user "/run/postgresql" postgresql.settings.port);
  brokerUrl = first [
    cfg.broker.url
    (when linked "redis+socket:///run/scoresheet/redis.sock?virtual_host=0")
    (when cfg.broker.createLocally "redis+socket://${redis.unixSocket}?virtual_host=0")
  ];
  databaseUrl = first [
    cfg.database.url
    (when cfg.pooler.createLocally (
      database "scoresheet" pgbouncer.unix_socket_dir pgbouncer.listen_port
    ))
    (localDatabase "scoresheet")
  ];
  migrationUrl = first [
    cfg.database.migrationUrl
    (localDatabase "scoresheet_migrate")
  ];

  # An address that is not known here, since it is in a file, may be anywhere.
  isSocket = address: lib.hasInfix "host=/" address || lib.hasPrefix "redis+socket:" address;
  brokerIsFar = cfg.broker.urlFile != null || !isSocket brokerUrl;
  databaseIsFar = cfg.database.urlFile != null || !isSocket databaseUrl;
  migrationIsFar = cfg.database.migrationUrlFile != null || !isSocket migrationUrl;
  apiIsFar = cfg.api.url != null;

  runs = name: lib.elem name cfg.roles;
  # Analysis workers beyond the first.
  otherConsumers = optionals (runs "analysis-consumer") (
    map (number: "scoresheet-analysis-consumer@${toString number}") (lib.range 2 cfg.analysis.workers)
  );

  package = if cfg.plugins == null then cfg.package else cfg.package.passthru.withPlugins cfg.plugins;
  fillUnits = pkgs.callPackage ../units.nix {
    instances = map (name: "${name}.service") otherConsumers;
    # systemd reads drop-ins in the order of their names: NixOS's own, overrides.conf, would come after what `systemctl
    # set-property` writes, 50-CPUQuota.conf, and undo that with the next reload.
    dropIns."scoresheet-analysis.slice.d/10-limits.conf" = analysisLimits;
  };
  units = fillUnits {
    bin = "${package}/bin";
    libexec = "${scripts}/bin";
    engine = "${cfg.analysis.engine}/bin/stockfish";
    worker_token = first [
      cfg.workerTokenFile
      "/var/lib/scoresheet/secrets/worker-token"
    ];
    broker_group = cfg.broker.group;
    broker_url = brokerUrl;
    database_url = databaseUrl;
    migration_database_url = migrationUrl;
    data_services = toString (
      optional cfg.database.createLocally "postgresql.target"
      ++ optional cfg.pooler.createLocally "pgbouncer.service"
      ++ optional cfg.broker.createLocally "redis-scoresheet.service"
      ++ optional linked "scoresheet-link.service"
    );
    link = if linked then cfg.link.to else "none.invalid";
  };

  scripts = pkgs.callPackage ../scripts.nix {
    inherit units;
    postgresql = if cfg.database.createLocally then postgresql.finalPackage else pkgs.postgresql_17;
  };

  memoryPercent = builtins.match "([0-9]+)%" cfg.analysis.memoryMax;
  analysisLimits = ''
    [Slice]
    CPUQuota=${cfg.analysis.cpuQuota}
    MemoryMax=${cfg.analysis.memoryMax}
    # Where the kernel begins to slow it down: the file's four fifths of MemoryMax=, or none of its own.
    MemoryHigh=${
      if memoryPercent == null then
        "infinity"
      else
        "${toString (lib.toInt (lib.head memoryPercent) * 4 / 5)}%"
    }
  '';

  settings = pkgs.writeText "scoresheet-environment" (
    lib.concatStrings (
      lib.mapAttrsToList (name: value: ''
        SCORESHEET_${lib.toUpper name}=${builtins.toJSON value}
      '') cfg.settings
    )
  );

  # The network for a role that needs it; a drop-in only adds to the lists of the unit.
  reach =
    far:
    mkIf far {
      PrivateNetwork = false;
      RestrictAddressFamilies = [ "AF_INET AF_INET6" ];
      IPAddressAllow = cfg.network.allow;
    };
  # An address from a file: a credential of the setting's name. Empty, the setting counts as none and gives way to it.
  secret =
    name: file:
    mkIf (file != null) {
      environment."SCORESHEET_${lib.toUpper name}" = "";
      serviceConfig.LoadCredential = [ "scoresheet_${name}:${file}" ];
    };

  service =
    far: more:
    mkMerge [
      {
        restartTriggers = [ settings ];
        serviceConfig = reach far;
      }
      (secret "broker_url" cfg.broker.urlFile)
      more
    ];
  # A role that this host does not have is masked, here and below: else a switch that takes it away would leave it running.
  role =
    name: far: more:
    mkMerge [
      (service far {
        enable = runs name;
        wantedBy = optional (runs name) "scoresheet.target";
      })
      more
    ];
  worker =
    name: more:
    role name (brokerIsFar || apiIsFar) (mkMerge [
      (mkIf apiIsFar {
        environment = {
          SCORESHEET_API_URL = cfg.api.url;
          SCORESHEET_API_SOCKET = "";
        };
      })
      more
    ]);
  # systemd gives a slice that is running its new limits only when a unit in it starts, not with the reload of a switch.
  analysisWorker = worker "analysis-consumer" {
    restartTriggers = [ (builtins.hashString "sha256" analysisLimits) ];
  };
in
{
  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = brokerUrl != "" || cfg.broker.urlFile != null;
        message = "services.scoresheet: without broker.createLocally, set broker.url, broker.urlFile or link.to.";
      }
      {
        assertion = runs "api" -> databaseUrl != "" || cfg.database.urlFile != null;
        message = "services.scoresheet: without database.createLocally, set database.url or database.urlFile.";
      }
      {
        assertion =
          runs "api" || cfg.backup.enable -> migrationUrl != "" || cfg.database.migrationUrlFile != null;
        message = "services.scoresheet: without database.createLocally, set database.migrationUrl or database.migrationUrlFile.";
      }
      {
        assertion = runs "api" || cfg.workerTokenFile != null;
        message = "services.scoresheet: a host without the API needs workerTokenFile, the token of the host that has it.";
      }
      {
        assertion = runs "api" || linked || apiIsFar;
        message = "services.scoresheet: a host without the API needs link.to or api.url.";
      }
      {
        assertion = cfg.pooler.createLocally -> cfg.database.createLocally;
        message = "services.scoresheet: pooler.createLocally is for the PostgreSQL of this host; put a pooler of your own before another.";
      }
    ];

    users.users = {
      scoresheet = {
        isSystemUser = true;
        group = "scoresheet";
        # PgBouncer's socket is open to its group: for the units and for scoresheet-admin alike.
        extraGroups = optional cfg.pooler.createLocally config.services.pgbouncer.group;
        description = "Scoresheet's API";
      };
      scoresheet-worker = {
        isSystemUser = true;
        group = "scoresheet-worker";
        description = "Scoresheet's workers";
      };
    };
    users.groups = {
      scoresheet = { };
      scoresheet-worker = { };
    };

    environment = {
      etc = {
        "scoresheet/environment".source = settings;
      }
      # Links, by names that scoresheet-admin knows.
      // lib.mapAttrs' (name: source: lib.nameValuePair "scoresheet/${name}" { inherit source; }) (
        lib.filterAttrs (_: file: file != null) {
          database-url = cfg.database.urlFile;
          migration-database-url = cfg.database.migrationUrlFile;
          broker-url = cfg.broker.urlFile;
        }
      );
      systemPackages = [ scripts ];
    };

    systemd = {
      # [Install] of units from packages is not read: what is wanted is said here.
      packages = [ units ];
      targets.scoresheet.wantedBy = [ "multi-user.target" ];

      sockets.scoresheet-api = {
        enable = runs "api";
        wantedBy = optional (runs "api") "scoresheet.target";
        partOf = [ "scoresheet-api-listen.service" ];
        socketConfig = {
          # Empty, a list begins anew: these replace the file's.
          ListenStream = [ "" ] ++ cfg.api.listen ++ [ "/run/scoresheet/api.sock" ];
          IPAddressAllow = [ "" ] ++ cfg.api.allowFrom;
        };
      };
      # A switch restarts services that have changed, but no socket: a new address would stay closed, and the one that it
      # replaces would be gone after the API's next restart. So it restarts this service, and systemd what is part of it:
      # the sockets, and with them the API. As a text, since what NixOS adds to services changes with nixpkgs.
      units."scoresheet-api-listen.service" = {
        enable = runs "api";
        wantedBy = [ "scoresheet-api.socket" ];
        text = ''
          [Unit]
          Description=Restart the sockets of Scoresheet's API when they change
          # So that a switch ends when they are open.
          After=scoresheet-api.socket
          X-Restart-Triggers=${
            builtins.hashString "sha256" (
              units.texts."scoresheet-api.socket" + config.systemd.units."scoresheet-api.socket".text
            )
          }

          [Service]
          Type=oneshot
          RemainAfterExit=yes
          ExecStart=/run/current-system/sw/bin/true
          # Stopped and started again, the sockets would be closed for most of the switch.
          X-StopIfChanged=false
        '';
      };

      services = {
        scoresheet-api = role "api" (brokerIsFar || databaseIsFar) (mkMerge [
          (secret "database_url" cfg.database.urlFile)
          {
            # A switch restarts it and leaves its sockets open; else it would stop both.
            stopIfChanged = false;
            path = [ config.systemd.package ];
          }
        ]);
        # NixOS gives a unit from a package a PATH only where it is declared here.
        scoresheet-worker-token.path = [ pkgs.coreutils ];
        scoresheet-migrate = service (brokerIsFar || databaseIsFar || migrationIsFar) (mkMerge [
          { enable = runs "api"; }
          (secret "database_url" cfg.database.urlFile)
          (secret "migration_database_url" cfg.database.migrationUrlFile)
        ]);
        scoresheet-beat = role "beat" brokerIsFar { };
        scoresheet-producer = worker "producer" {
          environment = mkIf (cfg.lichessTokenFile != null) {
            SCORESHEET_LICHESS_TOKEN_FILE = "%d/lichess-token";
          };
          serviceConfig.LoadCredential = mkIf (cfg.lichessTokenFile != null) [
            "lichess-token:${cfg.lichessTokenFile}"
          ];
        };
        scoresheet-consumer = worker "consumer" { };
        scoresheet-analysis-producer = worker "analysis-producer" { };
        scoresheet-analysis-consumer = analysisWorker;
        "scoresheet-analysis-consumer@" = mkMerge [
          analysisWorker
          { wantedBy = lib.mkForce [ ]; }
        ];
        scoresheet-backup = mkMerge [
          { serviceConfig = reach migrationIsFar; }
          (secret "migration_database_url" cfg.database.migrationUrlFile)
        ];
      }
      // lib.genAttrs otherConsumers (_: analysisWorker);
    };
  };
}
