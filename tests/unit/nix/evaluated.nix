# What does nix/module-test.nix find, with the nixpkgs in a folder? Nothing is built, so the programs may be any.
{ nixpkgs }:
let
  flake = (import (/. + "${nixpkgs}/flake.nix")).outputs { self.outPath = nixpkgs; };
  pkgs = flake.legacyPackages.x86_64-linux;
in
(import ../../../nix/module-test.nix {
  inherit (flake) lib;
  inherit pkgs;
  module = {
    imports = [ ../../../nix/module ];
    services.scoresheet = {
      package = pkgs.hello;
      analysis.engine = pkgs.hello;
    };
  };
}).failures
