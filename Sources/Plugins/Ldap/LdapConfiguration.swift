import Logging
import Repository
import Templates

/// `Ldap/config.py`: the versions that may be used. A process that loads one says whether it can be.
final class LdapConfiguration: FileBacked {
  let source: TemplateSource

  override init(path: String, monitor: any FileMonitor, logger: Logger) {
    source = TemplateSource(path: path, kind: .queries)
    super.init(path: path, monitor: monitor, logger: logger)
  }

  override func index(_ bytes: [UInt8]) { source.update(bytes) }
}
