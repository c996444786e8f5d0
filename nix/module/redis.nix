# Redis on this host: Celery's messages, which are hints, and the gate to Lichess.
{ config, lib, ... }:
let
  cfg = config.services.scoresheet;
in
{
  config = lib.mkIf (cfg.enable && cfg.broker.createLocally) {
    services.redis.servers.scoresheet = {
      enable = true;
      # No port: /run/redis-scoresheet/redis.sock, for its group.
      port = 0;
      appendOnly = true;
      # "everysec" would lose a second of hints at a power cut, and with them that second's speed.
      appendFsync = "always";
      save = [ ];
      settings = {
        maxmemory = lib.mkDefault "256mb";
        # A full broker refuses messages, which their senders notice; it must not drop any by itself.
        maxmemory-policy = "noeviction";
      };
    };
    systemd.services.redis-scoresheet = {
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        Restart = lib.mkDefault "always";
        RestartSec = lib.mkDefault 1;
      };
    };
  };
}
