# What does `nix develop` bring? All programs of the stack, so that `make` fetches none of them.
#
# Python packages still come by `make setup` from requirements.lock, as everywhere: their wheels are built for any Linux
# and find what they need by LD_LIBRARY_PATH. Of the wheels that are programs (ruff, uv), NixOS runs the
# nixpkgs builds below, or those of the wheels where programs.nix-ld is enabled.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.python313
    pkgs.postgresql_17
    pkgs.pgbouncer
    pkgs.redis
    pkgs.stockfish
    pkgs.gnumake
    pkgs.git
    pkgs.ruff
    pkgs.uv
    pkgs.nixfmt
  ];
  LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [
    pkgs.stdenv.cc.cc.lib
    pkgs.zlib
  ];
}
