"""The units of systemd/ and the Nix files: what can be told of them without a host to run them."""
