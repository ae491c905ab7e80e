// Sources: the options that Bcfg2/bcfg2 declares (`cf=` in src/lib/Bcfg2 and src/sbin of 1.4; Options.py, and what tools
// and plugins ask of the parser themselves, of 1.3.4), and the sections of 1.3's doc/man/bcfg2.conf.txt.

nonisolated extension SettingRegistry {
  /// Options of the client and of tools that read the same file. The server neither reads them nor warns of them. `*` stands
  /// for every option of the section.
  static let foreignSettings: [String: [String]] = [
    "APT": ["*"], "Comments": ["*"], "GenshiTemplates": ["*"], "InfoXML": ["*"], "MergeFiles": ["*"], "POSIX": ["*"],
    "POSIXUsers": ["*"], "Pkgng": ["*"], "Portage": ["*"], "RPM": ["*"], "RPMng": ["*"], "RequiredAttrs": ["*"],
    "Validate": ["*"], "YUM": ["*"], "YUM24": ["*"], "YUMng": ["*"], "account": ["*"], "bcfg2-info": ["*"],
    "bcfg2_test": ["*"], "client": ["*"], "errors": ["*"], "global": ["*"], "hostbase": ["*"], "lint": ["*"],
    "paranoid": ["*"], "reports": ["*"], "snapshots": ["*"], "specification": ["*"], "statistics": ["*"],
    "viewer": ["*"],
    "communication": ["user", "retries", "retry_delay", "serverCommonNames"], "components": ["lockfile"],
  ]
}
