# How do the scripts of systemd/ find their programs on NixOS?
{
  units,
  postgresql,
  writeShellApplication,
  symlinkJoin,
  coreutils,
  diffutils,
  gawk,
  gnused,
  systemd,
}:
let
  script =
    name:
    writeShellApplication {
      inherit name;
      text = units.script name;
      runtimeInputs = [
        postgresql
        coreutils
        diffutils
        gawk
        gnused
        systemd
      ];
    };
in
symlinkJoin {
  name = "scoresheet-scripts";
  paths = map script [
    "scoresheet-admin"
    "scoresheet-backup"
    "scoresheet-restore"
  ];
}
