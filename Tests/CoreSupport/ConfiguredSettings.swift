import Core
import Plugins
package import ServerSettings

extension Settings {
  /// The settings that a bcfg2.conf with this text gives a server with its standard plugins.
  package init(conf: String, path: String = "bcfg2.conf") throws {
    try self.init(INIFile(bytes: Array(conf.utf8), path: path), registry: PluginRegistry.standard.settings)
  }
}
