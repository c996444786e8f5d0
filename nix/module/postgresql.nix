# Scoresheet's roles and database in the PostgreSQL of this host, and who may be whom. It may serve others too, and may
# have done so for long: its version, its data and where it listens are the host's.
{ config, lib, ... }:
let
  cfg = config.services.scoresheet;
  postgresql = config.services.postgresql;
in
{
  config = lib.mkIf (cfg.enable && cfg.database.createLocally) {
    assertions = [
      {
        assertion = lib.versionAtLeast postgresql.package.version "17";
        message = ''
          services.scoresheet needs PostgreSQL 17 or newer; system.stateVersion or services.postgresql.package gives this host
          ${postgresql.package.version}. Another version begins with an empty data folder. If PostgreSQL holds nothing here yet, set
          services.postgresql.package = pkgs.postgresql_17; else move its data first (NixOS manual, PostgreSQL, "Upgrading").
        '';
      }
    ];

    services.postgresql = {
      enable = true;
      initdbArgs = [ "--data-checksums" ];
      settings.log_lock_waits = lib.mkDefault "on";
      # By what the kernel says of the peer, so no password exists. PgBouncer speaks for the API.
      authentication = ''
        local all scoresheet,scoresheet_migrate peer map=scoresheet
      '';
      identMap = ''
        scoresheet ${config.services.pgbouncer.user}  scoresheet
        scoresheet scoresheet scoresheet
        scoresheet scoresheet scoresheet_migrate
      '';
    };

    # NixOS gives up after five starts; on a full disk they fail one after the other.
    systemd.services.postgresql = {
      unitConfig.StartLimitIntervalSec = lib.mkOverride 90 0;
      serviceConfig = {
        Restart = lib.mkOverride 90 "always";
        RestartSec = lib.mkOverride 90 5;
      };
    };

    # In the unit that postgresql.target waits for: whoever starts after that finds everything there.
    systemd.services.postgresql-setup.serviceConfig.ExecStartPost = [
      "${postgresql.finalPackage}/bin/psql --no-psqlrc --quiet --dbname=postgres --file=${../../systemd/database.sql}"
    ];
  };
}
