import ServerSettings

/// Options of plugins of Bcfg2 that this server does not have yet (`plannedPlugins`): a site that uses them gets no warning
/// about its bcfg2.conf, and wrong values are named. They go to their plugins with these.
nonisolated struct PlannedOptions: OptionGroup {
  static let standard = PlannedOptions()

  let packagesBackends = Option(
    "packages", "backends", .commaList, default: "Yum,Apt,Pac,Pkgng", .only1_4, help: "Kinds of package sources")
  let packagesResolver = Option(
    "packages", "resolver", .enabled, default: "true", help: "Resolve dependencies of packages")
  let packagesMetadata = Option(
    "packages", "metadata", .enabled, default: "true", help: "Read the metadata of package sources")
  let packagesCache = Option(
    "packages", "cache", .path, default: "<repository>/Packages/cache", help: "Folder of the package caches")
  let packagesVersion = Option(
    "packages", "version", .choice(["auto", "any"]), default: "auto", help: "Version attribute of Package entries")
  let packagesYumConfig = Option(
    "packages", "yum_config", .path, default: "/etc/yum.repos.d/bcfg2.repo", help: "Path of generated yum sources")
  let packagesAptConfig = Option(
    "packages", "apt_config", .path, default: "/etc/apt/sources.list.d/bcfg2-packages-generated-sources.list",
    help: "Path of generated APT sources")
  let packagesMagicGroups = Option(
    "packages", "magic_groups", .boolean, default: "false", .only1_3, help: "Match sources by groups of their names")
  let yumUseYumLibraries = Option(
    "packages:yum", "use_yum_libraries", .boolean, default: "false", help: "Resolve with yum's libraries")
  let yumHelper = Option("packages:yum", "helper", .path, help: "Path of bcfg2-yum-helper")
  let yumGpgKeypath = Option(
    "packages:yum", "gpg_keypath", .path, default: "/etc/pki/rpm-gpg", help: "Folder of GPG keys on clients")
  let yumOther = Option("packages:yum", "*", .text, help: "An option for the generated yum configuration")
  let pulpUsername = Option("packages:pulp", "username", .text, help: "User of the Pulp server")
  let pulpPassword = Option("packages:pulp", "password", .secret, help: "Password of the Pulp server")
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
