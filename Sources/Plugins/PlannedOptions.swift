import ServerSettings

/// Options of plugins of Bcfg2 that this server does not have yet (`plannedPlugins`): a site that uses them gets no warning
/// about its bcfg2.conf, and wrong values are named. They go to their plugins with these.
nonisolated struct PlannedOptions: OptionGroup {
  static let standard = PlannedOptions()

  let ldapRetries = Option(
    "ldap", "retries", .integer(0...1000), default: "3", .only1_4, help: "Tries to reach the LDAP server again")
  let ldapRetryDelay = Option(
    "ldap", "retry_delay", .seconds, default: "5", .only1_4, help: "Seconds between two tries")
  let ldapCache = Option(
    "ldap", "cache", .boolean, .only1_4, help: "Keep answers of the LDAP server until told to expire them")
  let awsAccessKeyId = Option("awstags", "access_key_id", .text, help: "Access key of AWS")
  let awsSecretAccessKey = Option("awstags", "secret_access_key", .secret, help: "Secret of the access key")
  let awsCache = Option("awstags", "cache", .boolean, default: "true", help: "Keep tags until told to expire them")
}
