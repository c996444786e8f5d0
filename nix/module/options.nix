# What can the owner of a host choose?
{ config, lib, ... }:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;
  cfg = config.services.scoresheet;
  own = import ./types.nix { inherit lib; };

  url =
    what: example:
    mkOption {
      type = types.nullOr own.url;
      default = null;
      inherit example;
      description = "Address of ${what}. One with a password goes into a file, see the option of the same name with `File`.";
    };
  urlFile =
    what:
    mkOption {
      type = types.nullOr own.secretFile;
      default = null;
      example = "/run/secrets/scoresheet-address";
      description = "File that holds the address of ${what} in one line; read by systemd, so only root need be able to.";
    };
in
{
  options.services.scoresheet = {
    enable = mkEnableOption "Scoresheet, which keeps a chess player's own record";

    package = mkOption {
      type = types.package;
      defaultText = literalExpression "scoresheet.packages.\${system}.scoresheet";
      example = literalExpression "pkgs.scoresheet";
      description = "The Scoresheet to run.";
    };

    plugins = mkOption {
      type = types.nullOr (types.functionTo (types.listOf types.package));
      default = null;
      example = literalExpression "packages: [ (packages.callPackage ./first-mistake.nix { }) ]";
      description = ''
        Python packages with plugins beside the built-in ones. They get the results of all games by themselves; which
        plugins run, `settings.plugins` says (names with commas between; all, if unset).
      '';
    };

    roles = mkOption {
      type = types.listOf (
        types.enum [
          "api"
          "beat"
          "producer"
          "consumer"
          "analysis-producer"
          "analysis-consumer"
        ]
      );
      default = [
        "api"
        "beat"
        "producer"
        "consumer"
        "analysis-producer"
        "analysis-consumer"
      ];
      example = [ "analysis-consumer" ];
      description = "What this host does. A second host that only helps has the role `analysis-consumer`.";
    };

    settings = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.float
          types.str
        ]
      );
      default = { };
      example = {
        nodes = 200000;
        log_level = "DEBUG";
      };
      description = ''
        Settings of all roles: the fields of `app/settings.py` and `workers/settings.py`. A name that neither knows fails
        the units with one line in the journal. Not for secrets.
      '';
    };

    workerTokenFile = mkOption {
      type = types.nullOr own.secretFile;
      default = null;
      example = "/run/secrets/scoresheet-worker-token";
      description = ''
        File that holds the token by which workers reach the API (`sst_` and at least 32 random characters). If null, the
        first start makes one. A host with the API off needs the file of the host that has it.
      '';
    };

    lichessTokenFile = mkOption {
      type = types.nullOr own.secretFile;
      default = null;
      example = "/run/secrets/lichess-token";
      description = "File that holds a Lichess API token, which makes fetching up to three times as fast. No scopes are needed.";
    };

    api = {
      listen = mkOption {
        type = types.listOf own.socketAddress;
        default = [ "127.0.0.1:8000" ];
        example = [ "[::]:8000" ];
        description = "Where clients reach the API, as in `ListenStream=`: address and port, or a path. It speaks HTTP: to others than this host, put a proxy with TLS before it.";
      };
      allowFrom = mkOption {
        type = types.listOf own.ipAddress;
        default = [ "localhost" ];
        example = [ "192.168.1.0/24" ];
        description = "Who may connect to these addresses, as in `IPAddressAllow=`. The firewall is opened separately.";
      };
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://scoresheet.example.org";
        description = "Where workers of this host find the API; null for the socket of the API, or of the link, on this host.";
      };
    };

    analysis = {
      engine = mkOption {
        type = types.package;
        defaultText = literalExpression "scoresheet.packages.\${system}.stockfish";
        example = literalExpression "pkgs.stockfish";
        description = "The Stockfish to run. Another version makes new evaluations; stored ones keep their provenance.";
      };
      workers = mkOption {
        type = types.ints.positive;
        default = 1;
        example = 2;
        description = "Units that analyse, each with `settings.analysis_concurrency` processes (4, or fewer where it is not set and memory is short).";
      };
      cpuQuota = mkOption {
        type = own.cpuQuota;
        default = "100%";
        example = "300%";
        description = "Processor time of all analysis on this host; 100% is one core. `systemctl set-property` changes it while it runs.";
      };
      memoryMax = mkOption {
        type = own.memorySize;
        default = "50%";
        example = "3G";
        description = "Memory of all analysis on this host, within the 80 % that all of Scoresheet may take. A process takes about 250 MB.";
      };
    };

    database = {
      createLocally = mkOption {
        type = types.bool;
        default = lib.elem "api" cfg.roles;
        defaultText = literalExpression ''elem "api" roles'';
        example = false;
        description = "Whether to use the PostgreSQL of this host, by its Unix socket, and make roles and database there. It has to be version 17 or newer.";
      };
      url = url "the database for the API, best through a pooler" "postgresql+psycopg://scoresheet@db.example/scoresheet";
      urlFile = urlFile "the database for the API";
      migrationUrl = url "the database for migrations and backups, past any pooler" "postgresql+psycopg://scoresheet_migrate@db.example/scoresheet";
      migrationUrlFile = urlFile "the database for migrations and backups";
    };

    pooler.createLocally = mkOption {
      type = types.bool;
      default = cfg.database.createLocally;
      defaultText = literalExpression "database.createLocally";
      example = false;
      description = "Whether to run PgBouncer before the local PostgreSQL.";
    };

    broker = {
      createLocally = mkOption {
        type = types.bool;
        default = lib.elem "api" cfg.roles;
        defaultText = literalExpression ''elem "api" roles'';
        example = false;
        description = "Whether to run Redis here. It listens on its Unix socket, and holds nothing that can't be lost.";
      };
      url = url "Redis (`redis://`, `rediss://` or `redis+socket://`)" "rediss://redis.example:6380/0";
      urlFile = urlFile "Redis";
      group = mkOption {
        type = types.str;
        default = if cfg.broker.createLocally then config.services.redis.servers.scoresheet.group else "";
        defaultText = literalExpression ''if broker.createLocally then config.services.redis.servers.scoresheet.group else ""'';
        example = "redis";
        description = "Group that may open Redis's socket; empty if it has none.";
      };
    };

    network.allow = mkOption {
      type = types.listOf own.ipAddress;
      default = [ "any" ];
      example = [ "10.0.0.7" ];
      description = "Addresses that the link, and roles whose broker, database or API is on TCP, may reach (`IPAddressAllow=`); the producer reaches Lichess beside them. Roles on sockets have no network at all.";
    };

    backup = {
      enable = mkOption {
        type = types.bool;
        default = lib.elem "api" cfg.roles;
        defaultText = literalExpression ''elem "api" roles'';
        example = false;
        description = "Whether to dump the database every night to /var/lib/scoresheet/backups, and read each dump back.";
      };
      at = mkOption {
        type = types.either own.calendarTime (types.nonEmptyListOf own.calendarTime);
        default = "03:15";
        example = "Sun 05:00";
        description = "When, as in `OnCalendar=`; a list for several times.";
      };
      keep = mkOption {
        type = types.ints.positive;
        default = 14;
        example = 60;
        description = "How many dumps to keep. Copy them to another machine: the last disk to fail is this one.";
      };
    };

    link = {
      to = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "scoresheet-link@main.example";
        description = "Main host, as `user@host` for SSH, whose broker and API this host uses. The workers here then need no network.";
      };
      keyFile = mkOption {
        type = types.nullOr own.secretFile;
        default = null;
        example = "/run/secrets/scoresheet-link-key";
        description = "Private SSH key of this host for the link.";
      };
      knownHostsFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = literalExpression ''pkgs.writeText "known-hosts" "main.example ssh-ed25519 AAAA…"'';
        description = "The main host's public key, in the format of known_hosts.";
      };
      authorizedKeys = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "ssh-ed25519 AAAA… helper" ];
        description = "On the main host: public keys of the hosts that may link to it, by its `services.openssh`.";
      };
    };
  };
}
