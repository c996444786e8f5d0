# PostgreSQL 17 on this host: its roles, its database, and who may be whom.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.scoresheet;
  postgresql = config.services.postgresql;
in
{
  config = lib.mkIf (cfg.enable && cfg.database.createLocally) {
    services.postgresql = {
      enable = true;
      # Before NixOS's own default, which stateVersion decides; after what the owner says.
      package = lib.mkOverride 900 pkgs.postgresql_17;
      initdbArgs = [ "--data-checksums" ];
      settings = {
        # Sockets alone, unless the host's owner says enableTCPIP for something else.
        listen_addresses = lib.mkIf (!postgresql.enableTCPIP) (lib.mkOverride 90 "");
        # Every query of ours is short.
        jit = lib.mkDefault "off";
        log_lock_waits = lib.mkDefault "on";
      };
      # By what the kernel says of the peer, so no password exists. PgBouncer speaks for the API.
      authentication = ''
        local all scoresheet,scoresheet_migrate peer map=scoresheet
      '';
      identMap = ''
        scoresheet pgbouncer  scoresheet
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
