# How does a host that only helps reach the main host, and what does the main host allow it?
{ config, lib, ... }:
let
  cfg = config.services.scoresheet;
  linked = cfg.link.to != null;
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = linked -> cfg.link.keyFile != null && cfg.link.knownHostsFile != null;
            message = "services.scoresheet: link.to needs link.keyFile and link.knownHostsFile.";
          }
          {
            assertion = linked -> !lib.elem "api" cfg.roles && !cfg.broker.createLocally;
            message = "services.scoresheet: link.to is for a host without an API and a broker of its own.";
          }
          {
            assertion = cfg.link.authorizedKeys != [ ] -> config.services.openssh.enable;
            message = "services.scoresheet: link.authorizedKeys needs services.openssh.enable, which opens this host to SSH: that is for you to say.";
          }
        ];
        systemd.services.scoresheet-link.enable = linked;
      }
      (lib.mkIf linked {
        systemd.services.scoresheet-link = {
          wantedBy = [ "scoresheet.target" ];
          serviceConfig = {
            # Instead of the unit's own, which allows any: without the empty one, the list would grow.
            IPAddressAllow = [ "" ] ++ cfg.network.allow;
            LoadCredential = [
              ""
              "link-key:${cfg.link.keyFile}"
              "link-known-hosts:${cfg.link.knownHostsFile}"
            ];
          };
        };
      })
      (lib.mkIf (cfg.link.authorizedKeys != [ ]) {
        users.users.scoresheet-link = {
          isSystemUser = true;
          group = "scoresheet-link";
          # The sockets of the API and of Redis, and nothing else.
          extraGroups = [ "scoresheet" ] ++ lib.optional (cfg.broker.group != "") cfg.broker.group;
          openssh.authorizedKeys.keys = map (key: "restrict,port-forwarding ${key}") cfg.link.authorizedKeys;
        };
        users.groups.scoresheet-link = { };
        # What follows a Match belongs to it, whoever wrote it: so this comes last, and ends what it begins.
        services.openssh.extraConfig = lib.mkAfter ''
          Match User scoresheet-link
            AllowStreamLocalForwarding local
            # `no` would close the sockets too (channels.c asks the same list of permissions for both).
            AllowTcpForwarding local
            PermitListen none
            PermitTTY no
            X11Forwarding no
            ClientAliveInterval 5
            ClientAliveCountMax 3
            ForceCommand /bin/false
          Match all
        '';
      })
    ]
  );
}
