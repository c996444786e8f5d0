# How do the files of systemd/ become units of this host? Their placeholders are filled; nothing else changes.
#
# A function from values of placeholders (see systemd/README.md) to a package for systemd.packages; `texts` of the result
# holds what it contains, by name, so that evaluation alone can compare it.
{
  lib,
  runtimeShell,
  writeTextFile,
  symlinkJoin,
  openssh,
  # Of templates. On NixOS each is a file of its own, by which a switch sees that it is gone.
  instances ? [ ],
  # Texts of more drop-ins, by name.
  dropIns ? { },
}:
given:
let
  folder = ../systemd;
  values = {
    bin = throw "scoresheet: the units need the folder of the programs";
    libexec = "/run/current-system/sw/bin";
    shell = runtimeShell;
    engine = "stockfish";
    worker_token = "/var/lib/scoresheet/secrets/worker-token";
    broker_group = "redis-scoresheet";
    broker_url = "redis+socket:///run/redis-scoresheet/redis.sock?virtual_host=0";
    database_url = "postgresql+psycopg://scoresheet@/scoresheet?host=/run/pgbouncer&port=6432";
    migration_database_url = "postgresql+psycopg://scoresheet_migrate@/scoresheet?host=/run/postgresql&port=5432";
    data_services = "postgresql.target pgbouncer.service redis-scoresheet.service";
    ssh = "${openssh}/bin/ssh";
    link = "scoresheet-link@main.invalid";
    link_broker = "/run/redis-scoresheet/redis.sock";
  }
  // given;

  fill =
    names: value: text:
    lib.replaceStrings (map (name: "@${name}@") names) (map value names) text;
  # In a unit, % begins a specifier.
  fillUnit = fill (lib.attrNames values) (name: lib.replaceStrings [ "%" ] [ "%%" ] values.${name});
  # Scripts don't know their own folder, which is made of them.
  fillScript = fill (lib.remove "libexec" (lib.attrNames values)) (name: values.${name});

  isUnit =
    name:
    lib.any (suffix: lib.hasSuffix suffix name) [
      ".service"
      ".socket"
      ".target"
      ".slice"
      ".timer"
    ];
  units = lib.filter isUnit (lib.attrNames (builtins.readDir folder));
  read = name: builtins.readFile (folder + "/${name}");
  template = instance: lib.concatStringsSep "" (builtins.match "(.*@).*([.].*)" instance);
  services = lib.filter (lib.hasSuffix ".service") (units ++ instances);
  # Which file of the folder is it made of?
  sources =
    lib.genAttrs units (name: name)
    // lib.genAttrs instances template
    // lib.genAttrs (map (name: "${name}.d/10-sandbox.conf") services) (_: "sandbox.conf");
  texts = lib.mapAttrs (_: source: fillUnit (read source)) sources // dropIns;

  file =
    name: text:
    writeTextFile {
      name = lib.strings.sanitizeDerivationName (baseNameOf name);
      destination = "/lib/systemd/system/${name}";
      inherit text;
    };
in
symlinkJoin {
  name = "scoresheet-units";
  paths = lib.mapAttrsToList file texts;
  passthru = {
    inherit texts;
    # The text of one of the folder's scripts.
    script = name: fillScript (read name);
  };
}
