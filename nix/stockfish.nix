# Which build of the pinned Stockfish runs? The best that this processor can: results are the same, speed is not.
#
# Measured on 2 cores with AVX-512, one thread: baseline 0.49 M nodes/s, AVX2 0.90 M, BMI2 0.88 M, VNNI-512 0.85 M. So AVX2
# is the best there is for x86; SSE 4.1 serves processors of 2008 to 2013.
{
  lib,
  stdenv,
  stockfish,
  runCommand,
}:
let
  # Best first; the last must run everywhere. `needs` are what __builtin_cpu_supports() knows.
  variants =
    if stdenv.hostPlatform.isx86_64 then
      [
        {
          arch = "x86-64-avx2";
          needs = [
            "avx2"
            "popcnt"
          ];
        }
        {
          arch = "x86-64-sse41-popcnt";
          needs = [
            "sse4.1"
            "popcnt"
          ];
        }
        {
          arch = "x86-64";
          needs = [ ];
        }
      ]
    else
      [
        {
          arch = "armv8";
          needs = [ ];
        }
      ];

  build =
    { arch, ... }:
    stockfish.overrideAttrs (old: {
      pname = "stockfish-${arch}";
      # The last assignment on make's command line counts.
      makeFlags = (old.makeFlags or [ ]) ++ [ "ARCH=${arch}" ];
      doInstallCheck = false; # the builder's processor need not be able to run it
    });
  path = variant: "${build variant}/bin/stockfish";
  condition =
    variant:
    lib.concatStringsSep " && " (
      [ "1" ] ++ map (feature: "__builtin_cpu_supports(\"${feature}\")") variant.needs
    );
  choices = lib.concatMapStringsSep "\n" (variant: ''
    if (${condition variant})
        return "${path variant}";
  '') variants;
in
stdenv.mkDerivation (finalAttrs: {
  pname = "scoresheet-stockfish";
  inherit (stockfish) version;

  # A program, not a script: the unit's sandbox hides /proc/cpuinfo.
  source = ''
    #include <stdio.h>
    #include <unistd.h>

    static const char *best(void) {
    ${choices}
    }

    int main(int argc, char **argv) {
        (void)argc;
        const char *engine = best();
        execv(engine, argv);
        perror(engine);
        return 127;
    }
  '';
  passAsFile = [ "source" ];
  dontUnpack = true;
  buildPhase = ''
    runHook preBuild
    cp "$sourcePath" picker.c
    $CC -O2 -Wall -Wextra -Werror -o stockfish picker.c
    runHook postBuild
  '';
  installPhase = ''
    runHook preInstall
    install -D -t $out/bin stockfish
    runHook postInstall
  '';

  passthru = {
    variants = lib.listToAttrs (
      map (variant: {
        name = variant.arch;
        value = build variant;
      }) variants
    );
    # Every build that this machine can run visits the same nodes.
    tests.same-results =
      runCommand "stockfish-same-results"
        {
          engines = [ "${finalAttrs.finalPackage}/bin/stockfish" ] ++ map path variants;
        }
        ''
          compared=0
          for engine in $engines; do
            status=0
            $engine bench 16 1 12 > out 2>&1 || status=$?
            if [ $status = 132 ]; then echo "$engine: not on this processor"; continue; fi
            [ $status = 0 ] || { cat out; exit 1; }
            nodes=$(sed -n 's/^Nodes searched *: *//p' out)
            echo "$engine: $nodes nodes"
            [ "$nodes" = "''${first:=$nodes}" ] || { echo "results differ"; exit 1; }
            compared=$((compared + 1))
          done
          [ $compared -ge 2 ]
          touch $out
        '';
  };

  meta = (stockfish.meta or { }) // {
    description = "Stockfish, in the best build that the processor runs";
    mainProgram = "stockfish";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
})
