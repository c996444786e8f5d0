# When is the database backed up, and how many dumps stay?
{ config, lib, ... }:
let
  cfg = config.services.scoresheet;
in
{
  config = lib.mkIf cfg.enable {
    systemd.timers.scoresheet-backup = {
      inherit (cfg.backup) enable;
      wantedBy = lib.optional cfg.backup.enable "timers.target";
      timerConfig.OnCalendar = [ "" ] ++ lib.toList cfg.backup.at;
    };
    systemd.services.scoresheet-backup.environment.KEEP = toString cfg.backup.keep;
  };
}
