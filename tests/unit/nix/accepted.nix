# Which values do the types of nix/module/types.nix accept? Evaluated with the few functions of nixpkgs that they use.
{ type, values }:
let
  letters = text: builtins.genList (at: builtins.substring at 1 text) (builtins.stringLength text);
  lib = builtins // {
    mkOptionType = type: type;
    mergeEqualOption = null;
    hasPrefix = start: text: builtins.substring 0 (builtins.stringLength start) text == start;
    toLower = builtins.replaceStrings (letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
      letters "abcdefghijklmnopqrstuvwxyz"
    );
  };
  types = import ../../../nix/module/types.nix { inherit lib; };
in
builtins.filter types.${type}.check values
