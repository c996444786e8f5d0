# What is built from this repository?
{ pkgs, pyproject-nix }:
let
  scoresheet = pkgs.callPackage ./package.nix { inherit pyproject-nix; };
in
{
  default = scoresheet;
  inherit scoresheet;
  stockfish = pkgs.callPackage ./stockfish.nix { };
  # The units with a NixOS host's usual values; the module fills them with its own.
  units = (pkgs.callPackage ./units.nix { }) {
    bin = "${scoresheet}/bin";
  };
}
