import ServerSettings

/// Options of plugins of Bcfg2 that this server does not have yet (`plannedPlugins`): a site that uses them gets no warning
/// about its bcfg2.conf, and wrong values are named. They go to their plugins with these.
nonisolated struct PlannedOptions: OptionGroup {
  static let standard = PlannedOptions()

  let awsAccessKeyId = Option("awstags", "access_key_id", .text, help: "Access key of AWS")
  let awsSecretAccessKey = Option("awstags", "secret_access_key", .secret, help: "Secret of the access key")
  let awsCache = Option("awstags", "cache", .boolean, default: "true", help: "Keep tags until told to expire them")
}
