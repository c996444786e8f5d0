# Do the unit tests pass with nixpkgs' versions of the libraries?
{ pkgs, pyproject-nix }:
let
  package = pkgs.callPackage ./package.nix { inherit pyproject-nix; };
  environment = package.passthru.environment (packages: [
    packages.hypothesis
    packages.pytest
    packages.pytest-asyncio
  ]);
in
pkgs.runCommand "scoresheet-unit-tests"
  {
    nativeBuildInputs = [
      environment
      pkgs.stockfish
    ];
    source = pkgs.lib.sourceByRegex ../. [
      "(app|workers|plugins|systemd|tests)(/.*)?"
      "pyproject.toml"
    ];
  }
  ''
    cp -r $source/. . && chmod -R u+w .
    # tests/unit/dev tests tools of development, with libraries of theirs.
    python -m pytest -p no:cacheprovider tests/unit/app tests/unit/workers tests/unit/plugins
    touch $out
  ''
