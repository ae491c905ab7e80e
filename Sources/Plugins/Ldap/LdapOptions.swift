import ServerSettings

/// `[ldap]`.
nonisolated struct LdapOptions: OptionGroup {
  static let standard = LdapOptions()

  let retries = Option(
    "ldap", "retries", .integer(0...1000), default: "3", .only1_4, help: "Tries to reach the LDAP server again")
  let retryDelay = Option(
    "ldap", "retry_delay", .seconds, default: "5", .only1_4, help: "Seconds between two tries")
  let cache = Option(
    "ldap", "cache", .boolean, .only1_4,
    help:
      "Keep answers of the LDAP server until told to expire them; false: for one configuration; default: for one run of a client"
  )
  let timeout = Option(
    "ldap", "timeout", .seconds, default: "30", .ours,
    help: "Seconds that the queries of one client may take at once; the LDAP server may be silent for a third of it")
  let processes = Option(
    "ldap", "processes", .integer(1...64), default: "4", .ours,
    help: "Processes that ask LDAP servers, at most, shared by the children of the multiprocessing core")
}
