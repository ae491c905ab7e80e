import Core
import Plugins
import ServerSettings
import Testing

/// Options of bcfg2.conf that Bcfg2 1.3.4 and 1.4 declare, by section; `*` matches any.
///
/// Source: Bcfg2/bcfg2: `cf=` in src/lib and src/sbin, and what plugins of 1.3.4 ask of the parser.
nonisolated let optionsOfBcfg2: [String: [String]] = [
  "APT": ["etc_path", "install_path", "var_path"],
  "Comments": [
    "bundler_comments", "bundler_keywords", "cfg_comments", "cfg_keywords", "cheetah_comments", "cheetah_keywords",
    "genshi_comments", "genshi_keywords", "genshibundler_comments", "genshibundler_keywords", "global_comments",
    "global_keywords", "infoxml_comments", "infoxml_keywords", "jinja2_comments", "jinja2_keywords",
    "metadata_comments", "metadata_keywords", "probes_comments", "probes_keywords", "properties_comments",
    "properties_keywords",
  ],
  "InfoXML": ["required_attrs"],
  "MergeFiles": ["threshold"],
  "POSIX": ["secontext_ignore"],
  "POSIXUsers": ["gid_blacklist", "gid_whitelist", "uid_blacklist", "uid_whitelist"],
  "Pkgng": ["path"],
  "Portage": ["binpkgonly"],
  "RPM": [
    "erase_flags", "fix_version", "install_missing", "installed_action", "installonlypackages", "pkg_checks",
    "pkg_verify", "reinstall_broken", "verify_fail_action", "verify_flags", "version_fail_action",
  ],
  "RPMng": [
    "erase_flags", "installed_action", "installonlypackages", "pkg_checks", "pkg_verify", "verify_fail_action",
    "verify_flags", "version_fail_action",
  ],
  "Validate": ["schema"],
  "YUM": [
    "disabled_plugins", "enabled_plugins", "erase_flags", "fix_version", "install_missing", "installed_action",
    "pkg_checks", "pkg_verify", "reinstall_broken", "verify_fail_action", "verify_flags", "version_fail_action",
  ],
  "YUM24": [
    "autodep", "erase_flags", "installed_action", "installonlypackages", "pkg_checks", "pkg_verify",
    "verify_fail_action", "verify_flags", "version_fail_action",
  ],
  "YUMng": [
    "installed_action", "pkg_checks", "pkg_verify", "verify_fail_action", "verify_flags", "version_fail_action",
  ],
  "awstags": ["access_key_id", "cache", "secret_access_key"],
  "bcfg2-info": ["interpreter"],
  "bcfg2_test": ["children", "ignore_entries", "nose_options", "xunit"],
  "caching": ["client_metadata"],
  "cfg": ["category", "handlers", "passphrase", "validation"],
  "client": [
    "command_timeout", "decision", "drivers", "exit_on_probe_failure", "paranoid", "probe_timeout", "profile",
  ],
  "communication": [
    "authentication", "ca", "certificate", "key", "password", "protocol", "retries", "retry_delay", "serverCommonNames",
    "timeout", "user",
  ],
  "components": ["bcfg2", "encoding", "lockfile"],
  "database": [
    "engine", "host", "name", "options", "password", "port", "reporting_engine", "reporting_host", "reporting_name",
    "reporting_options", "reporting_password", "reporting_port", "reporting_schema", "reporting_user", "schema", "user",
  ],
  "defaults": ["replace_name"],
  "encryption": ["*", "algorithm", "lax_decryption"],
  "errors": ["*"],
  "global": ["gpg_keypath"],
  "ldap": ["cache", "retries", "retry_delay"],
  "lint": ["plugins", "schema"],
  "logging": ["debug", "path", "performance", "performance_interval", "syslog", "verbose"],
  "mdata": ["group", "important", "mode", "owner", "paranoid", "secontext", "sensitive"],
  "metadata": ["use_database"],
  "packages": ["apt_config", "backends", "cache", "magic_groups", "metadata", "resolver", "version", "yum_config"],
  "packages:pulp": ["password", "username"],
  "packages:yum": ["*", "gpg_keypath", "helper", "use_yum_libraries"],
  "paranoid": ["max_copies", "path"],
  "probes": ["allowed_groups", "use_database"],
  "properties": ["automatch", "writes_enabled"],
  "reporting": [
    "config", "django_settings", "file_limit", "max_children", "redis_db", "redis_host", "redis_port", "storage",
    "time_zone", "transport", "web_debug", "web_prefix",
  ],
  "reports": ["sendmailpath"],
  "rules": ["regex", "replace_name"],
  "server": [
    "backend", "children", "fam_blocking", "filemonitor", "group", "ignore_files", "listen_all", "plugins", "prefix",
    "repository", "umask", "user", "vcs_root",
  ],
  "sshbase": ["passphrase"],
  "sshkeys": ["category", "passphrase"],
  "sslca": ["category", "passphrase"],
  "sslca_*": ["chaincert", "config", "passphrase", "root_ca"],
  "statistics": [
    "database_engine", "database_host", "database_name", "database_password", "database_port", "database_user",
    "web_prefix",
  ],
  "svn": ["always_trust", "conflict_resolution", "password", "user"],
]

@Suite struct OptionNameTests {
  @Test func everyOptionOfBcfg2IsKnown() {
    let registry = PluginRegistry.standard.settings
    for (section, options) in optionsOfBcfg2 {
      for option in options {
        let isKnown = registry.definition(section, option) != nil || registry.isForeign(section, option)
        #expect(isKnown, "[\(section)] \(option)")
      }
    }
    #expect(optionsOfBcfg2.values.joined().count > 150)
  }

  @Test func noOptionOfBcfg2GivesAWarning() throws {
    for (section, options) in optionsOfBcfg2 where PluginRegistry.standard.settings.isForeign(section, nil) {
      for option in options where PluginRegistry.standard.settings.definition(section, option) == nil {
        let file = try INIFile(bytes: Array("[\(section)]\n\(option) = 1\n".utf8), path: "bcfg2.conf")
        let warnings = try Settings(file, registry: PluginRegistry.standard.settings).warnings.filter {
          !$0.text.contains("is deprecated")
        }
        #expect(warnings == [], "[\(section)] \(option)")
      }
    }
  }
}
