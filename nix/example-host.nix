# What does a whole host look like? A machine's own lines, then Scoresheet's.
{
  networking.hostName = "chess";
  system.stateVersion = "26.05";
  # Yours come from hardware-configuration.nix.
  fileSystems."/".device = "/dev/disk/by-label/nixos";
  boot.loader.grub.device = "/dev/sda";

  services.scoresheet = {
    enable = true;
    # lichessTokenFile = "/var/lib/secrets/lichess-token"; # once that file is there
    analysis.cpuQuota = "300%";
    settings.nodes = 200000;
  };
}
