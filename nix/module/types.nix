# Which values may options have? What systemd can't read in a unit it skips, with a line in the journal and no more; and
# what is in the store, everybody on the host can read. Both are refused here.
{ lib }:
let
  type =
    name: description: check:
    lib.mkOptionType {
      inherit name description;
      descriptionClass = "nonRestrictiveClause";
      check = value: builtins.isString value && check value;
      merge = lib.mergeEqualOption;
    };
  matches = pattern: text: builtins.match pattern text != null;
  alternatives = patterns: "(${lib.concatStringsSep "|" patterns})";

  # A field of a date or time: any value, or values, ranges and every n-th of them, with commas between.
  field =
    value:
    let
      item = "(\\*|${value}([.][.]${value})?(/0*[1-9][0-9]*)?)";
    in
    "${item}(,${item})*";
  weekday = "(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)";
  weekdays = "${weekday}(([.][.]|-)${weekday})?(,${weekday}(([.][.]|-)${weekday})?)*";
  date = "(${field "[0-9]{4}"}-)?${field "(0?[1-9]|1[0-2])"}[-~]${field "(0?[1-9]|[12][0-9]|3[01])"}";
  time = "${field "([01]?[0-9]|2[0-3])"}:${field "[0-5]?[0-9]"}(:${field "[0-5]?[0-9]([.][0-9]{1,6})?"})?";
  shorthand = "(minutely|hourly|daily|weekly|monthly|quarterly|semiannually|semi-annually|yearly|annually)";
  calendarTime =
    alternatives [
      shorthand
      "${weekdays}( ${date})?( ${time})?"
      "${date}( ${time})?"
      time
    ]
    + "( (utc|[a-z_]+(/[a-z0-9_+-]+)+))?";

  byte = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
  ipv4 = "${byte}([.]${byte}){3}";
  ipv6 = "[0-9a-fA-F:]*:[0-9a-fA-F:.]*";
  port = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})";
  socketAddress = alternatives [
    "[/@][^%]+"
    port
    "${ipv4}:${port}"
    "[[]${ipv6}[]]:${port}(%%[^ %]+)?" # %% is a %, which alone begins a specifier
    "vsock:[0-9]*:[0-9]+"
  ];
  ipAddress = alternatives [
    "any|localhost|link-local|multicast"
    "${ipv4}(/(3[0-2]|[12]?[0-9]))?"
    "${ipv6}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?"
  ];
in
{
  calendarTime = type "calendarTime" ''time as in OnCalendar= ("03:15", "Sun 05:00", "weekly")'' (
    value: matches calendarTime (lib.toLower value)
  );

  cpuQuota = type "cpuQuota" ''share of a processor above 0% ("50%", "300%")'' (
    matches "0*[1-9][0-9]*%"
  );

  memorySize = type "memorySize" ''amount of memory ("50%", "3G", "infinity")'' (
    value:
    matches "((100|[1-9]?[0-9])%|[0-9]+([.][0-9]+)?[KMGT]|[0-9]+|infinity)" value
    && !matches "[0.]*[KMGT%]?" value
  );

  socketAddress =
    type "socketAddress"
      ''address as in ListenStream=, not a host's name ("127.0.0.1:8000", "[::]:8000", "/run/api.sock")''
      (matches socketAddress);

  ipAddress =
    type "ipAddress"
      ''address as in IPAddressAllow=, not a host's name ("any", "localhost", "192.168.1.0/24")''
      (matches ipAddress);

  secretFile =
    type "secretFile"
      ''path in quotes, outside the store ("/var/lib/secrets/token"): without quotes, Nix would copy the file into the store, where everybody can read it''
      (
        value:
        lib.hasPrefix "/" value
        && !lib.hasPrefix "${builtins.storeDir}/" value
        && !builtins.hasContext value
      );

  url =
    type "url"
      "address without a password, which everybody could read in the store: one with a password belongs in a file, see the option of the same name with `File`"
      (
        value:
        matches "[^:/]+://.*" value
        && !matches "[^:]+://[^/?]*:[^/?]*@.*" value
        && !matches ".*[?&]password=.*" value
      );
}
