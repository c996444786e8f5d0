# services.scoresheet: the units of systemd/, with the values of this host.
{
  imports = [
    ./options.nix
    ./services.nix
    ./postgresql.nix
    ./pgbouncer.nix
    ./redis.nix
    ./backup.nix
    ./link.nix
  ];
}
