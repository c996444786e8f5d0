# Are the Nix files formatted and free of dead code?
{ pkgs }:
pkgs.runCommand "scoresheet-lint"
  {
    nativeBuildInputs = [
      pkgs.nixfmt
      pkgs.deadnix
      pkgs.statix
    ];
    files = pkgs.lib.sourceByRegex ../. [
      "flake.nix"
      "nix(/.*)?"
    ];
  }
  ''
    cd $files
    find . -name '*.nix' -exec nixfmt --check {} +
    deadnix --fail .
    statix check .
    touch $out
  ''
