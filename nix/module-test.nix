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

  # switch-to-configuration restarts a service whose text has changed, and no socket.
  restarts = name: settings: text name settings != text name { };
  listen = "scoresheet-api-listen.service";

  tests = {
    "a switch opens another address" =
      restarts listen { services.scoresheet.api.listen = [ "127.0.0.1:8001" ]; };
    "a switch lets others in" =
      restarts listen { services.scoresheet.api.allowFrom = [ "192.168.1.0/24" ]; };
    "a switch applies what the host adds to the sockets" =
      restarts listen { systemd.sockets.scoresheet-api.socketConfig.Backlog = 4096; };
    "a switch leaves the sockets open if they stay what they are" =
      !restarts listen { services.scoresheet.settings.nodes = 5; }
      && !lib.hasInfix builtins.storeDir (text listen { });
    "a switch closes no socket before it opens it again" =
      lib.hasInfix "X-StopIfChanged=false\n" (text listen { });
    "the sockets are restarted with the service that stands for them" =
      (host { }).systemd.sockets.scoresheet-api.partOf == [ listen ];
  };
  failures = lib.attrNames (lib.filterAttrs (_: passed: !passed) tests);
in
pkgs.runCommand "scoresheet-module-test" { passthru = { inherit failures; }; } (
  lib.throwIf (failures != [ ]) "scoresheet: the module fails: ${lib.concatStringsSep "; " failures}" ''
    touch $out
  ''
)
