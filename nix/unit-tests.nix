# Do the unit tests pass with nixpkgs' versions of the libraries?
{ pkgs, pyproject-nix }:
let
  package = pkgs.callPackage ./package.nix { inherit pyproject-nix; };
  # With Scoresheet itself, whose plugins are found by its entry points.
  environment = package.passthru.withPlugins (packages: [
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
      "(app|workers|plugins|systemd|tests|dev)(/.*)?"
      "pyproject.toml"
    ];
  }
  ''
    cp -r $source/. . && chmod -R u+w .
    # tests/unit/dev tests tools of development, with libraries of theirs.
    python -m pytest -p no:cacheprovider tests/unit/app tests/unit/workers tests/unit/plugins
    touch $out
  ''
