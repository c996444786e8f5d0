{
  description = "Keeps a chess player's own record: every Lichess game fetched, stored, analysed and served over a REST API";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # Reads pyproject.toml: the one list of dependencies.
    pyproject-nix = {
      url = "github:pyproject-nix/pyproject.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      pyproject-nix,
    }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      packagesFor =
        pkgs:
        import ./nix/packages.nix {
          inherit pkgs pyproject-nix;
        };
      # What the flake's lock pins is what was tested: a host's own nixpkgs does not change it.
      module =
        { lib, pkgs, ... }:
        let
          packages = self.packages.${pkgs.stdenv.hostPlatform.system};
        in
        {
          imports = [ ./nix/module ];
          services.scoresheet = {
            package = lib.mkDefault packages.scoresheet;
            analysis.engine = lib.mkDefault packages.stockfish;
          };
        };
    in
    {
      packages = forEachSystem packagesFor;

      nixosModules = {
        default = module;
        scoresheet = module;
      };

      overlays.default = _final: prev: {
        inherit (packagesFor prev) scoresheet;
        scoresheet-stockfish = (packagesFor prev).stockfish;
      };

      # The ten-line host of docs/nixos.md.
      nixosConfigurations.example = lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          module
          ./nix/example-host.nix
        ];
      };

      checks = forEachSystem (
        pkgs:
        let
          packages = self.packages.${pkgs.stdenv.hostPlatform.system};
        in
        {
          inherit (packages) scoresheet units;
          engine = packages.stockfish.tests.same-results;
          unit-tests = import ./nix/unit-tests.nix { inherit pkgs pyproject-nix; };
          lint = import ./nix/lint.nix { inherit pkgs; };
          module = import ./nix/module-test.nix { inherit lib pkgs module; };
          vm = import ./nix/vm-test.nix {
            inherit pkgs;
            scoresheet = module;
          };
        }
      );

      devShells = forEachSystem (pkgs: {
        default = import ./nix/dev-shell.nix { inherit pkgs; };
      });

      apps = forEachSystem (
        pkgs:
        let
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) scoresheet;
          app = program: description: {
            type = "app";
            program = "${scoresheet}/bin/${program}";
            meta = { inherit description; };
          };
        in
        {
          default = app "scoresheet" "The API, migrations and tokens";
          worker = app "scoresheet-worker" "A worker role";
        }
      );

      formatter = forEachSystem (pkgs: import ./nix/formatter.nix { inherit pkgs; });
    };
}
