import Core

extension PluginRegistry {
  /// Plugins that Bcfg2 had and has no more, or that are part of others now: what to use instead.
  ///
  /// Sources: Bcfg2/bcfg2: doc/releases/1.4.0pre1.txt, src/lib/Bcfg2/Server/Plugins/DBStats.py and the history.
  static let retiredPlugins: [String: String] = [
    "Account": "use Cfg for /etc/passwd, /etc/group and limits.conf, or Bundler's POSIXUser and POSIXGroup entries",
    "BB": "use Cfg with a template",
    "Chiba": "use Cfg with a template for network configuration",
    "Crontab": "use Cfg for crontabs",
    "DBMetadata": "use Metadata with [metadata] use_database",
    "DBStats": "it has been replaced with Reporting; be sure to migrate your data before running the report collector",
    "Editor": "use Cfg with a template, or with a filter in the client's place",
    "GBundler": "use Bundler, which has templates itself",
    "Hostbase": "use Cfg for DNS and DHCP files made outside of Bcfg2",
    "Network": "use Cfg with a template for network configuration",
    "PostInstall": "use Action entries in bundles",
    "SGenshi": "use Bundler, which has templates itself",
    "Snapshots": "use Reporting",
    "Statistics": "use Reporting",
    "Svcmgr": "use Rules for Service entries",
    "Svn2": "use Svn",
    "Vhost": "use Cfg with a template",
  ]
}
