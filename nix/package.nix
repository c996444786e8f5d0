# How is the Python application built? From pyproject.toml, with nixpkgs' own Python packages.
{
  lib,
  python313,
  pyproject-nix,
}:
let
  python = python313;
  pyproject = lib.importTOML ../pyproject.toml;
  # Without the tools of development, whose versions requirements.lock decides.
  project = pyproject-nix.lib.project.loadPyproject {
    projectRoot = ../.;
    pyproject = pyproject // {
      project = removeAttrs pyproject.project [ "optional-dependencies" ];
    };
  };
  attributes = project.renderers.buildPythonPackage { inherit python; };

  violated = project.validators.validateVersionConstraints { inherit python; };
  violations = lib.concatStringsSep ", " (
    lib.mapAttrsToList (name: found: "${name} ${found.version}") violated
  );

  scoresheet = python.pkgs.buildPythonApplication (
    attributes
    // {
      # Documentation, tests and Nix files don't make another package.
      src = lib.sourceByRegex ../. [
        "(app|workers|plugins)(/.*)?"
        "pyproject.toml"
        "README.md"
        "LICENSE"
      ];

      # libpq by a compiled module: by ctypes its callbacks would need memory that is writable and executable.
      dependencies = attributes.dependencies ++ python.pkgs.psycopg.optional-dependencies.c;

      # checks.unit-tests runs the tests: what they need is no part of the package.
      doCheck = false;
      pythonImportsCheck = [
        "app.main"
        "workers.cli"
        "plugins.accuracy"
      ];

      passthru = (attributes.passthru or { }) // {
        # A Python with the application's dependencies and others: for tests.
        environment =
          extraPackages:
          python.withPackages (project.renderers.withPackages { inherit python extraPackages; });
        # The application with the plugins of other packages: `select` takes the Python packages, and returns some.
        withPlugins =
          select: python.withPackages (packages: [ (packages.toPythonModule scoresheet) ] ++ select packages);
      };
      meta = (attributes.meta or { }) // {
        mainProgram = "scoresheet";
        platforms = lib.platforms.linux;
      };
    }
  );
in
assert lib.assertMsg (
  violated == { }
) "scoresheet: nixpkgs carries versions that pyproject.toml does not admit: ${violations}";
scoresheet
