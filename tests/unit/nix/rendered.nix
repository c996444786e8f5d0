# What would nix/units.nix put on a NixOS host? Evaluated with the few functions of nixpkgs that it uses, so without nixpkgs.
given:
let
  lib = builtins // {
    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    hasSuffix =
      suffix: text:
      let
        start = builtins.stringLength text - builtins.stringLength suffix;
      in
      start >= 0 && builtins.substring start (-1) text == suffix;
    remove = unwanted: builtins.filter (item: item != unwanted);
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (builtins.attrNames attrs);
    strings.sanitizeDerivationName = name: name;
  };
  units = import ../../../nix/units.nix {
    inherit lib;
    runtimeShell = "/bin/sh";
    openssh = "/usr";
    writeTextFile = file: file;
    symlinkJoin = package: package.passthru;
  } given;
in
{
  inherit (units) texts;
  scripts = lib.genAttrs [ "scoresheet-admin" "scoresheet-backup" "scoresheet-restore" ] units.script;
}
