# How does `nix fmt` format?
{ pkgs }:
pkgs.writeShellApplication {
  name = "scoresheet-format";
  runtimeInputs = [
    pkgs.nixfmt
    pkgs.ruff
    pkgs.findutils
  ];
  text = ''
    find flake.nix nix -name '*.nix' -exec nixfmt {} +
    ruff format --quiet
  '';
}
