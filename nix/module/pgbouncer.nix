# PgBouncer before the PostgreSQL of this host.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.scoresheet;
  file = name: text: toString (pkgs.writeText "pgbouncer-${name}" text);
in
{
  config = lib.mkIf (cfg.enable && cfg.pooler.createLocally) {
    services.pgbouncer = {
      enable = true;
      settings.databases.scoresheet = "host=/run/postgresql port=${toString config.services.postgresql.settings.port} dbname=scoresheet";
      settings.pgbouncer = {
        unix_socket_dir = "/run/pgbouncer";
        unix_socket_mode = "0770";
        pool_mode = "transaction";
        # `peer` is no auth_type of its own: it comes by the rules of a file, and maps names by another.
        auth_type = "hba";
        auth_hba_file = file "hba" ''
          local scoresheet scoresheet peer map=scoresheet
        '';
        auth_ident_file = file "ident" ''
          scoresheet scoresheet scoresheet
        '';
        # A role has to be known, without a secret.
        auth_file = file "users" ''
          "scoresheet" ""
        '';
        default_pool_size = lib.mkDefault 16;
        max_client_conn = lib.mkDefault 200;
        # Less than the 15 s that a worker waits for an answer: it shall hear 503, not silence.
        query_wait_timeout = 8;
        # The API has its statements planned once a connection.
        max_prepared_statements = lib.mkDefault 200;
        idle_transaction_timeout = 30;
        # The default of 15 s would delay every recovery.
        server_login_retry = 1;
      };
    };

    # NixOS's unit has none of these.
    systemd.services.pgbouncer = {
      wants = [ "postgresql.target" ];
      after = [ "postgresql.target" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        Restart = "always";
        RestartSec = 1;
        # Lets transactions end; SIGTERM would wait for every client to leave.
        KillSignal = "SIGINT";
        TimeoutStopSec = 15;
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        PrivateDevices = true;
        PrivateIPC = true;
        PrivateMounts = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        ProcSubset = "pid";
        # Not PrivateUsers: it would hide who the peers are.
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
        ];
        UMask = "0077"; # its socket's mode is set above
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
